/* The inner loops of a cascade's scan: a table filled with plain C first, then overridden by what the processor can do.
 * Every version gives the same results; windows come in groups of CASCADE_GROUP neighbours, and what a kernel reads or
 * writes beyond the last one stays within the padding that cascade_scan.h gives to its rows. */
#ifndef DETECT_CASCADE_KERNELS_H
#define DETECT_CASCADE_KERNELS_H

#include "detect/cascade_program.h"

typedef struct cascade_kernels {
    /** Two rows into one, not yet rounded: to[i] = row0[i] × (256 - weight) + row1[i] × weight; weight 0..256. */
    void (*blend)(const uint8_t *row0, const uint8_t *row1, unsigned weight, size_t count, uint16_t *to);
    /** to[i] = (from[at[i]] × low + from[at[i] + 1] × high + 2¹⁵) >> 16, where weights[i] = high << 16 | low and
     *  low + high = 256; `at` does not fall. Reads up to 64 numbers beyond the last one used. */
    void (*shrink)(const uint16_t *from, const uint32_t *at, const uint32_t *weights, size_t count, uint8_t *to);
    /** One row of both upright planes from the row above; `half` as in integral_layout. */
    void (*integral)(const uint8_t *pixels, size_t width, size_t half, const int32_t *sum_above, int32_t *sum,
                     const int32_t *square_above, int32_t *square);
    /** cascade_window_scale of `groups` groups; bit i of valid[g] is set where it is not 0 (scale is 1 elsewhere). */
    void (*variance)(const cascade_table *table, const int32_t *sum, const int32_t *square, size_t groups, float *scale,
                     uint16_t *valid);
    /** By cascade_path, NULL where there is none: a fast stage for sixteen windows from each of the columns
     *  list[0..count-1] on of the row that begins at `row`. Bit i of pass[g]: window i of the g-th sixteen is not
     * surely rejected; of sure[g]: surely accepted. LBP does not look at `scale`. */
    void (*stage[CASCADE_PATH_COUNT])(const cascade_table *table, int32_t stage, const int32_t *row, const float *scale,
                                      const uint16_t *list, size_t count, uint16_t *pass, uint16_t *sure);
    unsigned dense; /* windows that a group must hold for a stage of stumps to be quicker than one by one */
} cascade_kernels;

/** The table for this machine. */
const cascade_kernels *cascade_kernels_get(void);
/** Fill a table for the given cpu_flags(): 0 gives plain C only. */
void cascade_kernels_fill(cascade_kernels *table, unsigned flags);

/* Versions of x86/. */
void cascade_kernels_avx2(cascade_kernels *table);
void cascade_kernels_avx512(cascade_kernels *table);

#endif
