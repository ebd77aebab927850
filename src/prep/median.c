/* Median filter. Small windows go through a network of minima and maxima, which vector units like: one made for 3 × 3,
 * for 5 × 5 and 7 × 7 the part of Batcher's sorting network (Knuth, TAOCP 5.3.4, algorithm M) that the middle place
 * depends on. Larger ones slide a histogram along each row (Huang, Yang & Tang 1979) with sums of 16 bins on top, so
 * that finding the median costs at most 32 steps whatever the size. */
#include "prep/prep.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "prep/edge.h"
#include "prep/kernels.h"
#include "prep/operand.h"

enum {
    MEDIAN_MAX_SIZE = 63,
    MEDIAN_NETWORK_SIZE = 7, /* largest window that is sorted */
    MEDIAN_PLACES = MEDIAN_NETWORK_SIZE * MEDIAN_NETWORK_SIZE,
    MEDIAN_MAX_PAIRS = 640,
    MEDIAN_LANES = 64, /* pixels sorted side by side */
};

static void median_pad_row(const mien_image_view *source, size_t y, uint8_t *padded)
{
    size_t pixel = mien_pixel_bytes(source->format), row = source->width * pixel;
    const uint8_t *from = source->data + y * source->stride;
    memcpy(padded, from, pixel);
    memcpy(padded + pixel, from, row);
    memcpy(padded + pixel + row, from + row - pixel, pixel);
}

static mien_status median_three(const mien_image_view *source, mien_image *target, mien_error *error)
{
    size_t pixel = mien_pixel_bytes(source->format), row = (source->width + 2) * pixel;
    uint8_t *ring = memory_array(3, row);
    if (!ring)
        return error_no_memory(error, 3 * row);
    size_t next = 0;
    for (size_t y = 0; y < source->height; y++) {
        const uint8_t *rows[3];
        for (; next < source->height && next <= y + 1; next++)
            median_pad_row(source, next, ring + next % 3 * row);
        for (size_t k = 0; k < 3; k++)
            rows[k] = ring + edge_repeat((ptrdiff_t)(y + k) - 1, source->height) % 3 * row;
        prep_kernels_get()->median3(rows, target->data + y * target->stride, source->width * pixel, pixel);
    }
    memory_free(ring);
    return MIEN_OK;
}

/* Places to compare and exchange, in this order: the lower value goes to the first. */
typedef struct median_network {
    size_t count;
    uint8_t pairs[MEDIAN_MAX_PAIRS][2];
} median_network;

static void median_sort_network(median_network *network, size_t places)
{
    size_t top = 1;
    while (2 * top < places)
        top *= 2;
    network->count = 0;
    for (size_t p = top; p > 0; p /= 2) {
        size_t q = top, r = 0;
        for (size_t d = p;; d = q - p, q /= 2, r = p) {
            for (size_t i = 0; i + d < places; i++)
                if ((i & p) == r && network->count < MEDIAN_MAX_PAIRS) {
                    network->pairs[network->count][0] = (uint8_t)i;
                    network->pairs[network->count++][1] = (uint8_t)(i + d);
                }
            if (q == p)
                break;
        }
    }
}

/* Drop what the middle place does not depend on, going backwards. */
static void median_prune_network(median_network *network, size_t places)
{
    bool needed[MEDIAN_PLACES] = {false}, keep[MEDIAN_MAX_PAIRS];
    needed[places / 2] = true;
    for (size_t i = network->count; i-- > 0;) {
        const uint8_t *pair = network->pairs[i];
        keep[i] = needed[pair[0]] || needed[pair[1]];
        if (keep[i])
            needed[pair[0]] = needed[pair[1]] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < network->count; i++)
        if (keep[i])
            memcpy(network->pairs[kept++], network->pairs[i], sizeof network->pairs[i]);
    network->count = kept;
}

/* Samples start… of a row, moved by `shift` pixels and held inside the row. */
static void median_load_edge(uint8_t lanes[MEDIAN_LANES], const mien_image_view *source, size_t row, size_t start,
                             size_t count, ptrdiff_t shift)
{
    size_t pixel = mien_pixel_bytes(source->format);
    const uint8_t *from = source->data + row * source->stride;
    for (size_t i = 0; i < MEDIAN_LANES; i++) {
        size_t at = start + (i < count ? i : 0);
        lanes[i] = from[edge_repeat((ptrdiff_t)(at / pixel) + shift, source->width) * pixel + at % pixel];
    }
}

static void median_network_row(const mien_image_view *source, mien_image *target, size_t y, size_t size,
                               const median_network *network)
{
    _Alignas(64) uint8_t lanes[MEDIAN_PLACES][MEDIAN_LANES];
    size_t pixel = mien_pixel_bytes(source->format), samples = source->width * pixel;
    ptrdiff_t half = (ptrdiff_t)(size / 2);
    for (size_t start = 0; start < samples; start += MEDIAN_LANES) {
        size_t count = samples - start < MEDIAN_LANES ? samples - start : MEDIAN_LANES;
        ptrdiff_t reach = half * (ptrdiff_t)pixel;
        bool inside = (ptrdiff_t)start >= reach && start + count + (size_t)reach <= samples;
        uint8_t(*lane)[MEDIAN_LANES] = lanes;
        for (ptrdiff_t dy = -half; dy <= half; dy++) {
            size_t row = edge_repeat((ptrdiff_t)y + dy, source->height);
            const uint8_t *from = source->data + row * source->stride + start;
            for (ptrdiff_t dx = -half; dx <= half; dx++, lane++)
                if (inside && count == MEDIAN_LANES) /* of known size: a few vector moves */
                    memcpy(*lane, from + dx * (ptrdiff_t)pixel, MEDIAN_LANES);
                else
                    median_load_edge(*lane, source, row, start, count, dx);
        }
        prep_kernels_get()->exchange(lanes, (const uint8_t(*)[2])network->pairs, network->count);
        memcpy(target->data + y * target->stride + start, lanes[size * size / 2], count);
    }
}

typedef struct median_counts {
    uint16_t coarse[16], fine[256];
} median_counts;

/* Add or take away one column of the window. */
static void median_column(median_counts *counts, const mien_image_view *source, ptrdiff_t x, ptrdiff_t y,
                          ptrdiff_t half, size_t channel, int change)
{
    size_t pixel = mien_pixel_bytes(source->format);
    const uint8_t *column = source->data + edge_repeat(x, source->width) * pixel + channel;
    for (ptrdiff_t dy = -half; dy <= half; dy++) {
        uint8_t value = column[edge_repeat(y + dy, source->height) * source->stride];
        counts->fine[value] = (uint16_t)(counts->fine[value] + change);
        counts->coarse[value >> 4] = (uint16_t)(counts->coarse[value >> 4] + change);
    }
}

static uint8_t median_find(const median_counts *counts, unsigned rank)
{
    unsigned seen = 0, coarse = 0;
    while (seen + counts->coarse[coarse] <= rank)
        seen += counts->coarse[coarse++];
    unsigned value = coarse << 4;
    while (seen + counts->fine[value] <= rank)
        seen += counts->fine[value++];
    return (uint8_t)value;
}

static void median_row(const mien_image_view *source, mien_image *target, size_t y, ptrdiff_t half, size_t channel)
{
    size_t pixel = mien_pixel_bytes(source->format);
    unsigned rank = (unsigned)((2 * half + 1) * (2 * half + 1) / 2);
    uint8_t *to = target->data + y * target->stride + channel;
    median_counts counts;
    memset(&counts, 0, sizeof counts);
    for (ptrdiff_t x = -half; x < half; x++)
        median_column(&counts, source, x, (ptrdiff_t)y, half, channel, 1);
    for (ptrdiff_t x = 0; x < (ptrdiff_t)source->width; x++) {
        median_column(&counts, source, x + half, (ptrdiff_t)y, half, channel, 1);
        to[(size_t)x * pixel] = median_find(&counts, rank);
        median_column(&counts, source, x - half, (ptrdiff_t)y, half, channel, -1);
    }
}

mien_status prep_median(const mien_image_view *source, mien_image *target, unsigned size, mien_error *error)
{
    mien_status status = operand_check_same_format("median", source, target, error);
    if (status)
        return status;
    if (size % 2 == 0 || size > MEDIAN_MAX_SIZE)
        return error_set(error, MIEN_EINVAL, "median: the size must be odd and at most %d, not %u", MEDIAN_MAX_SIZE,
                         size);
    if (size == 3)
        return median_three(source, target, error);
    if (size <= MEDIAN_NETWORK_SIZE) {
        median_network network;
        median_sort_network(&network, size * size);
        median_prune_network(&network, size * size);
        for (size_t y = 0; y < source->height; y++)
            median_network_row(source, target, y, size, &network);
        return MIEN_OK;
    }
    for (size_t channel = 0; channel < mien_pixel_bytes(source->format); channel++)
        for (size_t y = 0; y < source->height; y++)
            median_row(source, target, y, (ptrdiff_t)(size / 2), channel);
    return MIEN_OK;
}
