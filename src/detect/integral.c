/* One pass over the pixels for both upright planes, by the row kernel of this machine. The tilted plane follows the
 * recurrence T(x,y) = T(x-1,y-1) + T(x+1,y-1) - T(x,y-2) + p(x-1,y-1) + p(x-1,y-2), where the cones that begin beyond
 * the left and right edge reduce to their neighbours of the row before. */
#include "detect/integral.h"

#include <string.h>

#include "detect/cascade_kernels.h"

static void integral_tilted_row(const uint8_t *pixels, const uint8_t *above, size_t width,
                                const integral_layout *layout, const int32_t *row1, const int32_t *row2, int32_t *row)
{
    row[0] = row1[integral_column(layout, 1)];
    for (size_t x = 1; x <= width; x++) {
        uint32_t cone = (uint32_t)row1[integral_column(layout, x - 1)] + pixels[x - 1] + above[x - 1];
        if (x < width)
            cone += (uint32_t)row1[integral_column(layout, x + 1)] - (uint32_t)row2[integral_column(layout, x)];
        row[integral_column(layout, x)] = (int32_t)cone;
    }
}

/* Rows 0 and 1 have no cone two rows up: row 0 is empty, row 1 the pixels themselves. */
static void integral_fill_tilted(const uint8_t *pixels, size_t pixel_stride, size_t width, size_t height,
                                 const integral_layout *layout, int32_t *tilted)
{
    memset(tilted, 0, layout->stride * sizeof *tilted);
    int32_t *row = tilted + layout->stride;
    row[0] = 0;
    for (size_t x = 1; x <= width; x++)
        row[integral_column(layout, x)] = pixels[x - 1];
    for (size_t y = 2; y <= height; y++)
        integral_tilted_row(pixels + (y - 1) * pixel_stride, pixels + (y - 2) * pixel_stride, width, layout,
                            tilted + (y - 1) * layout->stride, tilted + (y - 2) * layout->stride,
                            tilted + y * layout->stride);
}

void integral_fill(const uint8_t *pixels, size_t pixel_stride, size_t width, size_t height,
                   const integral_layout *layout, const integral_planes *planes)
{
    const cascade_kernels *kernels = cascade_kernels_get();
    memset(planes->sum, 0, layout->stride * sizeof *planes->sum);
    memset(planes->square, 0, layout->stride * sizeof *planes->square);
    for (size_t y = 0; y < height; y++) {
        size_t above = y * layout->stride, here = above + layout->stride;
        kernels->integral(pixels + y * pixel_stride, width, layout->half, planes->sum + above, planes->sum + here,
                          planes->square + above, planes->square + here);
    }
    if (planes->tilted)
        integral_fill_tilted(pixels, pixel_stride, width, height, layout, planes->tilted);
}
