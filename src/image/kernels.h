/* Inner loops of pixel conversion: a table of plain C, overridden by what the processor can do. All versions write the
 * same bytes, touch nothing beyond `count` pixels, and allow from == to. */
#ifndef IMAGE_KERNELS_H
#define IMAGE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef struct image_kernels {
    /** Grey of 3-byte pixels; weight[i] belongs to byte i, their sum is 2¹⁵. */
    void (*grey3)(const uint8_t *from, uint8_t *to, size_t count, const uint16_t weight[3]);
    /** Swap the first and third byte of 3-byte pixels. */
    void (*swap3)(const uint8_t *from, uint8_t *to, size_t count);
} image_kernels;

/** The table for this machine. */
const image_kernels *image_kernels_get(void);
/** Fill a table for the given cpu_flags(): 0 gives plain C only. */
void image_kernels_fill(image_kernels *table, unsigned flags);

#endif
