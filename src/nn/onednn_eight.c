/* Convolution and dense in eight bits. Activations have one scale each (unsigned after a ReLU, signed otherwise),
 * kernels one per output channel; the 32-bit sum is scaled to the result's unit at once. Posts run in some unit u,
 * number = value / u: a ReLU, a clip or a gate does not care which, a sum with another eight-bit value wants that
 * value's unit, and any other function wants u = 1. The units are walked backwards from the result and each change of
 * unit is put into the scale of an activation, of the sum, or of the product itself. All scales are static: with
 * run-time scales oneDNN 2.6.3 falls back on reference code. */
#include "nn/onednn_build.h"

#include "base/memory.h"

#include <math.h>

typedef struct eight {
    onednn_linear linear;
    float *kernel_scales; /* per output channel */
    float *scales;        /* the same times the input's scale, divided by the first unit: for the primitive */
    float *bias;          /* in units of the 32-bit sum */
    int64_t outputs;
    float source; /* scale of the input */
} eight;

static void eight_free(eight *e)
{
    memory_free(e->kernel_scales);
    memory_free(e->scales);
    memory_free(e->bias);
}

/* Symmetric, per output channel, full range: the largest weight becomes ±127. */
static bool eight_init(onednn_plan *plan, const plan_step *step, eight *e)
{
    e->linear = onednn_linear_describe(plan, step);
    e->outputs = onednn_shape(plan, step->output)->dim[1];
    e->source = plan->program->values[step->node.inputs[0]].scale;
    size_t count = (size_t)e->outputs, size = nn_shape_count(&e->linear.kernel) / count;
    e->kernel_scales = memory_array(count, sizeof(float));
    e->scales = memory_array(count, sizeof(float));
    e->bias = memory_array(count, sizeof(float));
    if (!e->kernel_scales || !e->scales || !e->bias)
        return false;
    for (size_t o = 0; o < count; o++) {
        float most = 0;
        for (size_t i = 0; i < size; i++)
            most = fmaxf(most, fabsf(step->kernel[o * size + i]));
        e->kernel_scales[o] = most > 0 && isfinite(most) ? most / 127 : 1;
        e->bias[o] = step->bias ? step->bias[o] / (e->kernel_scales[o] * e->source) : 0;
    }
    e->linear.src.data_type = onednn_eight_type(plan, step->node.inputs[0]);
    e->linear.weights.data_type = dnnl_s8;
    return true;
}

static bool is_homogeneous(const plan_post *post)
{
    return post->op == NN_RELU || post->op == NN_LEAKY_RELU || post->op == NN_CLIP || post->op == NN_MUL;
}

static bool is_sum(const onednn_plan *plan, const plan_step *step, const plan_post *post)
{
    return post->op == NN_ADD && post->value >= 0 &&
           nn_shape_equal(onednn_shape(plan, post->value), onednn_shape(plan, step->output));
}

/* units[i]: the unit in which post i receives its number; units[count] = that of the result. */
static void find_units(const onednn_plan *plan, const plan_step *step, int count, float result, float *units)
{
    units[count] = result;
    for (int i = count - 1; i >= 0; i--) {
        const plan_post *post = &step->posts[i];
        if (is_homogeneous(post) || is_sum(plan, step, post))
            units[i] = units[i + 1];
        else
            units[i] = 1;
    }
}

static bool add_unary(const plan_post *post, float unit, float next, onednn_posts *posts)
{
    dnnl_alg_kind_t kind;
    float a, b;
    if (!onednn_eltwise(post->op, post->alpha, post->beta, &kind, &a, &b))
        return false;
    if (post->op == NN_CLIP) {
        a /= unit;
        b /= unit;
    }
    if (post->op == NN_HARD_SIGMOID)
        return !dnnl_post_ops_append_eltwise(posts->ops, 1, kind, a, b) &&
               !dnnl_post_ops_append_eltwise(posts->ops, unit / next, dnnl_eltwise_clip, 0, 1);
    return !dnnl_post_ops_append_eltwise(posts->ops, unit / next, kind, a, b);
}

/* The operand's bytes become the result's when it is not needed afterwards; otherwise a copy's do. */
static bool add_sum(onednn_plan *plan, const plan_step *step, const plan_post *post, const dnnl_memory_desc_t *dst,
                    float unit, onednn_posts *posts)
{
    dnnl_memory_desc_t md = *dst;
    bool narrow = dst->data_type == dnnl_u8 || dst->data_type == dnnl_s8;
    if (posts->sum_tensor >= 0 || (narrow && !(plan->program->values[post->value].scale > 0)))
        return false;
    if (narrow)
        md.data_type = onednn_eight_type(plan, post->value);
    int tensor = onednn_value_as(plan, post->value, &md);
    if (plan->failed)
        return false;
    if (!onednn_value_dies(plan, post->value) || !onednn_reads_once(step, post->value)) {
        int copy = onednn_tensor_new(plan, &md);
        if (copy < 0)
            return false;
        onednn_tensor_at(plan, copy)->scale = onednn_tensor_at(plan, tensor)->scale;
        onednn_emit_reorder(plan, "copy", tensor, copy);
        tensor = copy;
    }
    posts->sum_tensor = tensor;
    return !dnnl_post_ops_append_sum_v2(posts->ops, onednn_tensor_at(plan, tensor)->scale / unit, md.data_type);
}

static bool add_affine(onednn_plan *plan, const plan_step *step, const plan_post *post, float next, onednn_posts *posts)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    int64_t channels = shape->dim[1];
    float *constant = memory_array((size_t)channels, sizeof(float));
    if (!constant)
        return false;
    for (int64_t c = 0; c < channels; c++)
        constant[c] = (post->scale ? post->scale[c] : 1) / next;
    bool good = onednn_posts_binary(plan, dnnl_binary_mul,
                                    onednn_tensor_constant(plan, constant, channels, shape->rank), posts);
    for (int64_t c = 0; c < channels && post->shift; c++)
        constant[c] = post->shift[c] / next;
    if (post->shift)
        good = good && onednn_posts_binary(plan, dnnl_binary_add,
                                           onednn_tensor_constant(plan, constant, channels, shape->rank), posts);
    memory_free(constant);
    return good;
}

static bool add_post(onednn_plan *plan, const plan_step *step, const plan_post *post, const dnnl_memory_desc_t *dst,
                     const float *units, onednn_posts *posts)
{
    if (is_sum(plan, step, post))
        return add_sum(plan, step, post, dst, units[0], posts);
    if (post->value >= 0) {
        const nn_shape *shape = onednn_shape(plan, post->value);
        bool gate = post->op == NN_MUL && !nn_shape_equal(shape, onednn_shape(plan, step->output));
        return gate && onednn_posts_binary(plan, dnnl_binary_mul, onednn_value_plain(plan, post->value, true), posts);
    }
    if (post->op == NN_SCALE_SHIFT)
        return add_affine(plan, step, post, units[1], posts);
    return add_unary(post, units[0], units[1], posts);
}

static bool posts_init(onednn_plan *plan, eight *e, int count, const dnnl_memory_desc_t *dst, float result,
                       onednn_posts *posts)
{
    const plan_step *step = e->linear.step;
    float units[PLAN_MAX_POSTS + 1];
    *posts = (onednn_posts){.sum_tensor = -1};
    find_units(plan, step, count, result, units);
    for (int64_t o = 0; o < e->outputs; o++)
        e->scales[o] = e->kernel_scales[o] * e->source / units[0];
    bool good = !dnnl_primitive_attr_clone(&posts->attr, plan->context.attr) && !dnnl_post_ops_create(&posts->ops) &&
                !dnnl_primitive_attr_set_output_scales(posts->attr, e->outputs, 1 << 1, e->scales);
    for (int i = 0; i < count && good; i++)
        good = add_post(plan, step, &step->posts[i], dst, units + i, posts);
    good = good && !dnnl_primitive_attr_set_post_ops(posts->attr, posts->ops);
    if (!good)
        onednn_posts_done(posts);
    return good;
}

/* With `count` posts; NULL when oneDNN or a post refuses. The layout of the result is found by a first try without. */
static dnnl_primitive_desc_t try_count(onednn_plan *plan, eight *e, int count, float result, onednn_posts *posts)
{
    onednn_mark mark = onednn_mark_here(plan);
    dnnl_primitive_desc_t pd = NULL;
    if (posts_init(plan, e, 0, NULL, result, posts))
        pd = onednn_linear_try(plan, &e->linear, posts->attr);
    if (!pd)
        onednn_posts_done(posts);
    if (!pd || !count)
        return pd;
    dnnl_memory_desc_t dst = onednn_query(pd, dnnl_query_dst_md, 0), made = {0};
    dnnl_primitive_desc_destroy(pd);
    onednn_posts_done(posts);
    pd = posts_init(plan, e, count, &dst, result, posts) ? onednn_linear_try(plan, &e->linear, posts->attr) : NULL;
    if (pd)
        made = onednn_query(pd, dnnl_query_dst_md, 0);
    if (pd && dnnl_memory_desc_equal(&made, &dst))
        return pd;
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    onednn_posts_done(posts);
    onednn_rewind(plan, e->linear.step, mark);
    return NULL;
}

static void bind_weights(onednn_plan *plan, const eight *e, int operation, const dnnl_memory_desc_t *wanted)
{
    const onednn_linear *l = &e->linear;
    dnnl_memory_desc_t plain = onednn_kernel_plain(&l->kernel, l->groups, dnnl_f32);
    dnnl_primitive_attr_t attr = NULL;
    int mask = l->groups > 1 ? (1 << 0) | (1 << 1) : 1 << 0;
    for (int64_t o = 0; o < e->outputs; o++)
        e->scales[o] = 1 / e->kernel_scales[o];
    if (dnnl_primitive_attr_clone(&attr, plan->context.attr) ||
        dnnl_primitive_attr_set_output_scales(attr, e->outputs, mask, e->scales))
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
    else
        onednn_bind_tensor(plan, operation, DNNL_ARG_WEIGHTS,
                           onednn_tensor_weight(plan, l->step->kernel, &plain, wanted, attr));
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (l->step->bias)
        onednn_bind_tensor(plan, operation, DNNL_ARG_BIAS,
                           onednn_tensor_weight(plan, e->bias, &l->bias, &l->bias, NULL));
}

static int emit(onednn_plan *plan, const eight *e, dnnl_primitive_desc_t pd, const onednn_posts *posts, float result)
{
    const plan_step *step = e->linear.step;
    dnnl_memory_desc_t src = onednn_query(pd, dnnl_query_src_md, 0), dst = onednn_query(pd, dnnl_query_dst_md, 0);
    dnnl_memory_desc_t weights = onednn_query(pd, dnnl_query_weights_md, 0);
    int input = onednn_value_as(plan, step->node.inputs[0], &src), operation = onednn_emit(plan, pd, step->node.name);
    int made =
        posts->sum_tensor >= 0 ? onednn_tensor_reuse(plan, posts->sum_tensor, &dst) : onednn_tensor_new(plan, &dst);
    if (made >= 0)
        onednn_tensor_at(plan, made)->scale = result;
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, input);
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, made);
    bind_weights(plan, e, operation, &weights);
    onednn_posts_bind(plan, operation, posts);
    return made;
}

/* The result in eight bits with every post, else as a plain number with as many posts as go. */
static int emit_best(onednn_plan *plan, eight *e)
{
    const plan_step *step = e->linear.step;
    const plan_value *value = &plan->program->values[step->output];
    for (int count = step->post_count; count >= 0; count--) {
        for (int narrow = value->eight && count == step->post_count; narrow >= 0; narrow--) {
            onednn_posts posts;
            float result = narrow ? value->scale : 1;
            e->linear.dst.data_type =
                narrow ? onednn_eight_type(plan, step->output) : onednn_result_type(plan, step->output);
            dnnl_primitive_desc_t pd = try_count(plan, e, count, result, &posts);
            if (!pd)
                continue;
            int made = emit(plan, e, pd, &posts, result);
            onednn_posts_done(&posts);
            return onednn_emit_posts(plan, step, count, made);
        }
    }
    return -1;
}

int onednn_emit_eight(onednn_plan *plan, const plan_step *step)
{
    eight e = {0};
    int made = -1;
    if (eight_init(plan, step, &e))
        made = emit_best(plan, &e);
    else
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
    eight_free(&e);
    return made;
}
