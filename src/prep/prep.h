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

#endif
