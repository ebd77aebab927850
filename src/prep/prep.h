/* Image operations on 8-bit pixels, one per file, with the method told in front of each.
 *
 * Every operation has one shape: a borrowed `source` view, its parameters, and a `target` that the caller has made
 * (mien_image_init, or a mien_image filled in over the caller's own memory). The target's size and format say what is
 * wanted; its content is undefined after a failure. Source and target must not overlap unless "in place" is allowed;
 * then target->data and its stride equal the source's. Results do not depend on the processor: the vector kernels
 * give the same bytes as the plain C ones.
 *
 * All return MIEN_OK, MIEN_EINVAL (empty, wrong size or format, parameter out of range) or MIEN_ENOMEM.
 * Thread-safe: nothing is kept between calls. */
#ifndef PREP_PREP_H
#define PREP_PREP_H

#include <mien/image.h>

/** Any format → GREY8 of the same size. Luma of BT.601 in 15-bit fixed point, (3735 B + 19235 G + 9798 R + 2¹⁴) >> 15;
 *  identical to OpenCV's COLOR_BGR2GRAY. Alpha is blended over white first. Grey is copied. */
mien_status prep_grey(const mien_image_view *source, mien_image *target, mien_error *error);

/** Bilinear, pixel centres aligned, 11-bit coefficients; identical to OpenCV's INTER_LINEAR on 8-bit images: exactly
 *  half the size in both directions is the mean of 2 × 2 pixels. Same format on both sides, any size ≥ 1 × 1. */
mien_status prep_resize_linear(const mien_image_view *source, mien_image *target, mien_error *error);

/** Bilinear with 8-bit coefficients rounded once from the exact position; identical to OpenCV's INTER_LINEAR_EXACT,
 *  which its cascade classifier builds the pyramid with. Same format on both sides, any size ≥ 1 × 1. */
mien_status prep_resize_linear_exact(const mien_image_view *source, mien_image *target, mien_error *error);

/** Gaussian blur of any format with a size × size kernel, size odd 1..63; sigma ≤ 0 = 0.15 × size + 0.35. Weights of 8
 *  bits, one rounding at the end, mirrored at the edges without repeating the edge pixel; identical to OpenCV's
 *  GaussianBlur on 8-bit images. Same format and size on both sides. In place allowed. */
mien_status prep_gaussian(const mien_image_view *source, mien_image *target, unsigned size, double sigma,
                          mien_error *error);

/** Median of a size × size window, size odd 1..63, of each channel; the edge pixel is repeated outward, as OpenCV's
 *  medianBlur. Same format and size on both sides. */
mien_status prep_median(const mien_image_view *source, mien_image *target, unsigned size, mien_error *error);

/** Bilateral filter (Tomasi & Manduchi 1998) of grey or three channels: a mean of the disc of `radius` 1..31 pixels,
 *  weighted by distance and by likeness. Within one grey level of OpenCV's bilateralFilter(2 × radius + 1, …). Same
 *  format and size on both sides. */
mien_status prep_bilateral(const mien_image_view *source, mien_image *target, unsigned radius, double sigma_colour,
                           double sigma_space, mien_error *error);

/** Histogram equalisation of a grey image, identical to OpenCV's equalizeHist. In place allowed. */
mien_status prep_equalise(const mien_image_view *source, mien_image *target, mien_error *error);

/** Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of a grey image in tiles_x × tiles_y tiles, 1..64
 *  each, identical to OpenCV's CLAHE. clip_limit in multiples of a flat histogram's bin; ≤ 0 = no limit. In place
 *  allowed. */
mien_status prep_clahe(const mien_image_view *source, mien_image *target, double clip_limit, unsigned tiles_x,
                       unsigned tiles_y, mien_error *error);

/** Even out the light of a grey image: divide by the local mean of brightness, relative to the picture's. `strength`
 *  0..1: 0 changes nothing, 1 takes slow changes of light out wholly. In place allowed. */
mien_status prep_illumination(const mien_image_view *source, mien_image *target, double strength, mien_error *error);

/** Each byte times `gain` plus `offset`, its absolute value rounded to nearest even and held to 0..255. As OpenCV's
 *  convertScaleAbs; identical for ×1.1 + 5, while for some factors a tie is rounded the other way, where OpenCV's fused
 *  multiply-add rounds once instead of twice. Any format (alpha too). In place allowed. */
mien_status prep_brighten(const mien_image_view *source, mien_image *target, float gain, float offset,
                          mien_error *error);

#endif
