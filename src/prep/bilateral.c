/* Bilateral filter (Tomasi & Manduchi, ICCV 1998): noise is averaged away where neighbours are alike, edges stay. Both
 * weights are Gaussians, so their product is one power of two, 2^(distance + likeness), which the kernel computes by a
 * polynomial: a table would have to be looked up pixel by pixel. The centre pixel has weight 1, so no sum of weights is
 * ever 0. */
#include "prep/prep.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "prep/edge.h"
#include "prep/kernels.h"
#include "prep/operand.h"

enum { BILATERAL_MAX_RADIUS = 31 };

typedef struct bilateral_tap {
    ptrdiff_t dx, dy;
} bilateral_tap;

typedef struct bilateral_run {
    const mien_image_view *source;
    size_t channels, row; /* bytes of a padded row */
    ptrdiff_t radius;
    size_t taps;
    bilateral_tap *tap;   /* [taps] the disc */
    float *distance;      /* [taps] logarithm to base 2 of the weight of distance */
    const uint8_t **near; /* [taps] where each tap's row begins, for the row in work */
    uint8_t *ring;        /* 2 × radius + 1 source rows with mirrored ends */
} bilateral_run;

static void bilateral_pad(const bilateral_run *run, size_t y)
{
    size_t channels = run->channels, width = run->source->width, half = (size_t)run->radius;
    const uint8_t *from = run->source->data + y * run->source->stride;
    uint8_t *padded = run->ring + y % (2 * half + 1) * run->row;
    memcpy(padded + half * channels, from, width * channels);
    for (size_t i = 0; i < half; i++) {
        size_t before = edge_mirror(-1 - (ptrdiff_t)i, width), after = edge_mirror((ptrdiff_t)(width + i), width);
        memcpy(padded + (half - 1 - i) * channels, from + before * channels, channels);
        memcpy(padded + (half + width + i) * channels, from + after * channels, channels);
    }
}

static const uint8_t *bilateral_padded(const bilateral_run *run, ptrdiff_t y, ptrdiff_t dx)
{
    size_t row = edge_mirror(y, run->source->height) % (size_t)(2 * run->radius + 1);
    return run->ring + row * run->row + (size_t)(run->radius + dx) * run->channels;
}

static void bilateral_rows(const bilateral_run *run, mien_image *target, float likeness)
{
    size_t height = run->source->height, next = 0;
    for (size_t y = 0; y < height; y++) {
        for (; next < height && next <= y + (size_t)run->radius; next++)
            bilateral_pad(run, next);
        for (size_t k = 0; k < run->taps; k++)
            run->near[k] = bilateral_padded(run, (ptrdiff_t)y + run->tap[k].dy, run->tap[k].dx);
        prep_kernels_get()->bilateral(bilateral_padded(run, (ptrdiff_t)y, 0), run->near, run->distance, run->taps,
                                      target->data + y * target->stride, run->source->width, run->channels, likeness);
    }
}

static mien_status bilateral_init(bilateral_run *run, double sigma_space, mien_error *error)
{
    size_t size = (size_t)(2 * run->radius + 1), most = size * size;
    run->row = (run->source->width + size) * run->channels;
    run->tap = memory_array(most, sizeof *run->tap);
    run->distance = memory_array(most, sizeof *run->distance);
    run->near = memory_array(most, sizeof *run->near);
    run->ring = memory_array(size, run->row);
    if (!run->tap || !run->distance || !run->near || !run->ring)
        return error_no_memory(error, size * run->row);
    for (ptrdiff_t dy = -run->radius; dy <= run->radius; dy++)
        for (ptrdiff_t dx = -run->radius; dx <= run->radius; dx++) {
            double squared = (double)(dx * dx + dy * dy);
            if (squared > (double)(run->radius * run->radius))
                continue;
            run->tap[run->taps] = (bilateral_tap){dx, dy};
            run->distance[run->taps++] = (float)(squared * -0.5 * M_LOG2E / (sigma_space * sigma_space));
        }
    return MIEN_OK;
}

mien_status prep_bilateral(const mien_image_view *source, mien_image *target, unsigned radius, double sigma_colour,
                           double sigma_space, mien_error *error)
{
    mien_status status = operand_check_same_format("bilateral", source, target, error);
    if (status)
        return status;
    size_t channels = mien_pixel_bytes(source->format);
    bool sigmas = sigma_colour >= 0.01 && sigma_colour <= 1e6 && sigma_space >= 0.01 && sigma_space <= 1e6;
    if (channels > 3 || !radius || radius > BILATERAL_MAX_RADIUS || !sigmas)
        return error_set(error, MIEN_EINVAL, "bilateral: 1 or 3 channels, radius 1..%d and sigmas 0.01..1000000",
                         BILATERAL_MAX_RADIUS);
    bilateral_run run = {.source = source, .channels = channels, .radius = (ptrdiff_t)radius};
    status = bilateral_init(&run, sigma_space, error);
    if (!status)
        bilateral_rows(&run, target, (float)(-0.5 * M_LOG2E / (sigma_colour * sigma_colour)));
    memory_free(run.tap);
    memory_free(run.distance);
    memory_free((void *)run.near);
    memory_free(run.ring);
    return status;
}
