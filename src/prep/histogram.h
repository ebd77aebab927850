/* Counting grey values. */
#ifndef PREP_HISTOGRAM_H
#define PREP_HISTOGRAM_H

#include <mien/image.h>

/** How often each value occurs in a grey view; `counts` is overwritten. */
void histogram_count(const mien_image_view *grey, uint32_t counts[256]);
/** to = table[from], all bytes of a view. */
void histogram_map(const mien_image_view *source, mien_image *target, const uint8_t table[256]);

#endif
