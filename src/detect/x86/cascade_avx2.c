#include "detect/cascade_kernels.h"
void cascade_kernels_avx2(cascade_kernels *table)
{
    (void)table;
}
