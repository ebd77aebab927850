/* The vector versions of prep/kernels.h; what each does stands there. */
#ifndef PREP_X86_KERNELS_X86_H
#define PREP_X86_KERNELS_X86_H

#include <stddef.h>
#include <stdint.h>

void prep_stretch_avx2(const uint8_t *from, size_t length, uint16_t *to, size_t count, const uint32_t *at,
                       const uint16_t *weight, size_t step, int shift);
void prep_stretch_vbmi_avx512(const uint8_t *from, size_t length, uint16_t *to, size_t count, const uint32_t *at,
                              const uint16_t *weight, size_t step, int shift);
void prep_blend_linear_avx2(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                            unsigned b1);
void prep_blend_exact_avx2(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                           unsigned b1);
void prep_halve_avx2(const uint8_t *row0, const uint8_t *row1, uint8_t *to, size_t count);
void prep_blur_row_avx2(const uint8_t *from, uint16_t *to, size_t count, const uint16_t *weight, size_t size,
                        size_t step);
void prep_blur_column_avx2(const uint16_t *const *rows, uint8_t *to, size_t count, const uint16_t *weight, size_t size);
void prep_median3_avx2(const uint8_t *const rows[3], uint8_t *to, size_t count, size_t step);
void prep_clahe_row_avx2(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                         const uint32_t *column, const float *right, float lower);
void prep_clahe_row_avx512(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                           const uint32_t *column, const float *right, float lower);
void prep_bilateral_avx2(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                         uint8_t *to, size_t count, size_t channels, float likeness);
void prep_exchange_avx2(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count);
void prep_bilateral_avx512(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                           uint8_t *to, size_t count, size_t channels, float likeness);
void prep_exchange_avx512(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count);

/* The plain C versions, for what is left over at the end of a row. */
void prep_stretch_c(const uint8_t *from, size_t length, uint16_t *to, size_t count, const uint32_t *at,
                    const uint16_t *weight, size_t step, int shift);
void prep_blend_linear_c(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                         unsigned b1);
void prep_blend_exact_c(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                        unsigned b1);
void prep_halve_c(const uint8_t *row0, const uint8_t *row1, uint8_t *to, size_t count);
void prep_blur_row_c(const uint8_t *from, uint16_t *to, size_t count, const uint16_t *weight, size_t size, size_t step);
void prep_blur_column_c(const uint16_t *const *rows, uint8_t *to, size_t count, const uint16_t *weight, size_t size);
void prep_median3_c(const uint8_t *const rows[3], uint8_t *to, size_t count, size_t step);
void prep_clahe_row_c(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                      const uint32_t *column, const float *right, float lower);
void prep_bilateral_c(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                      uint8_t *to, size_t count, size_t channels, float likeness);
void prep_exchange_c(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count);

#endif
