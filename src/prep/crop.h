/* A region of a picture as a network's input. */
#ifndef PREP_CROP_H
#define PREP_CROP_H

#include <mien/image.h>

/** What stands for pixels beyond the picture. */
typedef enum prep_crop_outside {
    PREP_CROP_REPEAT = 0, /* the nearest pixel of the edge */
    PREP_CROP_CONSTANT    /* prep_crop.fill */
} prep_crop_outside;

typedef struct prep_crop {
    float x, y, width, height; /* in the source's pixels; sides > 0; may lie partly or wholly outside */
    prep_crop_outside outside;
    float fill;               /* 0..255 */
    mien_pixel_format format; /* planes of the output: GREY8 (one), RGB8 or BGR8 (three, in that order) */
    float scale[3], shift[3]; /* output = value 0..255 × scale + shift, by plane */
} prep_crop;

/** The whole of a picture to grey in 0..1 without change of range: fill in what differs. */
prep_crop prep_crop_default(const mien_image_view *source);

/**
 * Cut out, resize and normalise in one go.
 * @param source  any format; alpha is not looked at. Grey fills all planes alike; colour to grey is BT.601 luma.
 * @param nchw    [out] planes × out_height × out_width, f32.
 * Each output pixel is a triangle-weighted mean over its footprint, at least two source pixels wide: bilinear
 * interpolation when enlarging, antialiased when shrinking (as Pillow's BILINEAR and PyTorch's antialias=True).
 * Pixel centres are aligned. Sums in single precision.
 * @return MIEN_OK, MIEN_EINVAL (empty, not finite, side above 2²⁰, unknown format), MIEN_ENOMEM.
 */
mien_status prep_crop_resize(const mien_image_view *source, const prep_crop *crop, size_t out_width, size_t out_height,
                             float *nchw, mien_error *error);

#endif
