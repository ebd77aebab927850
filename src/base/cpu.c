/* CPU features by the compiler's own detection (it also asks whether the system saves the wide registers). */
#include "base/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static unsigned cpu_found;
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;

static unsigned cpu_allowed(const char *name)
{
    if (!strcmp(name, "c"))
        return 0;
    if (!strcmp(name, "sse4"))
        return CPU_SSE41;
    if (!strcmp(name, "avx2"))
        return CPU_SSE41 | CPU_AVX2;
    return ~0u;
}

static void cpu_detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.1"))
        cpu_found |= CPU_SSE41;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        cpu_found |= CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        cpu_found |= CPU_AVX512;
        if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2"))
            cpu_found |= CPU_AVX512_VBMI;
        if (__builtin_cpu_supports("avx512bf16"))
            cpu_found |= CPU_AVX512_BF16;
        if (__builtin_cpu_supports("avx512vnni"))
            cpu_found |= CPU_AVX512_VNNI;
    }
#endif
    const char *most = getenv("MIEN_CPU");
    if (most)
        cpu_found &= cpu_allowed(most);
}

unsigned cpu_flags(void)
{
    pthread_once(&cpu_once, cpu_detect);
    return cpu_found;
}
