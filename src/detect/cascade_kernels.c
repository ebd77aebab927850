/* The kernels in plain C and the table that chooses among versions (the pattern of dav1d's DSP contexts). Plain C is
 * the definition: tests/kernels/test_cascade_kernels.c holds every other version against it. */
#include "detect/cascade_kernels.h"

#include <pthread.h>

#include "base/cpu.h"

static void blend_c(const uint8_t *row0, const uint8_t *row1, unsigned weight, size_t count, uint16_t *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint16_t)(row0[i] * (256 - weight) + row1[i] * weight);
}

static void shrink_c(const uint16_t *from, const uint32_t *at, const uint32_t *weights, size_t count, uint8_t *to)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t low = weights[i] & 0xffff, high = weights[i] >> 16;
        to[i] = (uint8_t)((from[at[i]] * low + from[at[i] + 1] * high + (1u << 15)) >> 16);
    }
}

static void integral_c(const uint8_t *pixels, size_t width, size_t half, const int32_t *sum_above, int32_t *sum,
                       const int32_t *square_above, int32_t *square)
{
    const integral_layout layout = {0, half};
    uint32_t line = 0, line_squares = 0;
    sum[0] = square[0] = 0;
    for (size_t x = 0; x < width; x++) {
        size_t at = integral_column(&layout, x + 1);
        line += pixels[x];
        line_squares += (uint32_t)pixels[x] * pixels[x];
        sum[at] = (int32_t)((uint32_t)sum_above[at] + line);
        square[at] = (int32_t)((uint32_t)square_above[at] + line_squares);
    }
}

static void variance_c(const cascade_table *table, const int32_t *sum, const int32_t *square, size_t groups,
                       float *scale, uint16_t *valid)
{
    for (size_t g = 0; g < groups; g++) {
        unsigned bits = 0;
        for (size_t i = 0; i < CASCADE_GROUP; i++) {
            size_t x = g * CASCADE_GROUP + i;
            float found = cascade_window_scale(table, sum + x, square + x);
            bits |= (unsigned)(found != 0) << i;
            scale[x] = found != 0 ? found : 1;
        }
        valid[g] = (uint16_t)bits;
    }
}

/* One group: features outside, windows inside, so that a compiler may use what vectors it has. */
static void stage_group_c(const cascade_table *table, const cascade_fast_stage *fast, const int32_t *row,
                          const float *scale, int32_t sum[CASCADE_GROUP])
{
    const cascade_step *step = table->steps + fast->first_step;
    for (size_t i = 0; i < CASCADE_GROUP; i++)
        sum[i] = fast->base;
    for (int form = 0; form < CASCADE_FORM_COUNT; form++)
        for (const cascade_step *end = step + fast->count[form]; step < end; step++)
            for (size_t i = 0; i < CASCADE_GROUP; i++) {
                const uint32_t *p = (const uint32_t *)row + i;
                float value = (float)cascade_step_value(step, (cascade_form)form, p) * scale[i];
                sum[i] += -(int32_t)(value < step->threshold) & step->gain;
            }
}

static void stage_c(const cascade_table *table, int32_t stage, const int32_t *row, const float *scale,
                    const uint16_t *list, size_t count, uint16_t *pass, uint16_t *sure)
{
    const cascade_fast_stage *fast = table->program->stages + stage;
    for (size_t g = 0; g < count; g++) {
        int32_t sum[CASCADE_GROUP];
        unsigned may = 0, does = 0;
        size_t first = list[g];
        stage_group_c(table, fast, row + first, scale + first, sum);
        for (unsigned i = 0; i < CASCADE_GROUP; i++) {
            may |= (unsigned)(sum[i] > -fast->slack) << i;
            does |= (unsigned)(sum[i] >= fast->slack) << i;
        }
        pass[g] = (uint16_t)may;
        sure[g] = (uint16_t)does;
    }
}

void cascade_kernels_fill(cascade_kernels *table, unsigned flags)
{
    *table = (cascade_kernels){
        .blend = blend_c,
        .shrink = shrink_c,
        .integral = integral_c,
        .variance = variance_c,
        .stage = {[CASCADE_PATH_STUMPS] = stage_c},
        .dense = 8,
    };
#if defined(__x86_64__)
    if (flags & CPU_AVX2)
        cascade_kernels_avx2(table);
    if (flags & CPU_AVX512)
        cascade_kernels_avx512(table);
#else
    (void)flags;
#endif
}

static cascade_kernels kernels_here;
static pthread_once_t kernels_once = PTHREAD_ONCE_INIT;

static void kernels_choose(void)
{
    cascade_kernels_fill(&kernels_here, cpu_flags());
}

const cascade_kernels *cascade_kernels_get(void)
{
    pthread_once(&kernels_once, kernels_choose);
    return &kernels_here;
}
