/* Walks the output rows of a two-tap resize. Horizontal sums of the two source rows that an output row needs are kept;
 * when the next output row needs one of them again it is not computed twice. The taps are tabulated once a call: for
 * the sizes of photographs that costs about one output row in time. */
#include "prep/resize_plan.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "prep/kernels.h"
#include "prep/operand.h"

/* Scratch of one call: one block, cut up. `at` and `weight` are laid out for the stretch kernel. */
typedef struct resize_scratch {
    resize_tap *rows;
    uint32_t *at;
    uint16_t *weight;
    uint16_t *line[2];
    size_t holds[2]; /* which source row each line holds; SIZE_MAX = none */
} resize_scratch;

mien_status resize_check(const char *name, const mien_image_view *source, mien_image *target, int *done,
                         mien_error *error)
{
    mien_status status = operand_check(name, source, target, error);
    if (status)
        return status;
    if (source->format != target->format)
        return error_set(error, MIEN_EINVAL, "%s: source and target differ in pixel format", name);
    *done = source->width == target->width && source->height == target->height;
    size_t row = source->width * mien_pixel_bytes(source->format);
    for (size_t y = 0; *done && y < source->height; y++)
        memcpy(target->data + y * target->stride, source->data + y * source->stride, row);
    return MIEN_OK;
}

static mien_status resize_scratch_init(resize_scratch *scratch, size_t samples, size_t height, mien_error *error)
{
    /* Sides are at most 2²⁴, so nothing here overflows 64 bits. */
    size_t bytes = height * sizeof(resize_tap) + samples * (sizeof(uint32_t) + 4 * sizeof(uint16_t));
    resize_tap *block = memory_aligned(bytes, 1);
    if (!block)
        return error_no_memory(error, bytes);
    scratch->rows = block;
    scratch->at = (uint32_t *)(block + height);
    scratch->weight = (uint16_t *)(scratch->at + samples);
    scratch->line[0] = scratch->weight + 2 * samples;
    scratch->line[1] = scratch->line[0] + samples;
    scratch->holds[0] = scratch->holds[1] = SIZE_MAX;
    return MIEN_OK;
}

static void resize_plan_columns(resize_scratch *scratch, resize_taps taps, size_t size, size_t count, size_t channels)
{
    double scale = 1.0 / ((double)count / (double)size);
    uint32_t *at = scratch->at;
    uint16_t *weight = scratch->weight;
    for (size_t i = 0; i < count; i++) {
        resize_tap tap = taps(i, size, scale);
        for (size_t c = 0; c < channels; c++) {
            *at++ = (uint32_t)(tap.at[0] * channels + c);
            *weight++ = tap.weight[0];
            *weight++ = tap.weight[1];
        }
    }
}

static void resize_plan_rows(resize_scratch *scratch, resize_taps taps, size_t size, size_t count)
{
    double scale = 1.0 / ((double)count / (double)size);
    for (size_t i = 0; i < count; i++)
        scratch->rows[i] = taps(i, size, scale);
}

/* The line that holds source row y, computing it over the line that is not `keep` when neither does. */
static const uint16_t *resize_line(resize_scratch *scratch, const resize_method *method, const prep_kernels *kernels,
                                   const mien_image_view *source, size_t y, size_t samples, size_t keep)
{
    for (int i = 0; i < 2; i++)
        if (scratch->holds[i] == y)
            return scratch->line[i];
    int slot = scratch->holds[0] == keep ? 1 : 0;
    kernels->stretch(source->data + y * source->stride, source->width * mien_pixel_bytes(source->format),
                     scratch->line[slot], samples, scratch->at, scratch->weight, mien_pixel_bytes(source->format),
                     method->shift);
    scratch->holds[slot] = y;
    return scratch->line[slot];
}

mien_status resize_run(const resize_method *method, const mien_image_view *source, mien_image *target,
                       mien_error *error)
{
    size_t channels = mien_pixel_bytes(source->format), samples = target->width * channels;
    resize_scratch scratch = {0};
    mien_status status = resize_scratch_init(&scratch, samples, target->height, error);
    if (status)
        return status;
    resize_plan_columns(&scratch, method->columns, source->width, target->width, channels);
    resize_plan_rows(&scratch, method->rows, source->height, target->height);

    const prep_kernels *kernels = prep_kernels_get();
    for (size_t y = 0; y < target->height; y++) {
        const resize_tap *tap = scratch.rows + y;
        const uint16_t *row0 = resize_line(&scratch, method, kernels, source, tap->at[0], samples, tap->at[1]);
        const uint16_t *row1 = resize_line(&scratch, method, kernels, source, tap->at[1], samples, tap->at[0]);
        method->blend(row0, row1, target->data + y * target->stride, samples, tap->weight[0], tap->weight[1]);
    }
    memory_free(scratch.rows);
    return MIEN_OK;
}
