/* Inner loops of the operations: a table filled with plain C first, then overridden by what the processor can do. Every
 * version of a kernel writes the same bytes and touches nothing beyond `count`. */
#ifndef PREP_KERNELS_H
#define PREP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef struct prep_kernels {
    /** to[i] = (from[at[i]] × weight[2i] + from[at[i] + step] × weight[2i+1]) >> shift; step 1, 3 or 4. `at`
     *  rises, except that it may fall by up to step - 1 from one sample to the next (channels of one pixel). The row
     * has `length` bytes; at[i] + step may lie beyond it where its weight is 0. */
    void (*stretch)(const uint8_t *from, size_t length, uint16_t *to, size_t count, const uint32_t *at,
                    const uint16_t *weight, size_t step, int shift);
    /** to[i] = (((b0 × row0[i]) >> 16) + ((b1 × row1[i]) >> 16) + 2) >> 2: OpenCV's INTER_LINEAR, rows < 2¹⁵. */
    void (*blend_linear)(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                         unsigned b1);
    /** to[i] = (b0 × row0[i] + b1 × row1[i] + 2¹⁵) >> 16, b0 + b1 = 256: INTER_LINEAR_EXACT. */
    void (*blend_exact)(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                        unsigned b1);
    /** to[i] = (row0[2i] + row0[2i+1] + row1[2i] + row1[2i+1] + 2) >> 2. */
    void (*halve)(const uint8_t *row0, const uint8_t *row1, uint8_t *to, size_t count);
    /** to[i] = Σ weight[k] × from[i + k × step], k < size; weights sum to at most 256. */
    void (*blur_row)(const uint8_t *from, uint16_t *to, size_t count, const uint16_t *weight, size_t size, size_t step);
    /** to[i] = (Σ weight[k] × rows[k][i] + 2¹⁵) >> 16. */
    void (*blur_column)(const uint16_t *const *rows, uint8_t *to, size_t count, const uint16_t *weight, size_t size);
    /** Median of nine: to[i] of rows[0..2][i + {0, step, 2 step}]. */
    void (*median3)(const uint8_t *const rows[3], uint8_t *to, size_t count, size_t step);
    /** One row of CLAHE: to[i] = round(bilinear of four table entries). table[column[i]][from[i]] holds the values of
     *  the four tiles around (upper left, upper right, lower left, lower right); right[i] is the weight of the right
     *  ones, `lower` of the lower ones. */
    void (*clahe_row)(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                      const uint32_t *column, const float *right, float lower);
    /** One row of the bilateral filter over `count` pixels of 1 or 3 channels: to = round(Σ w × near[k] / Σ w) with w =
     *  2^(distance[k] + likeness × d²), d the sum of the channels' differences from `centre`; distance and likeness are
     *  not above 0, and one tap is the centre itself. 2^x is the polynomial of kernels.c. */
    void (*bilateral)(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                      uint8_t *to, size_t count, size_t channels, float likeness);
    /** Compare and exchange: for each of `count` pairs of rows of 64 bytes, in order, the lower bytes go to row
     * pair[0], the higher ones to row pair[1]. `rows` is 64-byte aligned. */
    void (*exchange)(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count);
} prep_kernels;

/** The table for this machine. */
const prep_kernels *prep_kernels_get(void);
/** Fill a table for the given cpu_flags(): 0 gives plain C only. */
void prep_kernels_fill(prep_kernels *table, unsigned flags);

#endif
