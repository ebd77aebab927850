/* Integral images: at (x,y) the sum of all pixels above and to the left, so that any rectangle's sum is four reads
 * (Crow 1984, Viola & Jones 2001); of the pixels, of their squares, and of 45° cones (Lienhart & Maydt 2002). */
#ifndef DETECT_INTEGRAL_H
#define DETECT_INTEGRAL_H

#include <stddef.h>
#include <stdint.h>

/** How a plane lies in memory. Windows two columns apart are neighbours when even and odd columns are kept apart. */
typedef struct integral_layout {
    size_t stride; /* numbers from one row to the next, a multiple of 16 */
    size_t half;   /* 0: column x at x. Otherwise column x at (x & 1) * half + (x >> 1) */
} integral_layout;

static inline size_t integral_column(const integral_layout *layout, size_t x)
{
    return layout->half ? (x & 1) * layout->half + (x >> 1) : x;
}

/** Planes of (width + 1) × (height + 1) numbers, 32 bits with wrap-around: differences of corners are right as long as
 *  the rectangle's own sum fits. `tilted` may be NULL. */
typedef struct integral_planes {
    int32_t *sum, *square, *tilted;
} integral_planes;

/** Fill all rows from an 8-bit image. */
void integral_fill(const uint8_t *pixels, size_t pixel_stride, size_t width, size_t height,
                   const integral_layout *layout, const integral_planes *planes);

#endif
