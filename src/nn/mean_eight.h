/* Mean of each channel of an eight-bit picture, the squeeze of a squeeze-excite block: oneDNN would change the type
 * first. */
#ifndef NN_MEAN_EIGHT_H
#define NN_MEAN_EIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** means[c] = scale · mean of pixels[p · channels + c] (NHWC, dense), taken as int8_t when `negative`.
 *  Exact sums for up to 2²³ pixels. */
void nn_mean_eight(const uint8_t *pixels, size_t count, size_t channels, bool negative, float scale, float *means);

#endif
