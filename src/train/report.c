/* The page of an evaluation: everything that helps to decide between models and to see what they get wrong. */
#include "train/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"
#include "train/calibrate.h"

enum { REPORT_MISTAKES = 24 };
static const double REPORT_SHADE = 0.7; /* of a whole row: more would leave too little contrast to the number */

static const char report_style[] =
    "body{max-width:80em}.m td{border:1px solid Canvas;min-width:2.6em}.m td:first-child{min-width:0}"
    ".n th:nth-child(-n+2),.n td:nth-child(-n+2){text-align:left;overflow-wrap:anywhere;min-width:9em}"
    ".t{font-size:13px;color:var(--faint);max-width:60em}pre{overflow-x:auto;font-size:12px}"
    "figure{width:8.5em}img{width:96px;height:96px;image-rendering:pixelated}";
static const char report_meaning[] =
    "<p>A label is the expression that a face appears to show, not what a person feels.</p>\n";
static const char report_terms[] =
    "<p class=\"t\">Top-1: share of the pictures whose surest answer is the true class. Interval: of top-1, from "
    "pictures drawn again with replacement. Macro F1 and balanced: means over "
    "the classes that occur, of F1 and of recall. Loss: cross-entropy in nats. Brier: summed over the classes, 0 to 2. "
    "ECE: expected calibration error, 15 bins of equal width, 0 to 1. M: million. ms a picture: on the machine that "
    "measured.</p>\n";

static void report_comparison(buffer *out, const report_entry *entries, size_t count)
{
    buffer_append_text(
        out,
        "<div class=\"c n\"><table><tr><th>model<th>data<th>pictures<th>top-1<th>95 % interval<th>macro F1<th>balanced"
        "<th>loss<th>Brier<th>ECE<th>M parameters<th>M multiply-adds<th>ms a picture</tr>\n");
    for (size_t i = 0; i < count; i++) {
        const evaluation *e = entries[i].result;
        const metrics *m = &e->figures;
        buffer_append_format(out, "<tr><td><a href=\"#e%zu\">", i);
        report_text(out, e->model);
        buffer_append_text(out, "</a><td>");
        report_text(out, e->data);
        buffer_append_text(out, ", ");
        report_text(out, e->split);
        buffer_append_format(out, "<td>%zu<td>%.4f<td>", e->count, m->top1);
        if (e->resampled)
            buffer_append_format(out, "%.4f–%.4f", e->low, e->high);
        else
            buffer_append_text(out, "–");
        buffer_append_format(out, "<td>%.4f<td>%.4f<td>%.4f<td>%.4f<td>%.4f<td>%.2f<td>%.1f<td>%.2f</tr>\n",
                             m->macro_f1, m->balanced, m->loss, m->brier, m->ece, (double)e->parameters / 1e6,
                             (double)e->multiply_adds / 1e6, e->milliseconds);
    }
    buffer_append_text(out, "</table></div>\n");
    buffer_append_text(out, report_terms);
}

/* A share of nothing is no number. */
static void report_share(buffer *out, double share, size_t of)
{
    if (of)
        buffer_append_format(out, "<td>%.4f", share);
    else
        buffer_append_text(out, "<td>–");
}

static void report_classes(buffer *out, const metrics *m)
{
    buffer_append_text(out, "<table><tr><th>class<th>precision<th>recall<th>F1<th>support</tr>\n");
    for (int c = 0; c < DATASET_CLASSES; c++) {
        buffer_append_format(out, "<tr><td>%s", mien_emotion_name((mien_emotion)c));
        report_share(out, m->classes[c].precision, m->classes[c].said);
        report_share(out, m->classes[c].recall, m->classes[c].support);
        report_share(out, m->classes[c].f1, m->classes[c].support);
        buffer_append_format(out, "<td>%zu</tr>\n", m->classes[c].support);
    }
    buffer_append_text(out, "</table>\n");
}

static void report_confusion(buffer *out, const metrics *m)
{
    buffer_append_text(out, "<table class=\"m\"><caption>Confusion matrix: rows are true, columns are said; the shade "
                            "is the share of the row</caption><tr><th>true \\ said");
    for (int c = 0; c < DATASET_CLASSES; c++)
        buffer_append_format(out, "<th>%s", mien_emotion_name((mien_emotion)c));
    for (int c = 0; c < DATASET_CLASSES; c++) {
        buffer_append_format(out, "</tr>\n<tr><td>%s", mien_emotion_name((mien_emotion)c));
        for (int k = 0; k < DATASET_CLASSES; k++) {
            size_t support = m->classes[c].support;
            double share = support ? (double)m->confusion[c][k] / (double)support : 0;
            buffer_append_format(out, "<td style=\"background:rgba(%s,%.2f)\">%zu", c == k ? "0,130,60" : "200,60,0",
                                 REPORT_SHADE * share, m->confusion[c][k]);
        }
    }
    buffer_append_text(out, "</tr></table>\n");
}

static void report_reliability(buffer *out, const evaluation *e)
{
    metrics_bin bins[METRICS_BINS];
    double x[METRICS_BINS], y[METRICS_BINS], middle[METRICS_BINS], share[METRICS_BINS];
    static const double diagonal[] = {0, 1};
    static const report_axes axes = {.title = "Reliability", .x_label = "confidence", .y_label = "share that is right"};
    size_t count = 0;
    metrics_reliability(e->probabilities, e->truth, e->count, bins);
    for (int b = 0; b < METRICS_BINS; b++) {
        middle[b] = (b + 0.5) / METRICS_BINS;
        share[b] = e->count ? (double)bins[b].count / (double)e->count : 0;
    }
    for (int b = 0; b < METRICS_BINS; b++)
        if (bins[b].count) {
            x[count] = bins[b].confidence;
            y[count++] = bins[b].accuracy;
        }
    report_curve curves[] = {{diagonal, diagonal, 2, "var(--faint)", "perfect", REPORT_LOOK_LINE},
                             {x, y, count, "var(--blue)", "this model", REPORT_LOOK_POINTS},
                             {middle, share, METRICS_BINS, "var(--faint)", "share of the pictures", REPORT_LOOK_BARS}};
    report_plot(out, &axes, curves, 3);
}

static mien_status report_risk(buffer *out, const evaluation *e, mien_error *error)
{
    calibrate_point curve[CALIBRATE_POINTS];
    double x[CALIBRATE_POINTS], y[CALIBRATE_POINTS];
    mien_status status = calibrate_curve(e->probabilities, e->truth, e->count, curve, error);
    if (status)
        return status;
    for (int i = 0; i < CALIBRATE_POINTS; i++) {
        x[i] = curve[i].coverage;
        y[i] = curve[i].risk;
    }
    static const report_axes axes = {
        .title = "Risk and coverage", .x_label = "share answered, the surest first", .y_label = "share wrong"};
    report_curve one = {x, y, CALIBRATE_POINTS, "var(--red)", "wrong among the answered", REPORT_LOOK_POINTS};
    report_plot(out, &axes, &one, 1);
    return MIEN_OK;
}

typedef struct report_mistake {
    float confidence;
    size_t index;
} report_mistake;

static int report_compare(const void *a, const void *b)
{
    const report_mistake *x = a, *y = b;
    if (x->confidence != y->confidence)
        return x->confidence < y->confidence ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static mien_status report_picture(buffer *out, const dataset *data, size_t row, mien_error *error)
{
    mien_image_view view = {.data = data->pixels + row * data->height * data->width,
                            .width = data->width,
                            .height = data->height,
                            .stride = data->width,
                            .format = MIEN_PIXEL_GREY8};
    uint8_t *bytes = NULL;
    size_t length = 0;
    mien_status status = mien_image_encode_png(&view, &bytes, &length, error);
    if (status)
        return status;
    buffer_append_text(out, "<img alt=\"\" src=\"data:image/png;base64,");
    base64_encode(bytes, length, out);
    buffer_append_text(out, "\">");
    mien_free(bytes);
    return MIEN_OK;
}

/* A file by its name and folder: the whole path would fill the page. */
static void report_row(buffer *out, const dataset *data, size_t row)
{
    const char *path = data->paths ? data->paths[row] : NULL, *name = path ? path + strlen(path) : NULL;
    if (!path) {
        buffer_append_format(out, "row %zu", row);
        return;
    }
    for (int slashes = 0; name > path && (name[-1] != '/' || ++slashes < 2);)
        name--;
    report_text(out, name);
}

static mien_status report_mistakes(buffer *out, const report_entry *entry, mien_error *error)
{
    const evaluation *e = entry->result;
    report_mistake *list = memory_array(e->count, sizeof(*list));
    size_t count = 0;
    mien_status status = MIEN_OK;
    if (!list)
        return error_no_memory(error, e->count * sizeof(*list));
    for (size_t i = 0; i < e->count; i++) {
        const float *p = e->probabilities + i * DATASET_CLASSES;
        int said = metrics_argmax(p, DATASET_CLASSES);
        if (said != e->truth[i])
            list[count++] = (report_mistake){p[said], i};
    }
    qsort(list, count, sizeof(*list), report_compare);
    buffer_append_text(out,
                       count ? "<h3>The surest mistakes</h3><p>What each was labelled, and how sure the model was of "
                               "another answer.</p><div class=\"w\">\n"
                             : "<h3>No mistakes</h3><div class=\"w\">\n");
    for (size_t k = 0; k < count && k < REPORT_MISTAKES && !status; k++) {
        size_t i = list[k].index;
        const float *p = e->probabilities + i * DATASET_CLASSES;
        buffer_append_text(out, "<figure>");
        status = report_picture(out, entry->data, e->rows[i], error);
        buffer_append_text(out, "<figcaption>");
        report_row(out, entry->data, e->rows[i]);
        buffer_append_format(
            out, ": %s, said %s %.2f</figcaption></figure>\n", mien_emotion_name((mien_emotion)e->truth[i]),
            mien_emotion_name((mien_emotion)metrics_argmax(p, DATASET_CLASSES)), (double)list[k].confidence);
    }
    buffer_append_text(out, "</div>\n");
    memory_free(list);
    return status;
}

static void report_groups(buffer *out, const groups_result *result)
{
    buffer_append_text(out, "<h3>By group</h3><div class=\"c\"><table><tr><th>group<th>pictures<th>top-1<th>macro "
                            "F1<th>balanced<th>loss<th>Brier<th>ECE</tr>\n");
    for (size_t i = 0; i < result->count; i++) {
        buffer_append_text(out, "<tr><td>");
        report_text(out, result->list[i].name);
        buffer_append_format(out, "<td>%zu", result->list[i].figures.count);
        for (int f = 0; f < GROUPS_COMPARED; f++)
            buffer_append_format(out, "<td>%.4f", groups_value(&result->list[i].figures, (groups_compared)f));
    }
    buffer_append_text(out, "</tr>\n<tr><td>gap<td>");
    for (int f = 0; f < GROUPS_COMPARED; f++)
        buffer_append_format(out, "<td>%.4f", result->gaps[f].gap);
    buffer_append_text(out, "</tr>\n<tr><td>p<td>");
    for (int f = 0; f < GROUPS_COMPARED; f++)
        buffer_append_format(out, "<td>%.4f", result->gaps[f].p);
    buffer_append_text(
        out, "</tr></table></div>\n<p>Gap: the largest less the smallest. p: how often chance alone makes a gap "
             "as large, had the groups nothing to do with it.</p>\n");
}

/* The command and every setting, as the model keeps them. */
static void report_training(buffer *out, const evaluation *e)
{
    if (!e->training)
        return;
    buffer_append_text(out, "<details><summary>How it was trained</summary><pre>");
    report_text(out, e->training);
    buffer_append_text(out, "</pre></details>\n");
}

static mien_status report_entry_part(buffer *out, const report_entry *entry, size_t index, mien_error *error)
{
    const evaluation *e = entry->result;
    buffer_append_format(out, "<h2 id=\"e%zu\">", index);
    report_text(out, e->model);
    buffer_append_text(out, " on ");
    report_text(out, e->data);
    buffer_append_text(out, ", ");
    report_text(out, e->split);
    buffer_append_text(out, "</h2>\n<p>");
    report_text(out, e->manner);
    buffer_append_text(out, "</p>\n<div class=\"w\"><div class=\"c\">");
    report_classes(out, &e->figures);
    buffer_append_text(out, "</div><div class=\"c\">");
    report_confusion(out, &e->figures);
    buffer_append_text(out, "</div></div>\n<div class=\"w\">");
    report_reliability(out, e);
    mien_status status = report_risk(out, e, error);
    if (!status)
        status = report_learning(out, e->model, error);
    buffer_append_text(out, "</div>\n");
    report_training(out, e);
    if (entry->groups)
        report_groups(out, entry->groups);
    return status ? status : report_mistakes(out, entry, error);
}

mien_status report_html(const report_entry *entries, size_t count, buffer *out, mien_error *error)
{
    mien_status status = MIEN_OK;
    report_begin(out, "Evaluation", report_style);
    buffer_append_text(out, report_meaning);
    report_comparison(out, entries, count);
    for (size_t i = 0; i < count && !status; i++)
        status = report_entry_part(out, &entries[i], i, error);
    buffer_append_text(out, "</main></body></html>\n");
    return status ? status : buffer_status(out, error);
}
