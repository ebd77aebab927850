/* What stands beyond the edge of a picture. */
#ifndef PREP_EDGE_H
#define PREP_EDGE_H

#include <stddef.h>

/** Mirror position -n..: 2 1 | 0 1 2 … n-1 | n-2 …: the edge itself is not repeated (OpenCV's BORDER_REFLECT_101). */
static inline size_t edge_mirror(ptrdiff_t position, size_t size)
{
    ptrdiff_t last = (ptrdiff_t)size - 1;
    if (last == 0)
        return 0;
    while (position < 0 || position > last)
        position = position < 0 ? -position : 2 * last - position;
    return (size_t)position;
}

/** The edge position itself. */
static inline size_t edge_repeat(ptrdiff_t position, size_t size)
{
    return position < 0 ? 0 : (size_t)position < size ? (size_t)position : size - 1;
}

#endif
