/* Bilinear resizing as OpenCV's INTER_LINEAR does it on bytes: positions in single precision, weights of 11 bits, the
 * horizontal sums cut by 4 bits and each vertical product by 16 before they are added. The roundings are part of the
 * result, so they are kept. Beyond the left, right and lower edge the edge pixel is used alone; above the upper edge
 * and below the lower one OpenCV blends the edge row with itself, each product cut on its own. */
#include "prep/prep.h"

#include <math.h>

#include "prep/kernels.h"
#include "prep/resize_plan.h"

enum { LINEAR_ONE = 1 << 11, LINEAR_SHIFT = 4 };

static long linear_split(size_t position, double scale, float *fraction)
{
    float exact = (float)(((double)position + 0.5) * scale - 0.5);
    float first = floorf(exact);
    *fraction = exact - first;
    return (long)first;
}

static uint32_t linear_inside(long position, size_t size)
{
    return position < 0 ? 0 : position < (long)size ? (uint32_t)position : (uint32_t)(size - 1);
}

static resize_tap linear_taps(long first, float fraction, size_t size)
{
    return (resize_tap){{linear_inside(first, size), linear_inside(first + 1, size)},
                        {(uint16_t)lrintf((1.0f - fraction) * LINEAR_ONE), (uint16_t)lrintf(fraction * LINEAR_ONE)}};
}

static resize_tap linear_columns(size_t position, size_t size, double scale)
{
    float fraction;
    long first = linear_split(position, scale, &fraction);
    if (first < 0 || first >= (long)size - 1)
        fraction = 0;
    return linear_taps(first, fraction, size);
}

static resize_tap linear_rows(size_t position, size_t size, double scale)
{
    float fraction;
    long first = linear_split(position, scale, &fraction);
    return linear_taps(first, fraction, size);
}

static void linear_halve(const mien_image_view *source, mien_image *target)
{
    size_t pixel = mien_pixel_bytes(source->format);
    const prep_kernels *kernels = prep_kernels_get();
    for (size_t y = 0; y < target->height; y++) {
        const uint8_t *row0 = source->data + 2 * y * source->stride, *row1 = row0 + source->stride;
        uint8_t *to = target->data + y * target->stride;
        if (pixel == 1) {
            kernels->halve(row0, row1, to, target->width);
            continue;
        }
        for (size_t x = 0; x < target->width; x++, row0 += 2 * pixel, row1 += 2 * pixel)
            for (size_t c = 0; c < pixel; c++)
                *to++ = (uint8_t)((row0[c] + row0[c + pixel] + row1[c] + row1[c + pixel] + 2) >> 2);
    }
}

mien_status prep_resize_linear(const mien_image_view *source, mien_image *target, mien_error *error)
{
    int done;
    mien_status status = resize_check("resize", source, target, &done, error);
    if (status || done)
        return status;
    if (source->width == 2 * target->width && source->height == 2 * target->height) {
        linear_halve(source, target);
        return MIEN_OK;
    }
    const resize_method method = {"resize", linear_columns, linear_rows, LINEAR_SHIFT,
                                  prep_kernels_get()->blend_linear};
    return resize_run(&method, source, target, error);
}
