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
 *  risk/coverage curves, learning curves (where a log.jsonl stands beside the model) and its surest mistakes as
 * pictures. */
mien_status report_html(const report_entry *entries, size_t count, buffer *out, mien_error *error);

/** A curve or several in one square plot, as SVG; `x` and `y` in 0..1. Used by the report's parts. */
typedef struct report_curve {
    const double *x, *y;
    size_t count;
    const char *colour, *label;
    bool points;
} report_curve;
void report_plot(buffer *out, const char *title, const char *x_label, const char *y_label, const report_curve *curves,
                 size_t count);
/** Text with &, <, > and quotes escaped. */
/** The page up to its heading; `style` is added to what all reports share. */
void report_begin(buffer *out, const char *title, const char *style);
void report_text(buffer *out, const char *text);
/** Learning curves from the log of a run; nothing where there is none. */
mien_status report_learning(buffer *out, const char *model_path, mien_error *error);

#endif
