/* The pixels of a BMP: palette indices of 1, 2, 4 or 8 bits (the leftmost pixel in the highest bits), channels cut out
 * of 16 or 32 bits by masks, 24 bits as B G R, and run lengths. Run lengths (RLE8, RLE4): a pair (n, v) is n pixels of
 * v (RLE4: of its two halves in turn); (0, 0) ends a row, (0, 1) the picture, (0, 2) is followed by a jump (right, up),
 * and (0, n ≥ 3) by n literal pixels padded to 16 bits. Runs that leave the picture are clipped. */
#include "image/bmp.h"

#include <string.h>

static size_t bmp_row_bits(const bmp_header *header)
{
    return header->width * header->bits; /* the width is below 2³¹ */
}

static size_t bmp_row_bytes(const bmp_header *header)
{
    return (bmp_row_bits(header) + 31) / 32 * 4;
}

bool bmp_rows_fit(const image_source *source, const bmp_header *header)
{
    uint64_t needed = (uint64_t)bmp_row_bytes(header) * (header->height - 1) + (bmp_row_bits(header) + 7) / 8;
    return needed <= source->length - header->pixels;
}

static uint8_t *bmp_target_row(const bmp_header *header, mien_image *image, size_t row)
{
    return image->data + (header->downwards ? row : header->height - 1 - row) * image->stride;
}

static void bmp_indexed_row(const bmp_header *header, const uint8_t *from, uint8_t *to)
{
    unsigned bits = header->bits, mask = (1u << bits) - 1;
    for (size_t x = 0; x < header->width; x++, to += 3) {
        size_t bit = x * bits;
        unsigned index = from[bit / 8] >> (8 - bits - bit % 8) & mask;
        memcpy(to, header->palette[index], 3);
    }
}

static uint8_t bmp_channel_value(const bmp_channel *channel, uint32_t pixel)
{
    if (!channel->most)
        return 0;
    uint64_t value = (pixel & channel->mask) >> channel->shift;
    return (uint8_t)((value * 255 + channel->most / 2) / channel->most);
}

/* Returns whether any pixel of the row has alpha. */
static bool bmp_masked_row(const bmp_header *header, const uint8_t *from, uint8_t *to, size_t channels)
{
    bool seen = false;
    for (size_t x = 0; x < header->width; x++, to += channels) {
        uint32_t pixel = (uint32_t)from[0] | (uint32_t)from[1] << 8;
        if (header->bits == 32)
            pixel |= (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
        from += header->bits / 8;
        for (size_t c = 0; c < channels; c++)
            to[c] = bmp_channel_value(header->channels + c, pixel);
        seen = seen || (channels == 4 && to[3]);
    }
    return seen;
}

static void bmp_true_colour_row(const bmp_header *header, const uint8_t *from, uint8_t *to)
{
    for (size_t x = 0; x < header->width; x++, from += 3, to += 3) {
        to[0] = from[2];
        to[1] = from[1];
        to[2] = from[0];
    }
}

static void bmp_make_opaque(mien_image *image)
{
    for (size_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < image->width; x++)
            image->data[y * image->stride + 4 * x + 3] = 255;
}

void bmp_read_rows(const image_source *source, const bmp_header *header, mien_image *image)
{
    size_t channels = mien_pixel_bytes(image->format), row_bytes = bmp_row_bytes(header);
    bool alpha_seen = false;
    for (size_t y = 0; y < header->height; y++) {
        const uint8_t *from = source->bytes + header->pixels + y * row_bytes;
        uint8_t *to = bmp_target_row(header, image, y);
        if (header->bits <= 8)
            bmp_indexed_row(header, from, to);
        else if (header->bits == 24)
            bmp_true_colour_row(header, from, to);
        else if (bmp_masked_row(header, from, to, channels))
            alpha_seen = true;
    }
    if (channels == 4 && !alpha_seen)
        bmp_make_opaque(image);
}

/* Where the next run goes on. */
typedef struct bmp_pen {
    const bmp_header *header;
    mien_image *image;
    size_t x, y; /* y counts stored rows */
} bmp_pen;

static void bmp_put(bmp_pen *pen, unsigned index)
{
    if (pen->x < pen->header->width && pen->y < pen->header->height)
        memcpy(bmp_target_row(pen->header, pen->image, pen->y) + 3 * pen->x, pen->header->palette[index], 3);
    pen->x++;
}

static void bmp_put_run(bmp_pen *pen, size_t count, unsigned value)
{
    for (size_t i = 0; i < count; i++)
        bmp_put(pen, pen->header->bits == 8 ? value : i & 1 ? value & 15 : value >> 4);
}

/* Literal pixels; returns the bytes they take with their padding, or 0 when they are not all there. */
static size_t bmp_put_literals(bmp_pen *pen, size_t count, const uint8_t *from, size_t left)
{
    size_t bytes = pen->header->bits == 8 ? count : (count + 1) / 2;
    if (bytes > left)
        return 0;
    for (size_t i = 0; i < count; i++)
        bmp_put(pen, pen->header->bits == 8 ? from[i] : i & 1 ? from[i / 2] & 15u : (unsigned)from[i / 2] >> 4);
    size_t padded = (bytes + 1) & ~(size_t)1;
    return padded < left ? padded : left;
}

/* One escape (0, code); returns the bytes used after the pair, or SIZE_MAX when they are missing. */
static size_t bmp_escape(bmp_pen *pen, unsigned code, const uint8_t *from, size_t left)
{
    if (code == 0) {
        pen->x = 0;
        pen->y++;
        return 0;
    }
    if (code == 2) {
        if (left < 2)
            return SIZE_MAX;
        pen->x += from[0];
        pen->y += from[1];
        return 2;
    }
    size_t used = bmp_put_literals(pen, code, from, left);
    return used ? used : SIZE_MAX;
}

bool bmp_read_runs(const image_source *source, const bmp_header *header, mien_image *image)
{
    for (size_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < image->width; x++)
            memcpy(image->data + y * image->stride + 3 * x, header->palette[0], 3);

    bmp_pen pen = {header, image, 0, 0};
    const uint8_t *at = source->bytes + header->pixels, *end = source->bytes + source->length;
    while (end - at >= 2 && pen.y < header->height) {
        unsigned count = at[0], value = at[1];
        at += 2;
        if (count) {
            bmp_put_run(&pen, count, value);
        } else if (value == 1) {
            return true;
        } else {
            size_t used = bmp_escape(&pen, value, at, (size_t)(end - at));
            if (used == SIZE_MAX)
                return false;
            at += used;
        }
    }
    return pen.y >= header->height || (pen.y == header->height - 1 && pen.x >= header->width);
}
