/* A face network as a detector: it looks at the picture in tiles at one or several sizes (network_tiles.h), and all
 * boxes meet in one suppression.
 *
 * Networks of a fixed input have one plan; those of any size (multiples of 32) get one for each size that a scratch
 * meets, the last few of which it keeps.
 */
#include "detect/network.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "detect/network_input.h"
#include "model/ranges.h"

/* Each plan holds its weights and its primitives, some 2 MB, in every scratch: two, since pictures alternate between
 * two shapes at most as a rule and a new one takes a few milliseconds. Their activations share one workspace. */
enum {
    NETWORK_PLANS = 2,
    NETWORK_MOST_BOXES = 20000, /* before suppression */
    NETWORK_KEPT_PIXELS =
        640 * 640, /* of an input: what the default search needs; larger plans end with their search */
    NETWORK_PIXEL_BYTES =
        40,                 /* of an input: planes, activations, small sizes' plans; as the one that ships takes them */
    NETWORK_SMALL_BYTES = 4 /* of a pixel made smaller */
};

typedef struct network_engine {
    int width, height;
    uint64_t used; /* when, counted in searches */
    nn_plan *plan;
    nn_session *session;
} network_engine;

typedef struct network_scratch {
    detect_scratch base;
    network_engine engines[NETWORK_PLANS];
    nn_workspace *workspace; /* of all of them */
    uint64_t searches;
    network_small small;
    network_boxes boxes, tile;
} network_scratch;

static void network_engine_done(network_engine *engine)
{
    nn_session_destroy(&engine->session);
    nn_plan_destroy(&engine->plan);
    memset(engine, 0, sizeof *engine);
}

/* On the calling thread alone, however many a search may use: two of OpenMP's that wait for each other at every layer
 * turn 10 ms into 200 where another program wants the processors too. */
static mien_status network_engine_init(const network_detector *detector, nn_workspace *workspace, int width, int height,
                                       network_engine *engine, mien_error *error)
{
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.precision = detector->precision;
    if (!detector->width) {
        options.width = width;
        options.height = height;
    }
    *engine = (network_engine){.width = width, .height = height};
    mien_status status = model_plan_create(&detector->model, &options, &engine->plan, error);
    if (!status)
        status = nn_session_create_in(engine->plan, workspace, &engine->session, error);
    if (status)
        network_engine_done(engine);
    return status;
}

/* The engine for that size: one that is there, or a new one in place of the one not used for longest. */
static mien_status network_engine_for(const network_detector *detector, network_scratch *scratch, int width, int height,
                                      network_engine **found, mien_error *error)
{
    network_engine *oldest = scratch->engines;
    for (network_engine *e = scratch->engines; e < scratch->engines + NETWORK_PLANS; e++) {
        if (e->session && e->width == width && e->height == height) {
            e->used = scratch->searches;
            *found = e;
            return MIEN_OK;
        }
        if (e->used < oldest->used)
            oldest = e;
    }
    network_engine_done(oldest);
    mien_status status = network_engine_init(detector, scratch->workspace, width, height, oldest, error);
    oldest->used = status ? 0 : scratch->searches;
    *found = oldest;
    return status;
}

/* What is looked at just now. */
typedef struct network_place {
    const mien_image_view *picture;
    const network_level *level;
    network_view view;
} network_place;

static mien_status network_take_boxes(network_scratch *scratch, const network_place *place, mien_error *error)
{
    const network_view *view = &place->view;
    double scale_x = view->width / (double)view->seen_width, scale_y = view->height / (double)view->seen_height;
    network_boxes *all = &scratch->boxes;
    for (size_t i = 0; i < scratch->tile.count; i++) {
        network_box box = scratch->tile.data[i];
        box.left = (float)(view->x + box.left * scale_x);
        box.right = (float)(view->x + box.right * scale_x);
        box.top = (float)(view->y + box.top * scale_y);
        box.bottom = (float)(view->y + box.bottom * scale_y);
        if (!network_tile_owns(place->level, view, place->picture->width, place->picture->height, &box))
            continue;
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

static mien_status network_look(const network_detector *detector, network_scratch *scratch, const network_place *place,
                                const detect_options *options, mien_error *error)
{
    network_engine *engine;
    int width = place->level->width, height = place->level->height;
    float min_score = options->min_score > 0 ? options->min_score : detector->min_score;
    mien_status status = network_engine_for(detector, scratch, width, height, &engine, error);
    float *input = status ? NULL : nn_session_input(engine->session, 0);
    if (!status)
        status = input
                     ? network_see(detector, place->picture, &place->view, width, height, &scratch->small, input, error)
                     : error_no_memory(error, 0);
    if (!status)
        status = nn_session_run(engine->session, error);
    if (status)
        return status;
    network_output outputs[NETWORK_MAX_OUTPUTS];
    size_t count = nn_plan_output_count(engine->plan);
    for (size_t i = 0; i < count && !status; i++)
        outputs[i] = (network_output){nn_session_output(engine->session, i), nn_plan_output_shape(engine->plan, i),
                                      model_output_is_probability(&detector->model, (int)i)};
    scratch->tile.count = 0;
    if (!status)
        status = network_decode(detector->style, outputs, count, width, height, min_score, &scratch->tile, error);
    if (!status) {
        network_suppress(&scratch->tile, options->overlap);
        status = network_take_boxes(scratch, place, error);
    }
    return status;
}

static size_t network_plan_levels(const network_detector *detector, size_t width, size_t height, int32_t least,
                                  network_level levels[NETWORK_MAX_LEVELS])
{
    network_reach reach = {detector->width, detector->height, (double)detector->least_face, least};
    return network_levels(&reach, width, height, levels);
}

double detector_cost(const detector *base, size_t width, size_t height, int32_t least_side)
{
    network_level levels[NETWORK_MAX_LEVELS];
    double pixels = 0;
    if (base->type != &network_class)
        return 0;
    size_t count = network_plan_levels((const network_detector *)base, width, height, least_side, levels);
    for (size_t l = 0; l < count; l++)
        pixels += (double)levels[l].width * levels[l].height * levels[l].across * levels[l].down;
    return pixels;
}

static uint64_t network_search_bytes(const detector *base, size_t width, size_t height, int32_t least_side)
{
    network_level levels[NETWORK_MAX_LEVELS];
    size_t count = network_plan_levels((const network_detector *)base, width, height, least_side, levels);
    uint64_t bytes = 0;
    for (size_t l = 0; l < count; l++) {
        uint64_t pixels = (uint64_t)levels[l].width * (uint64_t)levels[l].height;
        if (pixels > NETWORK_KEPT_PIXELS && pixels * NETWORK_PIXEL_BYTES > bytes)
            bytes = pixels * NETWORK_PIXEL_BYTES;
    }
    return bytes;
}

static void network_scratch_trim(detect_scratch *base)
{
    network_scratch *scratch = (network_scratch *)base;
    for (int i = 0; i < NETWORK_PLANS; i++)
        if (scratch->engines[i].width * scratch->engines[i].height > NETWORK_KEPT_PIXELS)
            network_engine_done(scratch->engines + i);
    nn_workspace_trim(scratch->workspace, (size_t)NETWORK_KEPT_PIXELS * NETWORK_PIXEL_BYTES);
    if (scratch->small.bytes > (size_t)NETWORK_KEPT_PIXELS * NETWORK_SMALL_BYTES)
        network_small_done(&scratch->small);
}

static mien_status network_look_everywhere(const network_detector *detector, network_scratch *scratch,
                                           const mien_image_view *picture, const detect_options *options,
                                           mien_error *error)
{
    int32_t least = options->min_width > options->min_height ? options->min_width : options->min_height;
    network_level levels[NETWORK_MAX_LEVELS];
    size_t count = network_plan_levels(detector, picture->width, picture->height, least, levels);
    for (size_t l = 0; l < count; l++) {
        const network_level *level = &levels[l];
        for (int i = 0; i < level->across * level->down; i++) {
            network_place place = {picture, level, network_tile(level, picture->width, picture->height, i)};
            mien_status status = network_look(detector, scratch, &place, options, error);
            if (status)
                return status;
        }
    }
    return MIEN_OK;
}

/* Edges are rounded, cut at the picture's, and boxes outside the wanted sizes left out. */
static mien_status network_report(const network_scratch *scratch, const mien_image_view *picture,
                                  const detect_options *options, detect_faces *faces, mien_error *error)
{
    int32_t reported = options->least_reported;
    float least_width = (float)(reported ? reported : options->min_width);
    float least_height = (float)(reported ? reported : options->min_height);
    for (size_t i = 0; i < scratch->boxes.count; i++) {
        const network_box *box = scratch->boxes.data + i;
        float right = fminf(box->right, (float)picture->width), bottom = fminf(box->bottom, (float)picture->height);
        detect_face face = {{(int32_t)lrintf(fmaxf(box->left, 0)), (int32_t)lrintf(fmaxf(box->top, 0)), 0, 0},
                            box->score};
        face.box.width = (int32_t)lrintf(right) - face.box.x;
        face.box.height = (int32_t)lrintf(bottom) - face.box.y;
        if (face.box.width < 1 || face.box.height < 1)
            continue;
        if (box->right - box->left < least_width && box->bottom - box->top < least_height)
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
    mien_status status = nn_workspace_create(&scratch->workspace, error);
    if (status)
        memory_free(scratch);
    else
        *made = &scratch->base;
    return status;
}

nn_workspace *detect_scratch_workspace(detect_scratch *base)
{
    return base->owner->type == &network_class ? ((network_scratch *)base)->workspace : NULL;
}

static void network_scratch_destroy(detect_scratch *base)
{
    network_scratch *scratch = (network_scratch *)base;
    for (int i = 0; i < NETWORK_PLANS; i++)
        network_engine_done(scratch->engines + i);
    nn_workspace_destroy(&scratch->workspace);
    network_small_done(&scratch->small);
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
    .search_bytes = network_search_bytes,
    .scratch_trim = network_scratch_trim,
};
