/* Convolutions and dense layers of a tape.
 *
 * A convolution chooses the layouts of its source, kernel and output (format "any"); an only consumer that is a ReLU is
 * computed by it. Kernels are reordered from the flat parameters once per update, gradients are reordered back while
 * being added. Dense layers run as matrix products in all three directions: oneDNN's matmul reaches 98 % of this
 * machine's peak where its inner product reaches 77 %. */
#include "nn/onednn_tape.h"

#include "base/error.h"

#include <string.h>

typedef struct window {
    dnnl_dims_t stride, dilation, before, after;
} window;

static window window_of(const nn_node *node)
{
    return (window){
        .stride = {node->stride_h, node->stride_w},
        .dilation = {node->dilation_h - 1, node->dilation_w - 1},
        .before = {node->pad_top, node->pad_left},
        .after = {node->pad_bottom, node->pad_right},
    };
}

/* Logits leave in f32 even from a bf16 tape. */
static dnnl_data_type_t result_type(const onednn_tape *tape, int node)
{
    for (int o = 0; o < tape->graph->output_count; o++)
        if (tape_output_node(tape->graph, (size_t)o) == node)
            return dnnl_f32;
    return tape->type;
}

static void check(onednn_tape *tape, dnnl_status_t status)
{
    if (!tape->failed && status)
        tape_fail(tape, onednn_check(status, "describing a layer", &tape->error));
}

/* The context's attributes with a rectifier after the result. */
static dnnl_primitive_attr_t rectified(onednn_tape *tape)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(&attr, tape->context.attr);
    if (!status)
        status = dnnl_post_ops_create(&post);
    if (!status)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
    if (!status)
        status = dnnl_primitive_attr_set_post_ops(attr, post);
    if (post)
        dnnl_post_ops_destroy(post);
    check(tape, status);
    return attr;
}

static dnnl_primitive_desc_t describe_conv(onednn_tape *tape, int index, bool relu)
{
    const nn_node *node = &tape->graph->nodes[index];
    const nn_shape *kernel = &tape->graph->weights[node->weights[0]].shape;
    window w = window_of(node);
    dnnl_memory_desc_t source = onednn_any(&tape->shapes[node->inputs[0]], tape->type);
    dnnl_memory_desc_t weights = onednn_kernel_any(kernel, node->groups, tape->type);
    dnnl_memory_desc_t bias = onednn_vector(kernel->dim[0], dnnl_f32);
    dnnl_memory_desc_t result = onednn_any(&tape->shapes[index], result_type(tape, index));
    dnnl_convolution_desc_t op;
    check(tape, dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_training, dnnl_convolution_direct, &source,
                                                           &weights, node->weights[1] >= 0 ? &bias : NULL, &result,
                                                           w.stride, w.dilation, w.before, w.after));
    dnnl_primitive_attr_t attr = relu ? rectified(tape) : NULL;
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, attr, NULL);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return pd;
}

void tape_conv_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    state->fused = tape_only_consumer(tape, index, NN_RELU);
    if (!(state->pd = describe_conv(tape, index, state->fused >= 0)))
        return;
    if (state->fused >= 0)
        tape->nodes[state->fused].fused_by = index;
    const nn_shape *kernel = &tape->graph->weights[node->weights[0]].shape;
    dnnl_memory_desc_t source = onednn_query(state->pd, dnnl_query_src_md, 0);
    dnnl_memory_desc_t weights = onednn_query(state->pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t result = onednn_query(state->pd, dnnl_query_dst_md, 0);
    dnnl_memory_desc_t plain = onednn_kernel_plain(kernel, node->groups, dnnl_f32);
    state->source = tape_source_as(tape, node->inputs[0], &source, PHASE_FORWARD);
    state->weights[0] = tape_weight_as(tape, node->weights[0], &plain, &weights);
    state->result = tape_place_new(tape, &result);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, state->pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &source, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_WEIGHTS, &weights, state->weights[0]);
    if (node->weights[1] >= 0) {
        dnnl_memory_desc_t bias = onednn_vector(kernel->dim[0], dnnl_f32);
        tape_bind(tape, step, DNNL_ARG_BIAS, &bias, tape_weight_plain(tape, node->weights[1]));
    }
    tape_bind(tape, step, DNNL_ARG_DST, &result, state->result.buffer);
    tape_set_value(tape, index, state->result.buffer, &result);
}

/* Add a kernel's gradient, in the layout a primitive left it in, to the caller's array. */
static void add_kernel_gradient(onednn_tape *tape, const nn_node *node, const tape_place *from)
{
    if (tape->failed)
        return;
    const nn_shape *kernel = &tape->graph->weights[node->weights[0]].shape;
    dnnl_memory_desc_t plain = onednn_kernel_plain(kernel, node->groups, dnnl_f32);
    dnnl_primitive_desc_t pd = NULL;
    mien_status status = onednn_describe_reorder(&tape->context, &from->md, &plain, true, &pd, &tape->error);
    if (status) {
        tape_fail(tape, status);
        return;
    }
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_FROM, &from->md, from->buffer);
    tape_bind_external(tape, step, DNNL_ARG_TO, &plain, TAPE_GRADIENTS, tape->offsets[node->weights[0]]);
    dnnl_primitive_desc_destroy(pd);
}

static void conv_backward_weights(onednn_tape *tape, int index, const tape_place *gradient)
{
    const nn_node *node = &tape->graph->nodes[index];
    const nn_shape *kernel = &tape->graph->weights[node->weights[0]].shape;
    bool bias = tape_trainable(tape, node->weights[1]);
    window w = window_of(node);
    dnnl_memory_desc_t source = onednn_any(&tape->shapes[node->inputs[0]], tape->type);
    dnnl_memory_desc_t weights = onednn_kernel_any(kernel, node->groups, dnnl_f32);
    dnnl_memory_desc_t biases = onednn_vector(kernel->dim[0], dnnl_f32);
    dnnl_memory_desc_t result = onednn_any(&tape->shapes[index], tape->type);
    dnnl_convolution_desc_t op;
    check(tape, dnnl_dilated_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, &source, &weights,
                                                                    bias ? &biases : NULL, &result, w.stride,
                                                                    w.dilation, w.before, w.after));
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, NULL, tape->nodes[index].pd);
    if (!pd)
        return;
    source = onednn_query(pd, dnnl_query_src_md, 0);
    weights = onednn_query(pd, dnnl_query_diff_weights_md, 0);
    result = onednn_query(pd, dnnl_query_diff_dst_md, 0);
    tape_place from = tape_source_as(tape, node->inputs[0], &source, PHASE_BACKWARD);
    tape_place arriving = tape_place_as(tape, gradient, &result, PHASE_BACKWARD);
    tape_place kernel_gradient = tape_place_new(tape, &weights);
    int bias_gradient = bias ? tape_buffer_for(tape, &biases, false) : TAPE_NONE;
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &source, from.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &result, arriving.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_WEIGHTS, &weights, kernel_gradient.buffer);
    if (bias)
        tape_bind(tape, step, DNNL_ARG_DIFF_BIAS, &biases, bias_gradient);
    if (tape_trainable(tape, node->weights[0]))
        add_kernel_gradient(tape, node, &kernel_gradient);
    if (bias)
        tape_add_gradient(tape, node->weights[1], bias_gradient);
    dnnl_primitive_desc_destroy(pd);
}

static void conv_backward_data(onednn_tape *tape, int index, const tape_place *gradient)
{
    const nn_node *node = &tape->graph->nodes[index];
    const nn_shape *kernel = &tape->graph->weights[node->weights[0]].shape;
    window w = window_of(node);
    dnnl_memory_desc_t source = onednn_any(&tape->shapes[node->inputs[0]], tape->type);
    dnnl_memory_desc_t weights = onednn_kernel_any(kernel, node->groups, tape->type);
    dnnl_memory_desc_t result = onednn_any(&tape->shapes[index], tape->type);
    dnnl_convolution_desc_t op;
    check(tape, dnnl_dilated_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, &source, &weights,
                                                                 &result, w.stride, w.dilation, w.before, w.after));
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, NULL, tape->nodes[index].pd);
    if (!pd)
        return;
    source = onednn_query(pd, dnnl_query_diff_src_md, 0);
    weights = onednn_query(pd, dnnl_query_weights_md, 0);
    result = onednn_query(pd, dnnl_query_diff_dst_md, 0);
    dnnl_memory_desc_t plain = onednn_kernel_plain(kernel, node->groups, dnnl_f32);
    dnnl_memory_desc_t forward = onednn_query(tape->nodes[index].pd, dnnl_query_weights_md, 0);
    int prepared = dnnl_memory_desc_equal(&forward, &weights)
                       ? tape->nodes[index].weights[0]
                       : tape_weight_as(tape, node->weights[0], &plain, &weights);
    tape_place arriving = tape_place_as(tape, gradient, &result, PHASE_BACKWARD);
    tape_place leaving = tape_place_new(tape, &source);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &result, arriving.buffer);
    tape_bind(tape, step, DNNL_ARG_WEIGHTS, &weights, prepared);
    tape_bind(tape, step, DNNL_ARG_DIFF_SRC, &source, leaving.buffer);
    tape_contribute(tape, node->inputs[0], &leaving, true);
    dnnl_primitive_desc_destroy(pd);
}

void tape_conv_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    if (tape->nodes[index].fused >= 0)
        gradient = tape_relu_backward(tape, &tape->nodes[index].result, &gradient);
    if (tape_trainable(tape, node->weights[0]) || tape_trainable(tape, node->weights[1]))
        conv_backward_weights(tape, index, &gradient);
    if (tape->needs_gradient[node->inputs[0]])
        conv_backward_data(tape, index, &gradient);
}

/* ---- dense ---- */

/* The same matrix read the other way round. */
static dnnl_memory_desc_t transposed(const dnnl_memory_desc_t *md)
{
    dnnl_memory_desc_t turned = {0};
    dnnl_dims_t dims = {md->dims[1], md->dims[0]};
    dnnl_dims_t strides = {1, md->dims[1]};
    dnnl_memory_desc_init_by_strides(&turned, 2, dims, md->data_type, strides);
    return turned;
}

static dnnl_memory_desc_t matrix(int64_t rows, int64_t columns, dnnl_data_type_t type)
{
    nn_shape shape = {2, {rows, columns}};
    return onednn_plain(&shape, type);
}

static dnnl_primitive_desc_t describe_matmul(onednn_tape *tape, const dnnl_memory_desc_t *a,
                                             const dnnl_memory_desc_t *b, const dnnl_memory_desc_t *bias,
                                             const dnnl_memory_desc_t *to, bool accumulate)
{
    dnnl_matmul_desc_t op;
    check(tape, dnnl_matmul_desc_init(&op, a, b, bias, to));
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_success;
    if (accumulate) {
        status = dnnl_primitive_attr_clone(&attr, tape->context.attr);
        if (!status)
            status = dnnl_post_ops_create(&post);
        if (!status)
            status = dnnl_post_ops_append_sum(post, 1.0f);
        if (!status)
            status = dnnl_primitive_attr_set_post_ops(attr, post);
        check(tape, status);
    }
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, attr, NULL);
    if (post)
        dnnl_post_ops_destroy(post);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return pd;
}

/* A weight matrix in the layout that a product wants: any, so that it is packed once per update. */
static dnnl_memory_desc_t open_matrix(int64_t rows, int64_t columns, dnnl_data_type_t type)
{
    nn_shape shape = {2, {rows, columns}};
    return onednn_any(&shape, type);
}

void tape_dense_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const int64_t *kernel = tape->graph->weights[node->weights[0]].shape.dim; /* [O, I] */
    tape_node *state = &tape->nodes[index];
    state->source = tape_source_plain(tape, node->inputs[0], PHASE_FORWARD);
    dnnl_memory_desc_t result = onednn_plain(&tape->shapes[index], result_type(tape, index));
    dnnl_memory_desc_t bias = matrix(1, kernel[0], dnnl_f32);
    dnnl_memory_desc_t weights = open_matrix(kernel[1], kernel[0], tape->type);
    bool biased = node->weights[1] >= 0;
    state->pd = describe_matmul(tape, &state->source.md, &weights, biased ? &bias : NULL, &result, false);
    if (!state->pd)
        return;
    weights = onednn_query(state->pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t plain = matrix(kernel[0], kernel[1], dnnl_f32);
    dnnl_memory_desc_t turned = transposed(&plain);
    state->weights[0] = tape_weight_as(tape, node->weights[0], &turned, &weights);
    state->result = tape_place_new(tape, &result);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, state->pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_WEIGHTS, &weights, state->weights[0]);
    if (biased)
        tape_bind(tape, step, DNNL_ARG_BIAS, &bias, tape_weight_plain(tape, node->weights[1]));
    tape_bind(tape, step, DNNL_ARG_DST, &result, state->result.buffer);
    tape_set_value(tape, index, state->result.buffer, &result);
}

static float bf16_value(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Bias gradient: column sums, added to the caller's array. size: rows, columns; flags[0]: bf16. */
static void add_column_sums(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    float *to = step->operands[1].data;
    const uint16_t *narrow = step->operands[0].data;
    const float *wide = step->operands[0].data;
    for (int64_t row = 0; row < step->size[0]; row++) {
        size_t at = (size_t)(row * step->size[1]);
        for (int64_t c = 0; c < step->size[1]; c++)
            to[c] += step->flags[0] ? bf16_value(narrow[at + (size_t)c]) : wide[at + (size_t)c];
    }
}

static void dense_backward_weights(onednn_tape *tape, int index, const tape_place *gradient)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_place *source = &tape->nodes[index].source;
    const int64_t *kernel = tape->graph->weights[node->weights[0]].shape.dim;
    dnnl_memory_desc_t turned = transposed(&gradient->md);
    dnnl_memory_desc_t to = matrix(kernel[0], kernel[1], dnnl_f32);
    dnnl_primitive_desc_t pd = describe_matmul(tape, &turned, &source->md, NULL, &to, true);
    if (!pd)
        return;
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &turned, gradient->buffer);
    tape_bind(tape, step, DNNL_ARG_WEIGHTS, &source->md, source->buffer);
    tape_bind_external(tape, step, DNNL_ARG_DST, &to, TAPE_GRADIENTS, tape->offsets[node->weights[0]]);
    dnnl_primitive_desc_destroy(pd);
}

static void dense_backward_data(onednn_tape *tape, int index, const tape_place *gradient)
{
    const nn_node *node = &tape->graph->nodes[index];
    const int64_t *kernel = tape->graph->weights[node->weights[0]].shape.dim;
    dnnl_memory_desc_t weights = open_matrix(kernel[0], kernel[1], tape->type);
    dnnl_memory_desc_t to = onednn_plain(&tape->shapes[node->inputs[0]], tape->type);
    dnnl_primitive_desc_t pd = describe_matmul(tape, &gradient->md, &weights, NULL, &to, false);
    if (!pd)
        return;
    weights = onednn_query(pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t plain = matrix(kernel[0], kernel[1], dnnl_f32);
    int prepared = tape_weight_as(tape, node->weights[0], &plain, &weights);
    tape_place leaving = tape_place_new(tape, &to);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &gradient->md, gradient->buffer);
    tape_bind(tape, step, DNNL_ARG_WEIGHTS, &weights, prepared);
    tape_bind(tape, step, DNNL_ARG_DST, &to, leaving.buffer);
    tape_contribute(tape, node->inputs[0], &leaving, true);
    dnnl_primitive_desc_destroy(pd);
}

void tape_dense_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    if (tape_trainable(tape, node->weights[0]))
        dense_backward_weights(tape, index, &gradient);
    if (tape_trainable(tape, node->weights[1])) {
        tape_step *step = tape_call(tape, PHASE_BACKWARD, add_column_sums);
        tape_use(tape, step, gradient.buffer);
        tape_use_external(tape, step, TAPE_GRADIENTS, tape->offsets[node->weights[1]]);
        if (step) {
            step->size[0] = tape->shapes[index].dim[0];
            step->size[1] = tape->shapes[index].dim[1];
            step->flags[0] = gradient.md.data_type == dnnl_bf16;
        }
    }
    if (tape->needs_gradient[node->inputs[0]])
        dense_backward_data(tape, index, &gradient);
}
