/* A cascade as a detector: the list of sizes, the pyramid's levels cut into strips, the strips on the threads, and the
 * grouping of what they found. Sizes, roundings and the order of windows follow OpenCV's detectMultiScale on one thread
 * (on several threads OpenCV's own order depends on timing; this one does not). */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "detect/cascade_scan.h"
#include "detect/detector_class.h"
#include "detect/group.h"
#include "prep/prep.h"

enum {
    CASCADE_MAX_LEVELS = 2048,
    CASCADE_FOUND_LIMIT = 16 << 20, /* bytes: a million windows */
    CASCADE_KEPT_WIDTH = 2048,      /* of pictures, that a scratch keeps the memory for */
    CASCADE_COLUMN_BYTES = 2400
};

static const double CASCADE_GROUP_EPS = 0.2;

typedef struct cascade_detector {
    detector base;
    cascade cascade;
    cascade_program program;
} cascade_detector;

typedef struct cascade_task {
    const cascade_level *level;
    size_t first, count;
    mien_status status;
    buffer found;
} cascade_task;

typedef struct cascade_scratch {
    detect_scratch base;
    thread_pool *pool; /* of `threads` threads; NULL for one */
    cascade_worker *workers;
    size_t worker_count;
    cascade_table tables[2];
    cascade_level *levels;
    size_t level_count, level_capacity;
    uint32_t *taps; /* `at` and `weights` of all levels */
    size_t tap_capacity;
    cascade_task *tasks;
    size_t task_count, task_capacity;
    buffer windows, group;
    mien_image grey;
    cascade_scan scan;
} cascade_scratch;

/* Make *block hold `count` things; what it held is lost unless it was large enough. */
static mien_status cascade_room(void **block, size_t *capacity, size_t count, size_t size, mien_error *error)
{
    if (count <= *capacity)
        return MIEN_OK;
    void *more = memory_resize(*block, count, size);
    if (!more)
        return error_no_memory(error, count * size);
    *block = more;
    *capacity = count;
    return MIEN_OK;
}

static int32_t cascade_scaled(int side, double factor)
{
    return (int32_t)lrint(side * factor);
}

/* Float products round as OpenCV's do. */
static int32_t cascade_scaled_float(int side, float factor)
{
    return (int32_t)lrintf((float)side * factor);
}

typedef struct cascade_sizes {
    float all[CASCADE_MAX_LEVELS];
    size_t count;         /* that fit into the picture */
    size_t first, wanted; /* that are within the options' limits */
} cascade_sizes;

/* The size nearest to the smallest wanted one, for when none is within the limits. */
static size_t cascade_nearest_size(const cascade *cascade, const cascade_sizes *sizes, const detect_options *options)
{
    size_t best = 0;
    double least = INFINITY;
    for (size_t i = 0; i < sizes->count; i++) {
        double dx = options->min_width - cascade_scaled_float(cascade->width, sizes->all[i]);
        double dy = options->min_height - cascade_scaled_float(cascade->height, sizes->all[i]);
        if (dx * dx + dy * dy < least) {
            least = dx * dx + dy * dy;
            best = i;
        }
    }
    return best;
}

static void cascade_choose_sizes(const cascade *cascade, const mien_image_view *view, const detect_options *options,
                                 cascade_sizes *sizes)
{
    bool limited = options->max_width && options->max_height;
    int32_t most_width = limited ? options->max_width : (int32_t)view->width;
    int32_t most_height = limited ? options->max_height : (int32_t)view->height;
    sizes->count = sizes->first = sizes->wanted = 0;
    for (double factor = 1; sizes->count < CASCADE_MAX_LEVELS; factor *= options->scale_factor) {
        if (cascade_scaled(cascade->width, factor) > (int32_t)view->width ||
            cascade_scaled(cascade->height, factor) > (int32_t)view->height)
            break;
        sizes->all[sizes->count++] = (float)factor;
    }
    for (size_t i = 0; i < sizes->count; i++) {
        int32_t width = cascade_scaled_float(cascade->width, sizes->all[i]);
        int32_t height = cascade_scaled_float(cascade->height, sizes->all[i]);
        if (width > most_width || height > most_height)
            break;
        if (width < options->min_width || height < options->min_height)
            continue;
        if (!sizes->wanted++)
            sizes->first = i;
    }
    if (!sizes->wanted && sizes->count) {
        sizes->first = cascade_nearest_size(cascade, sizes, options);
        sizes->wanted = 1;
    }
}

/* OpenCV shares the rows of a level out to stripes, of which there are as many as the first level is wide in units of
 * 32 windows; where the rows do not divide evenly the last row may be left out. */
static size_t cascade_level_rows(size_t height, size_t step, size_t stripes)
{
    size_t stripe = (height / step + stripes - 1) / stripes;
    size_t covered = (stripe ? stripe : 1) * step * stripes;
    return ((covered < height ? covered : height) + step - 1) / step;
}

static void cascade_make_level(const cascade *cascade, const mien_image_view *view, float scale, size_t *stripes,
                               cascade_level *level)
{
    level->scale = scale;
    level->step = scale >= 2 ? 1 : 2;
    level->width = (size_t)lrintf((float)view->width / scale);
    level->height = (size_t)lrintf((float)view->height / scale);
    size_t across = level->width + 1 > (size_t)cascade->width ? level->width + 1 - (size_t)cascade->width : 0;
    size_t down = level->height + 1 > (size_t)cascade->height ? level->height + 1 - (size_t)cascade->height : 0;
    if (!*stripes)
        *stripes = across > 32 ? (across + 31) / 32 : 1;
    level->columns = (across + level->step - 1) / level->step;
    level->rows = across ? cascade_level_rows(down, level->step, *stripes) : 0;
}

/* Columns of a level, as prep_resize_linear_exact has them. */
static void cascade_make_taps(size_t size, size_t count, uint32_t *at, uint32_t *weights)
{
    double scale = 1.0 / ((double)count / (double)size);
    for (size_t i = 0; i < count; i++) {
        double exact = scale * ((double)i + 0.5) - 0.5, first = floor(exact);
        uint32_t high = 0;
        if (first < 0)
            first = 0;
        else if (first >= (double)(size - 1))
            first = (double)(size - 1);
        else
            high = (uint32_t)lrint((exact - first) * 256);
        at[i] = (uint32_t)first;
        weights[i] = high << 16 | (256 - high);
    }
}

static mien_status cascade_make_levels(const cascade_detector *detector, cascade_scratch *scratch,
                                       const mien_image_view *view, const detect_options *options, mien_error *error)
{
    cascade_sizes sizes;
    cascade_choose_sizes(&detector->cascade, view, options, &sizes);
    mien_status status =
        cascade_room((void **)&scratch->levels, &scratch->level_capacity, sizes.wanted, sizeof *scratch->levels, error);
    size_t stripes = 0, taps = 0;
    scratch->level_count = status ? 0 : sizes.wanted;
    for (size_t i = 0; i < scratch->level_count; i++) {
        cascade_make_level(&detector->cascade, view, sizes.all[sizes.first + i], &stripes, scratch->levels + i);
        taps += 2 * scratch->levels[i].width;
    }
    if (!status)
        status = cascade_room((void **)&scratch->taps, &scratch->tap_capacity, taps, sizeof *scratch->taps, error);
    if (status)
        return status;
    uint32_t *next = scratch->taps;
    for (size_t i = 0; i < scratch->level_count; i++) {
        cascade_level *level = scratch->levels + i;
        cascade_make_taps(view->width, level->width, next, next + level->width);
        level->at = next;
        level->weights = next + level->width;
        next += 2 * level->width;
    }
    return MIEN_OK;
}

static mien_status cascade_make_tasks(cascade_scratch *scratch, mien_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < scratch->level_count; i++) {
        size_t rows = cascade_strip_rows(scratch->levels + i);
        count += (scratch->levels[i].rows + rows - 1) / rows;
    }
    size_t had = scratch->task_capacity;
    mien_status status =
        cascade_room((void **)&scratch->tasks, &scratch->task_capacity, count, sizeof *scratch->tasks, error);
    if (status)
        return status;
    for (size_t i = had; i < scratch->task_capacity; i++)
        buffer_init(&scratch->tasks[i].found, CASCADE_FOUND_LIMIT);
    scratch->task_count = 0;
    for (size_t i = 0; i < scratch->level_count; i++) {
        const cascade_level *level = scratch->levels + i;
        size_t rows = cascade_strip_rows(level);
        for (size_t first = 0; first < level->rows; first += rows) {
            cascade_task *task = scratch->tasks + scratch->task_count++;
            task->level = level;
            task->first = first;
            task->count = level->rows - first < rows ? level->rows - first : rows;
            buffer_clear(&task->found);
        }
    }
    return MIEN_OK;
}

/* An odd number of cache lines a row, so that the rows of a window do not fall into the same cache sets. */
static size_t cascade_odd_stride(size_t numbers)
{
    return ((numbers + 31) / 32 * 2 + 1) * CASCADE_GROUP;
}

static mien_status cascade_make_tables(const cascade_detector *detector, cascade_scratch *scratch, mien_error *error)
{
    size_t width = scratch->levels[0].width; /* the widest */
    size_t half = (width / 2 + CASCADE_PADDING) / CASCADE_GROUP * CASCADE_GROUP;
    size_t stride = cascade_odd_stride(2 * half);
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < scratch->worker_count && !status; i++)
        status = cascade_worker_prepare(scratch->workers + i, &detector->cascade, scratch->scan.picture->width, width,
                                        stride, error);
    for (size_t i = 0; i < 2 && !status; i++) {
        const integral_layout layout = {stride, i ? half : 0};
        status = cascade_table_prepare(scratch->tables + i, &detector->program, &layout, 2 * scratch->workers[0].plane,
                                       error);
        scratch->scan.tables[i] = scratch->tables + i;
    }
    return status;
}

static mien_status cascade_make_threads(cascade_scratch *scratch, size_t threads, mien_error *error)
{
    if (threads == scratch->worker_count)
        return MIEN_OK;
    thread_pool_destroy(&scratch->pool);
    for (size_t i = threads; i < scratch->worker_count; i++)
        cascade_worker_done(scratch->workers + i);
    if (threads < scratch->worker_count)
        scratch->worker_count = threads;
    cascade_worker *workers = memory_resize(scratch->workers, threads, sizeof *workers);
    if (!workers)
        return error_no_memory(error, threads * sizeof *workers);
    memset(workers + scratch->worker_count, 0, (threads - scratch->worker_count) * sizeof *workers);
    scratch->workers = workers;
    mien_status status = threads > 1 ? thread_pool_create(threads, &scratch->pool, error) : MIEN_OK;
    scratch->worker_count = status ? 0 : threads;
    return status;
}

static void cascade_run_task(void *context, size_t index, size_t worker)
{
    cascade_scratch *scratch = context;
    cascade_task *task = scratch->tasks + index;
    task->status = cascade_scan_strip(&scratch->scan, task->level, task->first, task->count, scratch->workers + worker,
                                      &task->found);
}

static mien_status cascade_run(cascade_scratch *scratch, mien_error *error)
{
    if (scratch->pool)
        thread_pool_run(scratch->pool, scratch->task_count, cascade_run_task, scratch);
    else
        for (size_t i = 0; i < scratch->task_count; i++)
            cascade_run_task(scratch, i, 0);
    buffer_clear(&scratch->windows);
    for (size_t i = 0; i < scratch->task_count; i++) {
        const cascade_task *task = scratch->tasks + i;
        if (task->status)
            return buffer_status(&task->found, error);
        buffer_append(&scratch->windows, task->found.data, task->found.length);
    }
    return buffer_status(&scratch->windows, error);
}

/* The picture as grey pixels: itself, or a copy in the scratch. */
static mien_status cascade_grey(cascade_scratch *scratch, const mien_image_view *view, mien_image_view *grey,
                                mien_error *error)
{
    *grey = *view;
    if (view->format == MIEN_PIXEL_GREY8)
        return MIEN_OK;
    mien_image *copy = &scratch->grey;
    mien_status status = MIEN_OK;
    if (copy->width != view->width || copy->height != view->height) {
        mien_image_done(copy);
        status = mien_image_init(copy, view->width, view->height, MIEN_PIXEL_GREY8, error);
    }
    if (!status)
        status = prep_grey(view, copy, error);
    if (!status)
        *grey = mien_image_as_view(copy);
    return status;
}

/* Roundings may carry a window a pixel beyond the picture; none lies outside it. */
static void cascade_clip(detect_faces *faces, const mien_image_view *picture)
{
    for (size_t i = 0; i < faces->count; i++) {
        mien_rect *box = &faces->data[i].box;
        int32_t right = (int32_t)picture->width - box->x, bottom = (int32_t)picture->height - box->y;
        box->width = box->width < right ? box->width : right;
        box->height = box->height < bottom ? box->height : bottom;
    }
}

static mien_status cascade_find(const detector *base, detect_scratch *base_scratch, const mien_image_view *view,
                                const detect_options *options, detect_faces *faces, mien_error *error)
{
    const cascade_detector *detector = (const cascade_detector *)base;
    cascade_scratch *scratch = (cascade_scratch *)base_scratch;
    mien_image_view grey;
    mien_status status = cascade_grey(scratch, view, &grey, error);
    if (!status)
        status = cascade_make_levels(detector, scratch, &grey, options, error);
    if (status || !scratch->level_count)
        return status;
    scratch->scan.program = &detector->program;
    scratch->scan.kernels = cascade_kernels_get();
    scratch->scan.picture = &grey;
    status = cascade_make_threads(scratch, (size_t)options->threads, error);
    if (!status)
        status = cascade_make_tables(detector, scratch, error);
    if (!status)
        status = cascade_make_tasks(scratch, error);
    if (!status)
        status = cascade_run(scratch, error);
    if (status)
        return status;
    status = group_rects((const mien_rect *)scratch->windows.data, scratch->windows.length / sizeof(mien_rect),
                         options->min_neighbors, CASCADE_GROUP_EPS, &scratch->group, faces, error);
    cascade_clip(faces, &grey);
    return status;
}

/* A strip as wide as the picture, in bytes a column: pixels, sums, squares and tilted sums of its rows; and some for
 * tables and windows. */
static uint64_t cascade_search_bytes(const detector *base, size_t width, size_t height, int32_t least_side)
{
    (void)base;
    (void)height;
    (void)least_side;
    return width > CASCADE_KEPT_WIDTH ? (uint64_t)width * CASCADE_COLUMN_BYTES : 0;
}

static void cascade_scratch_trim(detect_scratch *base)
{
    cascade_scratch *scratch = (cascade_scratch *)base;
    for (size_t i = 0; i < scratch->worker_count; i++)
        if (scratch->workers[i].source > CASCADE_KEPT_WIDTH + CASCADE_PADDING)
            cascade_worker_done(scratch->workers + i);
    mien_image_done(&scratch->grey);
}

static void cascade_scratch_destroy(detect_scratch *base)
{
    cascade_scratch *scratch = (cascade_scratch *)base;
    thread_pool_destroy(&scratch->pool);
    for (size_t i = 0; i < scratch->worker_count; i++)
        cascade_worker_done(scratch->workers + i);
    for (size_t i = 0; i < scratch->task_capacity; i++)
        buffer_done(&scratch->tasks[i].found);
    cascade_table_done(scratch->tables);
    cascade_table_done(scratch->tables + 1);
    memory_free(scratch->workers);
    memory_free(scratch->levels);
    memory_free(scratch->taps);
    memory_free(scratch->tasks);
    buffer_done(&scratch->windows);
    buffer_done(&scratch->group);
    mien_image_done(&scratch->grey);
    memory_free(scratch);
}

static mien_status cascade_scratch_create(const detector *base, detect_scratch **made, mien_error *error)
{
    (void)base;
    cascade_scratch *scratch = memory_zeroed(1, sizeof *scratch);
    if (!scratch)
        return error_no_memory(error, sizeof *scratch);
    buffer_init(&scratch->windows, CASCADE_FOUND_LIMIT);
    buffer_init(&scratch->group, 4 * (size_t)CASCADE_FOUND_LIMIT);
    *made = &scratch->base;
    return MIEN_OK;
}

static void cascade_destroy(detector *base)
{
    cascade_detector *detector = (cascade_detector *)base;
    cascade_program_done(&detector->program);
    cascade_done(&detector->cascade);
    memory_free(detector);
}

static const detector_class cascade_class = {
    .kind = "cascade",
    .destroy = cascade_destroy,
    .scratch_create = cascade_scratch_create,
    .scratch_destroy = cascade_scratch_destroy,
    .find = cascade_find,
    .search_bytes = cascade_search_bytes,
    .scratch_trim = cascade_scratch_trim,
};

mien_status detector_open_cascade(const void *bytes, size_t length, detector **made, mien_error *error)
{
    cascade_detector *detector = memory_zeroed(1, sizeof *detector);
    if (!detector)
        return error_no_memory(error, sizeof *detector);
    detector->base.type = &cascade_class;
    mien_status status = cascade_load(bytes, length, &detector->cascade, error);
    if (!status)
        status = cascade_program_create(&detector->cascade, &detector->program, error);
    if (status) {
        cascade_destroy(&detector->base);
        return status;
    }
    *made = &detector->base;
    return MIEN_OK;
}
