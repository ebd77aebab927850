/* Decoding per family. Exponents are held to what any picture can need, so that a broken network gives large boxes, not
 * infinite ones; boxes with a coordinate that is not finite are dropped. */
#include "detect/network_decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { RFB_STRIDES = 4, BLAZEFACE_NEAR = 896, BLAZEFACE_FAR = 2304, BLAZEFACE_FAR_SIDE = 192 };

static const float NETWORK_MAX_EXPONENT = 10, RFB_CENTRE_VARIANCE = 0.1f, RFB_SIZE_VARIANCE = 0.2f;

static const char *const style_names[] = {NULL, "mien", "rfb", "rfb-priors", "yunet", "blazeface"};

const char network_style_names[] = "mien, rfb, rfb-priors, yunet, blazeface";

const char *network_style_name(network_style style)
{
    return style > NETWORK_UNKNOWN && style <= NETWORK_BLAZEFACE ? style_names[style] : NULL;
}

network_style network_style_from_name(const char *name)
{
    for (int style = NETWORK_MIEN; name && style <= NETWORK_BLAZEFACE; style++)
        if (!strcmp(name, style_names[style]))
            return (network_style)style;
    return NETWORK_UNKNOWN;
}

/* Is it [N, K, last], or [N, last, …] flattened to the same? */
static bool network_is_table(const nn_shape *shape, int64_t last)
{
    return shape->rank == 3 && shape->dim[2] == last;
}

static size_t network_count_tables(const nn_shape *shapes, size_t count, int64_t last)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += network_is_table(shapes + i, last);
    return found;
}

network_style network_recognise(const nn_shape *shapes, size_t count, bool decodes)
{
    size_t maps = 0;
    for (size_t i = 0; i < count; i++)
        maps += shapes[i].rank == 4 && shapes[i].dim[1] == 5;
    if (count == 3 && maps == 3)
        return NETWORK_MIEN;
    if (count == 2 && network_count_tables(shapes, count, 2) == 1 && network_count_tables(shapes, count, 4) == 1)
        return decodes ? NETWORK_RFB : NETWORK_RFB_PRIORS;
    if (count == 2 && network_count_tables(shapes, count, 1) == 1 && network_count_tables(shapes, count, 16) == 1)
        return NETWORK_BLAZEFACE;
    if ((count == 9 || count == 12) && network_count_tables(shapes, count, 1) == 6 &&
        network_count_tables(shapes, count, 4) == 3)
        return NETWORK_YUNET;
    return NETWORK_UNKNOWN;
}

static float network_sigmoid(float logit)
{
    return 1 / (1 + expf(-logit));
}

static float network_exp(float value)
{
    return expf(value < NETWORK_MAX_EXPONENT ? value : NETWORK_MAX_EXPONENT);
}

static mien_status network_add(network_boxes *boxes, network_box box, mien_error *error)
{
    if (!isfinite(box.left) || !isfinite(box.top) || !isfinite(box.right) || !isfinite(box.bottom) ||
        box.right <= box.left || box.bottom <= box.top)
        return MIEN_OK;
    if (boxes->count == boxes->capacity) {
        size_t capacity = boxes->capacity ? 2 * boxes->capacity : 256;
        network_box *data = memory_resize(boxes->data, capacity, sizeof *data);
        if (!data)
            return error_no_memory(error, capacity * sizeof *data);
        boxes->data = data;
        boxes->capacity = capacity;
    }
    boxes->data[boxes->count++] = box;
    return MIEN_OK;
}

static mien_status network_misfit(const network_output *output, int width, int height, mien_error *error)
{
    return error_set(error, MIEN_EFORMAT, "face network: an output of %lld places does not go with an input of %d × %d",
                     (long long)output->shape.dim[1], width, height);
}

static mien_status network_decode_map(const network_output *output, int width, int height, float min_score,
                                      network_boxes *boxes, mien_error *error)
{
    int64_t rows = output->shape.dim[2], columns = output->shape.dim[3], plane = rows * columns;
    if (output->shape.rank != 4 || output->shape.dim[1] != 5)
        return error_set(error, MIEN_EFORMAT, "face network: an output is not [1,5,H,W]");
    if (!plane || width % columns || height % rows || width / columns != height / rows)
        return network_misfit(output, width, height, error);
    float stride = (float)(width / columns);
    mien_status status = MIEN_OK;
    for (int64_t i = 0; i < plane && !status; i++) {
        const float *cell = output->data + i;
        float score = output->probability ? cell[0] : network_sigmoid(cell[0]);
        if (!(score >= min_score))
            continue;
        float x = ((float)(i % columns) + 0.5f) * stride, y = ((float)(i / columns) + 0.5f) * stride;
        status = network_add(
            boxes,
            (network_box){x - network_exp(cell[plane]) * stride, y - network_exp(cell[2 * plane]) * stride,
                          x + network_exp(cell[3 * plane]) * stride, y + network_exp(cell[4 * plane]) * stride, score},
            error);
    }
    return status;
}

/* The n-th output that is a table of that many columns and, unless `places` is negative, of that many rows. */
static const network_output *network_find(const network_output *outputs, size_t count, int64_t last, int64_t places,
                                          size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (network_is_table(&outputs[i].shape, last) && (places < 0 || outputs[i].shape.dim[1] == places) && !n--)
            return outputs + i;
    return NULL;
}

typedef struct rfb_prior {
    float x, y, width, height; /* centre and size, shares of the input */
} rfb_prior;

/* The priors of one network: three, then two, two and three square sizes a cell, strides 8 … 64. */
typedef struct rfb_grid {
    int columns[RFB_STRIDES], rows[RFB_STRIDES];
    int64_t places;
} rfb_grid;

static const float rfb_sides[RFB_STRIDES][3] = {{10, 16, 24}, {32, 48, 0}, {64, 96, 0}, {128, 192, 256}};
static const int rfb_counts[RFB_STRIDES] = {3, 2, 2, 3};

static rfb_grid rfb_make_grid(int width, int height)
{
    rfb_grid grid = {.places = 0};
    for (int s = 0; s < RFB_STRIDES; s++) {
        int stride = 8 << s;
        grid.columns[s] = (width + stride - 1) / stride;
        grid.rows[s] = (height + stride - 1) / stride;
        grid.places += (int64_t)grid.columns[s] * grid.rows[s] * rfb_counts[s];
    }
    return grid;
}

static rfb_prior rfb_prior_at(const rfb_grid *grid, int64_t place, int width, int height)
{
    for (int s = 0; s < RFB_STRIDES; s++) {
        int64_t here = (int64_t)grid->columns[s] * grid->rows[s] * rfb_counts[s];
        if (place >= here) {
            place -= here;
            continue;
        }
        int64_t cell = place / rfb_counts[s];
        float side = rfb_sides[s][place % rfb_counts[s]];
        return (rfb_prior){((float)(cell % grid->columns[s]) + 0.5f) / (float)grid->columns[s],
                           ((float)(cell / grid->columns[s]) + 0.5f) / (float)grid->rows[s], side / (float)width,
                           side / (float)height};
    }
    return (rfb_prior){0, 0, 0, 0};
}

static network_box rfb_from_prior(const rfb_prior *prior, const float offset[4], float score)
{
    float x = prior->x + offset[0] * RFB_CENTRE_VARIANCE * prior->width;
    float y = prior->y + offset[1] * RFB_CENTRE_VARIANCE * prior->height;
    float half_width = 0.5f * prior->width * network_exp(offset[2] * RFB_SIZE_VARIANCE);
    float half_height = 0.5f * prior->height * network_exp(offset[3] * RFB_SIZE_VARIANCE);
    return (network_box){x - half_width, y - half_height, x + half_width, y + half_height, score};
}

static mien_status network_decode_rfb(bool priors, const network_output *outputs, size_t count, int width, int height,
                                      float min_score, network_boxes *boxes, mien_error *error)
{
    const network_output *scores = network_find(outputs, count, 2, -1, 0);
    const network_output *places = scores ? network_find(outputs, count, 4, scores->shape.dim[1], 0) : NULL;
    rfb_grid grid = rfb_make_grid(width, height);
    if (!places || (priors && grid.places != places->shape.dim[1]))
        return network_misfit(outputs, width, height, error);
    mien_status status = MIEN_OK;
    for (int64_t i = 0; i < scores->shape.dim[1] && !status; i++) {
        const float *pair = scores->data + 2 * i, *side = places->data + 4 * i;
        float score = scores->probability ? pair[1] : network_sigmoid(pair[1] - pair[0]);
        if (!(score >= min_score))
            continue;
        network_box box = {side[0], side[1], side[2], side[3], score};
        if (priors) {
            rfb_prior prior = rfb_prior_at(&grid, i, width, height);
            box = rfb_from_prior(&prior, side, score);
        }
        box.left *= (float)width;
        box.right *= (float)width;
        box.top *= (float)height;
        box.bottom *= (float)height;
        status = network_add(boxes, box, error);
    }
    return status;
}

static float network_clamp(float value)
{
    return value > 0 ? value < 1 ? value : 1 : 0;
}

static mien_status network_decode_yunet_stride(const network_output *outputs, size_t count, int stride, int width,
                                               int height, float min_score, network_boxes *boxes, mien_error *error)
{
    int columns = width / stride, rows = height / stride;
    int64_t places = (int64_t)columns * rows;
    const network_output *first = network_find(outputs, count, 1, places, 0);
    const network_output *second = network_find(outputs, count, 1, places, 1);
    const network_output *sides = network_find(outputs, count, 4, places, 0);
    if (!first || !second || !sides)
        return network_misfit(outputs, width, height, error);
    mien_status status = MIEN_OK;
    for (int64_t i = 0; i < places && !status; i++) {
        float score = sqrtf(network_clamp(first->data[i]) * network_clamp(second->data[i]));
        if (!(score >= min_score))
            continue;
        const float *side = sides->data + 4 * i;
        float x = ((float)(i % columns) + side[0]) * (float)stride,
              y = ((float)(i / columns) + side[1]) * (float)stride;
        float half_width = 0.5f * network_exp(side[2]) * (float)stride;
        float half_height = 0.5f * network_exp(side[3]) * (float)stride;
        status = network_add(
            boxes, (network_box){x - half_width, y - half_height, x + half_width, y + half_height, score}, error);
    }
    return status;
}

/* Short range: two places in each cell of a 16 × 16 grid, then six in each of an 8 × 8 grid; full range: one in each of
 * 48 × 48. Every anchor has the size of the input, so a place is only its cell's centre. */
static void blazeface_centre(int64_t place, bool far, float *x, float *y)
{
    bool fine = place < 512;
    int64_t cell = far ? place : fine ? place / 2 : (place - 512) / 6, side = far ? 48 : fine ? 16 : 8;
    *x = ((float)(cell % side) + 0.5f) / (float)side;
    *y = ((float)(cell / side) + 0.5f) / (float)side;
}

static bool blazeface_fits(int64_t places, int width, int height)
{
    if (places == BLAZEFACE_FAR)
        return width == BLAZEFACE_FAR_SIDE && height == BLAZEFACE_FAR_SIDE;
    return places == BLAZEFACE_NEAR && width == height && (width == 128 || width == 256);
}

static mien_status network_decode_blazeface(const network_output *outputs, size_t count, int width, int height,
                                            float min_score, network_boxes *boxes, mien_error *error)
{
    const network_output *sides = network_find(outputs, count, 16, -1, 0);
    const network_output *scores = sides ? network_find(outputs, count, 1, sides->shape.dim[1], 0) : NULL;
    if (!scores || !blazeface_fits(sides->shape.dim[1], width, height))
        return network_misfit(outputs, width, height, error);
    mien_status status = MIEN_OK;
    for (int64_t i = 0; i < sides->shape.dim[1] && !status; i++) {
        float score = scores->probability ? scores->data[i] : network_sigmoid(scores->data[i]), x, y;
        if (!(score >= min_score))
            continue;
        const float *side = sides->data + 16 * i;
        blazeface_centre(i, sides->shape.dim[1] == BLAZEFACE_FAR, &x, &y);
        x = x * (float)width + side[0];
        y = y * (float)height + side[1];
        status = network_add(
            boxes, (network_box){x - side[2] / 2, y - side[3] / 2, x + side[2] / 2, y + side[3] / 2, score}, error);
    }
    return status;
}

mien_status network_decode(network_style style, const network_output *outputs, size_t count, int width, int height,
                           float min_score, network_boxes *boxes, mien_error *error)
{
    mien_status status = MIEN_OK;
    switch (style) {
    case NETWORK_MIEN:
        for (size_t i = 0; i < count && !status; i++)
            status = network_decode_map(outputs + i, width, height, min_score, boxes, error);
        return status;
    case NETWORK_RFB:
    case NETWORK_RFB_PRIORS:
        return network_decode_rfb(style == NETWORK_RFB_PRIORS, outputs, count, width, height, min_score, boxes, error);
    case NETWORK_YUNET:
        for (int stride = 8; stride <= 32 && !status; stride *= 2)
            status = network_decode_yunet_stride(outputs, count, stride, width, height, min_score, boxes, error);
        return status;
    case NETWORK_BLAZEFACE:
        return network_decode_blazeface(outputs, count, width, height, min_score, boxes, error);
    default:
        return error_set(error, MIEN_EUNSUPPORTED, "face network: the form of its outputs is not known");
    }
}

static int network_by_score(const void *a, const void *b)
{
    const network_box *first = a, *second = b;
    const float *left = &first->left, *right = &second->left;
    if (first->score != second->score)
        return first->score > second->score ? -1 : 1;
    for (int i = 0; i < 4; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

static float network_overlap(const network_box *a, const network_box *b)
{
    float width = fminf(a->right, b->right) - fmaxf(a->left, b->left);
    float height = fminf(a->bottom, b->bottom) - fmaxf(a->top, b->top);
    if (width <= 0 || height <= 0)
        return 0;
    float both = width * height;
    return both / ((a->right - a->left) * (a->bottom - a->top) + (b->right - b->left) * (b->bottom - b->top) - both);
}

void network_suppress(network_boxes *boxes, float overlap)
{
    if (boxes->count)
        qsort(boxes->data, boxes->count, sizeof *boxes->data, network_by_score);
    size_t kept = 0;
    for (size_t i = 0; i < boxes->count; i++) {
        bool keep = true;
        for (size_t k = 0; k < kept && keep; k++)
            keep = !(network_overlap(boxes->data + k, boxes->data + i) > overlap);
        if (keep)
            boxes->data[kept++] = boxes->data[i];
    }
    boxes->count = kept;
}

void network_boxes_done(network_boxes *boxes)
{
    if (!boxes)
        return;
    memory_free(boxes->data);
    memset(boxes, 0, sizeof *boxes);
}
