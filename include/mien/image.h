/**
 * Images: owned pixels, borrowed views, decoding and encoding.
 *
 * Pixels are 8 bits a channel, interleaved, rows top to bottom, `stride` bytes apart. Nothing here keeps global state;
 * distinct images may be used from distinct threads, one image may be read by many.
 */
#ifndef MIEN_IMAGE_H
#define MIEN_IMAGE_H

#include <mien/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mien_pixel_format {
    MIEN_PIXEL_GREY8 = 1, /**< 1 byte a pixel */
    MIEN_PIXEL_RGB8,      /**< 3 bytes a pixel, R first */
    MIEN_PIXEL_BGR8,      /**< 3 bytes a pixel, B first */
    MIEN_PIXEL_RGBA8,     /**< 4 bytes a pixel, alpha straight, not premultiplied */
    MIEN_PIXEL_BGRA8      /**< 4 bytes a pixel, B first */
} mien_pixel_format;

/** Borrowed pixels. `stride` ≥ width × bytes per pixel, in bytes; never negative, rows go from top to bottom. */
typedef struct mien_image_view {
    const uint8_t *data;
    size_t width;
    size_t height;
    size_t stride;
    mien_pixel_format format;
} mien_image_view;

/** Owned pixels; `mien_image_done` frees them. Zero-initialised means empty. */
typedef struct mien_image {
    uint8_t *data;
    size_t width;
    size_t height;
    size_t stride;
    mien_pixel_format format;
} mien_image;

/** Limits, checked against the header before pixel memory is taken. 0 means the default. */
typedef struct mien_image_limits {
    size_t max_bytes;    /**< encoded size, default 64 MiB */
    uint64_t max_pixels; /**< width × height, default 50,000,000 */
    size_t max_side;     /**< longer side in pixels, default 32,768 */
} mien_image_limits;

typedef struct mien_decode_options {
    mien_image_limits limits;
    int ignore_orientation;   /**< non-zero: leave the picture as stored; default 0: turn it upright by its EXIF tag */
    mien_pixel_format format; /**< what to decode to: GREY8, RGB8 (default) or BGR8 */
} mien_decode_options;

MIEN_API void mien_decode_default_options(mien_decode_options *options);

/** Bytes in one pixel: 1, 3 or 4; 0 for an unknown format. */
MIEN_API size_t mien_pixel_bytes(mien_pixel_format format);

/**
 * Decode a JPEG, PNG, WebP, GIF (first frame) or BMP picture; the kind is told by its first bytes, never by a name.
 * Alpha is blended over white; 16-bit channels are reduced to 8; CMYK is converted to RGB.
 * @param bytes    borrowed for the call.
 * @param options  NULL = mien_decode_default_options().
 * @param image    [out] upright picture; free with mien_image_done().
 * @return MIEN_OK, MIEN_EFORMAT (empty, truncated, corrupt, not a picture), MIEN_EUNSUPPORTED, MIEN_ELIMIT,
 * MIEN_ENOMEM.
 */
MIEN_API mien_status mien_image_decode(const void *bytes, size_t length, const mien_decode_options *options,
                                       mien_image *image, mien_error *error);

/** An image of undefined content, rows 64-byte aligned. @return MIEN_OK, MIEN_EINVAL, MIEN_ELIMIT, MIEN_ENOMEM. */
MIEN_API mien_status mien_image_init(mien_image *image, size_t width, size_t height, mien_pixel_format format,
                                     mien_error *error);
/** Free the pixels and zero the structure. Accepts NULL and an empty image. */
MIEN_API void mien_image_done(mien_image *image);
/** A view of the whole image, valid as long as the image is; of NULL an empty one. */
MIEN_API mien_image_view mien_image_as_view(const mien_image *image);

/** Encode as JPEG, `quality` 1..100. Free the bytes with mien_free(). @return MIEN_OK, MIEN_EINVAL, MIEN_ENOMEM. */
MIEN_API mien_status mien_image_encode_jpeg(const mien_image_view *view, int quality, uint8_t **bytes, size_t *length,
                                            mien_error *error);
/** The same as PNG: grey, RGB or RGBA by the view's format. JPEG has no alpha: there it is blended over white. */
MIEN_API mien_status mien_image_encode_png(const mien_image_view *view, uint8_t **bytes, size_t *length,
                                           mien_error *error);
/** Free memory that a mien function handed out. Accepts NULL. */
MIEN_API void mien_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
