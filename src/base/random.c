/* xoshiro256** (Blackman & Vigna 2018): small state that a checkpoint can hold, good statistics, faster than the rest
 * of a training step. Secrets come from getrandom(2), never from here. */
#include "base/random.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

static uint64_t random_splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t random_rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void random_seed(random_state *state, uint64_t seed, uint64_t stream)
{
    uint64_t mix = stream;
    uint64_t x = seed ^ random_splitmix(&mix);
    for (int i = 0; i < 4; i++)
        state->word[i] = random_splitmix(&x);
}

uint64_t random_next(random_state *state)
{
    uint64_t *s = state->word;
    uint64_t result = random_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

uint32_t random_below(random_state *state, uint32_t bound)
{
    /* Lemire 2019: multiply, and reject only the few values that would bias the result. */
    uint64_t product = (random_next(state) >> 32) * bound;
    if ((uint32_t)product < bound) {
        uint32_t threshold = (uint32_t)-bound % bound;
        while ((uint32_t)product < threshold)
            product = (random_next(state) >> 32) * bound;
    }
    return (uint32_t)(product >> 32);
}

float random_unit(random_state *state)
{
    return (float)(random_next(state) >> 40) * 0x1p-24f;
}

float random_range(random_state *state, float low, float high)
{
    return low + (high - low) * random_unit(state);
}

float random_normal(random_state *state)
{
    /* Marsaglia's polar method without the cached second value, so that the state stays four words. */
    for (;;) {
        float u = 2 * random_unit(state) - 1;
        float v = 2 * random_unit(state) - 1;
        float s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * sqrtf(-2 * logf(s) / s);
    }
}

float random_gamma(random_state *state, float shape)
{
    /* Marsaglia & Tsang 2000; a shape below 1 is raised by one and corrected by a power of a uniform. */
    float boost = 1;
    if (shape < 1) {
        boost = powf(1 - random_unit(state), 1 / shape);
        shape += 1;
    }
    float d = shape - 1.0f / 3, c = 1 / sqrtf(9 * d);
    for (;;) {
        float x = random_normal(state);
        float v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        float u = 1 - random_unit(state);
        if (logf(u) < 0.5f * x * x + d - d * v + d * logf(v))
            return d * v * boost;
    }
}

mien_status random_secret(void *bytes, size_t length, mien_error *error)
{
    uint8_t *at = bytes;
    while (length) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(error, MIEN_EIO, "no random bytes from the kernel: %s", strerror(errno));
        at += got;
        length -= (size_t)got;
    }
    return MIEN_OK;
}
