/* y = scale·x + shift with one scale and shift per short row: box coordinates against thousands of anchors, where
 * oneDNN's broadcast takes ten times as long. */
#ifndef NN_AFFINE_ROWS_H
#define NN_AFFINE_ROWS_H

#include <stddef.h>

/** `from` and `to` [rows, length], may be the same. */
void nn_affine_rows(const float *from, size_t rows, size_t length, const float *scale, const float *shift, float *to);

#endif
