/* Evaluations as one self-contained HTML page. */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include "base/buffer.h"
#include "train/evaluate.h"
#include "train/groups.h"

typedef struct report_entry {
    const evaluation *result;
    const dataset *data;         /* that it was measured on, for the pictures */
    const groups_result *groups; /* NULL = none */
} report_entry;

/** Append the page: a comparison of all entries, then for each its per-class table, confusion matrix, reliability and
 *  risk/coverage curves, learning curves (where a log.jsonl stands beside the model), how it was trained and its surest
 *  mistakes as pictures. */
mien_status report_html(const report_entry *entries, size_t count, buffer *out, mien_error *error);

/** Axes from 0 to `most`; 0 = 1. */
typedef struct report_axes {
    const char *title, *x_label, *y_label;
    double x_most, y_most;
} report_axes;

typedef enum report_look { REPORT_LOOK_LINE = 0, REPORT_LOOK_POINTS, REPORT_LOOK_BARS } report_look;

/** A curve or several in one square plot, as SVG. Used by the report's parts. */
typedef struct report_curve {
    const double *x, *y;
    size_t count;
    const char *colour, *label;
    report_look look; /* a line, one with its points, or bars as wide as their distance */
} report_curve;
void report_plot(buffer *out, const report_axes *axes, const report_curve *curves, size_t count);
/** The page up to its heading; `style` is added to what all reports share. */
void report_begin(buffer *out, const char *title, const char *style);
/** Text with &, <, > and quotes escaped. */
void report_text(buffer *out, const char *text);
/** Learning curves from the log of a run; nothing where there is none. */
mien_status report_learning(buffer *out, const char *model_path, mien_error *error);

#endif
