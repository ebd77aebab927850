/* The page of a comparison of face detectors: what helps to choose one and its threshold, and to see what it gets
 * wrong.
 */
#include "train/face_report.h"

#include "base/base64.h"
#include "train/report.h"

enum { REPORT_POINTS = 200, REPORT_MOST_CURVES = 16 };

static const char face_report_style[] =
    "body{max-width:84em}td:first-child{overflow-wrap:anywhere;min-width:8em}figure{width:20em}"
    "img{width:100%;height:auto}b.m{background:#f0e442;color:#222}b.f{background:#d55e00;color:#fff}"
    "b.o{background:#009e73;color:#fff}b{padding:0 .3em;font-weight:normal}";

static const char *const curve_colours[] = {"#0072b2", "#d55e00", "#009e73",      "#cc79a7",
                                            "#e69f00", "#56b4e9", "currentColor", "#888888"};

static const char *curve_colour(size_t entry)
{
    return curve_colours[entry % (sizeof curve_colours / sizeof *curve_colours)];
}

static void face_report_figures(buffer *out, const face_figures *f)
{
    buffer_append_format(out, "<td>%.3f<td>%.3f<td>%.3f<td>%.3f", f->recall, f->precision, f->f1, f->average_precision);
}

/* At faces of 32 pixels and more, which is what is asked for first. */
static void face_report_comparison(buffer *out, const face_report_entry *entries, size_t count)
{
    buffer_append_text(out,
                       "<div class=\"c\"><table><tr><th>faces of 32 px and more<th>threshold<th>recall<th>precision"
                       "<th>F1<th>AP @0.4<th>recall<th>precision<th>F1<th>AP @0.5<th>best F1 @0.4<th>at threshold"
                       "<th>ms a picture<th>median</tr>\n");
    for (size_t i = 0; i < count; i++) {
        const face_report_entry *e = &entries[i];
        face_point points[1], best = {0};
        buffer_append_format(out, "<tr><td><span style=\"color:%s\">\u25a0</span> <a href=\"#e%zu\">", curve_colour(i),
                             i);
        report_text(out, e->name);
        buffer_append_format(out, "</a><td>%.2f", (double)e->metrics->threshold);
        for (int overlap = 0; overlap < FACE_OVERLAP_COUNT; overlap++) {
            face_figures f;
            face_metrics_compute(e->metrics, overlap, FACE_SIZE_FROM_32, &f);
            face_report_figures(out, &f);
        }
        face_metrics_curve(e->metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, points, 1, &best);
        double sum = best.recall + best.precision;
        buffer_append_format(out, "<td>%.3f<td>%.2f<td>%.2f<td>%.2f</tr>\n",
                             sum > 0 ? 2 * best.recall * best.precision / sum : 0, (double)best.score, e->mean_ms,
                             e->median_ms);
    }
    buffer_append_text(out, "</table></div>\n");
}

static void face_report_curves(buffer *out, const face_report_entry *entries, size_t count, face_size size)
{
    double x[REPORT_MOST_CURVES][REPORT_POINTS], y[REPORT_MOST_CURVES][REPORT_POINTS];
    report_curve curves[REPORT_MOST_CURVES];
    char title[64];
    size_t shown = count < REPORT_MOST_CURVES ? count : REPORT_MOST_CURVES;
    for (size_t i = 0; i < shown; i++) {
        face_point points[REPORT_POINTS];
        size_t made = face_metrics_curve(entries[i].metrics, FACE_OVERLAP_40, size, points, REPORT_POINTS, NULL);
        for (size_t k = 0; k < made; k++) {
            x[i][k] = points[k].recall;
            y[i][k] = points[k].precision;
        }
        curves[i] =
            (report_curve){x[i], y[i], made, curve_colour(i), "", REPORT_LOOK_LINE}; /* the table is the legend */
    }
    snprintf(title, sizeof title, "Faces of %s px, IoU 0.4", face_size_name(size));
    report_axes axes = {.title = title, .x_label = "recall", .y_label = "precision"};
    report_plot(out, &axes, curves, shown);
}

static void face_report_sizes(buffer *out, const face_metrics *metrics)
{
    buffer_append_text(out, "<div class=\"c\"><table><tr><th>size<th>faces<th>answers<th>recall<th>precision<th>F1"
                            "<th>AP @0.4<th>recall<th>precision<th>F1<th>AP @0.5</tr>\n");
    for (int size = 0; size < FACE_SIZE_COUNT; size++) {
        for (int overlap = 0; overlap < FACE_OVERLAP_COUNT; overlap++) {
            face_figures f;
            face_metrics_compute(metrics, overlap, (face_size)size, &f);
            if (!overlap)
                buffer_append_format(out, "<tr><td>%s<td>%zu<td>%zu", face_size_name((face_size)size), f.truths,
                                     f.answers);
            face_report_figures(out, &f);
        }
        buffer_append_text(out, "</tr>\n");
    }
    buffer_append_text(out, "</table></div>\n");
}

static void face_report_gallery(buffer *out, const face_gallery *gallery)
{
    buffer_append_format(out,
                         "<h3>The %zu pictures with most mistakes</h3>\n<p><b class=\"m\">missed</b> <b "
                         "class=\"f\">false alarm</b> <b class=\"o\">found</b></p><div class=\"w\">\n",
                         gallery->count);
    for (size_t i = 0; i < gallery->count; i++) {
        const struct face_gallery_picture *picture = &gallery->pictures[i];
        buffer_append_text(out, "<figure><img loading=\"lazy\" alt=\"\" src=\"data:image/jpeg;base64,");
        base64_encode(picture->jpeg.data, picture->jpeg.length, out);
        buffer_append_text(out, "\"><figcaption>");
        report_text(out, picture->file);
        buffer_append_format(out, ": %zu missed, %zu false</figcaption></figure>\n", picture->missed, picture->wrong);
    }
    buffer_append_text(out, "</div>\n");
}

mien_status face_report_html(const face_report_entry *entries, size_t count, const char *data, buffer *out,
                             mien_error *error)
{
    report_begin(out, "Face detectors", face_report_style);
    buffer_append_format(out, "<p>%zu pictures of ", count ? entries[0].metrics->pictures : 0);
    report_text(out, data);
    buffer_append_text(out, ". Sizes are the square root of a box's area in pixels of the picture. A second answer on "
                            "one face is wrong; ignored faces count for nothing. Average precision and the curves also "
                            "use answers below the threshold.</p>\n");
    face_report_comparison(out, entries, count);
    buffer_append_text(out, "<div class=\"w\">");
    face_report_curves(out, entries, count, FACE_SIZE_FROM_32);
    face_report_curves(out, entries, count, FACE_SIZE_16);
    buffer_append_text(out, "</div>\n");
    for (size_t i = 0; i < count; i++) {
        buffer_append_format(out, "<h2 id=\"e%zu\">", i);
        report_text(out, entries[i].name);
        buffer_append_text(out, "</h2>\n");
        face_report_sizes(out, entries[i].metrics);
        face_report_gallery(out, entries[i].gallery);
    }
    buffer_append_text(out, "</main></body></html>\n");
    return buffer_status(out, error);
}
