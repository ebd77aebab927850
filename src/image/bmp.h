/* Between the two halves of the BMP reader: bmp.c understands the headers, bmp_pixels.c unpacks what follows. */
#ifndef IMAGE_BMP_H
#define IMAGE_BMP_H

#include <stdbool.h>

#include "image/decode.h"

typedef struct bmp_channel {
    uint32_t mask;
    unsigned shift;
    uint32_t most; /* largest value, 0 = there is no such channel */
} bmp_channel;

typedef struct bmp_header {
    uint32_t size;
    size_t width, height;
    bool downwards; /* the first row stored is the topmost */
    unsigned bits;
    uint32_t compression;
    uint32_t colours;        /* in the palette; 0 = all */
    size_t pixels;           /* where they begin */
    bmp_channel channels[4]; /* red, green, blue, alpha of 16 and 32 bits */
    uint8_t palette[256][3]; /* RGB; black where the file gives none */
} bmp_header;

/** The file is long enough for all rows; the padding of the last one may be missing. */
bool bmp_rows_fit(const image_source *source, const bmp_header *header);
/** Unpack plain rows into an RGB8 or RGBA8 image. */
void bmp_read_rows(const image_source *source, const bmp_header *header, mien_image *image);
/** Unpack RLE4 or RLE8 into an RGB8 image; false when the data end before the picture does. */
bool bmp_read_runs(const image_source *source, const bmp_header *header, mien_image *image);

#endif
