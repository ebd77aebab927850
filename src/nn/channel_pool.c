/* Sixteen sums (or maxima) side by side where a pixel's channels lie together, a row of them over the planes where they
 * do not: plain C that compilers turn into vector instructions without being allowed to reorder sums. */
#include "nn/channel_pool.h"

enum { LANES = 16 };

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float mean_of(const float *x, size_t count)
{
    float lanes[LANES] = {0}, sum = 0;
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += x[i + k];
    for (size_t i = whole; i < count; i++)
        sum += x[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lanes[k];
    return sum / (float)count;
}

static float largest_of(const float *x, size_t count)
{
    float lanes[LANES], most = x[0];
    size_t whole = count / LANES * LANES;
    for (size_t k = 0; k < LANES; k++)
        lanes[k] = x[0];
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] = larger(x[i + k], lanes[k]);
    for (size_t i = whole; i < count; i++)
        most = larger(x[i], most);
    for (size_t k = 0; k < LANES; k++)
        most = larger(lanes[k], most);
    return most;
}

static void pool_planes(const float *from, size_t pixels, size_t channels, bool largest, float *restrict to)
{
    for (size_t p = 0; p < pixels; p++)
        to[p] = from[p];
    for (size_t c = 1; c < channels; c++) {
        const float *plane = from + c * pixels;
        if (largest)
            for (size_t p = 0; p < pixels; p++)
                to[p] = larger(plane[p], to[p]);
        else
            for (size_t p = 0; p < pixels; p++)
                to[p] += plane[p];
    }
    for (size_t p = 0; p < pixels && !largest; p++)
        to[p] /= (float)channels;
}

void nn_channel_pool(const float *from, size_t pixels, size_t channels, bool together, bool largest, float *to)
{
    if (!together)
        pool_planes(from, pixels, channels, largest, to);
    for (size_t p = 0; p < pixels && together; p++)
        to[p] = largest ? largest_of(from + p * channels, channels) : mean_of(from + p * channels, channels);
}
