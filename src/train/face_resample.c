/* Rows first: the rows under a target row are summed over the columns that are needed, which compilers turn into
 * vectors whatever the number of channels, then the short sum across is taken pixel by pixel. prep/crop.h does the same
 * in floats for one face at a time; here a whole sample of 320 × 320 has to cost about a millisecond. */
#include "train/face_resample.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { RESAMPLE_ONE = 256, RESAMPLE_HALF = 1 << 15 };

/* One axis: where target positions read. */
typedef struct resample_axis {
    float begin, step, radius;
    int size;      /* of the source */
    int taps;      /* weights per position */
    int low, high; /* target positions whose place lies in the source */
    int count;     /* target positions */
} resample_axis;

mien_status face_resampler_init(face_resampler *r, size_t source_side, size_t target_side, mien_error *error)
{
    size_t weights = 2 * source_side + 4 * target_side + 16;
    *r = (face_resampler){.source_side = source_side, .target_side = target_side};
    r->row = memory_array(source_side, 3 * sizeof *r->row);
    r->across = memory_array(weights, sizeof *r->across);
    r->down = memory_array(weights, sizeof *r->down);
    r->first = memory_array(target_side, sizeof *r->first);
    if (r->row && r->across && r->down && r->first)
        return MIEN_OK;
    face_resampler_done(r);
    return error_no_memory(error, weights * sizeof *r->across);
}

void face_resampler_done(face_resampler *r)
{
    memory_free(r->row);
    memory_free(r->across);
    memory_free(r->down);
    memory_free(r->first);
    *r = (face_resampler){0};
}

static resample_axis resample_axis_of(float begin, float step, bool coarse, size_t size, size_t count)
{
    resample_axis axis = {begin, step, coarse || step < 1 ? 1 : step, (int)size, 0, 0, 0, (int)count};
    axis.taps = (int)ceilf(2 * axis.radius);
    if (axis.taps > axis.size)
        axis.taps = axis.size;
    float low = ceilf(-begin / step - 0.5f), high = ceilf(((float)size - begin) / step - 0.5f);
    axis.low = (int)fminf(fmaxf(low, 0), (float)count);
    axis.high = (int)fminf(fmaxf(high, (float)axis.low), (float)count);
    return axis;
}

/* First source position and weights (of sum RESAMPLE_ONE) of a target position. What would lie beyond the source falls
 * to its edge. */
static int resample_weights(const resample_axis *axis, int position, uint16_t *weights)
{
    float centre = axis->begin + ((float)position + 0.5f) * axis->step - 0.5f;
    int begin = (int)floorf(centre - axis->radius) + 1, first = begin;
    if (first > axis->size - axis->taps)
        first = axis->size - axis->taps;
    if (first < 0)
        first = 0;
    float sum = 0, inverse = 1 / axis->radius;
    int last = (int)ceilf(centre + axis->radius) - 1, left = RESAMPLE_ONE, heaviest = 0;
    for (int j = begin; j <= last; j++)
        sum += 1 - fabsf((float)j - centre) * inverse;
    memset(weights, 0, (size_t)axis->taps * sizeof *weights);
    for (int j = begin; j <= last; j++) {
        int at = j < 0 ? 0 : j >= axis->size ? axis->size - 1 : j;
        at -= first;
        at = at < 0 ? 0 : at >= axis->taps ? axis->taps - 1 : at;
        int weight = (int)((1 - fabsf((float)j - centre) * inverse) / sum * RESAMPLE_ONE + 0.5f);
        weight = weight < left ? weight : left;
        weights[at] = (uint16_t)(weights[at] + weight);
        left -= weight;
        if (weights[at] > weights[heaviest])
            heaviest = at;
    }
    weights[heaviest] = (uint16_t)(weights[heaviest] + left);
    return first;
}

/* to = Σ weight × row; at most 255 × RESAMPLE_ONE. */
static void resample_rows(const uint8_t *from, size_t stride, const uint16_t *weights, int taps, size_t count,
                          uint16_t *restrict to)
{
    int k = 0;
    if (taps < 2) {
        for (size_t i = 0; i < count; i++)
            to[i] = (uint16_t)(from[i] * weights[0]);
        return;
    }
    for (; k + 1 < taps; k += 2) {
        const uint8_t *restrict a = from + (size_t)k * stride, *restrict b = a + stride;
        uint16_t p = weights[k], q = weights[k + 1];
        if (!k)
            for (size_t i = 0; i < count; i++)
                to[i] = (uint16_t)(a[i] * p + b[i] * q);
        else if (p | q)
            for (size_t i = 0; i < count; i++)
                to[i] = (uint16_t)(to[i] + a[i] * p + b[i] * q);
    }
    if (k < taps && weights[k]) {
        const uint8_t *restrict a = from + (size_t)k * stride;
        for (size_t i = 0; i < count; i++)
            to[i] = (uint16_t)(to[i] + a[i] * weights[k]);
    }
}

static inline void resample_across_taps(const face_resampler *r, int low, int high, int taps, uint8_t *restrict to)
{
    const uint16_t *weights = r->across;
    for (int x = low; x < high; x++, weights += taps) {
        const uint16_t *restrict at = r->row + 3 * r->first[x];
        uint32_t red = RESAMPLE_HALF, green = RESAMPLE_HALF, blue = RESAMPLE_HALF;
        for (int k = 0; k < taps; k++) {
            red += (uint32_t)at[3 * k] * weights[k];
            green += (uint32_t)at[3 * k + 1] * weights[k];
            blue += (uint32_t)at[3 * k + 2] * weights[k];
        }
        to[3 * x] = (uint8_t)(red >> 16);
        to[3 * x + 1] = (uint8_t)(green >> 16);
        to[3 * x + 2] = (uint8_t)(blue >> 16);
    }
}

static void resample_across(const face_resampler *r, int low, int high, int taps, uint8_t *to)
{
    if (taps == 2)
        resample_across_taps(r, low, high, 2, to);
    else if (taps == 4)
        resample_across_taps(r, low, high, 4, to);
    else if (taps == 3)
        resample_across_taps(r, low, high, 3, to);
    else
        resample_across_taps(r, low, high, taps, to);
}

static void resample_across_grey(const face_resampler *r, int low, int high, int taps, uint8_t *to)
{
    for (int x = low; x < high; x++) {
        uint32_t sum = RESAMPLE_HALF;
        for (int k = 0; k < taps; k++)
            sum += (uint32_t)r->row[r->first[x] + k] * r->across[(size_t)(x - low) * (size_t)taps + (size_t)k];
        to[x] = (uint8_t)(sum >> 16);
    }
}

/* The weights across of all target columns; a mirror image only reads them the other way round. Returns the columns of
 * the source that are needed, *from the first of them. */
static size_t resample_prepare(face_resampler *r, resample_axis *across, bool flip, int *from)
{
    int least = across->size, most = 0, low = across->low, high = across->high;
    for (int i = low; i < high; i++) {
        int place = flip ? high - 1 - i : i - low;
        int first = resample_weights(across, i, r->across + (size_t)place * (size_t)across->taps);
        r->first[flip ? across->count - 1 - i : i] = first;
        least = first < least ? first : least;
        most = first + across->taps > most ? first + across->taps : most;
    }
    if (flip) {
        across->low = across->count - high;
        across->high = across->count - low;
    }
    for (int x = across->low; x < across->high; x++)
        r->first[x] -= least;
    *from = least;
    return most > least ? (size_t)(most - least) : 0;
}

void face_resample(face_resampler *r, const mien_image_view *source, const face_map *map, uint8_t fill,
                   mien_image *target)
{
    size_t bytes = mien_pixel_bytes(source->format);
    resample_axis across = resample_axis_of(map->x, map->step_x, map->coarse, source->width, target->width);
    resample_axis down = resample_axis_of(map->y, map->step_y, map->coarse, source->height, target->height);
    int from = 0;
    size_t columns = resample_prepare(r, &across, map->flip, &from);
    size_t before = (size_t)across.low * bytes, behind = (target->width - (size_t)across.high) * bytes;
    for (int y = 0; y < down.count; y++) {
        uint8_t *to = target->data + (size_t)y * target->stride;
        if (y < down.low || y >= down.high || !columns) {
            memset(to, fill, target->width * bytes);
            continue;
        }
        int first = resample_weights(&down, y, r->down);
        const uint8_t *rows = source->data + (size_t)first * source->stride + (size_t)from * bytes;
        resample_rows(rows, source->stride, r->down, down.taps, columns * bytes, r->row);
        memset(to, fill, before);
        memset(to + target->width * bytes - behind, fill, behind);
        if (bytes == 3)
            resample_across(r, across.low, across.high, across.taps, to);
        else
            resample_across_grey(r, across.low, across.high, across.taps, to);
    }
}
