/* Mean or maximum over the channels at each pixel: spatial attention's squeeze, for which oneDNN 2.6 has only reference
 * code. */
#ifndef NN_CHANNEL_POOL_H
#define NN_CHANNEL_POOL_H

#include <stdbool.h>
#include <stddef.h>

/** to[p] = mean, or largest, of the channels at pixel p. `together`: from[p · channels + c], else
 *  from[c · pixels + p]. At least one channel; `to` overlaps nothing. */
void nn_channel_pool(const float *from, size_t pixels, size_t channels, bool together, bool largest, float *to);

#endif
