/* Row functions of the training tape: what oneDNN has no fast primitive for, on runs of f32 with a per-channel operand
 * that repeats every TAPE_LANES numbers (so that plain and blocked layouts are one loop), and bf16 to and from f32.
 *
 * Written once in tape_rows_template.h; compiled as plain C and, for AVX-512, in x86/. The sums run over TAPE_LANES
 * partial sums in both, so that the results are the same bits. */
#ifndef NN_TAPE_ROWS_H
#define NN_TAPE_ROWS_H

#include <stddef.h>
#include <stdint.h>

enum { TAPE_LANES = 64 };

/** What is done to each number: x the data, g the gradient behind, v and w the channel's operands. */
typedef enum tape_map {
    MAP_ADD = 0,               /* x + v */
    MAP_SUB,                   /* x - v */
    MAP_MUL,                   /* x · v */
    MAP_DIV,                   /* x / v */
    MAP_AFFINE,                /* x · v + w */
    MAP_PRELU,                 /* x or x · v */
    MAP_PRELU_BACKWARD,        /* g or g · v */
    MAP_HARD_SIGMOID,          /* clip(x · v + w, 0, 1) */
    MAP_HARD_SIGMOID_BACKWARD, /* g · v inside, 0 outside */
    MAP_COUNT
} tape_map;

typedef enum tape_reduce {
    REDUCE_GRADIENT = 0, /* Σ g */
    REDUCE_PRODUCT,      /* Σ g · x */
    REDUCE_NEGATIVE,     /* Σ g · x where x < 0: a PReLU's slope */
    REDUCE_COUNT
} tape_reduce;

typedef struct tape_rows {
    void (*widen)(const uint16_t *from, float *to, size_t count);  /* bf16 to f32 */
    void (*narrow)(const float *from, uint16_t *to, size_t count); /* f32 to bf16, nearest even */
    /** g is read by the backward maps only. v and w hold TAPE_LANES numbers. */
    void (*map)(tape_map kind, const float *x, const float *g, const float *v, const float *w, float *to, size_t count);
    /** Adds to TAPE_LANES sums. */
    void (*reduce)(tape_reduce kind, const float *g, const float *x, float *sums, size_t count);
    /** to = from · scale where keep is non-zero, 0 elsewhere. */
    void (*mask)(const float *from, const uint8_t *keep, float scale, float *to, size_t count);
} tape_rows;

/** The fastest for this machine (MIEN_CPU holds back). */
const tape_rows *tape_rows_best(void);
/** Plain C. */
const tape_rows *tape_rows_plain(void);
/** AVX-512; NULL where this machine has none. For tests. */
const tape_rows *tape_rows_avx512(void);

#endif
