/* Pools, nearest upsampling and softmax. Pools and upsampling keep the blocked layout of their input. A softmax along
 * the innermost axis is a primitive; along any other axis oneDNN has only reference code, and the plain-C operator
 * runs. */
#include "nn/onednn_build.h"

static int emit_one(onednn_plan *plan, const plan_step *step, dnnl_primitive_desc_t pd, int input)
{
    dnnl_memory_desc_t dst = onednn_query(pd, dnnl_query_dst_md, 0);
    int operation = onednn_emit(plan, pd, step->node.name), result = onednn_tensor_new(plan, &dst);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, input);
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
    if (result >= 0)
        onednn_tensor_at(plan, result)->scale = onednn_tensor_at(plan, input)->scale;
    return result;
}

static dnnl_primitive_desc_t try_pool(onednn_plan *plan, const plan_step *step, const dnnl_memory_desc_t *src)
{
    nn_node n = step->node;
    const nn_shape *in = onednn_shape(plan, n.inputs[0]);
    bool average = n.op == NN_AVG_POOL || n.op == NN_GLOBAL_AVG_POOL;
    if (n.op == NN_GLOBAL_AVG_POOL || n.op == NN_GLOBAL_MAX_POOL) {
        n.kernel_h = (int)in->dim[2];
        n.kernel_w = (int)in->dim[3];
        n.stride_h = n.stride_w = n.dilation_h = n.dilation_w = 1;
    }
    dnnl_alg_kind_t kind = !average              ? dnnl_pooling_max
                           : n.count_include_pad ? dnnl_pooling_avg_include_padding
                                                 : dnnl_pooling_avg_exclude_padding;
    dnnl_dims_t kernel = {n.kernel_h, n.kernel_w}, strides = {n.stride_h, n.stride_w};
    dnnl_dims_t dilation = {n.dilation_h - 1, n.dilation_w - 1};
    dnnl_dims_t before = {n.pad_top, n.pad_left}, after = {n.pad_bottom, n.pad_right};
    dnnl_memory_desc_t dst = onednn_any(onednn_shape(plan, step->output), src->data_type);
    dnnl_pooling_v2_desc_t dilated;
    dnnl_pooling_desc_t desc;
    if (dilation[0] || dilation[1])
        return dnnl_pooling_v2_forward_desc_init(&dilated, dnnl_forward_inference, kind, src, &dst, strides, kernel,
                                                 dilation, before, after)
                   ? NULL
                   : onednn_try(plan, &dilated, NULL);
    if (dnnl_pooling_forward_desc_init(&desc, dnnl_forward_inference, kind, src, &dst, strides, kernel, before, after))
        return NULL;
    return onednn_try(plan, &desc, NULL);
}

static dnnl_primitive_desc_t try_upsample(onednn_plan *plan, const plan_step *step, const dnnl_memory_desc_t *src)
{
    dnnl_memory_desc_t dst = onednn_any(onednn_shape(plan, step->output), src->data_type);
    float factors[] = {(float)step->node.stride_h, (float)step->node.stride_w};
    dnnl_resampling_desc_t desc;
    if (dnnl_resampling_forward_desc_init(&desc, dnnl_forward_inference, dnnl_resampling_nearest, factors, src, &dst))
        return NULL;
    return onednn_try(plan, &desc, NULL);
}

static int emit_softmax(onednn_plan *plan, const plan_step *step)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    bool last = nn_reference_span(shape, step->node.axis + 1, shape->rank) == 1;
    int input = last ? onednn_value_plain(plan, step->node.inputs[0], true) : -1;
    dnnl_softmax_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    if (input >= 0 && !dnnl_softmax_forward_desc_init(&desc, dnnl_forward_inference, &onednn_tensor_at(plan, input)->md,
                                                      step->node.axis))
        pd = onednn_try(plan, &desc, NULL);
    return pd ? emit_one(plan, step, pd, input) : onednn_emit_plain(plan, step);
}

int onednn_emit_window(onednn_plan *plan, const plan_step *step)
{
    if (step->node.op == NN_SOFTMAX)
        return emit_softmax(plan, step);
    if (step->node.op == NN_GLOBAL_AVG_POOL) {
        int mean = onednn_emit_mean(plan, step);
        if (mean >= 0 || plan->failed)
            return mean;
    }
    bool keeps = step->node.op == NN_MAX_POOL || step->node.op == NN_UPSAMPLE; /* the numbers of its input */
    int input = keeps ? onednn_value_first(plan, step->node.inputs[0]) : onednn_value_float(plan, step->node.inputs[0]);
    for (int attempt = 0; attempt < 2 && !plan->failed; attempt++) {
        dnnl_memory_desc_t md = onednn_tensor_at(plan, input)->md;
        dnnl_primitive_desc_t pd =
            step->node.op == NN_UPSAMPLE ? try_upsample(plan, step, &md) : try_pool(plan, step, &md);
        if (pd)
            return emit_one(plan, step, pd, input);
        if (attempt == 0)
            input = onednn_value_plain(plan, step->node.inputs[0], false);
    }
    return onednn_emit_plain(plan, step);
}
