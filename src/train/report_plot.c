/* The drawings of a report: plain SVG inside the page, so that one file is everything and no script is needed. */
#include "train/report.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

enum { PLOT_SIDE = 260, PLOT_MARGIN = 40, PLOT_LINE = 14, PLOT_LOG_MOST = 64 << 20, PLOT_PATH = 4096 };

/* Follows the reader's choice of light or dark; what is wider than a telephone scrolls by itself, not the page. */
static const char plot_style[] =
    ":root{color-scheme:light dark;--line:#ddd;--blue:#06c;--red:#c30;--faint:#767676}"
    "@media(prefers-color-scheme:dark){:root{--line:#3d4249;--blue:#63aaff;--red:#ff7a4d;--faint:#9aa0a8}"
    "body{background:#15181c;color:#e4e6e9}a{color:#63aaff}}"
    "@media(prefers-color-scheme:light){body{background:#fff;color:#222}}"
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;padding:0 1em;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}th,td{padding:.25em "
    ".5em;text-align:right;border-bottom:1px solid var(--line);overflow-wrap:normal}"
    "th:first-child,td:first-child{text-align:left}.c{overflow-x:auto}"
    ".w{display:flex;flex-wrap:wrap;gap:1em}.w>*{max-width:100%}figure{margin:0;font-size:12px}svg{height:auto;align-"
    "self:flex-start}";

void report_begin(buffer *out, const char *title, const char *style)
{
    buffer_append_format(out,
                         "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                         "content=\"width=device-width, initial-scale=1\"><title>mien: %s</title><style>%s%s</style>"
                         "</head><body><main><h1>%s</h1>\n",
                         title, plot_style, style, title);
}

void report_text(buffer *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            buffer_append_text(out, "&amp;");
            break;
        case '<':
            buffer_append_text(out, "&lt;");
            break;
        case '>':
            buffer_append_text(out, "&gt;");
            break;
        case '"':
            buffer_append_text(out, "&quot;");
            break;
        default:
            buffer_append_byte(out, (uint8_t)*text);
        }
}

/* Shares of the side to places in the drawing. */
static double plot_x(double x)
{
    return PLOT_MARGIN + x * PLOT_SIDE;
}

static double plot_y(double y)
{
    return PLOT_MARGIN + (1 - y) * PLOT_SIDE;
}

static double plot_most(double most)
{
    return most > 0 ? most : 1;
}

static void plot_axes(buffer *out, const report_axes *axes, size_t names)
{
    int whole = PLOT_SIDE + 2 * PLOT_MARGIN;
    buffer_append_format(out, "<svg width=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", whole, whole,
                         whole + PLOT_LINE * (int)names);
    report_text(out, axes->title);
    buffer_append_text(out, "\"><g font-size=\"11\" fill=\"currentColor\">");
    buffer_append_format(out, "<text x=\"%d\" y=\"18\" font-weight=\"bold\">", PLOT_MARGIN);
    report_text(out, axes->title);
    buffer_append_format(out, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", whole / 2, whole - 6);
    report_text(out, axes->x_label);
    buffer_append_format(out, "</text><text x=\"12\" y=\"%d\" text-anchor=\"middle\" transform=\"rotate(-90 12 %d)\">",
                         whole / 2, whole / 2);
    report_text(out, axes->y_label);
    buffer_append_text(out, "</text>");
    for (int i = 0; i <= 5; i++) {
        double at = i / 5.0;
        buffer_append_format(out,
                             "<path d=\"M%g %g V%g M%g %g H%g\" stroke=\"var(--line)\"/><text x=\"%g\" y=\"%g\" "
                             "text-anchor=\"middle\">%g</text><text x=\"%g\" y=\"%g\" text-anchor=\"end\">%g</text>",
                             plot_x(at), plot_y(0), plot_y(1), plot_x(0), plot_y(at), plot_x(1), plot_x(at),
                             plot_y(0) + 14, at * plot_most(axes->x_most), plot_x(0) - 4, plot_y(at) + 4,
                             at * plot_most(axes->y_most));
    }
    buffer_append_text(out, "</g>");
}

static void plot_bars(buffer *out, const report_curve *curve, double x_scale, double y_scale)
{
    double width = curve->count > 1 ? (curve->x[1] - curve->x[0]) * x_scale : 1;
    for (size_t i = 0; i < curve->count; i++)
        buffer_append_format(out,
                             "<rect fill=\"%s\" opacity=\".35\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                             "height=\"%.1f\"/>",
                             curve->colour, plot_x(curve->x[i] * x_scale - width / 2) + 0.5,
                             plot_y(curve->y[i] * y_scale), width * PLOT_SIDE - 1,
                             plot_y(0) - plot_y(curve->y[i] * y_scale));
}

static void plot_line(buffer *out, const report_curve *curve, double x_scale, double y_scale)
{
    buffer_append_format(out, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"", curve->colour);
    for (size_t i = 0; i < curve->count; i++)
        buffer_append_format(out, "%.1f,%.1f ", plot_x(curve->x[i] * x_scale), plot_y(curve->y[i] * y_scale));
    buffer_append_text(out, "\"/>");
    for (size_t i = 0; curve->look == REPORT_LOOK_POINTS && i < curve->count; i++)
        buffer_append_format(out, "<circle r=\"3\" fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\"/>", curve->colour,
                             plot_x(curve->x[i] * x_scale), plot_y(curve->y[i] * y_scale));
}

void report_plot(buffer *out, const report_axes *axes, const report_curve *curves, size_t count)
{
    static const char *const marks[] = {"—", "–•–", "▮"};
    plot_axes(out, axes, count);
    for (size_t c = 0; c < count; c++) {
        const report_curve *curve = &curves[c];
        (curve->look == REPORT_LOOK_BARS ? plot_bars : plot_line)(out, curve, 1 / plot_most(axes->x_most),
                                                                  1 / plot_most(axes->y_most));
        /* below the axes, where no curve can run through it */
        buffer_append_format(out, "<text font-size=\"11\" x=\"%d\" y=\"%d\" fill=\"%s\">%s ", PLOT_MARGIN,
                             PLOT_SIDE + 2 * PLOT_MARGIN + PLOT_LINE * (int)c + PLOT_LINE / 2, curve->colour,
                             marks[curve->look]);
        report_text(out, curve->label);
        buffer_append_text(out, "</text>");
    }
    buffer_append_text(out, "</svg>\n");
}

typedef struct learning_curves {
    double *epoch, *training, *validation, *training_loss, *validation_loss;
    size_t count;
} learning_curves;

static void learning_read_line(const char *line, size_t length, learning_curves *curves)
{
    json_t *row = json_loadb(line, length, 0, NULL);
    json_t *validation = json_object_get(row, "validation");
    if (validation) {
        curves->epoch[curves->count] = json_number_value(json_object_get(row, "epoch"));
        curves->training[curves->count] = json_number_value(json_object_get(row, "top1"));
        curves->training_loss[curves->count] = json_number_value(json_object_get(row, "loss"));
        curves->validation_loss[curves->count] = json_number_value(json_object_get(validation, "loss"));
        curves->validation[curves->count++] = json_number_value(json_object_get(validation, "top1"));
    }
    json_decref(row);
}

/* The end of an axis whose fifths are numbers that one likes to read. */
static double learning_round_up(double most)
{
    static const double ends[] = {1, 2, 2.5, 5, 10};
    double unit = pow(10, floor(log10(fmax(most, 1e-3))));
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (most <= ends[i] * unit)
            return ends[i] * unit;
    return 10 * unit;
}

static void learning_read(const buffer *log, learning_curves *curves)
{
    const char *text = buffer_text(log);
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        learning_read_line(at, length, curves);
        at += length + (at[length] == '\n');
    }
}

/* The loss in training is that which was minimised: mixed, smoothed and taught as the settings say. */
static void learning_draw(buffer *out, const learning_curves *l)
{
    if (!l->count)
        return;
    report_look look =
        l->count < 10 ? REPORT_LOOK_POINTS : REPORT_LOOK_LINE; /* the line of a single epoch would not be seen */
    double last = l->epoch[l->count - 1], most = 0;
    for (size_t i = 0; i < l->count; i++)
        most = fmax(most, fmax(l->training_loss[i], l->validation_loss[i]));
    report_axes axes = {
        .title = "Learning curves", .x_label = "epoch", .y_label = "top-1", .x_most = 5 * ceil(last / 5)};
    report_curve shares[] = {{l->epoch, l->training, l->count, "var(--faint)", "training (augmented)", look},
                             {l->epoch, l->validation, l->count, "var(--blue)", "validation", look}};
    report_plot(out, &axes, shares, 2);
    axes.title = "Loss";
    axes.y_label = "cross-entropy, nats";
    axes.y_most = learning_round_up(most);
    report_curve losses[] = {{l->epoch, l->training_loss, l->count, "var(--faint)", "training (as minimised)", look},
                             {l->epoch, l->validation_loss, l->count, "var(--blue)", "validation", look}};
    report_plot(out, &axes, losses, 2);
}

mien_status report_learning(buffer *out, const char *model_path, mien_error *error)
{
    char path[PLOT_PATH];
    const char *slash = strrchr(model_path, '/');
    int folder = slash ? (int)(slash + 1 - model_path) : 0;
    buffer log = {0};
    if (snprintf(path, sizeof(path), "%.*slog.jsonl", folder, model_path) >= (int)sizeof(path) ||
        file_read(path, PLOT_LOG_MOST, &log, NULL)) {
        buffer_done(&log);
        return MIEN_OK;
    }
    size_t lines = 1;
    for (size_t i = 0; i < log.length; i++)
        lines += log.data[i] == '\n';
    double *numbers = memory_zeroed(5 * lines, sizeof(double));
    if (numbers) {
        learning_curves curves = {
            numbers, numbers + lines, numbers + 2 * lines, numbers + 3 * lines, numbers + 4 * lines, 0};
        learning_read(&log, &curves);
        learning_draw(out, &curves);
    }
    memory_free(numbers);
    buffer_done(&log);
    return numbers ? MIEN_OK : error_no_memory(error, 5 * lines * sizeof(double));
}
