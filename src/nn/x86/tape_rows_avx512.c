/* Row functions compiled for AVX-512: the loops of nn/tape_rows_template.h, 16 numbers at a time. */
#include "nn/tape_rows_template.h"

const tape_rows *tape_rows_avx512_table(void);

const tape_rows *tape_rows_avx512_table(void)
{
    return &rows;
}
