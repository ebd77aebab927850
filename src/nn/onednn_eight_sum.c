/* Arithmetic on eight-bit values: the gate of a squeeze-excite block times its picture, sums of branches, with what
 * follows as posts. The primitive scales both operands itself; a sum among the posts wants its operand's unit, which
 * the walk over the units (see onednn_eight.c) arranges. Without this each such step would be two changes of type and
 * an addition in f32, several times slower than the convolution before it. */
#include "nn/onednn_build.h"

typedef struct operands {
    int a, b;               /* tensors */
    float a_scale, b_scale; /* in the first post's unit */
    dnnl_alg_kind_t kind;
} operands;

/* units[i]: what post i receives, units[count] the result's. A post that adds another value keeps that value's unit;
 * what follows it, if it does not mind, receives that unit too and converts. */
static bool find_units(const onednn_plan *plan, const plan_step *step, float result, float *units, float *after)
{
    int count = step->post_count;
    units[count] = result;
    for (int i = count - 1; i >= 0; i--) {
        const plan_post *post = &step->posts[i];
        units[i] = units[i + 1];
        after[i] = units[i + 1];
        if (post->value >= 0) {
            const plan_value *other = &plan->program->values[post->value];
            bool same = nn_shape_equal(&other->shape, onednn_shape(plan, step->output));
            if (post->op != NN_ADD || !same || !(other->scale > 0))
                return false;
            units[i] = after[i] = other->scale;
        } else if (post->op == NN_SCALE_SHIFT) {
            return false;
        } else if (post->op != NN_RELU && post->op != NN_LEAKY_RELU) {
            units[i] = 1;
        }
    }
    for (int i = 0; i + 1 < count; i++) /* an activation behind a sum converts; anything else cannot */
        if (after[i] != units[i + 1]) {
            bool converts = step->posts[i + 1].op == NN_RELU || step->posts[i + 1].op == NN_LEAKY_RELU;
            if (!converts)
                return false;
            units[i + 1] = after[i];
        }
    return true;
}

static bool add_post(onednn_plan *plan, const plan_post *post, const dnnl_memory_desc_t *dst, float unit, float next,
                     onednn_posts *posts)
{
    if (post->value >= 0) {
        dnnl_memory_desc_t md = *dst;
        md.data_type = onednn_eight_type(plan, post->value);
        return onednn_posts_binary(plan, dnnl_binary_add, onednn_value_as(plan, post->value, &md), posts);
    }
    dnnl_alg_kind_t kind;
    float a, b;
    if (post->op == NN_HARD_SIGMOID || !onednn_eltwise(post->op, post->alpha, post->beta, &kind, &a, &b))
        return false;
    return !dnnl_post_ops_append_eltwise(posts->ops, unit / next, kind, a, b);
}

static bool posts_init(onednn_plan *plan, const plan_step *step, const dnnl_memory_desc_t *dst, float result,
                       operands *o, onednn_posts *posts)
{
    float units[PLAN_MAX_POSTS + 1], after[PLAN_MAX_POSTS + 1];
    int count = step->post_count;
    *posts = (onednn_posts){.sum_tensor = -1};
    if (!find_units(plan, step, result, units, after))
        return false;
    o->a_scale = onednn_tensor_at(plan, o->a)->scale / units[0];
    o->b_scale = o->kind == dnnl_binary_mul ? onednn_tensor_at(plan, o->b)->scale
                                            : onednn_tensor_at(plan, o->b)->scale / units[0];
    bool good = !dnnl_primitive_attr_clone(&posts->attr, plan->context.attr) && !dnnl_post_ops_create(&posts->ops) &&
                !dnnl_primitive_attr_set_scales(posts->attr, DNNL_ARG_SRC_0, 1, 0, &o->a_scale) &&
                !dnnl_primitive_attr_set_scales(posts->attr, DNNL_ARG_SRC_1, 1, 0, &o->b_scale);
    for (int i = 0; i < count && good; i++)
        good = add_post(plan, &step->posts[i], dst, units[i], i + 1 < count ? units[i + 1] : result, posts);
    if (good && count && after[count - 1] != result && step->posts[count - 1].value >= 0)
        good = !dnnl_post_ops_append_eltwise(posts->ops, 1, dnnl_eltwise_linear, after[count - 1] / result, 0);
    good = good && !dnnl_primitive_attr_set_post_ops(posts->attr, posts->ops);
    if (!good)
        onednn_posts_done(posts);
    return good;
}

/* Both operands as tensors: eight bits, or the gate as it is. False where the step is none of this file's. */
static bool find_operands(onednn_plan *plan, const plan_step *step, operands *o)
{
    const nn_node *node = &step->node;
    const plan_value *first = &plan->program->values[node->inputs[0]],
                     *second = &plan->program->values[node->inputs[1]];
    bool same = nn_shape_equal(&first->shape, &second->shape);
    if (second->shape.dim[1] != first->shape.dim[1]) /* one number for each pixel */
        return false;
    if (!(node->op == NN_MUL && !same) && !(node->op == NN_ADD && same))
        return false;
    if (!(first->scale > 0) || (same && !(second->scale > 0)))
        return false;
    dnnl_memory_desc_t md = onednn_tensor_at(plan, onednn_value_first(plan, node->inputs[0]))->md;
    md.data_type = onednn_eight_type(plan, node->inputs[0]);
    o->kind = same ? dnnl_binary_add : dnnl_binary_mul;
    o->a = onednn_value_as(plan, node->inputs[0], &md);
    md.data_type = onednn_eight_type(plan, node->inputs[1]);
    o->b = same ? onednn_value_as(plan, node->inputs[1], &md) : onednn_value_plain(plan, node->inputs[1], false);
    return !plan->failed;
}

static int emit(onednn_plan *plan, const plan_step *step, const operands *o, float result, const onednn_posts *posts,
                const dnnl_memory_desc_t *dst)
{
    dnnl_binary_desc_t desc;
    const dnnl_memory_desc_t *a = &onednn_tensor_at(plan, o->a)->md, *b = &onednn_tensor_at(plan, o->b)->md;
    dnnl_primitive_desc_t pd = NULL;
    if (!dnnl_binary_desc_init(&desc, o->kind, a, b, dst))
        pd = onednn_try(plan, &desc, posts->attr);
    if (!pd)
        return -1;
    int operation = onednn_emit(plan, pd, step->node.name), made = onednn_tensor_new(plan, dst);
    if (made >= 0)
        onednn_tensor_at(plan, made)->scale = result;
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC_0, o->a);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC_1, o->b);
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, made);
    onednn_posts_bind(plan, operation, posts);
    return made;
}

int onednn_emit_eight_sum(onednn_plan *plan, const plan_step *step)
{
    const plan_value *value = &plan->program->values[step->output];
    onednn_mark mark = onednn_mark_here(plan);
    operands o;
    onednn_posts posts;
    int made = -1;
    if (plan->failed || !find_operands(plan, step, &o))
        return -1;
    dnnl_memory_desc_t dst = onednn_tensor_at(plan, o.a)->md;
    dst.data_type = onednn_eight_type(plan, step->output);
    if (posts_init(plan, step, &dst, value->scale, &o, &posts)) {
        made = emit(plan, step, &o, value->scale, &posts, &dst);
        onednn_posts_done(&posts);
    }
    if (made < 0 && !plan->failed)
        onednn_rewind(plan, step, mark);
    return made;
}
