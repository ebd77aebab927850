/* Plain loops; the lengths that detectors have (two and four numbers a box) are written out so that compilers unroll.
 */
#include "nn/affine_rows.h"

static inline void rows_of(const float *from, size_t rows, size_t length, const float *scale, const float *shift,
                           float *to)
{
    for (size_t row = 0; row < rows; row++, from += length, to += length)
        for (size_t i = 0; i < length; i++)
            to[i] = scale[row] * from[i] + shift[row];
}

void nn_affine_rows(const float *from, size_t rows, size_t length, const float *scale, const float *shift, float *to)
{
    if (length == 2)
        rows_of(from, rows, 2, scale, shift, to);
    else if (length == 4)
        rows_of(from, rows, 4, scale, shift, to);
    else
        rows_of(from, rows, length, scale, shift, to);
}
