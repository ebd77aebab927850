/* The image type: memory for pixels and views of it. Rows start on a cache line, so that kernels may load whole vectors
 * from a row's start and two threads that write neighbouring rows never share a line. Sizes come from files, therefore
 * every product is checked. */
#include <mien/image.h>

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { IMAGE_ROW_ALIGNMENT = 64 };

size_t mien_pixel_bytes(mien_pixel_format format)
{
    switch (format) {
    case MIEN_PIXEL_GREY8:
        return 1;
    case MIEN_PIXEL_RGB8:
    case MIEN_PIXEL_BGR8:
        return 3;
    case MIEN_PIXEL_RGBA8:
    case MIEN_PIXEL_BGRA8:
        return 4;
    }
    return 0;
}

mien_status mien_image_init(mien_image *image, size_t width, size_t height, mien_pixel_format format, mien_error *error)
{
    size_t pixel = mien_pixel_bytes(format), row, stride;
    if (!image || !pixel || !width || !height)
        return error_set(error, MIEN_EINVAL, "image: %zu × %zu pixels of format %d cannot be made", width, height,
                         (int)format);
    if (!memory_multiply(width, pixel, &row) || !memory_sum(row, IMAGE_ROW_ALIGNMENT - 1, &stride))
        return error_set(error, MIEN_ELIMIT, "image: a row of %zu pixels is too long", width);
    stride &= ~(size_t)(IMAGE_ROW_ALIGNMENT - 1);

    uint8_t *data = memory_aligned(height, stride);
    if (!data)
        return error_set(error, MIEN_ENOMEM, "out of memory: an image of %zu × %zu pixels", width, height);
    *image = (mien_image){data, width, height, stride, format};
    return MIEN_OK;
}

void mien_image_done(mien_image *image)
{
    if (!image)
        return;
    memory_free(image->data);
    memset(image, 0, sizeof *image);
}

mien_image_view mien_image_as_view(const mien_image *image)
{
    if (!image)
        return (mien_image_view){0};
    return (mien_image_view){image->data, image->width, image->height, image->stride, image->format};
}
