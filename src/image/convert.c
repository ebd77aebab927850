/* Pixel format conversion, row by row. The two conversions that every photograph goes through (three bytes to grey, RGB
 * to BGR) are kernels; the others are rare and go pixel by pixel through red, green, blue and alpha. Rows are worked
 * from left to right, so a conversion that does not grow the pixel may run over its own input. */
#include "image/convert.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "image/kernels.h"

enum { GREY_BLUE = 3735, GREY_GREEN = 19235, GREY_RED = 9798 };

static bool convert_blue_first(mien_pixel_format format)
{
    return format == MIEN_PIXEL_BGR8 || format == MIEN_PIXEL_BGRA8;
}

/* colour × alpha + white × (1 − alpha), rounded to nearest without a division. */
static uint8_t convert_over_white(uint8_t colour, uint8_t alpha)
{
    unsigned sum = (unsigned)colour * alpha + 255u * (255u - alpha) + 128;
    return (uint8_t)((sum + (sum >> 8)) >> 8);
}

static void convert_load(const uint8_t *from, mien_pixel_format format, uint8_t rgba[4])
{
    size_t pixel = mien_pixel_bytes(format);
    size_t red = pixel == 1 || !convert_blue_first(format) ? 0 : 2;
    uint8_t first = from[red], second = from[pixel == 1 ? 0 : 1], third = from[pixel == 1 ? 0 : 2 - red];
    rgba[3] = pixel == 4 ? from[3] : 255;
    rgba[0] = first;
    rgba[1] = second;
    rgba[2] = third;
}

static void convert_store(uint8_t rgba[4], mien_pixel_format format, uint8_t *to)
{
    size_t pixel = mien_pixel_bytes(format);
    if (pixel < 4 && rgba[3] < 255)
        for (int i = 0; i < 3; i++)
            rgba[i] = convert_over_white(rgba[i], rgba[3]);
    if (pixel == 1) {
        to[0] = (uint8_t)((rgba[0] * GREY_RED + rgba[1] * GREY_GREEN + rgba[2] * GREY_BLUE + (1 << 14)) >> 15);
        return;
    }
    size_t red = convert_blue_first(format) ? 2 : 0;
    to[red] = rgba[0];
    to[1] = rgba[1];
    to[2 - red] = rgba[2];
    if (pixel == 4)
        to[3] = rgba[3];
}

static void convert_row(const uint8_t *from, mien_pixel_format from_format, uint8_t *to, mien_pixel_format to_format,
                        size_t width)
{
    size_t from_pixel = mien_pixel_bytes(from_format), to_pixel = mien_pixel_bytes(to_format);
    if (from_format == to_format) {
        memmove(to, from, width * from_pixel);
    } else if (from_pixel == 3 && to_pixel == 1) {
        bool blue = convert_blue_first(from_format);
        const uint16_t weight[3] = {blue ? GREY_BLUE : GREY_RED, GREY_GREEN, blue ? GREY_RED : GREY_BLUE};
        image_kernels_get()->grey3(from, to, width, weight);
    } else if (from_pixel == 3 && to_pixel == 3) {
        image_kernels_get()->swap3(from, to, width);
    } else {
        uint8_t rgba[4];
        for (size_t x = 0; x < width; x++, from += from_pixel, to += to_pixel) {
            convert_load(from, from_format, rgba);
            convert_store(rgba, to_format, to);
        }
    }
}

mien_status image_convert(const mien_image_view *source, mien_image *target, mien_error *error)
{
    if (!source || !target || !source->data || !target->data || !mien_pixel_bytes(source->format) ||
        !mien_pixel_bytes(target->format))
        return error_set(error, MIEN_EINVAL, "convert: an image is empty or of an unknown format");
    if (source->width != target->width || source->height != target->height)
        return error_set(error, MIEN_EINVAL, "convert: source %zu × %zu and target %zu × %zu differ in size",
                         source->width, source->height, target->width, target->height);
    for (size_t y = 0; y < source->height; y++)
        convert_row(source->data + y * source->stride, source->format, target->data + y * target->stride,
                    target->format, source->width);
    return MIEN_OK;
}

void image_convert_in_place(mien_image *image, mien_pixel_format format)
{
    if (image->format == format)
        return;
    for (size_t y = 0; y < image->height; y++) {
        uint8_t *row = image->data + y * image->stride;
        convert_row(row, image->format, row, format, image->width);
    }
    image->format = format;
}

static void crop_clip(int64_t *start, int64_t *length, size_t size)
{
    int64_t low = *start > 0 ? *start : 0, high;
    if (*length <= 0 || __builtin_add_overflow(*start, *length, &high))
        high = *length <= 0 ? low : INT64_MAX;
    if (high > (int64_t)size)
        high = (int64_t)size;
    *start = low;
    *length = high > low ? high - low : 0;
}

mien_image_view image_crop(const mien_image_view *view, int64_t x, int64_t y, int64_t width, int64_t height)
{
    crop_clip(&x, &width, view->width);
    crop_clip(&y, &height, view->height);
    mien_image_view part = *view;
    part.width = (size_t)width;
    part.height = (size_t)height;
    if (width && height)
        part.data += (size_t)y * view->stride + (size_t)x * mien_pixel_bytes(view->format);
    return part;
}
