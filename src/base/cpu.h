/* What the processor can do, asked once. Tables of kernels are filled with plain C first and overridden by these flags.
 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

enum {
    CPU_SSE41 = 1 << 0,
    CPU_AVX2 = 1 << 1,        /* with FMA and BMI2 */
    CPU_AVX512 = 1 << 2,      /* F, BW, DQ, VL */
    CPU_AVX512_VBMI = 1 << 3, /* with VBMI2 */
    CPU_AVX512_BF16 = 1 << 4,
    CPU_AVX512_VNNI = 1 << 5
};

/** Flags of this machine, less those that the environment variable MIEN_CPU holds back ("c", "sse4", "avx2",
 *  "avx512"), so that every kernel can be tested on one machine. Thread-safe. */
unsigned cpu_flags(void);

#endif
