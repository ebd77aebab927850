/* Filters over boxes. The overlap measures differ: neo asks how much of the box it kept is covered, and counts pixels
 * at both ends (a box of width w spans w + 1); history-api and face networks use intersection over union. */
#include "detect/filter.h"

#include <stdlib.h>

#include "base/error.h"

static const float FILTER_HISTORY_OVERLAP = 0.3f;

const filter_padding FILTER_PADDING_HISTORY = {.left = 0.18f, .right = 0.12f, .top = 0.18f, .bottom = 0.15f};

void filter_default_options(filter_options *options)
{
    *options = (filter_options){.min_aspect = 0.6f,
                                .max_aspect = 1.4f,
                                .min_side = 30,
                                .max_side = 300,
                                .min_variance = 100,
                                .overlap = 0.3f,
                                .most = 3};
}

static int64_t filter_shared(int32_t a, int32_t a_length, int32_t b, int32_t b_length)
{
    int64_t begin = a > b ? a : b, a_end = (int64_t)a + a_length, b_end = (int64_t)b + b_length;
    return (a_end < b_end ? a_end : b_end) - begin;
}

float filter_overlap(const mien_rect *a, const mien_rect *b)
{
    int64_t width = filter_shared(a->x, a->width, b->x, b->width);
    int64_t height = filter_shared(a->y, a->height, b->y, b->height);
    if (width <= 0 || height <= 0)
        return 0;
    double both = (double)width * (double)height;
    double all = (double)a->width * a->height + (double)b->width * b->height - both;
    return (float)(both / all);
}

/* How much of `kept` the other one covers, counting the pixels at both ends. */
static double filter_covered(const mien_rect *kept, const mien_rect *other)
{
    int64_t width = filter_shared(kept->x, kept->width, other->x, other->width) + 1;
    int64_t height = filter_shared(kept->y, kept->height, other->y, other->height) + 1;
    if (width <= 0 || height <= 0)
        return 0;
    return (double)width * (double)height / (((double)kept->width + 1) * ((double)kept->height + 1));
}

static double filter_variance(const mien_image_view *grey, const mien_rect *box)
{
    uint64_t sum = 0, squares = 0;
    for (int32_t y = 0; y < box->height; y++) {
        const uint8_t *row = grey->data + (size_t)(box->y + y) * grey->stride + (size_t)box->x;
        uint64_t line = 0, line_squares = 0;
        for (int32_t x = 0; x < box->width; x++) {
            line += row[x];
            line_squares += (uint32_t)row[x] * row[x];
        }
        sum += line;
        squares += line_squares;
    }
    double count = (double)box->width * box->height, mean = (double)sum / count;
    return (double)squares / count - mean * mean;
}

static int filter_is_inside(const mien_image_view *grey, const mien_rect *box)
{
    return box->x >= 0 && box->y >= 0 && box->width > 0 && box->height > 0 &&
           (size_t)box->x + (size_t)box->width <= grey->width && (size_t)box->y + (size_t)box->height <= grey->height;
}

static int filter_passes(const mien_image_view *grey, const filter_options *options, const mien_rect *box)
{
    if (!filter_is_inside(grey, box) || box->width < options->min_side || box->height < options->min_side)
        return 0;
    if (options->max_side && (box->width > options->max_side || box->height > options->max_side))
        return 0;
    float aspect = (float)box->width / (float)box->height;
    return aspect >= options->min_aspect && aspect <= options->max_aspect &&
           filter_variance(grey, box) >= options->min_variance;
}

void filter_false_positives(const mien_image_view *grey, const filter_options *options, detect_faces *faces)
{
    size_t kept = 0;
    for (size_t i = 0; i < faces->count && (!options->most || kept < options->most); i++) {
        int keep = filter_passes(grey, options, &faces->data[i].box);
        for (size_t k = 0; k < kept && keep; k++)
            keep = !(filter_covered(&faces->data[k].box, &faces->data[i].box) > options->overlap);
        if (keep)
            faces->data[kept++] = faces->data[i];
    }
    faces->count = kept;
}

mien_status filter_neo(const mien_image_view *grey, detect_faces *faces, mien_error *error)
{
    if (grey->format != MIEN_PIXEL_GREY8)
        return error_set(error, MIEN_EINVAL, "filter: the picture is not grey");
    filter_options options;
    filter_default_options(&options);
    filter_false_positives(grey, &options, faces);
    return MIEN_OK;
}

static void filter_suppress(detect_faces *faces, float overlap)
{
    size_t kept = 0;
    for (size_t i = 0; i < faces->count; i++) {
        int keep = 1;
        for (size_t k = 0; k < kept && keep; k++)
            keep = !(filter_overlap(&faces->data[k].box, &faces->data[i].box) > overlap);
        if (keep)
            faces->data[kept++] = faces->data[i];
    }
    faces->count = kept;
}

void filter_suppress_by_bottom(detect_faces *faces, float overlap)
{
    /* Insertion keeps equals in order, the later one first; a cascade leaves few boxes. */
    for (size_t i = 1; i < faces->count; i++) {
        detect_face face = faces->data[i];
        size_t at = i;
        for (; at && faces->data[at - 1].box.y + faces->data[at - 1].box.height <= face.box.y + face.box.height; at--)
            faces->data[at] = faces->data[at - 1];
        faces->data[at] = face;
    }
    filter_suppress(faces, overlap);
}

static int filter_by_score(const void *a, const void *b)
{
    const detect_face *first = a, *second = b;
    if (first->score != second->score)
        return first->score > second->score ? -1 : 1;
    if (first->box.y != second->box.y)
        return first->box.y < second->box.y ? -1 : 1;
    if (first->box.x != second->box.x)
        return first->box.x < second->box.x ? -1 : 1;
    if (first->box.width != second->box.width)
        return first->box.width < second->box.width ? -1 : 1;
    return (first->box.height > second->box.height) - (first->box.height < second->box.height);
}

void filter_suppress_by_score(detect_faces *faces, float overlap)
{
    if (faces->count)
        qsort(faces->data, faces->count, sizeof *faces->data, filter_by_score);
    filter_suppress(faces, overlap);
}

static int32_t filter_share(int32_t side, float share)
{
    return (int32_t)((double)side * (double)share + 1e-6); /* .12f × 100 is 12, though .12f is a little less than .12 */
}

mien_rect filter_pad(const mien_rect *box, const filter_padding *padding, size_t width, size_t height)
{
    int32_t left = filter_share(box->width, padding->left), top = filter_share(box->height, padding->top);
    int32_t x = box->x > left ? box->x - left : 0, y = box->y > top ? box->y - top : 0;
    int64_t wide = (int64_t)box->width + left + filter_share(box->width, padding->right);
    int64_t high = (int64_t)box->height + top + filter_share(box->height, padding->bottom);
    int64_t most_wide = (int64_t)width - x, most_high = (int64_t)height - y;
    return (mien_rect){x, y, (int32_t)(wide < most_wide ? wide : most_wide),
                       (int32_t)(high < most_high ? high : most_high)};
}

mien_status filter_history(detect_faces *faces, int32_t width, int32_t height, mien_error *error)
{
    if (width < 1 || height < 1)
        return error_set(error, MIEN_EINVAL, "filter: a picture of %d × %d pixels", (int)width, (int)height);
    filter_suppress_by_bottom(faces, FILTER_HISTORY_OVERLAP);
    for (size_t i = 0; i < faces->count; i++)
        faces->data[i].box = filter_pad(&faces->data[i].box, &FILTER_PADDING_HISTORY, (size_t)width, (size_t)height);
    return MIEN_OK;
}
