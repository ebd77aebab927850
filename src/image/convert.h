/* From one pixel format to another, and parts of a picture. Where alpha is dropped, the pixel is blended over white. */
#ifndef IMAGE_CONVERT_H
#define IMAGE_CONVERT_H

#include <mien/image.h>

/** Copy `source` into `target`, which has its size and any format (the same is a plain copy). To grey: luma of BT.601
 * in 15-bit fixed point, (3735 B + 19235 G + 9798 R + 2¹⁴) >> 15, as OpenCV. New alpha is 255.
 *  @return MIEN_OK or MIEN_EINVAL. Must not overlap. */
mien_status image_convert(const mien_image_view *source, mien_image *target, mien_error *error);

/** The same over the image's own memory; the stride stays. The new format may not need more bytes a pixel. */
void image_convert_in_place(mien_image *image, mien_pixel_format format);

/** The part of `view` that lies in the rectangle, clipped; width or height 0 when nothing does. Nothing is copied. */
mien_image_view image_crop(const mien_image_view *view, int64_t x, int64_t y, int64_t width, int64_t height);

#endif
