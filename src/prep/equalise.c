/* Histogram equalisation: each grey value is mapped to the share of pixels that are darker or equal, so that the
 * cumulated histogram becomes a straight line from the darkest value that occurs. Single precision and rounding to
 * nearest even, as in OpenCV. */
#include "prep/prep.h"

#include <math.h>

#include "prep/histogram.h"
#include "prep/operand.h"

static void equalise_table(const uint32_t counts[256], uint64_t total, uint8_t table[256])
{
    unsigned first = 0;
    while (!counts[first])
        first++;
    for (unsigned i = 0; i <= first; i++)
        table[i] = 0;
    if (counts[first] == total) { /* one value only: it stays */
        table[first] = (uint8_t)first;
        return;
    }
    float scale = 255.0f / (float)(total - counts[first]);
    uint32_t sum = 0;
    for (unsigned i = first + 1; i < 256; i++) {
        sum += counts[i];
        long value = lrintf((float)sum * scale);
        table[i] = (uint8_t)(value < 255 ? value : 255);
    }
}

mien_status prep_equalise(const mien_image_view *source, mien_image *target, mien_error *error)
{
    mien_status status = operand_check_grey("equalise", source, target, error);
    if (status)
        return status;
    uint32_t counts[256];
    uint8_t table[256];
    histogram_count(source, counts);
    equalise_table(counts, (uint64_t)source->width * source->height, table);
    histogram_map(source, target, table);
    return MIEN_OK;
}
