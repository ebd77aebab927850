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
        const cascade_tree *tree = source->trees + stage->first_tree + t;
        for (int32_t i = 0; i <= tree->node_count; i++)
            most += fabs((double)source->leaves[tree->first_leaf + i]) + 1e-6;
    }
    int exponent;
    frexp(most, &exponent);
    return 30 - exponent;
}

/* The step of a node: its feature in the shape of a form. */
static bool program_node_step(const cascade *source, const cascade_node *node, cascade_step *step, cascade_form *form)
{
    program_corners merged;
    *step = (cascade_step){.threshold = node->threshold};
    return program_merge_feature(source->features + node->feature, &merged) && program_form(&merged, step, form);
}

static int32_t program_fixed(double value, int point)
{
    return (int32_t)lrint(ldexp(value, point));
}

static bool program_stump_stage(cascade_program *program, const cascade_stage *stage, int point,
                                cascade_fast_stage *fast)
{
    const cascade *source = program->source;
    double base = -(double)stage->threshold;
    int32_t filled = fast->first_step;
    for (int wanted = 0; wanted < CASCADE_FORM_COUNT; wanted++)
        for (int32_t t = 0; t < stage->tree_count; t++) {
            const cascade_tree *tree = source->trees + stage->first_tree + t;
            const cascade_node *node = source->nodes + tree->first_node;
            const float *leaf = source->leaves + tree->first_leaf;
            cascade_step step;
            cascade_form form;
            if (!program_node_step(source, node, &step, &form))
                return false;
            if ((int)form != wanted)
                continue;
            double left = leaf[-node->left], right = leaf[-node->right];
            step.gain = program_fixed(left - right, point);
            base += right;
            program->steps[filled++] = step;
            fast->count[form]++;
        }
    fast->base = program_fixed(base, point);
    return true;
}

/* A child of a node as a branch has it. */
static void program_child(const float *leaf, int32_t child, int point, int side, cascade_branch *branch)
{
    branch->child[side] = (uint8_t)(child > 0 ? child : 0);
    branch->gain[side] = child > 0 ? 0 : program_fixed(leaf[-child], point);
}

static bool program_tree_stage(cascade_program *program, const cascade_stage *stage, int point,
                               cascade_fast_stage *fast)
{
    const cascade *source = program->source;
    for (int32_t t = 0; t < stage->tree_count; t++) {
        const cascade_tree *tree = source->trees + stage->first_tree + t;
        if (tree->node_count > CASCADE_TREE_NODES)
            return false;
        for (int32_t n = 0; n < tree->node_count; n++) {
            const cascade_node *node = source->nodes + tree->first_node + n;
            cascade_branch *branch = program->branches + tree->first_node + n;
            cascade_form form;
            if (!program_node_step(source, node, program->steps + tree->first_node + n, &form))
                return false;
            branch->form = (uint8_t)form;
            branch->last = n + 1 == tree->node_count;
            program_child(source->leaves + tree->first_leaf, node->left, point, 0, branch);
            program_child(source->leaves + tree->first_leaf, node->right, point, 1, branch);
        }
    }
    fast->base = program_fixed(-(double)stage->threshold, point);
    return true;
}

static bool program_lbp_stage(cascade_program *program, const cascade_stage *stage, int point, cascade_fast_stage *fast)
{
    const cascade *source = program->source;
    double base = -(double)stage->threshold;
    for (int32_t t = 0; t < stage->tree_count; t++) {
        const cascade_tree *tree = source->trees + stage->first_tree + t;
        const cascade_node *node = source->nodes + tree->first_node;
        const float *leaf = source->leaves + tree->first_leaf;
        double left = leaf[-node->left], right = leaf[-node->right];
        program->branches[tree->first_node].gain[0] = program_fixed(left - right, point);
        base += right;
    }
    fast->base = program_fixed(base, point);
    return true;
}

static bool program_make_stage(cascade_program *program, cascade_path path, int32_t index)
{
    const cascade_stage *stage = program->source->stages + index;
    cascade_fast_stage *fast = program->stages + index;
    int point = program_stage_point(program->source, stage);
    fast->first_step = program->source->trees[stage->first_tree].first_node;
    fast->slack = stage->tree_count / 2 + 3;
    if (point < 8)
        return false;
    if (path == CASCADE_PATH_LBP)
        return program_lbp_stage(program, stage, point, fast);
    return path == CASCADE_PATH_STUMPS ? program_stump_stage(program, stage, point, fast)
                                       : program_tree_stage(program, stage, point, fast);
}

static cascade_path program_choose_path(cascade_program *program)
{
    const cascade *source = program->source;
    cascade_path path = CASCADE_PATH_TREES;
    if (source->kind == CASCADE_LBP)
        path = source->stumps ? CASCADE_PATH_LBP : CASCADE_PATH_EXACT;
    else if (source->stumps)
        path = CASCADE_PATH_STUMPS;
    for (int32_t s = 0; s < source->stage_count && path; s++)
        if (!program_make_stage(program, path, s))
            path = CASCADE_PATH_EXACT;
    return path;
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
    made.steps = memory_zeroed((size_t)source->node_count, sizeof *made.steps);
    made.branches = memory_zeroed((size_t)source->node_count, sizeof *made.branches);
    made.reads = memory_zeroed((size_t)source->feature_count, sizeof *made.reads);
    if (!made.stages || !made.steps || !made.branches || !made.reads) {
        cascade_program_done(&made);
        return error_no_memory(error, (size_t)source->feature_count * sizeof *made.reads);
    }
    program_make_reads(&made);
    made.path = program_choose_path(&made);
    *program = made;
    return MIEN_OK;
}

void cascade_program_done(cascade_program *program)
{
    if (!program)
        return;
    memory_free(program->stages);
    memory_free(program->steps);
    memory_free(program->branches);
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
        table->steps = memory_aligned((size_t)source->node_count, sizeof *table->steps);
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
    memcpy(table->steps, program->steps, (size_t)source->node_count * sizeof *table->steps);
    for (int32_t s = 0; s < source->node_count; s++)
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
