/* Histograms and tables. Four counters take turns, because neighbouring pixels are often equal and one counter would
 * have to wait for its own last addition. */
#include "prep/histogram.h"

#include <string.h>

void histogram_count(const mien_image_view *grey, uint32_t counts[256])
{
    uint32_t turn[4][256];
    memset(turn, 0, sizeof turn);
    for (size_t y = 0; y < grey->height; y++) {
        const uint8_t *row = grey->data + y * grey->stride;
        size_t x = 0;
        for (; x + 4 <= grey->width; x += 4)
            for (size_t k = 0; k < 4; k++)
                turn[k][row[x + k]]++;
        for (; x < grey->width; x++)
            turn[0][row[x]]++;
    }
    for (size_t i = 0; i < 256; i++)
        counts[i] = turn[0][i] + turn[1][i] + turn[2][i] + turn[3][i];
}

void histogram_map(const mien_image_view *source, mien_image *target, const uint8_t table[256])
{
    size_t samples = source->width * mien_pixel_bytes(source->format);
    for (size_t y = 0; y < source->height; y++) {
        const uint8_t *from = source->data + y * source->stride;
        uint8_t *to = target->data + y * target->stride;
        for (size_t i = 0; i < samples; i++)
            to[i] = table[from[i]];
    }
}
