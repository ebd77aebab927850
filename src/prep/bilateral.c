/* Bilateral filter (Tomasi & Manduchi, ICCV 1998): noise is averaged away where neighbours are alike, edges stay. Both
 * weights are Gaussians; that of likeness is a table over the sum of the channels' differences. The neighbours are
 * walked one offset at a time over a whole row, so that the sums are plain vector additions. */
#include "prep/prep.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "prep/edge.h"
#include "prep/kernels.h"
#include "prep/operand.h"

enum { BILATERAL_MAX_RADIUS = 31 };

typedef struct bilateral_run {
    const mien_image_view *source;
    size_t channels;
    ptrdiff_t radius;
    double space;    /* −1 / (2 σ²) of the distance */
    float *likeness; /* [255 × channels + 1] */
    float *sum;      /* [width × channels] */
    float *weight;   /* [width] */
    uint8_t *padded; /* the row in work with its mirrored ends */
} bilateral_run;

static void bilateral_pad(bilateral_run *run, size_t y)
{
    size_t channels = run->channels, width = run->source->width;
    const uint8_t *from = run->source->data + y * run->source->stride;
    for (ptrdiff_t x = -run->radius; x < (ptrdiff_t)width + run->radius; x++)
        memcpy(run->padded + (size_t)(x + run->radius) * channels, from + edge_mirror(x, width) * channels, channels);
}

/* Add the neighbours at one offset, which lie `near` in a padded row, to the sums of the row `centre`. */
static void bilateral_add(bilateral_run *run, const uint8_t *centre, const uint8_t *near, float distance_weight)
{
    size_t channels = run->channels;
    if (channels == 1) {
        prep_kernels_get()->bilateral(centre, near, run->source->width, distance_weight, run->likeness, run->sum,
                                      run->weight);
        return;
    }
    for (size_t x = 0; x < run->source->width; x++, centre += channels, near += channels) {
        int difference = 0;
        for (size_t c = 0; c < channels; c++)
            difference += centre[c] > near[c] ? centre[c] - near[c] : near[c] - centre[c];
        float weight = distance_weight * run->likeness[difference];
        run->weight[x] += weight;
        for (size_t c = 0; c < channels; c++)
            run->sum[x * channels + c] += weight * (float)near[c];
    }
}

static void bilateral_row(bilateral_run *run, size_t y, uint8_t *to)
{
    size_t width = run->source->width, channels = run->channels;
    memset(run->sum, 0, width * channels * sizeof(float));
    memset(run->weight, 0, width * sizeof(float));
    for (ptrdiff_t dy = -run->radius; dy <= run->radius; dy++) {
        bilateral_pad(run, edge_mirror((ptrdiff_t)y + dy, run->source->height));
        for (ptrdiff_t dx = -run->radius; dx <= run->radius; dx++) {
            double squared = (double)(dx * dx + dy * dy);
            if (squared > (double)(run->radius * run->radius))
                continue;
            bilateral_add(run, run->source->data + y * run->source->stride,
                          run->padded + (size_t)(run->radius + dx) * channels, (float)exp(squared * run->space));
        }
    }
    for (size_t i = 0; i < width * channels; i++)
        to[i] = (uint8_t)lrintf(run->sum[i] / run->weight[i / channels]);
}

static mien_status bilateral_init(bilateral_run *run, double sigma_colour, mien_error *error)
{
    size_t width = run->source->width, levels = 255 * run->channels + 1;
    size_t floats = levels + width * (run->channels + 1);
    size_t bytes = floats * sizeof(float) + (width + 2 * (size_t)run->radius) * run->channels;
    run->likeness = memory_aligned(bytes, 1);
    if (!run->likeness)
        return error_no_memory(error, bytes);
    run->sum = run->likeness + levels;
    run->weight = run->sum + width * run->channels;
    run->padded = (uint8_t *)(run->likeness + floats);
    for (size_t i = 0; i < levels; i++)
        run->likeness[i] = (float)exp((double)(i * i) * (-0.5 / (sigma_colour * sigma_colour)));
    return MIEN_OK;
}

mien_status prep_bilateral(const mien_image_view *source, mien_image *target, unsigned radius, double sigma_colour,
                           double sigma_space, mien_error *error)
{
    mien_status status = operand_check_same_format("bilateral", source, target, error);
    if (status)
        return status;
    size_t channels = mien_pixel_bytes(source->format);
    if (channels > 3 || !radius || radius > BILATERAL_MAX_RADIUS || !(sigma_colour > 0) || !(sigma_space > 0))
        return error_set(error, MIEN_EINVAL, "bilateral: 1 or 3 channels, radius 1..%d and sigmas above 0",
                         BILATERAL_MAX_RADIUS);
    bilateral_run run = {.source = source,
                         .channels = channels,
                         .radius = (ptrdiff_t)radius,
                         .space = -0.5 / (sigma_space * sigma_space)};
    status = bilateral_init(&run, sigma_colour, error);
    if (status)
        return status;
    for (size_t y = 0; y < source->height; y++)
        bilateral_row(&run, y, target->data + y * target->stride);
    memory_free(run.likeness);
    return MIEN_OK;
}
