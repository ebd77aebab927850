/* One stage of one window in plain C. The exact form does what the format says in the order and precision in which
 * OpenCV does it: features in float (weight × sum, added left to right), times 1/nf in float, compared with the node's
 * float, leaves summed in double. */
#include <math.h>

#include "detect/cascade_program.h"

static int32_t stage_box(const int32_t *corner, const int32_t at[4])
{
    return (int32_t)((uint32_t)corner[at[0]] - (uint32_t)corner[at[1]] - (uint32_t)corner[at[2]] +
                     (uint32_t)corner[at[3]]);
}

static float stage_haar(const cascade_feature *feature, const int32_t *reads, const int32_t *corner)
{
    float value =
        feature->weight[0] * (float)stage_box(corner, reads) + feature->weight[1] * (float)stage_box(corner, reads + 4);
    if (feature->weight[2] != 0)
        value += feature->weight[2] * (float)stage_box(corner, reads + 8);
    return value;
}

/* Eight neighbours against the middle block, clockwise from the top left, first one the highest bit. */
static unsigned stage_lbp(const int32_t *reads, const int32_t *corner)
{
    static const uint8_t neighbour[8] = {0, 1, 2, 6, 10, 9, 8, 4};
    int32_t block[11], code = 0;
    for (int i = 0; i < 11; i++) {
        const int32_t at[4] = {reads[i], reads[i + 1], reads[i + 4], reads[i + 5]};
        block[i] = (i & 3) < 3 ? stage_box(corner, at) : 0;
    }
    for (int i = 0; i < 8; i++)
        code = code << 1 | (block[neighbour[i]] >= block[5]);
    return (unsigned)code;
}

static bool stage_goes_left(const cascade_table *table, int32_t index, const int32_t *corner, float scale)
{
    const cascade *source = table->program->source;
    const cascade_node *node = source->nodes + index;
    const int32_t *reads = table->reads[node->feature];
    if (source->kind == CASCADE_LBP) {
        unsigned code = stage_lbp(reads, corner);
        return source->subsets[(size_t)index * CASCADE_SUBSET_WORDS + (code >> 5)] >> (code & 31) & 1;
    }
    return stage_haar(source->features + node->feature, reads, corner) * scale < node->threshold;
}

bool cascade_stage_exact(const cascade_table *table, int32_t stage, const int32_t *corner, float scale)
{
    const cascade *source = table->program->source;
    const cascade_tree *tree = source->trees + source->stages[stage].first_tree;
    const cascade_tree *end = tree + source->stages[stage].tree_count;
    double sum = 0;
    for (; tree < end; tree++) {
        int32_t at = 0;
        do {
            const cascade_node *node = source->nodes + tree->first_node + at;
            at = stage_goes_left(table, tree->first_node + at, corner, scale) ? node->left : node->right;
        } while (at > 0);
        sum += source->leaves[tree->first_leaf - at];
    }
    return !(sum < source->stages[stage].threshold);
}

static inline int32_t stage_gain(const cascade_step *step, int32_t value, float scale)
{
    return -(int32_t)((float)value * scale < step->threshold) & step->gain; /* no branch: it would be a coin toss */
}

bool cascade_stage_fast(const cascade_table *table, int32_t stage, const int32_t *corner, float scale)
{
    const cascade_fast_stage *fast = table->program->stages + stage;
    const cascade_step *step = table->steps + fast->first_step;
    const uint32_t *p = (const uint32_t *)corner;
    int32_t sum = fast->base;
    for (const cascade_step *end = step + fast->count[CASCADE_FORM_6]; step < end; step++)
        sum += stage_gain(step, cascade_step_value(step, CASCADE_FORM_6, p), scale);
    for (const cascade_step *end = step + fast->count[CASCADE_FORM_8]; step < end; step++)
        sum += stage_gain(step, cascade_step_value(step, CASCADE_FORM_8, p), scale);
    for (const cascade_step *end = step + fast->count[CASCADE_FORM_9]; step < end; step++)
        sum += stage_gain(step, cascade_step_value(step, CASCADE_FORM_9, p), scale);
    if (sum >= fast->slack || sum <= -fast->slack)
        return sum > 0;
    return cascade_stage_exact(table, stage, corner, scale);
}

float cascade_window_scale(const cascade_table *table, const int32_t *sum, const int32_t *square)
{
    double total = stage_box(sum, table->inner), squares = (uint32_t)stage_box(square, table->inner);
    double nf = table->area * squares - total * total;
    if (!(nf > 0))
        return 0;
    float scale = (float)(1.0 / sqrt(nf));
    return scale <= table->scale_limit ? scale : 0;
}
