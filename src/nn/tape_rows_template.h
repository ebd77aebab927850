/* The bodies of nn/tape_rows.h, included by one file per instruction set and vectorised by the compiler there. Not a
 * header to include elsewhere. */
#include "nn/tape_rows.h"

#include <string.h>

static void widen(const uint16_t *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

static void narrow(const float *from, uint16_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
        uint32_t quiet = bits | 0x400000u; /* rounding could turn a NaN into infinity */
        to[i] = (uint16_t)(((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) >> 16);
    }
}

/* One expression over full groups of lanes, whose trip count the compiler knows, and over the rest. */
#define EACH(expression)                                                                                               \
    do {                                                                                                               \
        size_t i = 0;                                                                                                  \
        for (; i + TAPE_LANES <= count; i += TAPE_LANES)                                                               \
            for (size_t l = 0; l < TAPE_LANES; l++)                                                                    \
                (expression);                                                                                          \
        for (size_t l = 0; i + l < count; l++)                                                                         \
            (expression);                                                                                              \
    } while (0)

static inline float clipped(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void map(tape_map kind, const float *restrict x, const float *restrict g, const float *restrict v,
                const float *restrict w, float *restrict to, size_t count)
{
    switch (kind) {
    case MAP_ADD:
        EACH(to[i + l] = x[i + l] + v[l]);
        break;
    case MAP_SUB:
        EACH(to[i + l] = x[i + l] - v[l]);
        break;
    case MAP_MUL:
        EACH(to[i + l] = x[i + l] * v[l]);
        break;
    case MAP_DIV:
        EACH(to[i + l] = x[i + l] / v[l]);
        break;
    case MAP_AFFINE:
        EACH(to[i + l] = x[i + l] * v[l] + w[l]);
        break;
    case MAP_PRELU:
        EACH(to[i + l] = x[i + l] < 0 ? x[i + l] * v[l] : x[i + l]);
        break;
    case MAP_PRELU_BACKWARD:
        EACH(to[i + l] = x[i + l] < 0 ? g[i + l] * v[l] : g[i + l]);
        break;
    case MAP_HARD_SIGMOID:
        EACH(to[i + l] = clipped(x[i + l] * v[l] + w[l]));
        break;
    case MAP_HARD_SIGMOID_BACKWARD:
        EACH(to[i + l] = x[i + l] * v[l] + w[l] > 0 && x[i + l] * v[l] + w[l] < 1 ? g[i + l] * v[l] : 0);
        break;
    default:
        break;
    }
}

static void reduce(tape_reduce kind, const float *restrict g, const float *restrict x, float *restrict sums,
                   size_t count)
{
    switch (kind) {
    case REDUCE_GRADIENT:
        EACH(sums[l] += g[i + l]);
        break;
    case REDUCE_PRODUCT:
        EACH(sums[l] += g[i + l] * x[i + l]);
        break;
    case REDUCE_NEGATIVE:
        EACH(sums[l] += x[i + l] < 0 ? g[i + l] * x[i + l] : 0);
        break;
    default:
        break;
    }
}

static void mask(const float *restrict from, const uint8_t *restrict keep, float scale, float *restrict to,
                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = keep[i] ? from[i] * scale : 0;
}

static const tape_rows rows = {widen, narrow, map, reduce, mask};
