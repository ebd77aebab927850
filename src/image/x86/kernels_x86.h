/* The vector versions of image/kernels.h; what each does stands there. */
#ifndef IMAGE_X86_KERNELS_X86_H
#define IMAGE_X86_KERNELS_X86_H

#include <stddef.h>
#include <stdint.h>

void image_grey3_avx2(const uint8_t *from, uint8_t *to, size_t count, const uint16_t weight[3]);
void image_swap3_avx2(const uint8_t *from, uint8_t *to, size_t count);

/* The plain C versions, for what is left over at the end of a row. */
void image_grey3_c(const uint8_t *from, uint8_t *to, size_t count, const uint16_t weight[3]);
void image_swap3_c(const uint8_t *from, uint8_t *to, size_t count);

#endif
