/* What the decoders share. Each reads one format into whatever pixel format comes natural to it; decode.c then converts
 * and turns the picture upright. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include <mien/image.h>

/** The encoded picture and what is wanted of it; limits are filled in, none is 0. */
typedef struct image_source {
    const uint8_t *bytes;
    size_t length;
    mien_image_limits limits;
    mien_pixel_format format; /* wanted in the end: a decoder that can give it at no cost does */
} image_source;

/** A decoder's work: an image of any pixel format with at least as many bytes a pixel as the wanted one, and the EXIF
 *  orientation 1..8. Both untouched on failure. */
typedef mien_status (*image_decoder)(const image_source *source, mien_image *image, unsigned *orientation,
                                     mien_error *error);

mien_status image_decode_jpeg(const image_source *source, mien_image *image, unsigned *orientation, mien_error *error);
mien_status image_decode_png(const image_source *source, mien_image *image, unsigned *orientation, mien_error *error);
mien_status image_decode_webp(const image_source *source, mien_image *image, unsigned *orientation, mien_error *error);
mien_status image_decode_gif(const image_source *source, mien_image *image, unsigned *orientation, mien_error *error);
mien_status image_decode_bmp(const image_source *source, mien_image *image, unsigned *orientation, mien_error *error);

/** MIEN_ELIMIT when a picture of this size is larger than allowed, MIEN_EFORMAT when it is empty. */
mien_status image_check_size(const image_source *source, const char *kind, uint64_t width, uint64_t height,
                             mien_error *error);

/** The orientation (1..8) that a TIFF structure, as EXIF holds it, gives; 1 when it gives none or is damaged: a picture
 *  is not refused for its metadata. */
unsigned exif_orientation(const uint8_t *tiff, size_t length);

/** Turn the picture upright. The image is replaced; on failure it is untouched. */
mien_status image_orient(mien_image *image, unsigned orientation, mien_error *error);

#endif
