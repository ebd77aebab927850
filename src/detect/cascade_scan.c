/* The scan of a strip. For cascades with a fast form a row of windows goes through the stages sixteen at a time; a
 * group that holds too few survivors for that is finished window by window. Which windows count follows OpenCV: flat
 * ones are never faces, and after a window that the first stage rejects the next one is passed over. The first stage is
 * therefore computed for windows that turn out not to count; that is cheaper than finding out in order. */
#include "detect/cascade_scan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* The arrays in cascade_worker.bits, each of one number per group. */
enum { BITS_VALID, BITS_ALIVE, BITS_FOUND, BITS_LIST, BITS_PASS, BITS_SURE, BITS_COUNT };

typedef struct scan_row {
    const cascade_scan *scan;
    const cascade_level *level;
    const cascade_table *table;
    const int32_t *sum, *square; /* at the row's first window */
    float *scales;
    uint16_t *bits[BITS_COUNT];
    size_t groups;
} scan_row;

size_t cascade_strip_rows(const cascade_level *level)
{
    return CASCADE_STRIP_ROWS / level->step;
}

static size_t scan_groups(size_t columns)
{
    return (columns + CASCADE_GROUP - 1) / CASCADE_GROUP;
}

mien_status cascade_worker_prepare(cascade_worker *worker, const cascade *cascade, size_t picture_width,
                                   size_t level_width, size_t stride, mien_error *error)
{
    size_t rows = CASCADE_STRIP_ROWS + (size_t)cascade->height + 1;
    size_t planes = cascade->tilted ? 3 : 2, row = (scan_groups(level_width) + 1) * CASCADE_GROUP;
    size_t plane = rows * stride + CASCADE_PADDING, source = picture_width + CASCADE_PADDING;
    if (plane <= worker->plane && row <= worker->row && source <= worker->source && worker->planes)
        return MIEN_OK;
    cascade_worker_done(worker);
    worker->pixels = memory_aligned(rows * stride, 1);
    worker->line = memory_aligned(source, sizeof *worker->line);
    worker->planes = memory_aligned(plane * planes, sizeof *worker->planes);
    worker->scales = memory_aligned(row, sizeof *worker->scales);
    worker->bits = memory_aligned(row / CASCADE_GROUP * BITS_COUNT, sizeof *worker->bits);
    if (!worker->pixels || !worker->line || !worker->planes || !worker->scales || !worker->bits) {
        cascade_worker_done(worker);
        return error_no_memory(error, plane * planes * sizeof *worker->planes);
    }
    /* What lies between rows is read (and ignored) by the vector kernels; let it be something. */
    memset(worker->planes, 0, plane * planes * sizeof *worker->planes);
    memset(worker->line, 0, source * sizeof *worker->line);
    memset(worker->scales, 0, row * sizeof *worker->scales);
    memset(worker->bits, 0, row / CASCADE_GROUP * BITS_COUNT * sizeof *worker->bits);
    worker->plane = plane;
    worker->row = row;
    worker->source = source;
    return MIEN_OK;
}

void cascade_worker_done(cascade_worker *worker)
{
    if (!worker)
        return;
    memory_free(worker->pixels);
    memory_free(worker->line);
    memory_free(worker->planes);
    memory_free(worker->scales);
    memory_free(worker->bits);
    memset(worker, 0, sizeof *worker);
}

/* Where output row y of a level reads: two picture rows and the second one's weight of 256. Positions and rounding as
 * prep_resize_linear_exact has them. */
static unsigned scan_source_rows(const cascade_scan *scan, const cascade_level *level, size_t y, size_t row[2])
{
    size_t height = scan->picture->height;
    double exact = 1.0 / ((double)level->height / (double)height) * ((double)y + 0.5) - 0.5, first = floor(exact);
    if (first < 0 || first >= (double)(height - 1)) {
        row[0] = row[1] = first < 0 ? 0 : height - 1;
        return 0;
    }
    row[0] = (size_t)first;
    row[1] = row[0] + 1;
    return (unsigned)lrint((exact - first) * 256);
}

static void scan_shrink(const cascade_scan *scan, const cascade_level *level, size_t first, size_t count,
                        cascade_worker *worker)
{
    const mien_image_view *picture = scan->picture;
    for (size_t y = 0; y < count; y++) {
        size_t row[2];
        unsigned weight = scan_source_rows(scan, level, first + y, row);
        scan->kernels->blend(picture->data + row[0] * picture->stride, picture->data + row[1] * picture->stride, weight,
                             picture->width, worker->line);
        scan->kernels->shrink(worker->line, level->at, level->weights, level->width, worker->pixels + y * level->width);
    }
}

static bool scan_stage(const cascade_table *table, int32_t stage, const int32_t *corner, float scale)
{
    return table->program->path == CASCADE_PATH_STUMPS ? cascade_stage_fast(table, stage, corner, scale)
                                                       : cascade_stage_exact(table, stage, corner, scale);
}

static bool scan_finish(const scan_row *row, int32_t stage, size_t column)
{
    int32_t count = row->scan->program->source->stage_count;
    while (stage < count && scan_stage(row->table, stage, row->sum + column, row->scales[column]))
        stage++;
    return stage == count;
}

/* Sixteen bits of a row's bit string from any column on, and back. The word beyond the row is there and empty. */
static unsigned scan_get_bits(const uint16_t *bits, size_t column)
{
    const uint16_t *word = bits + column / CASCADE_GROUP;
    return ((word[0] | (uint32_t)word[1] << CASCADE_GROUP) >> column % CASCADE_GROUP) & 0xffff;
}

static void scan_clear_bits(uint16_t *bits, size_t column, unsigned cleared)
{
    uint32_t both = (uint32_t)cleared << column % CASCADE_GROUP;
    bits[column / CASCADE_GROUP] &= (uint16_t)~both;
    bits[column / CASCADE_GROUP + 1] &= (uint16_t) ~(both >> CASCADE_GROUP);
}

/* A stage for the columns of the list, narrowing `alive`; windows too near to the threshold are asked exactly. */
static void scan_run_stage(scan_row *row, int32_t stage, size_t listed)
{
    const uint16_t *list = row->bits[BITS_LIST];
    uint16_t *alive = row->bits[BITS_ALIVE], *pass = row->bits[BITS_PASS], *sure = row->bits[BITS_SURE];
    row->scan->kernels->stage[row->scan->program->path](row->table, stage, row->sum, row->scales, list, listed, pass,
                                                        sure);
    for (size_t i = 0; i < listed; i++) {
        unsigned was = scan_get_bits(alive, list[i]), keep = was & pass[i];
        for (unsigned doubt = keep & ~(unsigned)sure[i]; doubt; doubt &= doubt - 1) {
            unsigned bit = (unsigned)__builtin_ctz(doubt);
            size_t column = list[i] + bit;
            if (!cascade_stage_exact(row->table, stage, row->sum + column, row->scales[column]))
                keep &= ~(1u << bit);
        }
        scan_clear_bits(alive, list[i], was & ~keep);
    }
}

/* Flat windows are out before the first stage, but LBP knows no contrast. Returns how many groups have others. */
static size_t scan_valid(scan_row *row)
{
    uint16_t *valid = row->bits[BITS_VALID];
    if (row->scan->program->source->kind == CASCADE_LBP)
        memset(valid, 0xff, row->groups * sizeof *valid);
    else
        row->scan->kernels->variance(row->table, row->sum, row->square, row->groups, row->scales, valid);
    unsigned last = row->level->columns % CASCADE_GROUP;
    if (last)
        valid[row->groups - 1] &= (uint16_t)((1u << last) - 1);
    size_t listed = 0;
    row->bits[BITS_ALIVE][row->groups] = 0;
    for (size_t g = 0; g < row->groups; g++) {
        row->bits[BITS_ALIVE][g] = valid[g];
        row->bits[BITS_FOUND][g] = 0;
        if (valid[g])
            row->bits[BITS_LIST][listed++] = (uint16_t)(g * CASCADE_GROUP);
    }
    return listed;
}

/* Finish one by one the windows that are alive among the sixteen from that column on. */
static void scan_finish_group(scan_row *row, int32_t stage, size_t first, unsigned windows)
{
    scan_clear_bits(row->bits[BITS_ALIVE], first, windows);
    for (; windows; windows &= windows - 1) {
        size_t column = first + (size_t)__builtin_ctz(windows);
        if (scan_finish(row, stage, column))
            row->bits[BITS_FOUND][column / CASCADE_GROUP] |= (uint16_t)(1u << column % CASCADE_GROUP);
    }
}

/* List the columns from which on sixteen windows hold enough survivors, each beginning at one; the survivors of others
 * are finished one by one. */
static size_t scan_gather(scan_row *row, int32_t stage)
{
    const uint16_t *alive = row->bits[BITS_ALIVE];
    unsigned dense = row->scan->program->path == CASCADE_PATH_STUMPS ? row->scan->kernels->dense : 1;
    size_t kept = 0, next = 0; /* columns before `next` are dealt with */
    for (size_t g = 0; g < row->groups; g++) {
        size_t done = next > g * CASCADE_GROUP ? next - g * CASCADE_GROUP : 0;
        uint32_t bits = alive[g] & ~((1u << done) - 1);
        if (!bits)
            continue;
        size_t first = g * CASCADE_GROUP + (size_t)__builtin_ctz(bits);
        unsigned windows = scan_get_bits(alive, first);
        if ((unsigned)__builtin_popcount(windows) >= dense)
            row->bits[BITS_LIST][kept++] = (uint16_t)first;
        else
            scan_finish_group(row, stage, first, windows);
        next = first + CASCADE_GROUP;
    }
    return kept;
}

static void scan_row_fast(scan_row *row)
{
    size_t listed = scan_valid(row);
    if (!listed)
        return;
    scan_run_stage(row, 0, listed);
    uint32_t skip = 0;
    for (size_t g = 0; g < row->groups; g++) {
        uint16_t *alive = row->bits[BITS_ALIVE] + g;
        *alive &= (uint16_t)cascade_visited(row->bits[BITS_VALID][g] & ~(uint32_t)*alive, &skip);
    }
    int32_t count = row->scan->program->source->stage_count;
    for (int32_t stage = 1; stage < count && (listed = scan_gather(row, stage)); stage++)
        scan_run_stage(row, stage, listed);
    for (size_t g = 0; g < row->groups; g++)
        row->bits[BITS_FOUND][g] |= row->bits[BITS_ALIVE][g];
}

/* The same window by window, for unusual features and for processors without kernels for trees and LBP. */
static void scan_row_exact(scan_row *row)
{
    bool haar = row->scan->program->source->kind == CASCADE_HAAR;
    memset(row->bits[BITS_FOUND], 0, row->groups * sizeof *row->bits[BITS_FOUND]);
    for (size_t i = 0; i < row->level->columns; i++) {
        row->scales[i] = haar ? cascade_window_scale(row->table, row->sum + i, row->square + i) : 1;
        if (row->scales[i] == 0)
            continue;
        if (!scan_stage(row->table, 0, row->sum + i, row->scales[i]))
            i++;
        else if (scan_finish(row, 1, i))
            row->bits[BITS_FOUND][i / CASCADE_GROUP] |= (uint16_t)(1u << i % CASCADE_GROUP);
    }
}

static mien_status scan_emit(const scan_row *row, size_t y, buffer *found)
{
    const cascade *source = row->scan->program->source;
    float scale = row->level->scale;
    mien_rect rect = {.y = (int32_t)lrintf((float)(y * row->level->step) * scale),
                      .width = (int32_t)lrintf((float)source->width * scale),
                      .height = (int32_t)lrintf((float)source->height * scale)};
    for (size_t g = 0; g < row->groups; g++)
        for (unsigned bits = row->bits[BITS_FOUND][g]; bits; bits &= bits - 1) {
            size_t column = g * CASCADE_GROUP + (size_t)__builtin_ctz(bits);
            rect.x = (int32_t)lrintf((float)(column * row->level->step) * scale);
            buffer_append(found, &rect, sizeof rect);
        }
    return found->failed;
}

mien_status cascade_scan_strip(const cascade_scan *scan, const cascade_level *level, size_t first, size_t count,
                               cascade_worker *worker, buffer *found)
{
    const cascade *source = scan->program->source;
    const cascade_table *table = scan->tables[level->step - 1];
    size_t top = first * level->step, height = (count - 1) * level->step + (size_t)source->height;
    scan_shrink(scan, level, top, height, worker);
    const integral_planes planes = {worker->planes, worker->planes + worker->plane,
                                    source->tilted ? worker->planes + 2 * worker->plane : NULL};
    integral_fill(worker->pixels, level->width, level->width, height, &table->layout, &planes);

    scan_row row = {.scan = scan, .level = level, .table = table, .scales = worker->scales};
    row.groups = scan_groups(level->columns);
    for (int i = 0; i < BITS_COUNT; i++)
        row.bits[i] = worker->bits + (size_t)i * (worker->row / CASCADE_GROUP);
    for (size_t y = 0; y < count; y++) {
        row.sum = planes.sum + y * level->step * table->layout.stride;
        row.square = planes.square + y * level->step * table->layout.stride;
        if (scan->kernels->stage[scan->program->path])
            scan_row_fast(&row);
        else
            scan_row_exact(&row);
        mien_status status = scan_emit(&row, first + y, found);
        if (status)
            return status;
    }
    return MIEN_OK;
}
