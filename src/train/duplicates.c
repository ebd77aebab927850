/* Every pair of 32,000 pictures is half a billion: a 64-bit sketch (is each of 8 x 8 fields lighter than their mean?)
 * is compared first, one XOR and a bit count a pair, and only pairs that differ in few bits are correlated pixel by
 * pixel. Pictures that differ in size, light and compression keep their sketch; crops and mirror images are not looked
 * for. */
#include "train/duplicates.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"

enum { DUPLICATES_FIELDS = 8, DUPLICATES_BITS = 5 };

static uint64_t duplicates_sketch(const uint8_t *pixels, size_t height, size_t width)
{
    double field[DUPLICATES_FIELDS * DUPLICATES_FIELDS] = {0}, mean = 0;
    uint32_t counts[DUPLICATES_FIELDS * DUPLICATES_FIELDS] = {0};
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            size_t at = y * DUPLICATES_FIELDS / height * DUPLICATES_FIELDS + x * DUPLICATES_FIELDS / width;
            field[at] += pixels[y * width + x];
            counts[at]++;
        }
    for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
        field[i] = counts[i] ? field[i] / counts[i] : 0;
        mean += field[i] / (DUPLICATES_FIELDS * DUPLICATES_FIELDS);
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++)
        bits |= (uint64_t)(field[i] > mean) << i;
    return bits;
}

/* Pearson's correlation; two flat pictures count as equal when their grey is. */
static float duplicates_correlation(const uint8_t *a, const uint8_t *b, size_t size)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0, n = (double)size;
    for (size_t i = 0; i < size; i++) {
        double x = a[i], y = b[i];
        sa += x;
        sb += y;
        saa += x * x;
        sbb += y * y;
        sab += x * y;
    }
    double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
    if (va <= 0 || vb <= 0)
        return va <= 0 && vb <= 0 && sa == sb ? 1 : 0;
    return (float)((sab - sa * sb / n) / sqrt(va * vb));
}

typedef struct duplicates_list {
    duplicates_pair *pairs;
    size_t count, capacity;
} duplicates_list;

static mien_status duplicates_add(duplicates_list *list, const duplicates_pair *pair, mien_error *error)
{
    if (list->count == DUPLICATES_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d pairs of nearly equal pictures", DUPLICATES_MOST);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        duplicates_pair *grown = memory_resize(list->pairs, capacity, sizeof(*grown));
        if (!grown)
            return error_no_memory(error, capacity * sizeof(*grown));
        list->pairs = grown;
        list->capacity = capacity;
    }
    list->pairs[list->count++] = *pair;
    return MIEN_OK;
}

static mien_status duplicates_of_row(const dataset *data, const uint64_t *sketches, size_t a, float least,
                                     duplicates_list *list, mien_error *error)
{
    size_t size = data->height * data->width;
    mien_status status = MIEN_OK;
    for (size_t b = a + 1; b < data->count && !status; b++) {
        if (__builtin_popcountll(sketches[a] ^ sketches[b]) > DUPLICATES_BITS)
            continue;
        float correlation = duplicates_correlation(data->pixels + a * size, data->pixels + b * size, size);
        if (correlation < least)
            continue;
        duplicates_pair pair = {a, b, correlation, data->labels[a] == data->labels[b],
                                data->splits[a] != data->splits[b]};
        status = duplicates_add(list, &pair, error);
    }
    return status;
}

mien_status duplicates_find(const dataset *data, float least, duplicates_pair **pairs, size_t *count, mien_error *error)
{
    if (!(least >= 0.9f && least <= 1))
        return error_set(error, MIEN_EINVAL, "the least correlation lies within 0.9..1");
    uint64_t *sketches = memory_array(data->count, sizeof(*sketches));
    if (!sketches)
        return error_no_memory(error, data->count * sizeof(*sketches));
    duplicates_list list = {0};
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < data->count; i++)
        sketches[i] = duplicates_sketch(data->pixels + i * data->height * data->width, data->height, data->width);
    for (size_t a = 0; a < data->count && !status; a++)
        status = duplicates_of_row(data, sketches, a, least, &list, error);
    memory_free(sketches);
    if (status) {
        memory_free(list.pairs);
        return status;
    }
    *pairs = list.pairs;
    *count = list.count;
    return MIEN_OK;
}
