/* Separable two-tap resizing: where each output position reads, and how the rows are walked. Shared by the two bilinear
 * operations, which differ in how they round their weights and sums only. */
#ifndef PREP_RESIZE_PLAN_H
#define PREP_RESIZE_PLAN_H

#include <mien/image.h>

/** The two source positions (0..size-1) that one output position reads, and their weights. Columns promise that the
 *  second is the next one or has weight 0. */
typedef struct resize_tap {
    uint32_t at[2];
    uint16_t weight[2];
} resize_tap;

typedef resize_tap (*resize_taps)(size_t position, size_t size, double scale);
typedef void (*resize_blend)(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                             unsigned b1);

typedef struct resize_method {
    const char *name;
    resize_taps columns, rows;
    int shift; /* of the horizontal sums */
    resize_blend blend;
} resize_method;

mien_status resize_run(const resize_method *method, const mien_image_view *source, mien_image *target,
                       mien_error *error);
/** Both are there, of one format; equal sizes are copied at once and *done is set. */
mien_status resize_check(const char *name, const mien_image_view *source, mien_image *target, int *done,
                         mien_error *error);

#endif
