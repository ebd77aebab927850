/* Three planes into one picture of three-number pixels (NCHW to NHWC): how a colour picture enters a plan. oneDNN's
 * reorder takes four times as long for so few channels. */
#ifndef NN_INTERLEAVE_H
#define NN_INTERLEAVE_H

#include <stddef.h>

/** pixels[3·i + c] = planes[c·count + i]; the arrays do not overlap. The fastest version for this machine. */
void nn_interleave3(const float *planes, size_t count, float *pixels);

/* The versions, for tests. */
void nn_interleave3_c(const float *planes, size_t count, float *pixels);
void nn_interleave3_avx2(const float *planes, size_t count, float *pixels);

#endif
