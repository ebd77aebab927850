/* A face network as a detector. The picture is shrunk so far that the smallest face wanted is as small as the network
 * can see, and the network looks at that in tiles that overlap; faces too large for a tile are found in the picture
 * shrunk by half again, and so on until the whole picture is one tile. All boxes meet in one suppression.
 *
 * Networks of a fixed input have one plan; those of any size (multiples of 32) get one for each size that a scratch
 * meets, the last few of which it keeps.
 */
#include "detect/network.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/convert.h"
#include "nn/plan.h"
#include "prep/prep.h"

enum {
    NETWORK_PLANS = 6,
    NETWORK_STEP = 32,         /* sizes are multiples */
    NETWORK_MOST_SIDE = 1024,  /* of a tile of a network of any size */
    NETWORK_MOST_TILES = 256,  /* of one level, about */
    NETWORK_LEAST_FACE = 10,   /* pixels of the input below which the known networks see nothing */
    NETWORK_MOST_BOXES = 20000 /* before suppression */
};

/* A face of up to this share of a tile's shorter side lies within one tile. */
static const double NETWORK_TILE_OVERLAP = 0.25;

typedef struct network_engine {
    int width, height, threads;
    uint64_t used; /* when, counted in searches */
    nn_plan *plan;
    nn_session *session;
} network_engine;

typedef struct network_scratch {
    detect_scratch base;
    network_engine engines[NETWORK_PLANS];
    uint64_t searches;
    mien_image small; /* the tile in the picture's own format */
    size_t small_bytes;
    network_boxes boxes, tile;
} network_scratch;

/* A rectangle of the picture and the size it is seen at. */
typedef struct network_view {
    double x, y, width, height;     /* picture pixels */
    size_t seen_width, seen_height; /* input pixels, at its top left corner */
} network_view;

static void network_engine_done(network_engine *engine)
{
    nn_session_destroy(&engine->session);
    nn_plan_destroy(&engine->plan);
    memset(engine, 0, sizeof *engine);
}

static mien_status network_engine_init(const network_detector *detector, int width, int height, int threads,
                                       network_engine *engine, mien_error *error)
{
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.threads = threads;
    if (!detector->width) {
        options.width = width;
        options.height = height;
    }
    *engine = (network_engine){.width = width, .height = height, .threads = threads};
    mien_status status = nn_plan_create(&detector->model.graph, &options, &engine->plan, error);
    if (!status)
        status = nn_session_create(engine->plan, &engine->session, error);
    if (status)
        network_engine_done(engine);
    return status;
}

/* The engine for that size: one that is there, or a new one in place of the one not used for longest. */
static mien_status network_engine_for(const network_detector *detector, network_scratch *scratch, int width, int height,
                                      int threads, network_engine **found, mien_error *error)
{
    network_engine *oldest = scratch->engines;
    for (network_engine *e = scratch->engines; e < scratch->engines + NETWORK_PLANS; e++) {
        if (e->session && e->width == width && e->height == height && e->threads == threads) {
            e->used = scratch->searches;
            *found = e;
            return MIEN_OK;
        }
        if (e->used < oldest->used)
            oldest = e;
    }
    network_engine_done(oldest);
    mien_status status = network_engine_init(detector, width, height, threads, oldest, error);
    oldest->used = status ? 0 : scratch->searches;
    *found = oldest;
    return status;
}

/* Where red, green and blue stand in a pixel. */
static void network_channel_order(mien_pixel_format format, size_t order[NETWORK_CHANNELS])
{
    bool grey = format == MIEN_PIXEL_GREY8, blue_first = format == MIEN_PIXEL_BGR8 || format == MIEN_PIXEL_BGRA8;
    for (size_t c = 0; c < NETWORK_CHANNELS; c++)
        order[c] = grey ? 0 : blue_first ? NETWORK_CHANNELS - 1 - c : c;
}

/* Pixels into planes; what the tile does not cover is the mean, which the network knows as nothing. */
static void network_fill(const network_detector *detector, const mien_image_view *tile, int width, int height,
                         float *planes)
{
    size_t bytes = mien_pixel_bytes(tile->format), order[NETWORK_CHANNELS], area = (size_t)width * (size_t)height;
    const model_input *input = &detector->input;
    network_channel_order(tile->format, order);
    memset(planes, 0, area * NETWORK_CHANNELS * sizeof *planes);
    for (size_t c = 0; c < NETWORK_CHANNELS; c++) {
        size_t from = order[input->pixels == MODEL_PIXELS_BGR ? NETWORK_CHANNELS - 1 - c : c];
        float scale = input->scale / input->std[c], shift = -input->mean[c] / input->std[c];
        for (size_t y = 0; y < tile->height; y++) {
            const uint8_t *row = tile->data + y * tile->stride + from;
            float *to = planes + c * area + y * (size_t)width;
            for (size_t x = 0; x < tile->width; x++)
                to[x] = (float)row[x * bytes] * scale + shift;
        }
    }
}

/* The part of the picture at the size it is to be seen; no copy where that is its own. */
static mien_status network_shrink(network_scratch *scratch, const mien_image_view *picture, const network_view *view,
                                  mien_image_view *tile, mien_error *error)
{
    mien_image_view part =
        image_crop(picture, (int64_t)view->x, (int64_t)view->y, (int64_t)view->width, (int64_t)view->height);
    if (part.width == view->seen_width && part.height == view->seen_height) {
        *tile = part;
        return MIEN_OK;
    }
    size_t stride = view->seen_width * mien_pixel_bytes(picture->format), needed = stride * view->seen_height;
    if (needed > scratch->small_bytes) {
        mien_image_done(&scratch->small);
        scratch->small_bytes = 0;
        mien_status status =
            mien_image_init(&scratch->small, view->seen_width, view->seen_height, picture->format, error);
        if (status)
            return status;
        scratch->small_bytes = scratch->small.stride * view->seen_height;
    }
    mien_image target = {scratch->small.data, view->seen_width, view->seen_height, stride, picture->format};
    mien_status status = prep_resize_linear(&part, &target, error);
    if (!status)
        *tile = mien_image_as_view(&target);
    return status;
}

static mien_status network_take_boxes(network_scratch *scratch, const network_view *view, mien_error *error)
{
    double scale_x = view->width / (double)view->seen_width, scale_y = view->height / (double)view->seen_height;
    network_boxes *all = &scratch->boxes;
    for (size_t i = 0; i < scratch->tile.count; i++) {
        network_box box = scratch->tile.data[i];
        box.left = (float)(view->x + box.left * scale_x);
        box.right = (float)(view->x + box.right * scale_x);
        box.top = (float)(view->y + box.top * scale_y);
        box.bottom = (float)(view->y + box.bottom * scale_y);
        if (all->count >= NETWORK_MOST_BOXES)
            return MIEN_OK;
        if (all->count == all->capacity) {
            size_t capacity = all->capacity ? 2 * all->capacity : 64;
            network_box *data = memory_resize(all->data, capacity, sizeof *data);
            if (!data)
                return error_no_memory(error, capacity * sizeof *data);
            all->data = data;
            all->capacity = capacity;
        }
        all->data[all->count++] = box;
    }
    return MIEN_OK;
}

static mien_status network_look(const network_detector *detector, network_scratch *scratch,
                                const mien_image_view *picture, const network_view *view, int width, int height,
                                const detect_options *options, mien_error *error)
{
    network_engine *engine;
    mien_image_view tile;
    mien_status status = network_engine_for(detector, scratch, width, height, options->threads, &engine, error);
    if (!status)
        status = network_shrink(scratch, picture, view, &tile, error);
    if (status)
        return status;
    network_fill(detector, &tile, width, height, nn_session_input(engine->session, 0));
    status = nn_session_run(engine->session, error);
    network_output outputs[NETWORK_MAX_OUTPUTS];
    size_t count = nn_plan_output_count(engine->plan);
    for (size_t i = 0; i < count && !status; i++)
        outputs[i] = (network_output){nn_session_output(engine->session, i), nn_plan_output_shape(engine->plan, i),
                                      model_output_is_probability(&detector->model, (int)i)};
    scratch->tile.count = 0;
    if (!status)
        status =
            network_decode(detector->style, outputs, count, width, height, options->min_score, &scratch->tile, error);
    if (!status) {
        network_suppress(&scratch->tile, options->overlap);
        status = network_take_boxes(scratch, view, error);
    }
    return status;
}

static int network_round_up(double side)
{
    int steps = (int)ceil(side / NETWORK_STEP);
    return (steps > 1 ? steps : 1) * NETWORK_STEP;
}

/* Begin of tile i of `count` along a side. */
static double network_tile_begin(double side, double tile, int i, int count)
{
    return count > 1 ? floor((side - tile) * i / (count - 1)) : 0;
}

static int network_tile_count(double side, double tile, double overlap)
{
    return side <= tile ? 1 : 1 + (int)ceil((side - tile) / (tile - overlap));
}

/* The whole picture at `scale`, in tiles of width × height input pixels. */
static mien_status network_look_at_level(const network_detector *detector, network_scratch *scratch,
                                         const mien_image_view *picture, double scale, int width, int height,
                                         const detect_options *options, mien_error *error)
{
    double tile_width = width / scale, tile_height = height / scale; /* picture pixels */
    double overlap = NETWORK_TILE_OVERLAP * (tile_width < tile_height ? tile_width : tile_height);
    int across = network_tile_count((double)picture->width, tile_width, overlap);
    int down = network_tile_count((double)picture->height, tile_height, overlap);
    mien_status status = MIEN_OK;
    for (int i = 0; i < across * down && !status; i++) {
        network_view view = {
            .x = network_tile_begin((double)picture->width, tile_width, i % across, across),
            .y = network_tile_begin((double)picture->height, tile_height, i / across, down),
        };
        view.width = floor(fmin(tile_width, (double)picture->width - view.x));
        view.height = floor(fmin(tile_height, (double)picture->height - view.y));
        view.seen_width = (size_t)fmin(fmax(rint(view.width * scale), 1), width);
        view.seen_height = (size_t)fmin(fmax(rint(view.height * scale), 1), height);
        status = network_look(detector, scratch, picture, &view, width, height, options, error);
    }
    return status;
}

/* How far a picture is shrunk at first: the smallest face becomes the smallest that the network sees, but nothing is
 * made larger than it is, and the tiles stay within reason. A network of a fixed size costs the same however much of it
 * is used, so it looks closer where the whole picture fits. */
static double network_first_scale(const network_detector *detector, const mien_image_view *picture,
                                  const detect_options *options, double fit, double tile_area)
{
    int32_t least = options->min_width > options->min_height ? options->min_width : options->min_height;
    double scale = fmin((double)NETWORK_LEAST_FACE / (least > 1 ? least : 1), 1);
    if (detector->width && scale < fit)
        scale = fmin(fit, 1);
    double area = (double)picture->width * (double)picture->height;
    while (area * scale * scale > tile_area * NETWORK_MOST_TILES)
        scale /= 2;
    return scale;
}

/* Coarser and coarser until one tile is the whole picture. */
static mien_status network_look_everywhere(const network_detector *detector, network_scratch *scratch,
                                           const mien_image_view *picture, const detect_options *options,
                                           mien_error *error)
{
    double most_width = detector->width ? detector->width : NETWORK_MOST_SIDE;
    double most_height = detector->height ? detector->height : NETWORK_MOST_SIDE;
    double fit = fmin(most_width / (double)picture->width, most_height / (double)picture->height);
    double scale = network_first_scale(detector, picture, options, fit, most_width * most_height);
    for (;; scale = fmax(scale / 2, fit)) {
        int width = detector->width, height = detector->height;
        if (!width) {
            width = network_round_up(fmin((double)picture->width * scale, most_width));
            height = network_round_up(fmin((double)picture->height * scale, most_height));
        }
        mien_status status = network_look_at_level(detector, scratch, picture, scale, width, height, options, error);
        if (status || scale <= fit)
            return status;
    }
}

/* Edges are rounded, cut at the picture's, and boxes outside the wanted sizes left out. */
static mien_status network_report(const network_scratch *scratch, const mien_image_view *picture,
                                  const detect_options *options, detect_faces *faces, mien_error *error)
{
    for (size_t i = 0; i < scratch->boxes.count; i++) {
        const network_box *box = scratch->boxes.data + i;
        float right = fminf(box->right, (float)picture->width), bottom = fminf(box->bottom, (float)picture->height);
        detect_face face = {{(int32_t)lrintf(fmaxf(box->left, 0)), (int32_t)lrintf(fmaxf(box->top, 0)), 0, 0},
                            box->score};
        face.box.width = (int32_t)lrintf(right) - face.box.x;
        face.box.height = (int32_t)lrintf(bottom) - face.box.y;
        if (face.box.width < 1 || face.box.height < 1)
            continue;
        if (box->right - box->left < (float)options->min_width && box->bottom - box->top < (float)options->min_height)
            continue;
        if ((options->max_width && face.box.width > options->max_width) ||
            (options->max_height && face.box.height > options->max_height))
            continue;
        mien_status status = detect_faces_add(faces, &face, error);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status network_find_faces(const detector *base, detect_scratch *base_scratch, const mien_image_view *view,
                                      const detect_options *options, detect_faces *faces, mien_error *error)
{
    const network_detector *detector = (const network_detector *)base;
    network_scratch *scratch = (network_scratch *)base_scratch;
    scratch->boxes.count = 0;
    scratch->searches++;
    mien_status status = network_look_everywhere(detector, scratch, view, options, error);
    if (status)
        return status;
    network_suppress(&scratch->boxes, options->overlap);
    return network_report(scratch, view, options, faces, error);
}

static mien_status network_scratch_create(const detector *base, detect_scratch **made, mien_error *error)
{
    (void)base;
    network_scratch *scratch = memory_zeroed(1, sizeof *scratch);
    if (!scratch)
        return error_no_memory(error, sizeof *scratch);
    *made = &scratch->base;
    return MIEN_OK;
}

static void network_scratch_destroy(detect_scratch *base)
{
    network_scratch *scratch = (network_scratch *)base;
    for (int i = 0; i < NETWORK_PLANS; i++)
        network_engine_done(scratch->engines + i);
    mien_image_done(&scratch->small);
    network_boxes_done(&scratch->boxes);
    network_boxes_done(&scratch->tile);
    memory_free(scratch);
}

static void network_destroy(detector *base)
{
    network_detector *detector = (network_detector *)base;
    model_done(&detector->model);
    memory_free(detector);
}

const detector_class network_class = {
    .kind = "network",
    .destroy = network_destroy,
    .scratch_create = network_scratch_create,
    .scratch_destroy = network_scratch_destroy,
    .find = network_find_faces,
};
