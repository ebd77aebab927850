/* Operators of a tape that only move numbers: concat, slice and padding, flatten and reshape, transpose, upsampling;
 * and a softmax in the middle of a network.
 *
 * Moving is described, not programmed: a part of a tensor is a description with an offset, a transpose one with other
 * strides, and oneDNN's reorder does the copying. What cannot be described in a blocked layout (a part that begins
 * inside a block) is done in plain layout. */
#include "nn/onednn_tape.h"

#include "base/error.h"

#include <string.h>

static void check(onednn_tape *tape, dnnl_status_t status)
{
    if (!tape->failed && status)
        tape_fail(tape, onednn_check(status, "describing a move", &tape->error));
}

/* ---- concat ---- */

void tape_concat_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    tape_place from[NN_MAX_INPUTS];
    dnnl_memory_desc_t mds[NN_MAX_INPUTS];
    bool plain = false;
    for (int k = 0; k < node->input_count; k++) {
        from[k] = tape_source(tape, node->inputs[k], PHASE_FORWARD);
        plain = plain || tape_padded(&from[k].md);
    }
    for (int k = 0; k < node->input_count; k++) {
        if (plain)
            from[k] = tape_source_plain(tape, node->inputs[k], PHASE_FORWARD);
        mds[k] = from[k].md;
    }
    dnnl_primitive_desc_t pd = NULL;
    dnnl_memory_desc_t to =
        plain ? onednn_plain(&tape->shapes[index], tape->type) : onednn_any(&tape->shapes[index], tape->type);
    if (tape->failed)
        return;
    check(tape, dnnl_concat_primitive_desc_create(&pd, &to, node->input_count, node->axis, mds, tape->context.attr,
                                                  tape->context.engine));
    if (!pd)
        return;
    to = onednn_query(pd, dnnl_query_dst_md, 0);
    state->result = tape_place_new(tape, &to);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, pd);
    for (int k = 0; k < node->input_count; k++)
        tape_bind(tape, step, DNNL_ARG_MULTIPLE_SRC + k, &mds[k], from[k].buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &to, state->result.buffer);
    dnnl_primitive_desc_destroy(pd);
    tape_set_value(tape, index, state->result.buffer, &to);
}

/* A part of `whole` that begins at `begin` along `axis`; goes over to plain layout where a block would be cut. */
static tape_place part_of(onednn_tape *tape, int index, tape_place *whole, const nn_shape *part, const int64_t *begin)
{
    tape_place place = {whole->buffer, {0}};
    if (tape->failed)
        return place;
    if (!onednn_part(&whole->md, part, begin, &place.md) || tape_padded(&place.md)) {
        dnnl_memory_desc_t plain = onednn_plain(&tape->shapes[index], whole->md.data_type);
        *whole = tape_place_as(tape, whole, &plain, PHASE_BACKWARD);
        place.buffer = whole->buffer;
        if (!onednn_part(&whole->md, part, begin, &place.md))
            check(tape, dnnl_invalid_arguments);
    }
    return place;
}

void tape_concat_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    int64_t begin[NN_MAX_RANK] = {0};
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    for (int k = 0; k < node->input_count && !tape->failed; k++) {
        int input = node->inputs[k];
        if (tape->needs_gradient[input]) {
            tape_place part = part_of(tape, index, &gradient, &tape->shapes[input], begin);
            dnnl_memory_desc_t md = tape_typed(&tape->values[input].forms[0].md, tape->type);
            tape_place leaving = tape_place_new(tape, &md);
            tape_reorder(tape, PHASE_BACKWARD, &part, &leaving);
            tape_contribute(tape, input, &leaving, true);
        }
        begin[node->axis] += tape->shapes[input].dim[node->axis];
    }
}

/* ---- flatten, reshape, identity: the same numbers under another shape ---- */

void tape_alias_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    if (node->op == NN_IDENTITY) {
        tape_place same = tape_source(tape, node->inputs[0], PHASE_FORWARD);
        tape_set_value(tape, index, same.buffer, &same.md);
        return;
    }
    tape_place plain = tape_source_plain(tape, node->inputs[0], PHASE_FORWARD);
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[index], tape->type);
    tape_set_value(tape, index, plain.buffer, &md);
}

void tape_alias_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    if (node->op != NN_IDENTITY)
        gradient.md = onednn_plain(&tape->shapes[node->inputs[0]], tape->type);
    tape_contribute(tape, node->inputs[0], &gradient, tape->values[index].gradient_owned);
}

/* ---- transpose ---- */

/* The input's memory seen with the output's order of axes. */
static dnnl_memory_desc_t seen_transposed(const onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    dnnl_memory_desc_t plain = onednn_plain(&tape->shapes[node->inputs[0]], tape->type);
    dnnl_dims_t strides = {0};
    for (int i = 0; i < plain.ndims; i++)
        strides[i] = plain.format_desc.blocking.strides[node->permutation[i]];
    return onednn_strided(&tape->shapes[index], strides, tape->type);
}

void tape_transpose_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place from = tape_source_plain(tape, node->inputs[0], PHASE_FORWARD);
    from.md = seen_transposed(tape, index);
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[index], tape->type);
    tape_place to = tape_place_new(tape, &md);
    tape_reorder(tape, PHASE_FORWARD, &from, &to);
    tape_set_value(tape, index, to.buffer, &md);
}

void tape_transpose_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    dnnl_memory_desc_t plain = onednn_plain(&tape->shapes[node->inputs[0]], tape->type);
    tape_place leaving = tape_place_new(tape, &plain);
    tape_place seen = {leaving.buffer, seen_transposed(tape, index)};
    tape_reorder(tape, PHASE_BACKWARD, &gradient, &seen);
    tape_contribute(tape, node->inputs[0], &leaving, true);
}

/* ---- slice and padding: a part of the larger one of input and output ---- */

static void clear(onednn_tape *tape, const tape_step *step)
{
    (void)tape;
    memset(step->operands[0].data, 0, (size_t)step->size[0]);
}

static void clear_step(onednn_tape *tape, unsigned phase, const tape_place *place)
{
    tape_step *step = tape_call(tape, phase, clear);
    tape_use(tape, step, place->buffer);
    if (step)
        step->size[0] = (int64_t)dnnl_memory_desc_get_size(&place->md);
}

/* Where the smaller tensor lies inside the larger plain one. */
static dnnl_memory_desc_t inner(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    bool slice = node->op == NN_SLICE;
    int large = slice ? node->inputs[0] : index, small = slice ? index : node->inputs[0];
    int64_t begin[NN_MAX_RANK] = {0};
    if (slice) {
        begin[node->axis] = node->begin;
    } else {
        begin[2] = node->pad_top;
        begin[3] = node->pad_left;
    }
    dnnl_memory_desc_t whole = onednn_plain(&tape->shapes[large], tape->type), part = {0};
    if (!onednn_part(&whole, &tape->shapes[small], begin, &part))
        check(tape, dnnl_invalid_arguments);
    return part;
}

void tape_window_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place from = tape_source_plain(tape, node->inputs[0], PHASE_FORWARD);
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[index], tape->type);
    tape_place to = tape_place_new(tape, &md);
    if (node->op == NN_SLICE)
        from.md = inner(tape, index);
    else
        clear_step(tape, PHASE_FORWARD, &to);
    tape_place target = {to.buffer, node->op == NN_SLICE ? md : inner(tape, index)};
    tape_reorder(tape, PHASE_FORWARD, &from, &target);
    tape_set_value(tape, index, to.buffer, &md);
}

void tape_window_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    dnnl_memory_desc_t md = onednn_plain(&tape->shapes[node->inputs[0]], tape->type);
    tape_place leaving = tape_place_new(tape, &md);
    if (node->op == NN_SLICE)
        clear_step(tape, PHASE_BACKWARD, &leaving);
    else
        gradient.md = inner(tape, index);
    tape_place target = {leaving.buffer, node->op == NN_SLICE ? inner(tape, index) : md};
    tape_reorder(tape, PHASE_BACKWARD, &gradient, &target);
    tape_contribute(tape, node->inputs[0], &leaving, true);
}

/* ---- nearest upsampling ---- */

void tape_upsample_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    const float factors[2] = {(float)node->stride_h, (float)node->stride_w};
    state->source = tape_source(tape, node->inputs[0], PHASE_FORWARD);
    dnnl_memory_desc_t result = onednn_any(&tape->shapes[index], tape->type);
    dnnl_resampling_desc_t op;
    check(tape, dnnl_resampling_forward_desc_init(&op, dnnl_forward_training, dnnl_resampling_nearest, factors,
                                                  &state->source.md, &result));
    state->pd = tape_describe(tape, &op, NULL, NULL);
    if (!state->pd)
        return;
    result = onednn_query(state->pd, dnnl_query_dst_md, 0);
    state->result = tape_place_new(tape, &result);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, state->pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &result, state->result.buffer);
    tape_set_value(tape, index, state->result.buffer, &result);
}

void tape_upsample_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    const float factors[2] = {(float)node->stride_h, (float)node->stride_w};
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    dnnl_resampling_desc_t op;
    check(tape,
          dnnl_resampling_backward_desc_init(&op, dnnl_resampling_nearest, factors, &state->source.md, &gradient.md));
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, NULL, state->pd);
    if (!pd)
        return;
    tape_place leaving = tape_place_new(tape, &state->source.md);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &gradient.md, gradient.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_SRC, &leaving.md, leaving.buffer);
    tape_contribute(tape, node->inputs[0], &leaving, true);
    dnnl_primitive_desc_destroy(pd);
}

/* ---- softmax ---- */

void tape_softmax_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    state->source = tape_source_plain(tape, node->inputs[0], PHASE_FORWARD);
    dnnl_softmax_desc_t op;
    check(tape, dnnl_softmax_forward_desc_init(&op, dnnl_forward_training, &state->source.md, node->axis));
    state->pd = tape_describe(tape, &op, NULL, NULL);
    if (!state->pd)
        return;
    state->result = tape_place_new(tape, &state->source.md);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, state->pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &state->result.md, state->result.buffer);
    tape_set_value(tape, index, state->result.buffer, &state->result.md);
}

void tape_softmax_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    dnnl_softmax_desc_t op;
    check(tape, dnnl_softmax_backward_desc_init(&op, &gradient.md, &state->result.md, node->axis));
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, NULL, state->pd);
    if (!pd)
        return;
    tape_place leaving = tape_place_new(tape, &gradient.md);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_DST, &state->result.md, state->result.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &gradient.md, gradient.buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_SRC, &leaving.md, leaving.buffer);
    tape_contribute(tape, node->inputs[0], &leaving, true);
    dnnl_primitive_desc_destroy(pd);
}
