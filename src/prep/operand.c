/* Checks shared by all operations, so that a wrong call is answered by a sentence and never by a stray write. */
#include "prep/operand.h"

#include "base/error.h"

static mien_status operand_check_side(const char *operation, const char *name, const mien_image_view *view,
                                      mien_error *error)
{
    size_t pixel = mien_pixel_bytes(view->format);
    if (!view->data || !view->width || !view->height)
        return error_set(error, MIEN_EINVAL, "%s: the %s image is empty", operation, name);
    if (view->width > OPERAND_MAX_SIDE || view->height > OPERAND_MAX_SIDE)
        return error_set(error, MIEN_EINVAL, "%s: the %s image of %zu × %zu is too large", operation, name, view->width,
                         view->height);
    if (!pixel || view->stride < view->width * pixel)
        return error_set(error, MIEN_EINVAL, "%s: the %s image's format or stride is wrong", operation, name);
    return MIEN_OK;
}

mien_status operand_check(const char *operation, const mien_image_view *source, const mien_image *target,
                          mien_error *error)
{
    if (!source || !target)
        return error_set(error, MIEN_EINVAL, "%s: an image is missing", operation);
    mien_image_view view = mien_image_as_view(target);
    mien_status status = operand_check_side(operation, "source", source, error);
    return status ? status : operand_check_side(operation, "target", &view, error);
}

mien_status operand_check_same_size(const char *operation, const mien_image_view *source, const mien_image *target,
                                    mien_error *error)
{
    mien_status status = operand_check(operation, source, target, error);
    if (status)
        return status;
    if (source->width != target->width || source->height != target->height)
        return error_set(error, MIEN_EINVAL, "%s: source %zu × %zu and target %zu × %zu differ in size", operation,
                         source->width, source->height, target->width, target->height);
    return MIEN_OK;
}

mien_status operand_check_same_format(const char *operation, const mien_image_view *source, const mien_image *target,
                                      mien_error *error)
{
    mien_status status = operand_check_same_size(operation, source, target, error);
    if (status)
        return status;
    if (source->format != target->format)
        return error_set(error, MIEN_EINVAL, "%s: source and target differ in pixel format", operation);
    return MIEN_OK;
}

mien_status operand_check_grey(const char *operation, const mien_image_view *source, const mien_image *target,
                               mien_error *error)
{
    mien_status status = operand_check_same_size(operation, source, target, error);
    if (status)
        return status;
    if (source->format != MIEN_PIXEL_GREY8 || target->format != MIEN_PIXEL_GREY8)
        return error_set(error, MIEN_EINVAL, "%s: works on grey images only", operation);
    return MIEN_OK;
}
