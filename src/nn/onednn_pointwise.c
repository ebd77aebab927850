/* Steps without a window: activations, per-channel maps and arithmetic that could not be hung on another step. They
 * keep the layout that their operand is in. Where oneDNN would fall back on its reference code for that layout, the
 * operand is laid out row-major and tried again, and what still has no fast kernel runs as the plain-C operator. */
#include "nn/onednn_build.h"

#include "base/memory.h"

enum { SHORT_ROW = 8, MANY_ROWS = 64 };

static int emit_unary(onednn_plan *plan, const plan_step *step)
{
    int value = step->node.inputs[0];
    plan_post post = {.op = step->node.op, .alpha = step->node.alpha, .beta = step->node.beta, .value = -1};
    bool dies = onednn_value_dies(plan, value);
    return onednn_emit_unary(plan, &post, step->node.name, onednn_value_float(plan, value), dies);
}

/* The primitive for a ∘ b with the step's first `count` posts. */
static dnnl_primitive_desc_t try_binary(onednn_plan *plan, const plan_step *step, dnnl_alg_kind_t kind,
                                        const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b, int count,
                                        onednn_posts *posts)
{
    dnnl_binary_desc_t desc;
    if (!onednn_posts_init(plan, step, count, a, false, posts))
        return NULL;
    dnnl_primitive_desc_t pd = NULL;
    if (!dnnl_binary_desc_init(&desc, kind, a, b, a))
        pd = onednn_try(plan, &desc, posts->attr);
    if (!pd)
        onednn_posts_done(posts);
    return pd;
}

/* a ∘ b where both tensors are given; posts as far as they go. -1 without failing the plan when there is no kernel. */
static int emit_binary(onednn_plan *plan, const plan_step *step, dnnl_alg_kind_t kind, int a, int b, bool dies)
{
    if (plan->failed || a < 0 || b < 0)
        return -1;
    dnnl_memory_desc_t a_md = onednn_tensor_at(plan, a)->md, b_md = onednn_tensor_at(plan, b)->md;
    for (int count = step->post_count; count >= 0; count--) {
        onednn_mark mark = onednn_mark_here(plan);
        onednn_posts posts;
        dnnl_primitive_desc_t pd = try_binary(plan, step, kind, &a_md, &b_md, count, &posts);
        if (!pd) {
            onednn_rewind(plan, step, mark);
            continue;
        }
        int operation = onednn_emit(plan, pd, step->node.name);
        int result = dies ? onednn_tensor_reuse(plan, a, &a_md) : onednn_tensor_new(plan, &a_md);
        onednn_bind_tensor(plan, operation, DNNL_ARG_SRC_0, a);
        onednn_bind_tensor(plan, operation, DNNL_ARG_SRC_1, b);
        onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
        onednn_posts_bind(plan, operation, &posts);
        onednn_posts_done(&posts);
        return onednn_emit_posts(plan, step, count, result);
    }
    return -1;
}

static dnnl_alg_kind_t binary_kind(nn_op op)
{
    return op == NN_ADD   ? dnnl_binary_add
           : op == NN_SUB ? dnnl_binary_sub
           : op == NN_MUL ? dnnl_binary_mul
                          : dnnl_binary_div;
}

static int arithmetic_in(onednn_plan *plan, const plan_step *step, int a)
{
    if (plan->failed || a < 0)
        return -1;
    int second = step->node.inputs[1];
    bool same = nn_shape_equal(onednn_shape(plan, step->node.inputs[0]), onednn_shape(plan, second));
    dnnl_memory_desc_t md = onednn_tensor_at(plan, a)->md;
    int b = same ? onednn_value_as(plan, second, &md) : onednn_value_plain(plan, second, true);
    return emit_binary(plan, step, binary_kind(step->node.op), a, b, false);
}

int onednn_emit_arithmetic(onednn_plan *plan, const plan_step *step)
{
    int first = step->node.inputs[0];
    int result = arithmetic_in(plan, step, onednn_value_float(plan, first));
    if (result < 0 && !plan->failed)
        result = arithmetic_in(plan, step, onednn_value_plain(plan, first, false));
    if (result < 0 && !plan->failed)
        result = onednn_emit_posts(plan, step, 0, onednn_emit_plain(plan, step));
    return result;
}

static int affine_in(onednn_plan *plan, const plan_step *step, int tensor, bool dies)
{
    if (plan->failed || tensor < 0)
        return -1;
    const nn_shape *shape = onednn_shape(plan, step->output);
    plan_step rest = *step; /* the shift as a post of the scale */
    rest.post_count = 0;
    if (step->scale && step->shift)
        rest.posts[rest.post_count++] = (plan_post){.op = NN_SCALE_SHIFT, .value = -1, .shift = step->shift};
    const float *constant = step->scale ? step->scale : step->shift;
    return emit_binary(plan, &rest, step->scale ? dnnl_binary_mul : dnnl_binary_add, tensor,
                       onednn_tensor_constant(plan, constant, shape->dim[1], shape->rank), dies);
}

/* Many short rows, row-major, in f32. */
static bool has_short_rows(const dnnl_memory_desc_t *md)
{
    dnnl_dim_t length = 1;
    for (int d = 2; d < md->ndims; d++)
        length *= md->dims[d];
    return md->data_type == dnnl_f32 && length <= SHORT_ROW && md->dims[1] >= MANY_ROWS && onednn_is_plain(md);
}

/* A vector of the program as a tensor, or one filled with `missing` where there is none. */
static int row_constants(onednn_plan *plan, const float *data, int64_t count, float missing)
{
    if (data)
        return onednn_tensor_constant(plan, data, count, 2);
    float *filled = memory_array((size_t)count, sizeof(float));
    if (!filled) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
        return -1;
    }
    for (int64_t i = 0; i < count; i++)
        filled[i] = missing;
    int tensor = onednn_tensor_constant(plan, filled, count, 2);
    memory_free(filled);
    return tensor;
}

static int affine_rows(onednn_plan *plan, const plan_step *step, int tensor, bool dies)
{
    dnnl_memory_desc_t md = onednn_tensor_at(plan, tensor)->md;
    int scale = row_constants(plan, step->scale, md.dims[1], 1),
        shift = row_constants(plan, step->shift, md.dims[1], 0);
    int index = onednn_emit_own(plan, ONEDNN_AFFINE, step, step->node.name, "affine rows");
    int result = dies ? onednn_tensor_reuse(plan, tensor, &md) : onednn_tensor_new(plan, &md);
    onednn_bind_tensor(plan, index, DNNL_ARG_DST, result);
    onednn_bind_tensor(plan, index, DNNL_ARG_SRC, tensor);
    onednn_bind_tensor(plan, index, DNNL_ARG_WEIGHTS, scale);
    onednn_bind_tensor(plan, index, DNNL_ARG_BIAS, shift);
    return plan->failed ? -1 : result;
}

static int emit_affine(onednn_plan *plan, const plan_step *step)
{
    int value = step->node.inputs[0];
    if (!step->scale && !step->shift)
        return onednn_value_first(plan, value);
    int tensor = onednn_value_float(plan, value);
    if (!plan->failed && has_short_rows(&onednn_tensor_at(plan, tensor)->md))
        return affine_rows(plan, step, tensor, onednn_value_dies(plan, value));
    int result = affine_in(plan, step, tensor, onednn_value_dies(plan, value));
    if (result < 0 && !plan->failed)
        result = affine_in(plan, step, onednn_value_plain(plan, value, false), false);
    return result < 0 && !plan->failed ? onednn_emit_plain(plan, step) : result;
}

static int emit_prelu(onednn_plan *plan, const plan_step *step)
{
    int value = step->node.inputs[0], tensor = onednn_value_float(plan, value);
    if (step->slopes == 1) {
        plan_post post = {.op = NN_LEAKY_RELU, .alpha = step->scale[0], .value = -1};
        return onednn_emit_unary(plan, &post, step->node.name, tensor, onednn_value_dies(plan, value));
    }
    if (plan->failed)
        return -1;
    const nn_shape *shape = onednn_shape(plan, value);
    nn_shape slopes = {shape->rank, {1, shape->dim[1], 1, 1, 1, 1}};
    dnnl_memory_desc_t md = onednn_tensor_at(plan, tensor)->md, any = onednn_any(&slopes, dnnl_f32);
    dnnl_prelu_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    if (!dnnl_prelu_forward_desc_init(&desc, dnnl_forward_inference, &md, &any))
        pd = onednn_try(plan, &desc, NULL);
    if (!pd)
        return onednn_emit_plain(plan, step);
    dnnl_memory_desc_t plain = onednn_plain(&slopes, dnnl_f32), wanted = onednn_query(pd, dnnl_query_weights_md, 0);
    int operation = onednn_emit(plan, pd, step->node.name), result = onednn_tensor_new(plan, &md);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, tensor);
    onednn_bind_tensor(plan, operation, DNNL_ARG_WEIGHTS,
                       onednn_tensor_weight(plan, step->scale, &plain, &wanted, NULL));
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
    return result;
}

int onednn_emit_pointwise(onednn_plan *plan, const plan_step *step)
{
    if (step->node.op == NN_SCALE_SHIFT)
        return emit_affine(plan, step);
    return step->node.op == NN_PRELU ? emit_prelu(plan, step) : emit_unary(plan, step);
}
