/* Sliding a cascade's window over one strip of one level of the pyramid. A strip is independent of all others: it
 * shrinks its own rows, integrates them and scans them, so that its planes stay in the cache and strips may run on any
 * thread in any order. */
#ifndef DETECT_CASCADE_SCAN_H
#define DETECT_CASCADE_SCAN_H

#include <mien/analyzer.h>

#include "base/buffer.h"
#include "detect/cascade_kernels.h"

/** One size of the picture. */
typedef struct cascade_level {
    float scale;                  /* picture pixels per level pixel */
    size_t step;                  /* pixels between windows: 2 below scale 2, else 1 */
    size_t width, height;         /* pixels */
    size_t columns, rows;         /* windows across and down */
    const uint32_t *at, *weights; /* how `shrink` makes a row of it */
} cascade_level;

/** What all strips of a picture share; read only while they run. */
typedef struct cascade_scan {
    const cascade_program *program;
    const cascade_kernels *kernels;
    const mien_image_view *picture; /* GREY8 */
    const cascade_table *tables[2]; /* [step - 1] */
} cascade_scan;

/** Memory of one thread. Zero-initialised means empty. */
typedef struct cascade_worker {
    size_t plane;    /* numbers in one integral plane */
    size_t row;      /* windows in a row, padded */
    size_t source;   /* columns of the picture, padded */
    uint8_t *pixels; /* the strip of the level */
    uint16_t *line;  /* a picture row between two rows */
    int32_t *planes; /* sum, square, tilted */
    float *scales;   /* of a row of windows */
    uint16_t *bits;  /* several per group of a row */
} cascade_worker;

enum { CASCADE_STRIP_ROWS = 128, CASCADE_PADDING = 64 };

/** Room for strips of a picture of that width whose widest level is level_width, and a plane of that stride. */
mien_status cascade_worker_prepare(cascade_worker *worker, const cascade *cascade, size_t picture_width,
                                   size_t level_width, size_t stride, mien_error *error);
void cascade_worker_done(cascade_worker *worker);

/** Rows of windows in one strip of that level. */
size_t cascade_strip_rows(const cascade_level *level);

/** Scan `count` rows of windows from row `first`; appends a mien_rect per accepted window to `found`, by rows. */
mien_status cascade_scan_strip(const cascade_scan *scan, const cascade_level *level, size_t first, size_t count,
                               cascade_worker *worker, buffer *found);

/** Which windows of a row are looked at when the one after a window rejected by the first stage is passed over.
 *  @param rejected  16 windows, lowest bit first.
 *  @param skip      whether the first of them is passed over; [out] the same for the next 16. */
static inline uint32_t cascade_visited(uint32_t rejected, uint32_t *skip)
{
    /* In a run of rejected windows every second one is passed over, beginning with its second (or first, if that is
     * skipped). Adding a run's start to it carries out of its end: the carry tells the run's parity. */
    const uint32_t even = 0x55555555u;
    rejected &= ~*skip;
    uint32_t follows = rejected << 1 | *skip;
    uint32_t odd_starts = rejected & ~even & ~follows;
    uint32_t runs = odd_starts + rejected;
    uint32_t passed_over = ((even ^ (runs << 1)) & follows) & 0x1ffff;
    *skip = passed_over >> 16 & 1;
    return ~passed_over & 0xffff;
}

#endif
