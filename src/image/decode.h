/* What the decoders share. Each reads one format into whatever pixel format comes natural to it; decode.c then converts
 * and turns the picture upright. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include <mien/image.h>

#include <stdbool.h>

/** What a picture will take, known from its header. */
typedef struct image_need {
    size_t width, height; /* of what is decoded: smaller than the picture when it is shrunk */
    uint64_t kept;        /* bytes of that */
    uint64_t reading;     /* bytes at the most while it is read, that included */
} image_need;

/** Wishes beyond the public options. All zero: none. */
typedef struct image_wish {
    /* A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which saves memory and time, as long as its longer side
     * stays at least least_side (0: it may not) and least_detail pixels of the picture stay least_detail_seen. */
    size_t least_side, least_detail, least_detail_seen;
    /* Asked once, before the memory is taken; anything but MIEN_OK ends the decoding with it. NULL = nobody is. */
    mien_status (*ask)(void *context, const image_need *need, mien_error *error);
    void *context;
} image_wish;

/** The upright picture as it was sent, where less was decoded. */
typedef struct image_full_size {
    size_t width, height;
} image_full_size;

/** As mien_image_decode(). `full` may be NULL. */
mien_status image_decode(const void *bytes, size_t length, const mien_decode_options *options, const image_wish *wish,
                         mien_image *image, image_full_size *full, mien_error *error);

/** The encoded picture and what is wanted of it; limits are filled in, none is 0. */
typedef struct image_source {
    const uint8_t *bytes;
    size_t length;
    mien_image_limits limits;
    mien_pixel_format format; /* wanted in the end: a decoder that can give it at no cost does */
    bool upright;             /* wanted in the end, too */
    image_wish wish;
} image_source;

/** How the decoded pixels stand to the picture. */
typedef struct image_origin {
    unsigned orientation; /* EXIF, 1..8 */
    size_t width, height; /* as stored, when they differ from the decoded image's; else 0 */
} image_origin;

/** A decoder's work: an image of any pixel format with at least as many bytes a pixel as the wanted one, and where it
 *  comes from (zeroed by the caller). Both untouched on failure. */
typedef mien_status (*image_decoder)(const image_source *source, mien_image *image, image_origin *origin,
                                     mien_error *error);

mien_status image_decode_jpeg(const image_source *source, mien_image *image, image_origin *origin, mien_error *error);
mien_status image_decode_png(const image_source *source, mien_image *image, image_origin *origin, mien_error *error);
mien_status image_decode_webp(const image_source *source, mien_image *image, image_origin *origin, mien_error *error);
mien_status image_decode_gif(const image_source *source, mien_image *image, image_origin *origin, mien_error *error);
mien_status image_decode_bmp(const image_source *source, mien_image *image, image_origin *origin, mien_error *error);

/** Ask for the memory of an image that is about to be made, and of `beside` more bytes that decoding it takes.
 *  @param turned  it may have to be turned upright, which takes it twice. */
mien_status image_ask(const image_source *source, size_t width, size_t height, mien_pixel_format format, bool turned,
                      uint64_t beside, mien_error *error);

/** MIEN_ELIMIT when a picture of this size is larger than allowed, MIEN_EFORMAT when it is empty. */
mien_status image_check_size(const image_source *source, const char *kind, uint64_t width, uint64_t height,
                             mien_error *error);

/** The orientation (1..8) that a TIFF structure, as EXIF holds it, gives; 1 when it gives none or is damaged: a picture
 *  is not refused for its metadata. */
unsigned exif_orientation(const uint8_t *tiff, size_t length);

/** Turn the picture upright. The image is replaced; on failure it is untouched. */
mien_status image_orient(mien_image *image, unsigned orientation, mien_error *error);

#endif
