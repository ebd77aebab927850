/* Convolution, transposed convolution and dense. The primitive chooses the layouts ("any": each pixel's channels
 * together, on AVX-512), except in networks of depthwise convolutions, whose kernels are faster on blocks of 16
 * channels (10 to 25 per cent measured, and the other kernels no slower there; fusing the depthwise convolution into
 * the one before it gained nothing). Normalisation is folded already; activations and sums go in as posts, as many as
 * the primitive takes without falling back on oneDNN's reference code. A dense layer is an inner product that reads the
 * picture in its own layout. */
#include "nn/onednn_build.h"

#include "base/cpu.h"

enum { BLOCK = 16, COLOURS = 3 };

bool onednn_prefers_blocks(const plan_program *program)
{
    int convolutions = 0, depthwise = 0;
    for (int s = 0; s < program->step_count; s++) {
        const plan_step *step = &program->steps[s];
        if (step->dead || step->node.op != NN_CONV)
            continue;
        convolutions++;
        depthwise += step->node.groups > 1 && step->node.groups == program->values[step->output].shape.dim[1];
    }
    return depthwise * 4 > convolutions && (cpu_flags() & CPU_AVX512);
}

dnnl_data_type_t onednn_result_type(const onednn_plan *plan, int value)
{
    return plan->program->values[value].precise ? dnnl_f32 : plan->type;
}

static dnnl_memory_desc_t in_blocks(const nn_shape *shape, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md = {0};
    dnnl_dims_t dims;
    for (int i = 0; i < shape->rank; i++)
        dims[i] = shape->dim[i];
    dnnl_memory_desc_init_by_tag(&md, shape->rank, dims, type, tag);
    return md;
}

/* The same in blocks of 16 channels (the picture itself in planes). False where the channels are not whole blocks. */
static bool describe_blocks(onednn_plan *plan, onednn_linear *l)
{
    const nn_shape *in = onednn_shape(plan, l->step->node.inputs[0]), *out = onednn_shape(plan, l->step->output);
    bool first = in->dim[1] <= COLOURS && l->groups == 1;
    bool depthwise = l->groups > 1 && l->groups == in->dim[1] && l->groups == out->dim[1];
    if (!plan->blocks || l->step->node.op != NN_CONV || out->dim[1] % BLOCK || (!first && in->dim[1] % BLOCK) ||
        (l->groups > 1 && !depthwise))
        return false;
    l->src = in_blocks(in, plan->type, first ? dnnl_nchw : dnnl_nChw16c);
    l->dst = in_blocks(out, onednn_result_type(plan, l->step->output), dnnl_nChw16c);
    return true;
}

onednn_linear onednn_linear_describe(onednn_plan *plan, const plan_step *step)
{
    const nn_node *node = &step->node;
    onednn_linear l = {.step = step, .convolution = node->op != NN_DENSE, .groups = 1};
    const nn_shape *in = onednn_shape(plan, node->inputs[0]), *out = onednn_shape(plan, step->output);
    l.kernel = *in;
    l.kernel.dim[0] = out->dim[1];
    if (l.convolution) {
        l.groups = node->groups;
        l.kernel = (nn_shape){4, {out->dim[1], in->dim[1] / node->groups, node->kernel_h, node->kernel_w}};
    }
    l.src = onednn_any(in, plan->type);
    l.weights = onednn_kernel_any(&l.kernel, l.groups, plan->type);
    l.dst = onednn_any(out, onednn_result_type(plan, step->output));
    if (step->bias)
        l.bias = onednn_vector(out->dim[1], dnnl_f32);
    return l;
}

dnnl_primitive_desc_t onednn_linear_try(onednn_plan *plan, const onednn_linear *l, const_dnnl_primitive_attr_t attr)
{
    const nn_node *node = &l->step->node;
    const dnnl_memory_desc_t *bias = l->step->bias ? &l->bias : NULL;
    if (!l->convolution) {
        dnnl_inner_product_desc_t desc;
        if (dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &l->src, &l->weights, bias, &l->dst))
            return NULL;
        return onednn_try(plan, &desc, attr);
    }
    dnnl_convolution_desc_t desc;
    dnnl_deconvolution_desc_t transposed;
    dnnl_dims_t strides = {node->stride_h, node->stride_w};
    dnnl_dims_t dilation = {node->dilation_h - 1, node->dilation_w - 1};
    dnnl_dims_t before = {node->pad_top, node->pad_left}, after = {node->pad_bottom, node->pad_right};
    if (node->op == NN_CONV_TRANSPOSE)
        return dnnl_dilated_deconvolution_forward_desc_init(&transposed, dnnl_forward_inference,
                                                            dnnl_deconvolution_direct, &l->src, &l->weights, bias,
                                                            &l->dst, strides, dilation, before, after)
                   ? NULL
                   : onednn_try(plan, &transposed, attr);
    if (dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, &l->src,
                                                   &l->weights, bias, &l->dst, strides, dilation, before, after))
        return NULL;
    return onednn_try(plan, &desc, attr);
}

/* The descriptor with as many posts as it takes; *taken says how many. */
static dnnl_primitive_desc_t try_posts(onednn_plan *plan, const onednn_linear *l, const dnnl_memory_desc_t *dst,
                                       int *taken, onednn_posts *posts)
{
    const plan_step *step = l->step;
    for (int attempt = 0; attempt < 2 * step->post_count; attempt++) {
        int count = step->post_count - attempt / 2;
        onednn_mark mark = onednn_mark_here(plan);
        bool good = onednn_posts_init(plan, step, count, dst, attempt % 2 == 0, posts);
        dnnl_primitive_desc_t pd = good ? onednn_linear_try(plan, l, posts->attr) : NULL;
        dnnl_memory_desc_t made = pd ? onednn_query(pd, dnnl_query_dst_md, 0) : *dst;
        if (pd && dnnl_memory_desc_equal(&made, dst)) {
            *taken = count;
            return pd;
        }
        if (pd)
            dnnl_primitive_desc_destroy(pd);
        onednn_posts_done(posts);
        onednn_rewind(plan, step, mark);
    }
    *posts = (onednn_posts){.sum_tensor = -1};
    *taken = 0;
    return NULL;
}

static int bind_weights(onednn_plan *plan, const onednn_linear *l, int operation, const dnnl_memory_desc_t *wanted)
{
    dnnl_memory_desc_t plain = onednn_kernel_plain(&l->kernel, l->groups, dnnl_f32);
    int weights = onednn_tensor_weight(plan, l->step->kernel, &plain, wanted, NULL);
    onednn_bind_tensor(plan, operation, DNNL_ARG_WEIGHTS, weights);
    if (l->step->bias)
        onednn_bind_tensor(plan, operation, DNNL_ARG_BIAS,
                           onednn_tensor_weight(plan, l->step->bias, &l->bias, &l->bias, NULL));
    return weights;
}

static int emit(onednn_plan *plan, const onednn_linear *l, dnnl_primitive_desc_t pd, const onednn_posts *posts)
{
    dnnl_memory_desc_t src = onednn_query(pd, dnnl_query_src_md, 0), dst = onednn_query(pd, dnnl_query_dst_md, 0);
    dnnl_memory_desc_t weights = onednn_query(pd, dnnl_query_weights_md, 0);
    int input = onednn_value_as(plan, l->step->node.inputs[0], &src);
    int operation = onednn_emit(plan, pd, l->step->node.name);
    int result = posts && posts->sum_tensor >= 0 ? onednn_tensor_reuse(plan, posts->sum_tensor, &dst)
                                                 : onednn_tensor_new(plan, &dst);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, input);
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
    bind_weights(plan, l, operation, &weights);
    if (posts)
        onednn_posts_bind(plan, operation, posts);
    return result;
}

int onednn_emit_linear(onednn_plan *plan, const plan_step *step)
{
    onednn_linear l = onednn_linear_describe(plan, step);
    dnnl_primitive_desc_t bare = describe_blocks(plan, &l) ? onednn_linear_try(plan, &l, NULL) : NULL;
    if (!bare) {
        l = onednn_linear_describe(plan, step);
        bare = onednn_linear_try(plan, &l, NULL);
    }
    if (!bare)
        return onednn_emit_posts(plan, step, 0, onednn_emit_plain(plan, step));
    int taken = 0;
    onednn_posts posts = {.sum_tensor = -1};
    dnnl_memory_desc_t dst = onednn_query(bare, dnnl_query_dst_md, 0);
    dnnl_primitive_desc_t with = try_posts(plan, &l, &dst, &taken, &posts);
    if (with)
        dnnl_primitive_desc_destroy(bare);
    int result = emit(plan, &l, with ? with : bare, with ? &posts : NULL);
    onednn_posts_done(&posts);
    return onednn_emit_posts(plan, step, taken, result);
}
