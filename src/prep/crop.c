/* Region to network input: separable resampling with a triangle whose width grows with the step (Pillow's method), so
 * that a face of 400 pixels is averaged down to 48 rather than picked from. Each source row that is needed is unpacked
 * to planes of floats once, summed along x into a line, and the line added to every output row that it takes part in;
 * memory is one line, whatever the size of the region. */
#include "prep/crop.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { CROP_MAX_SIDE = 1 << 20 };

/* The source positions first..first+count-1 that one output position averages; may lie outside the picture. */
typedef struct crop_taps {
    ptrdiff_t first;
    size_t count;
    const float *weight;
} crop_taps;

typedef struct crop_axis {
    crop_taps *taps;
    float *weights;
} crop_axis;

typedef struct crop_run {
    const mien_image_view *source;
    const prep_crop *crop;
    size_t planes, out_width, out_height;
    crop_axis x, y;
    ptrdiff_t x0, x1; /* source columns that are needed */
    float *row;       /* [planes][x1 - x0] */
    float *line;      /* [planes][out_width] */
} crop_run;

prep_crop prep_crop_default(const mien_image_view *source)
{
    const float unit = 1.0f / 255.0f;
    return (prep_crop){.width = (float)source->width,
                       .height = (float)source->height,
                       .format = MIEN_PIXEL_GREY8,
                       .scale = {unit, unit, unit}};
}

static mien_status crop_axis_init(crop_axis *axis, float start, float length, size_t count, mien_error *error)
{
    double step = (double)length / (double)count, support = step > 1 ? step : 1;
    size_t room = (size_t)ceil(2 * support) + 2; /* taps of one position */
    axis->taps = memory_array(count, sizeof *axis->taps);
    size_t total;
    axis->weights = memory_multiply(count, room, &total) ? memory_array(total, sizeof(float)) : NULL;
    if (!axis->taps || !axis->weights)
        return error_set(error, MIEN_ENOMEM, "out of memory: crop of %zu positions", count);
    for (size_t i = 0; i < count; i++) {
        double centre = (double)start + ((double)i + 0.5) * step - 0.5;
        ptrdiff_t first = (ptrdiff_t)ceil(centre - support), last = (ptrdiff_t)floor(centre + support);
        float *weight = axis->weights + i * room;
        double sum = 0;
        for (ptrdiff_t at = first; at <= last; at++)
            sum += fmax(0, 1 - fabs((double)at - centre) / support);
        for (ptrdiff_t at = first; at <= last; at++)
            weight[at - first] = (float)(fmax(0, 1 - fabs((double)at - centre) / support) / sum);
        axis->taps[i] = (crop_taps){first, (size_t)(last - first + 1), weight};
    }
    return MIEN_OK;
}

/* One pixel as the crop's planes. */
static void crop_load(const crop_run *run, const uint8_t *pixel, float *to, size_t plane_step)
{
    mien_pixel_format from = run->source->format;
    bool grey = from == MIEN_PIXEL_GREY8, from_blue = from == MIEN_PIXEL_BGR8 || from == MIEN_PIXEL_BGRA8;
    float red = pixel[grey || !from_blue ? 0 : 2], green = pixel[grey ? 0 : 1];
    float blue = pixel[grey || from_blue ? 0 : 2];
    if (run->planes == 1) {
        to[0] = grey ? red : 0.299f * red + 0.587f * green + 0.114f * blue;
        return;
    }
    bool to_blue = run->crop->format == MIEN_PIXEL_BGR8;
    to[0] = to_blue ? blue : red;
    to[plane_step] = green;
    to[2 * plane_step] = to_blue ? red : blue;
}

static void crop_unpack_row(const crop_run *run, ptrdiff_t y)
{
    const mien_image_view *source = run->source;
    bool constant = run->crop->outside == PREP_CROP_CONSTANT;
    size_t width = (size_t)(run->x1 - run->x0), pixel = mien_pixel_bytes(source->format);
    bool row_outside = y < 0 || y >= (ptrdiff_t)source->height;
    if (row_outside)
        y = y < 0 ? 0 : (ptrdiff_t)source->height - 1;
    const uint8_t *from = source->data + (size_t)y * source->stride;
    for (size_t i = 0; i < width; i++) {
        ptrdiff_t x = run->x0 + (ptrdiff_t)i;
        bool outside = row_outside || x < 0 || x >= (ptrdiff_t)source->width;
        if (x < 0 || x >= (ptrdiff_t)source->width)
            x = x < 0 ? 0 : (ptrdiff_t)source->width - 1;
        if (outside && constant)
            for (size_t c = 0; c < run->planes; c++)
                run->row[c * width + i] = run->crop->fill;
        else
            crop_load(run, from + (size_t)x * pixel, run->row + i, width);
    }
}

/* The row in `run->row`, resampled along x. */
static void crop_sum_row(const crop_run *run)
{
    size_t width = (size_t)(run->x1 - run->x0);
    for (size_t c = 0; c < run->planes; c++)
        for (size_t i = 0; i < run->out_width; i++) {
            const crop_taps *taps = run->x.taps + i;
            const float *from = run->row + c * width + (size_t)(taps->first - run->x0);
            float sum = 0;
            for (size_t k = 0; k < taps->count; k++)
                sum += taps->weight[k] * from[k];
            run->line[c * run->out_width + i] = sum;
        }
}

static void crop_add_line(const crop_run *run, size_t out_y, float weight, float *nchw)
{
    for (size_t c = 0; c < run->planes; c++) {
        const float *from = run->line + c * run->out_width;
        float *to = nchw + (c * run->out_height + out_y) * run->out_width;
        for (size_t i = 0; i < run->out_width; i++)
            to[i] += weight * from[i];
    }
}

static void crop_rows(crop_run *run, float *nchw)
{
    const crop_taps *last = run->y.taps + run->out_height - 1;
    size_t oldest = 0; /* output rows before it need no more source rows */
    for (ptrdiff_t y = run->y.taps[0].first; y < last->first + (ptrdiff_t)last->count; y++) {
        while (run->y.taps[oldest].first + (ptrdiff_t)run->y.taps[oldest].count <= y)
            oldest++;
        bool loaded = false;
        for (size_t out = oldest; out < run->out_height && run->y.taps[out].first <= y; out++) {
            const crop_taps *taps = run->y.taps + out;
            if (y >= taps->first + (ptrdiff_t)taps->count)
                continue;
            if (!loaded) {
                crop_unpack_row(run, y);
                crop_sum_row(run);
                loaded = true;
            }
            crop_add_line(run, out, taps->weight[y - taps->first], nchw);
        }
    }
}

static void crop_normalise(const crop_run *run, float *nchw)
{
    size_t plane = run->out_width * run->out_height;
    for (size_t c = 0; c < run->planes; c++) {
        float scale = run->crop->scale[c], shift = run->crop->shift[c];
        for (size_t i = 0; i < plane; i++)
            nchw[c * plane + i] = nchw[c * plane + i] * scale + shift;
    }
}

static mien_status crop_check(const mien_image_view *source, const prep_crop *crop, size_t out_width, size_t out_height,
                              const float *nchw, mien_error *error)
{
    if (!source || !crop || !nchw || !source->data || !source->width || !source->height ||
        !mien_pixel_bytes(source->format))
        return error_set(error, MIEN_EINVAL, "crop: the source image is empty or of an unknown format");
    if (!mien_pixel_bytes(crop->format) || mien_pixel_bytes(crop->format) > 3)
        return error_set(error, MIEN_EINVAL, "crop: planes are grey, RGB or BGR, not format %d", (int)crop->format);
    if (!out_width || !out_height || out_width > CROP_MAX_SIDE || out_height > CROP_MAX_SIDE)
        return error_set(error, MIEN_EINVAL, "crop: an output of %zu × %zu cannot be made", out_width, out_height);
    if (!(crop->width > 0 && crop->width <= CROP_MAX_SIDE && crop->height > 0 && crop->height <= CROP_MAX_SIDE &&
          fabsf(crop->x) <= CROP_MAX_SIDE && fabsf(crop->y) <= CROP_MAX_SIDE))
        return error_set(error, MIEN_EINVAL, "crop: the region %g, %g, %g × %g is empty or too large", (double)crop->x,
                         (double)crop->y, (double)crop->width, (double)crop->height);
    return MIEN_OK;
}

mien_status prep_crop_resize(const mien_image_view *source, const prep_crop *crop, size_t out_width, size_t out_height,
                             float *nchw, mien_error *error)
{
    mien_status status = crop_check(source, crop, out_width, out_height, nchw, error);
    if (status)
        return status;
    crop_run run = {.source = source, .crop = crop, .out_width = out_width, .out_height = out_height};
    run.planes = mien_pixel_bytes(crop->format);
    status = crop_axis_init(&run.x, crop->x, crop->width, out_width, error);
    if (!status)
        status = crop_axis_init(&run.y, crop->y, crop->height, out_height, error);
    if (status)
        goto out;
    const crop_taps *last = run.x.taps + out_width - 1;
    run.x0 = run.x.taps[0].first;
    run.x1 = last->first + (ptrdiff_t)last->count;
    run.row = memory_array(run.planes * (size_t)(run.x1 - run.x0), sizeof(float));
    run.line = memory_array(run.planes * out_width, sizeof(float));
    if (!run.row || !run.line) {
        status = error_no_memory(error, run.planes * (size_t)(run.x1 - run.x0) * sizeof(float));
        goto out;
    }
    memset(nchw, 0, run.planes * out_width * out_height * sizeof(float));
    crop_rows(&run, nchw);
    crop_normalise(&run, nchw);
out:
    memory_free(run.x.taps);
    memory_free(run.x.weights);
    memory_free(run.y.taps);
    memory_free(run.y.weights);
    memory_free(run.row);
    memory_free(run.line);
    return status;
}
