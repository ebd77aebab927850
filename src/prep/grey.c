/* Colour to grey: the luma of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B) with weights rounded to 15 bits so that they
 * sum to exactly 2¹⁵ and white stays white. These are OpenCV's weights since 4.0, bit for bit. */
#include "prep/prep.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "prep/kernels.h"
#include "prep/operand.h"

enum { GREY_BLUE = 3735, GREY_GREEN = 19235, GREY_RED = 9798 };

mien_status prep_grey(const mien_image_view *source, mien_image *target, mien_error *error)
{
    mien_status status = operand_check_same_size("grey", source, target, error);
    if (status)
        return status;
    if (target->format != MIEN_PIXEL_GREY8)
        return error_set(error, MIEN_EINVAL, "grey: the target is not a grey image");

    const prep_kernels *kernels = prep_kernels_get();
    bool blue_first = source->format == MIEN_PIXEL_BGR8 || source->format == MIEN_PIXEL_BGRA8;
    const uint16_t weight[3] = {blue_first ? GREY_BLUE : GREY_RED, GREY_GREEN, blue_first ? GREY_RED : GREY_BLUE};
    size_t pixel = mien_pixel_bytes(source->format);
    for (size_t y = 0; y < source->height; y++) {
        const uint8_t *from = source->data + y * source->stride;
        uint8_t *to = target->data + y * target->stride;
        if (pixel == 1)
            memmove(to, from, source->width);
        else if (pixel == 3)
            kernels->grey3(from, to, source->width, weight);
        else
            kernels->grey4(from, to, source->width, weight);
    }
    return MIEN_OK;
}
