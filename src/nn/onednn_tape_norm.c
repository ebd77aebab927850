/* Batch normalisation of a tape (Ioffe & Szegedy 2015), with a following ReLU computed in the same pass.
 *
 * Training uses the microbatch's statistics and keeps them for the backward pass, which also hands them to the caller.
 * Evaluation uses the running ones. Scale, shift and statistics are f32 in both precisions. */
#include "nn/onednn_tape.h"

#include "base/error.h"

static dnnl_primitive_desc_t describe_norm(onednn_tape *tape, const nn_node *node, dnnl_prop_kind_t kind,
                                           const dnnl_memory_desc_t *md, unsigned flags)
{
    dnnl_batch_normalization_desc_t op;
    dnnl_status_t status = dnnl_batch_normalization_forward_desc_init(&op, kind, md, node->epsilon,
                                                                      flags | dnnl_use_scale | dnnl_use_shift);
    if (status) {
        tape_fail(tape, onednn_check(status, "describing batch normalisation", &tape->error));
        return NULL;
    }
    return tape_describe(tape, &op, NULL, NULL);
}

static void bind_common(onednn_tape *tape, tape_step *step, int index, int mean, int variance)
{
    const tape_node *state = &tape->nodes[index];
    dnnl_memory_desc_t vector = onednn_vector(tape->shapes[index].dim[1], dnnl_f32);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_SCALE, &vector, state->weights[0]);
    tape_bind(tape, step, DNNL_ARG_SHIFT, &vector, state->weights[1]);
    tape_bind(tape, step, DNNL_ARG_MEAN, &vector, mean);
    tape_bind(tape, step, DNNL_ARG_VARIANCE, &vector, variance);
    tape_bind(tape, step, DNNL_ARG_DST, &state->result.md, state->result.buffer);
}

static void forward_train(onednn_tape *tape, int index, unsigned flags)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    state->pd = describe_norm(tape, node, dnnl_forward_training, &state->source.md, flags);
    if (!state->pd)
        return;
    dnnl_memory_desc_t vector = onednn_vector(tape->shapes[index].dim[1], dnnl_f32);
    state->mean = tape_buffer_for(tape, &vector, false);
    state->variance = tape_buffer_for(tape, &vector, false);
    tape_step *step = tape_primitive(tape, PHASE_TRAIN, state->pd);
    bind_common(tape, step, index, state->mean, state->variance);
    dnnl_memory_desc_t workspace = onednn_query(state->pd, dnnl_query_workspace_md, 0);
    if (workspace.ndims) {
        state->workspace = tape_buffer_for(tape, &workspace, false);
        tape_bind(tape, step, DNNL_ARG_WORKSPACE, &workspace, state->workspace);
    }
}

static void forward_eval(onednn_tape *tape, int index, unsigned flags)
{
    const nn_node *node = &tape->graph->nodes[index];
    dnnl_primitive_desc_t pd =
        describe_norm(tape, node, dnnl_forward_inference, &tape->nodes[index].source.md, flags | dnnl_use_global_stats);
    if (!pd)
        return;
    int mean = tape_weight_plain(tape, node->weights[2]);
    int variance = tape_weight_plain(tape, node->weights[3]);
    tape_step *step = tape_primitive(tape, PHASE_EVAL, pd);
    bind_common(tape, step, index, mean, variance);
    dnnl_primitive_desc_destroy(pd);
}

void tape_norm_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    state->fused = tape_only_consumer(tape, index, NN_RELU);
    if (state->fused >= 0)
        tape->nodes[state->fused].fused_by = index;
    unsigned flags = state->fused >= 0 ? dnnl_fuse_norm_relu : 0;
    state->source = tape_source(tape, node->inputs[0], PHASE_FORWARD);
    state->result = tape_place_new(tape, &state->source.md);
    state->weights[0] = tape_weight_plain(tape, node->weights[0]);
    state->weights[1] = tape_weight_plain(tape, node->weights[1]);
    forward_train(tape, index, flags);
    forward_eval(tape, index, flags);
    tape_set_value(tape, index, state->result.buffer, &state->result.md);
}

/* Batch mean and unbiased variance for the caller's running ones. size: channels, values per channel. */
static void add_statistics(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    const float *mean = step->operands[0].data, *variance = step->operands[1].data;
    float *to_mean = step->operands[2].data, *to_variance = step->operands[3].data;
    double count = (double)step->size[1];
    float unbias = count > 1 ? (float)(count / (count - 1)) : 1.0f;
    for (int64_t c = 0; c < step->size[0]; c++) {
        to_mean[c] += mean[c];
        to_variance[c] += variance[c] * unbias;
    }
}

void tape_norm_report(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const nn_shape *shape = &tape->shapes[index];
    tape_step *step = tape_call(tape, PHASE_BACKWARD, add_statistics);
    tape_use(tape, step, tape->nodes[index].mean);
    tape_use(tape, step, tape->nodes[index].variance);
    tape_use_external(tape, step, TAPE_GRADIENTS, tape->offsets[node->weights[2]]);
    tape_use_external(tape, step, TAPE_GRADIENTS, tape->offsets[node->weights[3]]);
    if (!step)
        return;
    step->size[0] = shape->dim[1];
    step->size[1] = (int64_t)(nn_shape_count(shape) / (size_t)shape->dim[1]);
}

static dnnl_primitive_desc_t describe_backward(onednn_tape *tape, int index, const dnnl_memory_desc_t *gradient)
{
    const tape_node *state = &tape->nodes[index];
    dnnl_batch_normalization_desc_t op;
    unsigned flags = dnnl_use_scale | dnnl_use_shift | (state->fused >= 0 ? dnnl_fuse_norm_relu : 0);
    dnnl_status_t status = dnnl_batch_normalization_backward_desc_init(&op, dnnl_backward, gradient, &state->source.md,
                                                                       tape->graph->nodes[index].epsilon, flags);
    if (!status)
        return tape_describe(tape, &op, NULL, state->pd);
    tape_fail(tape, onednn_check(status, "describing batch normalisation", &tape->error));
    return NULL;
}

void tape_norm_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    dnnl_primitive_desc_t pd = describe_backward(tape, index, &gradient.md);
    if (!pd)
        return;
    dnnl_memory_desc_t vector = onednn_vector(tape->shapes[index].dim[1], dnnl_f32);
    dnnl_memory_desc_t workspace = onednn_query(pd, dnnl_query_workspace_md, 0);
    tape_place leaving = tape_place_new(tape, &gradient.md);
    int scale = tape_buffer_for(tape, &vector, false), shift = tape_buffer_for(tape, &vector, false);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_MEAN, &vector, state->mean);
    tape_bind(tape, step, DNNL_ARG_VARIANCE, &vector, state->variance);
    tape_bind(tape, step, DNNL_ARG_SCALE, &vector, state->weights[0]);
    tape_bind(tape, step, DNNL_ARG_SHIFT, &vector, state->weights[1]); /* asked for, though not read */
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &gradient.md, gradient.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_SRC, &leaving.md, leaving.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_SCALE, &vector, scale);
    tape_bind(tape, step, DNNL_ARG_DIFF_SHIFT, &vector, shift);
    if (workspace.ndims)
        tape_bind(tape, step, DNNL_ARG_WORKSPACE, &workspace, state->workspace);
    if (tape_trainable(tape, node->weights[0]))
        tape_add_gradient(tape, node->weights[0], scale);
    if (tape_trainable(tape, node->weights[1]))
        tape_add_gradient(tape, node->weights[1], shift);
    tape_norm_report(tape, index);
    tape_contribute(tape, node->inputs[0], &leaving, true);
    dnnl_primitive_desc_destroy(pd);
}
