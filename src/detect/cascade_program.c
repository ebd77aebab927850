/* Merging a feature's rectangles into as few reads as possible, and leaves into fixed point.
 *
 * Rectangles of a feature share corners: -1·whole + 2·half needs 6 reads, not 8. Sums of 8-bit pixels over a window are
 * below 2²⁴, so the float arithmetic of the format is exact for whole-numbered weights and may be done in integers.
 * Stage sums in fixed point make the order of additions free (steps are sorted by form) and are bounded: each gain is
 * rounded by at most half a unit, so a stage of n steps is within (n + 1)/2 units, and slack is n/2 + 3.
 */
#include "detect/cascade_program.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { PROGRAM_Y = 10, PROGRAM_PLANE = 20, PROGRAM_MAX_MERGED = 12 };

typedef struct program_corner {
    int32_t number, weight;
} program_corner;

typedef struct program_corners {
    program_corner corner[PROGRAM_MAX_MERGED];
    int count;
} program_corners;

static int32_t program_number(int x, int y, bool tilted)
{
    return (int32_t)tilted << PROGRAM_PLANE | y << PROGRAM_Y | x;
}

/* The four corners of a rectangle; its sum is 0 - 1 - 2 + 3. */
static void program_rect_corners(const cascade_rect *r, bool tilted, int32_t number[4])
{
    if (tilted) {
        number[0] = program_number(r->x, r->y, true);
        number[1] = program_number(r->x - r->height, r->y + r->height, true);
        number[2] = program_number(r->x + r->width, r->y + r->width, true);
        number[3] = program_number(r->x + r->width - r->height, r->y + r->width + r->height, true);
    } else {
        number[0] = program_number(r->x, r->y, false);
        number[1] = program_number(r->x + r->width, r->y, false);
        number[2] = program_number(r->x, r->y + r->height, false);
        number[3] = program_number(r->x + r->width, r->y + r->height, false);
    }
}

static void program_merge(program_corners *corners, int32_t number, int32_t weight)
{
    for (int i = 0; i < corners->count; i++)
        if (corners->corner[i].number == number) {
            corners->corner[i].weight += weight;
            return;
        }
    corners->corner[corners->count++] = (program_corner){number, weight};
}

/* False where a weight is not whole or a sum could leave float's exact range. */
static bool program_merge_feature(const cascade_feature *feature, program_corners *merged)
{
    static const int sign[4] = {1, -1, -1, 1};
    program_corners all = {.count = 0};
    double most = 0;
    for (int r = 0; r < CASCADE_RECTS; r++) {
        if (feature->weight[r] == 0)
            continue;
        int32_t number[4];
        if (feature->weight[r] != rintf(feature->weight[r]) || fabsf(feature->weight[r]) > 64)
            return false;
        double area = (double)feature->rect[r].width * feature->rect[r].height * (feature->tilted ? 2 : 1);
        most += fabs((double)feature->weight[r]) * area * UINT8_MAX;
        program_rect_corners(&feature->rect[r], feature->tilted, number);
        for (int i = 0; i < 4; i++)
            program_merge(&all, number[i], sign[i] * (int32_t)feature->weight[r]);
    }
    merged->count = 0;
    for (int i = 0; i < all.count; i++)
        if (all.corner[i].weight)
            merged->corner[merged->count++] = all.corner[i];
    return most < 1 << 24;
}

/* Take a corner of that weight out of the list into *at; false when there is none. */
static bool program_take(program_corners *corners, int32_t weight, int32_t *at)
{
    for (int i = 0; i < corners->count; i++)
        if (corners->corner[i].weight == weight) {
            *at = corners->corner[i].number;
            corners->corner[i] = corners->corner[--corners->count];
            return true;
        }
    return false;
}

static bool program_take_all(program_corners corners, const int32_t *weight, int count, int32_t *at)
{
    if (corners.count != count)
        return false;
    for (int i = 0; i < count; i++)
        if (!program_take(&corners, weight[i], at + i))
            return false;
    return true;
}

/* The form of a merged feature, its reads in order, and its factor; false when it has none of the three. */
static bool program_form(const program_corners *merged, cascade_step *step, cascade_form *form)
{
    static const int32_t six[6] = {1, -1, 2, -2, 1, -1};
    step->factor = 1;
    if (program_take_all(*merged, six, 6, step->at)) {
        *form = CASCADE_FORM_6;
        return true;
    }
    for (int32_t s = 1; s >= -1; s -= 2) {
        const int32_t nine[9] = {s, s, s, s, -2 * s, -2 * s, -2 * s, -2 * s, 4 * s};
        step->factor = s;
        if (program_take_all(*merged, nine, 9, step->at)) {
            *form = CASCADE_FORM_9;
            return true;
        }
    }
    *form = CASCADE_FORM_8;
    for (int i = 0; i < merged->count; i++) {
        int32_t f = merged->corner[i].weight;
        const int32_t eight[8] = {f, -f, f, -f, 1, -1, 1, -1};
        step->factor = f;
        if (f > 1 && program_take_all(*merged, eight, 8, step->at))
            return true;
        if (program_take_all(*merged, eight, 4, step->at)) {
            for (int k = 4; k < 8; k++)
                step->at[k] = step->at[0];
            return true;
        }
    }
    return false;
}

/* Bits after the point that leave every partial sum of the stage below 2³⁰. */
static int program_stage_point(const cascade *source, const cascade_stage *stage)
{
    double most = fabs((double)stage->threshold) + 1;
    for (int32_t t = 0; t < stage->tree_count; t++) {
        const float *leaf = source->leaves + source->trees[stage->first_tree + t].first_leaf;
        most += fabs((double)leaf[0]) + fabs((double)leaf[1]) + 1e-6;
    }
    int exponent;
    frexp(most, &exponent);
    return 30 - exponent;
}

static bool program_stage_steps(cascade_program *program, int32_t index)
{
    const cascade *source = program->source;
    const cascade_stage *stage = source->stages + index;
    cascade_fast_stage *fast = program->stages + index;
    int point = program_stage_point(source, stage);
    if (point < 8)
        return false;
    double base = -(double)stage->threshold;
    fast->first_step = stage->first_tree;
    fast->slack = stage->tree_count / 2 + 3;
    int32_t filled = 0;
    for (int wanted = 0; wanted < CASCADE_FORM_COUNT; wanted++)
        for (int32_t t = 0; t < stage->tree_count; t++) {
            const cascade_tree *tree = source->trees + stage->first_tree + t;
            const cascade_node *node = source->nodes + tree->first_node;
            const float *leaf = source->leaves + tree->first_leaf;
            program_corners merged;
            cascade_step step = {.threshold = node->threshold};
            cascade_form form;
            if (!program_merge_feature(source->features + node->feature, &merged) ||
                !program_form(&merged, &step, &form))
                return false;
            if ((int)form != wanted)
                continue;
            double left = leaf[-node->left], right = leaf[-node->right];
            step.gain = (int32_t)lrint(ldexp(left - right, point));
            base += right;
            program->steps[fast->first_step + filled++] = step;
            fast->count[form]++;
        }
    fast->base = (int32_t)lrint(ldexp(base, point));
    return true;
}

static bool program_make_fast(cascade_program *program)
{
    const cascade *source = program->source;
    if (source->kind != CASCADE_HAAR || !source->stumps)
        return false;
    for (int32_t s = 0; s < source->stage_count; s++)
        if (!program_stage_steps(program, s))
            return false;
    return true;
}

/* The 4 × 4 grid of corners of 3 × 3 blocks. */
static void program_lbp_reads(const cascade_rect *block, int32_t *reads)
{
    for (int row = 0; row < 4; row++)
        for (int column = 0; column < 4; column++)
            reads[row * 4 + column] =
                program_number(block->x + column * block->width, block->y + row * block->height, false);
}

static void program_make_reads(cascade_program *program)
{
    const cascade *source = program->source;
    for (int32_t f = 0; f < source->feature_count; f++) {
        const cascade_feature *feature = source->features + f;
        memset(program->reads[f], 0, sizeof program->reads[f]);
        if (source->kind == CASCADE_LBP)
            program_lbp_reads(&feature->rect[0], program->reads[f]);
        else
            for (int r = 0; r < CASCADE_RECTS && feature->weight[r] != 0; r++)
                program_rect_corners(&feature->rect[r], feature->tilted, program->reads[f] + 4 * r);
    }
}

mien_status cascade_program_create(const cascade *source, cascade_program *program, mien_error *error)
{
    cascade_program made = {.source = source};
    made.stages = memory_zeroed((size_t)source->stage_count, sizeof *made.stages);
    made.steps = memory_zeroed((size_t)source->tree_count, sizeof *made.steps);
    made.reads = memory_zeroed((size_t)source->feature_count, sizeof *made.reads);
    if (!made.stages || !made.steps || !made.reads) {
        cascade_program_done(&made);
        return error_no_memory(error, (size_t)source->feature_count * sizeof *made.reads);
    }
    program_make_reads(&made);
    made.fast = program_make_fast(&made);
    *program = made;
    return MIEN_OK;
}

void cascade_program_done(cascade_program *program)
{
    if (!program)
        return;
    memory_free(program->stages);
    memory_free(program->steps);
    memory_free(program->reads);
    memset(program, 0, sizeof *program);
}

static int32_t program_distance(const cascade_table *table, int32_t number)
{
    size_t x = (size_t)number & ((1 << PROGRAM_Y) - 1);
    size_t y = (size_t)number >> PROGRAM_Y & ((1 << PROGRAM_Y) - 1);
    size_t plane = number >> PROGRAM_PLANE ? table->tilted : 0;
    return (int32_t)(plane + y * table->layout.stride + integral_column(&table->layout, x));
}

/* The variance of a window is taken one pixel in from its sides. */
static void program_variance(cascade_table *table)
{
    const cascade *source = table->program->source;
    const cascade_rect inner = {1, 1, (int16_t)(source->width - 2), (int16_t)(source->height - 2)};
    int32_t number[4];
    program_rect_corners(&inner, false, number);
    for (int i = 0; i < 4; i++)
        table->inner[i] = program_distance(table, number[i]);
    table->area = (double)inner.width * inner.height;
    float limit = (float)(0.1 / table->area);
    while (!(table->area * limit < 0.1))
        limit = nextafterf(limit, 0);
    while (table->area * nextafterf(limit, 1) < 0.1)
        limit = nextafterf(limit, 1);
    table->scale_limit = limit;
}

mien_status cascade_table_prepare(cascade_table *table, const cascade_program *program, const integral_layout *layout,
                                  size_t tilted, mien_error *error)
{
    if (table->program == program && table->layout.stride == layout->stride && table->layout.half == layout->half &&
        table->tilted == tilted)
        return MIEN_OK;
    const cascade *source = program->source;
    if (tilted + (CASCADE_MAX_SIDE + 1) * layout->stride > INT32_MAX)
        return error_set(error, MIEN_ELIMIT, "cascade: the picture is too wide");
    if (table->program != program) {
        cascade_table_done(table);
        table->steps = memory_aligned((size_t)source->tree_count, sizeof *table->steps);
        table->reads = memory_aligned((size_t)source->feature_count, sizeof *table->reads);
        if (!table->steps || !table->reads) {
            cascade_table_done(table);
            return error_no_memory(error, (size_t)source->feature_count * sizeof *table->reads);
        }
    }
    *table = (cascade_table){program, *layout, tilted, table->steps, table->reads, {0}, 0, 0};
    for (int32_t f = 0; f < source->feature_count; f++)
        for (int i = 0; i < CASCADE_FEATURE_READS; i++)
            table->reads[f][i] = program_distance(table, program->reads[f][i]);
    memcpy(table->steps, program->steps, (size_t)source->tree_count * sizeof *table->steps);
    for (int32_t s = 0; s < source->tree_count; s++)
        for (int i = 0; i < CASCADE_CORNERS; i++)
            table->steps[s].at[i] = program_distance(table, program->steps[s].at[i]);
    program_variance(table);
    return MIEN_OK;
}

void cascade_table_done(cascade_table *table)
{
    if (!table)
        return;
    memory_free(table->steps);
    memory_free(table->reads);
    memset(table, 0, sizeof *table);
}
