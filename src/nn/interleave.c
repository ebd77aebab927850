/* Choosing the version; the plain one. The loop is the same in both: compilers turn it into shuffles of the widest
 * registers that they may use. */
#include "nn/interleave.h"

#include "base/cpu.h"

void nn_interleave3_c(const float *planes, size_t count, float *pixels)
{
    const float *red = planes, *green = planes + count, *blue = planes + 2 * count;
    for (size_t i = 0; i < count; i++) {
        pixels[3 * i] = red[i];
        pixels[3 * i + 1] = green[i];
        pixels[3 * i + 2] = blue[i];
    }
}

void nn_interleave3(const float *planes, size_t count, float *pixels)
{
#ifdef __x86_64__
    if (cpu_flags() & CPU_AVX2) {
        nn_interleave3_avx2(planes, count, pixels);
        return;
    }
#endif
    nn_interleave3_c(planes, count, pixels);
}
