/* Pooling of a tape: maximum, mean and both over the whole picture. Maximum pooling remembers the winners. */
#include "nn/onednn_tape.h"

#include "base/error.h"

typedef struct pool_window {
    dnnl_alg_kind_t kind;
    dnnl_dims_t kernel, stride, dilation, before, after;
} pool_window;

static pool_window window_of(const onednn_tape *tape, const nn_node *node)
{
    const nn_shape *from = &tape->shapes[node->inputs[0]];
    bool global = node->op == NN_GLOBAL_AVG_POOL || node->op == NN_GLOBAL_MAX_POOL;
    pool_window w = {.kind = dnnl_pooling_max};
    if (node->op == NN_AVG_POOL || node->op == NN_GLOBAL_AVG_POOL)
        w.kind = node->count_include_pad ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding;
    if (global) {
        w.kernel[0] = from->dim[2];
        w.kernel[1] = from->dim[3];
        w.stride[0] = w.stride[1] = 1;
        return w;
    }
    w.kernel[0] = node->kernel_h;
    w.kernel[1] = node->kernel_w;
    w.stride[0] = node->stride_h;
    w.stride[1] = node->stride_w;
    w.dilation[0] = node->dilation_h - 1;
    w.dilation[1] = node->dilation_w - 1;
    w.before[0] = node->pad_top;
    w.before[1] = node->pad_left;
    w.after[0] = node->pad_bottom;
    w.after[1] = node->pad_right;
    return w;
}

/* Only the second kind of descriptor knows dilation, only the first has fast code everywhere. */
static dnnl_primitive_desc_t describe_pool(onednn_tape *tape, const pool_window *w, const dnnl_memory_desc_t *source,
                                           const dnnl_memory_desc_t *result, const_dnnl_primitive_desc_t hint)
{
    dnnl_pooling_desc_t plain;
    dnnl_pooling_v2_desc_t dilated;
    bool dilate = w->dilation[0] || w->dilation[1];
    dnnl_status_t status;
    if (dilate && hint)
        status = dnnl_pooling_v2_backward_desc_init(&dilated, w->kind, source, result, w->stride, w->kernel,
                                                    w->dilation, w->before, w->after);
    else if (dilate)
        status = dnnl_pooling_v2_forward_desc_init(&dilated, dnnl_forward_training, w->kind, source, result, w->stride,
                                                   w->kernel, w->dilation, w->before, w->after);
    else if (hint)
        status =
            dnnl_pooling_backward_desc_init(&plain, w->kind, source, result, w->stride, w->kernel, w->before, w->after);
    else
        status = dnnl_pooling_forward_desc_init(&plain, dnnl_forward_training, w->kind, source, result, w->stride,
                                                w->kernel, w->before, w->after);
    if (status && !tape->failed)
        tape_fail(tape, onednn_check(status, "describing a pooling", &tape->error));
    return tape_describe(tape, dilate ? (const_dnnl_op_desc_t)&dilated : (const_dnnl_op_desc_t)&plain, NULL, hint);
}

void tape_pool_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    pool_window w = window_of(tape, node);
    state->source = tape_source(tape, node->inputs[0], PHASE_FORWARD);
    dnnl_memory_desc_t result = onednn_any(&tape->shapes[index], tape->type);
    state->pd = describe_pool(tape, &w, &state->source.md, &result, NULL);
    if (!state->pd)
        return;
    result = onednn_query(state->pd, dnnl_query_dst_md, 0);
    dnnl_memory_desc_t workspace = onednn_query(state->pd, dnnl_query_workspace_md, 0);
    state->result = tape_place_new(tape, &result);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, state->pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &result, state->result.buffer);
    if (workspace.ndims) {
        state->workspace = tape_buffer_for(tape, &workspace, false);
        tape_bind(tape, step, DNNL_ARG_WORKSPACE, &workspace, state->workspace);
    }
    tape_set_value(tape, index, state->result.buffer, &result);
}

void tape_pool_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    pool_window w = window_of(tape, node);
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    dnnl_primitive_desc_t pd = describe_pool(tape, &w, &state->source.md, &gradient.md, state->pd);
    if (!pd)
        return;
    dnnl_memory_desc_t workspace = onednn_query(pd, dnnl_query_workspace_md, 0);
    tape_place leaving = tape_place_new(tape, &state->source.md);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &gradient.md, gradient.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_SRC, &leaving.md, leaving.buffer);
    if (workspace.ndims)
        tape_bind(tape, step, DNNL_ARG_WORKSPACE, &workspace, state->workspace);
    tape_contribute(tape, node->inputs[0], &leaving, true);
    dnnl_primitive_desc_destroy(pd);
}
