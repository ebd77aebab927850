/* Row functions in plain C, and the choice of the fastest ones. */
#include "nn/tape_rows_template.h"

#include "base/cpu.h"

const tape_rows *tape_rows_plain(void)
{
    return &rows;
}

#if defined(__x86_64__)
const tape_rows *tape_rows_avx512_table(void);

const tape_rows *tape_rows_avx512(void)
{
    return cpu_flags() & CPU_AVX512 ? tape_rows_avx512_table() : NULL;
}
#else
const tape_rows *tape_rows_avx512(void)
{
    return NULL;
}
#endif

const tape_rows *tape_rows_best(void)
{
    const tape_rows *best = tape_rows_avx512();
    return best ? best : tape_rows_plain();
}
