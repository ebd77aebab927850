/* Sixteen channels at a time, in 16-bit sums for as many pixels as cannot overflow them, then in 32 bits: plain C that
 * compilers turn into four instructions per sixteen numbers. Signed numbers are offset by 128 first, which makes them
 * unsigned, and the offset is taken off the mean. */
#include "nn/mean_eight.h"

enum { LANES = 16, RUN = 256 };

static void add_run(const uint8_t *at, size_t count, size_t channels, size_t lanes, uint8_t flip, uint32_t *sums)
{
    uint16_t run[LANES] = {0};
    if (lanes == LANES) {
        for (size_t p = 0; p < count; p++, at += channels)
            for (size_t c = 0; c < LANES; c++)
                run[c] = (uint16_t)(run[c] + (at[c] ^ flip));
    } else {
        for (size_t p = 0; p < count; p++, at += channels)
            for (size_t c = 0; c < lanes; c++)
                run[c] = (uint16_t)(run[c] + (at[c] ^ flip));
    }
    for (size_t c = 0; c < lanes; c++)
        sums[c] += run[c];
}

void nn_mean_eight(const uint8_t *pixels, size_t count, size_t channels, bool negative, float scale, float *means)
{
    uint8_t flip = negative ? 0x80 : 0;
    for (size_t first = 0; first < channels; first += LANES) {
        size_t lanes = channels - first < LANES ? channels - first : LANES;
        uint32_t sums[LANES] = {0};
        for (size_t p = 0; p < count; p += RUN) {
            size_t run = count - p < RUN ? count - p : RUN;
            add_run(pixels + p * channels + first, run, channels, lanes, flip, sums);
        }
        for (size_t c = 0; c < lanes; c++)
            means[first + c] = scale * ((float)((double)sums[c] / (double)count) - (negative ? 128 : 0));
    }
}
