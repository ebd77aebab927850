/* Contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994) with OpenCV's choices: sides
 * that the tiles do not divide are first extended by mirroring (both, when either is not divided); what is clipped from
 * a tile's histogram is spread evenly, the rest of the division in even steps; a pixel's new value is the bilinear mean
 * of its four neighbouring tiles' tables in single precision. For the kernel the four tables around each cell are
 * interleaved, so that one load finds all four values. */
#include "prep/prep.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/memory.h"
#include "prep/edge.h"
#include "prep/histogram.h"
#include "prep/kernels.h"
#include "prep/operand.h"

enum { CLAHE_MAX_TILES = 64, CLAHE_BINS = 256 };

typedef struct clahe_run {
    const mien_image_view *source;
    size_t tiles_x, tiles_y, tile_width, tile_height;
    int clip;                        /* 0 = none */
    uint8_t (*tables)[CLAHE_BINS];   /* [tiles_y × tiles_x] */
    uint8_t (*cells)[CLAHE_BINS][4]; /* [tiles_x + 1], of the row of tiles in work */
    uint32_t *column;
    float *right;
} clahe_run;

/* Counts of a tile, which may reach beyond the picture into its mirror image. */
static void clahe_count(const clahe_run *run, size_t tile_x, size_t tile_y, uint32_t counts[CLAHE_BINS])
{
    const mien_image_view *source = run->source;
    size_t x0 = tile_x * run->tile_width, y0 = tile_y * run->tile_height;
    mien_image_view tile = *source;
    if (x0 + run->tile_width <= source->width && y0 + run->tile_height <= source->height) {
        tile.data += y0 * source->stride + x0;
        tile.width = run->tile_width;
        tile.height = run->tile_height;
        histogram_count(&tile, counts);
        return;
    }
    for (size_t i = 0; i < CLAHE_BINS; i++)
        counts[i] = 0;
    for (size_t y = y0; y < y0 + run->tile_height; y++) {
        const uint8_t *row = source->data + edge_mirror((ptrdiff_t)y, source->height) * source->stride;
        for (size_t x = x0; x < x0 + run->tile_width; x++)
            counts[row[edge_mirror((ptrdiff_t)x, source->width)]]++;
    }
}

static void clahe_clip(uint32_t counts[CLAHE_BINS], uint32_t clip)
{
    uint32_t clipped = 0;
    for (size_t i = 0; i < CLAHE_BINS; i++)
        if (counts[i] > clip) {
            clipped += counts[i] - clip;
            counts[i] = clip;
        }
    uint32_t each = clipped / CLAHE_BINS, left = clipped % CLAHE_BINS;
    for (size_t i = 0; i < CLAHE_BINS; i++)
        counts[i] += each;
    if (!left)
        return;
    size_t step = CLAHE_BINS / left;
    for (size_t i = 0; i < CLAHE_BINS && left; i += step, left--)
        counts[i]++;
}

static void clahe_tile(const clahe_run *run, size_t tile_x, size_t tile_y)
{
    uint32_t counts[CLAHE_BINS], sum = 0;
    clahe_count(run, tile_x, tile_y, counts);
    if (run->clip)
        clahe_clip(counts, (uint32_t)run->clip);
    float scale = (float)(CLAHE_BINS - 1) / (float)(run->tile_width * run->tile_height);
    uint8_t *table = run->tables[tile_y * run->tiles_x + tile_x];
    for (size_t i = 0; i < CLAHE_BINS; i++) {
        sum += counts[i];
        long value = lrintf((float)sum * scale);
        table[i] = (uint8_t)(value < 255 ? value : 255);
    }
}

/* Position between tile centres: the index of the tile after it (0..tiles) and that one's share. */
static uint32_t clahe_between(size_t position, size_t tile_size, float *share)
{
    float inverse = 1.0f / (float)tile_size, exact = (float)position * inverse - 0.5f, before = floorf(exact);
    *share = exact - before;
    return (uint32_t)((int)before + 1);
}

static void clahe_interleave(const clahe_run *run, size_t below)
{
    size_t upper = below ? below - 1 : 0, lower = below < run->tiles_y ? below : run->tiles_y - 1;
    for (size_t cell = 0; cell <= run->tiles_x; cell++) {
        size_t left = cell ? cell - 1 : 0, right = cell < run->tiles_x ? cell : run->tiles_x - 1;
        for (size_t i = 0; i < CLAHE_BINS; i++) {
            run->cells[cell][i][0] = run->tables[upper * run->tiles_x + left][i];
            run->cells[cell][i][1] = run->tables[upper * run->tiles_x + right][i];
            run->cells[cell][i][2] = run->tables[lower * run->tiles_x + left][i];
            run->cells[cell][i][3] = run->tables[lower * run->tiles_x + right][i];
        }
    }
}

static void clahe_apply(const clahe_run *run, mien_image *target)
{
    const prep_kernels *kernels = prep_kernels_get();
    const mien_image_view *source = run->source;
    for (size_t x = 0; x < source->width; x++)
        run->column[x] = clahe_between(x, run->tile_width, run->right + x);
    size_t row_of_cells = SIZE_MAX;
    for (size_t y = 0; y < source->height; y++) {
        float lower;
        size_t below = clahe_between(y, run->tile_height, &lower);
        if (below != row_of_cells)
            clahe_interleave(run, below);
        row_of_cells = below;
        kernels->clahe_row(source->data + y * source->stride, target->data + y * target->stride, source->width,
                           (const uint8_t(*)[CLAHE_BINS][4])run->cells, run->column, run->right, lower);
    }
}

static mien_status clahe_plan(clahe_run *run, double clip_limit, mien_error *error)
{
    const mien_image_view *source = run->source;
    bool whole = source->width % run->tiles_x == 0 && source->height % run->tiles_y == 0;
    run->tile_width = source->width / run->tiles_x + (whole ? 0 : 1);
    run->tile_height = source->height / run->tiles_y + (whole ? 0 : 1);
    if (clip_limit > 0) {
        double limit = clip_limit * (double)(run->tile_width * run->tile_height) / CLAHE_BINS;
        run->clip = limit < 1 ? 1 : limit < INT32_MAX ? (int)limit : INT32_MAX;
    }
    size_t tables = run->tiles_x * run->tiles_y * CLAHE_BINS, cells = (run->tiles_x + 1) * CLAHE_BINS * 4;
    size_t bytes = tables + cells + source->width * (sizeof(uint32_t) + sizeof(float));
    uint8_t *block = memory_aligned(bytes, 1);
    if (!block)
        return error_no_memory(error, bytes);
    run->tables = (uint8_t(*)[CLAHE_BINS])block;
    run->cells = (uint8_t(*)[CLAHE_BINS][4])(block + tables);
    run->column = (uint32_t *)(block + tables + cells);
    run->right = (float *)(run->column + source->width);
    return MIEN_OK;
}

mien_status prep_clahe(const mien_image_view *source, mien_image *target, double clip_limit, unsigned tiles_x,
                       unsigned tiles_y, mien_error *error)
{
    mien_status status = operand_check_grey("clahe", source, target, error);
    if (status)
        return status;
    if (!tiles_x || !tiles_y || tiles_x > CLAHE_MAX_TILES || tiles_y > CLAHE_MAX_TILES || clip_limit != clip_limit)
        return error_set(error, MIEN_EINVAL, "clahe: %u × %u tiles; 1..%d are possible", tiles_x, tiles_y,
                         CLAHE_MAX_TILES);
    clahe_run run = {.source = source, .tiles_x = tiles_x, .tiles_y = tiles_y};
    status = clahe_plan(&run, clip_limit, error);
    if (status)
        return status;
    for (size_t y = 0; y < tiles_y; y++)
        for (size_t x = 0; x < tiles_x; x++)
            clahe_tile(&run, x, y);
    clahe_apply(&run, target);
    memory_free(run.tables);
    return MIEN_OK;
}
