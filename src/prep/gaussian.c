/* Gaussian blur in fixed point, as OpenCV does it on bytes: the kernel is rounded to 8 bits with each rounding error
 * carried to the next weight, so that the weights sum to exactly 256; rows and columns are then summed without loss and
 * rounded once, so the result is the same on every machine. Short kernels without a given sigma are the binomial-like
 * ones that OpenCV keeps in a table. Horizontal sums live in a ring of `size` rows; a target row is written only when
 * all source rows that it needs are in the ring, which is why source and target may be the same picture. */
#include "prep/prep.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "prep/edge.h"
#include "prep/kernels.h"
#include "prep/operand.h"

enum { GAUSSIAN_MAX_SIZE = 63, GAUSSIAN_ONE = 256 };

static bool gaussian_tabulated(uint16_t *weight, unsigned size)
{
    static const uint16_t table[5][9] = {
        {256}, {64, 128, 64}, {16, 64, 96, 64, 16}, {8, 28, 56, 72, 56, 28, 8}, {4, 13, 30, 51, 60, 51, 30, 13, 4}};
    if (size > 9)
        return false;
    memcpy(weight, table[size / 2], size * sizeof weight[0]);
    return true;
}

static void gaussian_weights(uint16_t *weight, unsigned size, double sigma)
{
    if (sigma <= 0 && gaussian_tabulated(weight, size))
        return;
    if (sigma <= 0)
        sigma = 0.15 * size + 0.35;
    double value[GAUSSIAN_MAX_SIZE / 2 + 1], sum = 0;
    unsigned half = size / 2;
    for (unsigned i = 0; i < half; i++) {
        double distance = (double)half - i;
        value[i] = exp(distance * distance * (-0.5 / (sigma * sigma)));
        sum += value[i];
    }
    sum = 2 * sum + 1;
    double carried = 0;
    unsigned used = 0;
    for (unsigned i = 0; i < half; i++) {
        double exact = value[i] / sum * GAUSSIAN_ONE + carried;
        double rounded = nearbyint(exact);
        carried = exact - rounded;
        weight[i] = weight[size - 1 - i] = (uint16_t)rounded;
        used += 2 * (unsigned)rounded;
    }
    weight[half] = (uint16_t)(GAUSSIAN_ONE - used);
}

typedef struct gaussian_run {
    const mien_image_view *source;
    size_t channels, samples, half, size;
    uint16_t weight[GAUSSIAN_MAX_SIZE];
    uint8_t *padded;  /* one source row with its mirrored ends */
    uint16_t *ring;   /* size rows of horizontal sums */
    size_t row_words; /* between them */
} gaussian_run;

static void gaussian_sum_row(gaussian_run *run, size_t y)
{
    const uint8_t *from = run->source->data + y * run->source->stride;
    size_t channels = run->channels, width = run->source->width;
    memcpy(run->padded + run->half * channels, from, run->samples);
    for (size_t i = 0; i < run->half; i++) {
        size_t before = edge_mirror(-1 - (ptrdiff_t)i, width), after = edge_mirror((ptrdiff_t)(width + i), width);
        memcpy(run->padded + (run->half - 1 - i) * channels, from + before * channels, channels);
        memcpy(run->padded + (run->half + width + i) * channels, from + after * channels, channels);
    }
    prep_kernels_get()->blur_row(run->padded, run->ring + y % run->size * run->row_words, run->samples, run->weight,
                                 run->size, channels);
}

static void gaussian_rows(gaussian_run *run, mien_image *target)
{
    const prep_kernels *kernels = prep_kernels_get();
    size_t height = run->source->height, next = 0;
    for (size_t y = 0; y < height; y++) {
        const uint16_t *rows[GAUSSIAN_MAX_SIZE];
        for (; next < height && next <= y + run->half; next++)
            gaussian_sum_row(run, next);
        for (size_t k = 0; k < run->size; k++) {
            size_t row = edge_mirror((ptrdiff_t)(y + k) - (ptrdiff_t)run->half, height);
            rows[k] = run->ring + row % run->size * run->row_words;
        }
        kernels->blur_column(rows, target->data + y * target->stride, run->samples, run->weight, run->size);
    }
}

mien_status prep_gaussian(const mien_image_view *source, mien_image *target, unsigned size, double sigma,
                          mien_error *error)
{
    mien_status status = operand_check_same_format("gaussian", source, target, error);
    if (status)
        return status;
    if (size % 2 == 0 || size > GAUSSIAN_MAX_SIZE || !(sigma < 1e6))
        return error_set(error, MIEN_EINVAL, "gaussian: the size must be odd and at most %d, not %u", GAUSSIAN_MAX_SIZE,
                         size);
    gaussian_run run = {.source = source, .channels = mien_pixel_bytes(source->format), .half = size / 2, .size = size};
    gaussian_weights(run.weight, size, sigma);
    run.samples = source->width * run.channels;
    run.row_words = (run.samples + 31) & ~(size_t)31;
    size_t bytes = size * run.row_words * sizeof(uint16_t) + run.samples + 2 * run.half * run.channels;
    run.ring = memory_aligned(bytes, 1);
    if (!run.ring)
        return error_no_memory(error, bytes);
    run.padded = (uint8_t *)(run.ring + size * run.row_words);
    gaussian_rows(&run, target);
    memory_free(run.ring);
    return MIEN_OK;
}
