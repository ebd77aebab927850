/* Colour to grey: the luma of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B). The conversion itself belongs to image/,
 * whose decoder needs it too; here it only takes on the form of an operation. */
#include "prep/prep.h"

#include "base/error.h"
#include "image/convert.h"
#include "prep/operand.h"

mien_status prep_grey(const mien_image_view *source, mien_image *target, mien_error *error)
{
    mien_status status = operand_check_same_size("grey", source, target, error);
    if (status)
        return status;
    if (target->format != MIEN_PIXEL_GREY8)
        return error_set(error, MIEN_EINVAL, "grey: the target is not a grey image");
    return image_convert(source, target, error);
}
