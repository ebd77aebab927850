/* Activations, sums and products of a tape on oneDNN's elementwise primitives.
 *
 * Where the derivative can be had from the output, the input need not be kept; a ReLU behind a sum is computed with it.
 */
#include "nn/onednn_tape.h"

#include "base/error.h"

typedef struct activation {
    dnnl_alg_kind_t kind;
    float alpha, beta;
    bool from_result; /* the derivative is taken from the output */
} activation;

static activation activation_of(const nn_node *node)
{
    switch (node->op) {
    case NN_RELU:
        return (activation){dnnl_eltwise_relu_use_dst_for_bwd, 0, 0, true};
    case NN_CLIP:
        return (activation){dnnl_eltwise_clip_v2_use_dst_for_bwd, node->alpha, node->beta, true};
    case NN_LEAKY_RELU:
        return (activation){dnnl_eltwise_relu, node->alpha, 0, false};
    case NN_ELU:
        return (activation){dnnl_eltwise_elu, node->alpha, 0, false};
    case NN_SIGMOID:
        return (activation){dnnl_eltwise_logistic_use_dst_for_bwd, 0, 0, true};
    case NN_TANH:
        return (activation){dnnl_eltwise_tanh_use_dst_for_bwd, 0, 0, true};
    case NN_SWISH:
        return (activation){dnnl_eltwise_swish, 1, 0, false};
    case NN_HARD_SWISH:
        return (activation){dnnl_eltwise_hardswish, 0, 0, false};
    case NN_GELU:
        return (activation){dnnl_eltwise_gelu_erf, 0, 0, false};
    case NN_GELU_TANH:
        return (activation){dnnl_eltwise_gelu_tanh, 0, 0, false};
    case NN_SOFTPLUS:
        return (activation){dnnl_eltwise_soft_relu, 0, 0, false};
    default:
        return (activation){dnnl_eltwise_exp_use_dst_for_bwd, 0, 0, true};
    }
}

static dnnl_primitive_desc_t describe_forward(onednn_tape *tape, const activation *act, const dnnl_memory_desc_t *md)
{
    dnnl_eltwise_desc_t op;
    dnnl_status_t status =
        dnnl_eltwise_forward_desc_init(&op, dnnl_forward_training, act->kind, md, act->alpha, act->beta);
    if (!status)
        return tape_describe(tape, &op, NULL, NULL);
    if (!tape->failed)
        tape_fail(tape, onednn_check(status, "describing an activation", &tape->error));
    return NULL;
}

void tape_eltwise_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    activation act = activation_of(node);
    state->source = tape_source(tape, node->inputs[0], PHASE_FORWARD);
    state->pd = describe_forward(tape, &act, &state->source.md);
    if (!state->pd)
        return;
    state->result = tape_place_new(tape, &state->source.md);
    tape_step *step = tape_primitive(tape, PHASE_FORWARD, state->pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &state->source.md, state->source.buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &state->result.md, state->result.buffer);
    tape_set_value(tape, index, state->result.buffer, &state->result.md);
}

/* The gradient before an activation, from the one behind it and the input or output that its derivative needs. */
static tape_place backward_of(onednn_tape *tape, const activation *act, const tape_place *data,
                              const tape_place *gradient, const_dnnl_primitive_desc_t hint)
{
    tape_place leaving = {TAPE_NONE, gradient->md};
    dnnl_eltwise_desc_t op;
    dnnl_status_t status =
        dnnl_eltwise_backward_desc_init(&op, act->kind, &gradient->md, &data->md, act->alpha, act->beta);
    if (status && !tape->failed)
        tape_fail(tape, onednn_check(status, "describing an activation", &tape->error));
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, NULL, hint);
    if (!pd)
        return leaving;
    leaving = tape_place_new(tape, &gradient->md);
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, act->from_result ? DNNL_ARG_DST : DNNL_ARG_SRC, &data->md, data->buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_DST, &gradient->md, gradient->buffer);
    tape_bind(tape, step, DNNL_ARG_DIFF_SRC, &leaving.md, leaving.buffer);
    dnnl_primitive_desc_destroy(pd);
    return leaving;
}

void tape_eltwise_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    activation act = activation_of(node);
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    tape_place leaving =
        backward_of(tape, &act, act.from_result ? &state->result : &state->source, &gradient, state->pd);
    tape_contribute(tape, node->inputs[0], &leaving, true);
}

tape_place tape_relu_backward(onednn_tape *tape, const tape_place *result, const tape_place *gradient)
{
    const activation relu = {dnnl_eltwise_relu_use_dst_for_bwd, 0, 0, true};
    dnnl_memory_desc_t typed = tape_typed(&result->md, tape->type);
    tape_place data = tape_place_as(tape, result, &typed, PHASE_BACKWARD);
    dnnl_primitive_desc_t hint = describe_forward(tape, &relu, &data.md);
    if (!hint)
        return *gradient;
    tape_place leaving = backward_of(tape, &relu, &data, gradient, hint);
    dnnl_primitive_desc_destroy(hint);
    return leaving;
}

/* ---- two inputs ---- */

static tape_step *binary_step(onednn_tape *tape, unsigned phase, dnnl_alg_kind_t alg, const tape_place *a,
                              const tape_place *b, const tape_place *to, bool relu)
{
    dnnl_binary_desc_t op;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_binary_desc_init(&op, alg, &a->md, &b->md, &to->md);
    if (!status && relu)
        status = dnnl_primitive_attr_clone(&attr, tape->context.attr);
    if (!status && relu)
        status = dnnl_post_ops_create(&post);
    if (!status && relu)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
    if (!status && relu)
        status = dnnl_primitive_attr_set_post_ops(attr, post);
    if (status && !tape->failed)
        tape_fail(tape, onednn_check(status, "describing a sum or product", &tape->error));
    dnnl_primitive_desc_t pd = tape_describe(tape, &op, attr, NULL);
    if (post)
        dnnl_post_ops_destroy(post);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (!pd)
        return NULL;
    tape_step *step = tape_primitive(tape, phase, pd);
    tape_bind(tape, step, DNNL_ARG_SRC_0, &a->md, a->buffer);
    tape_bind(tape, step, DNNL_ARG_SRC_1, &b->md, b->buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &to->md, to->buffer);
    dnnl_primitive_desc_destroy(pd);
    return step;
}

void tape_binary(onednn_tape *tape, unsigned phase, dnnl_alg_kind_t alg, const tape_place *a, const tape_place *b,
                 const tape_place *to)
{
    if (!tape->failed)
        binary_step(tape, phase, alg, a, b, to, false);
}

static dnnl_alg_kind_t binary_kind(nn_op op)
{
    switch (op) {
    case NN_ADD:
        return dnnl_binary_add;
    case NN_SUB:
        return dnnl_binary_sub;
    case NN_MUL:
        return dnnl_binary_mul;
    default:
        return dnnl_binary_div;
    }
}

/* [N,C,1,1] against [N,C,H,W] is the channel functions' business. */
static bool broadcasts(const onednn_tape *tape, const nn_node *node)
{
    return !nn_shape_equal(&tape->shapes[node->inputs[0]], &tape->shapes[node->inputs[1]]);
}

void tape_binary_forward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    tape_node *state = &tape->nodes[index];
    if (broadcasts(tape, node)) {
        tape_channel_forward(tape, index);
        return;
    }
    state->fused = node->op == NN_ADD ? tape_only_consumer(tape, index, NN_RELU) : -1;
    if (state->fused >= 0)
        tape->nodes[state->fused].fused_by = index;
    state->source = tape_source(tape, node->inputs[0], PHASE_FORWARD);
    state->other = tape_source_as(tape, node->inputs[1], &state->source.md, PHASE_FORWARD);
    state->result = tape_place_new(tape, &state->source.md);
    if (!tape->failed)
        binary_step(tape, PHASE_FORWARD, binary_kind(node->op), &state->source, &state->other, &state->result,
                    state->fused >= 0);
    tape_set_value(tape, index, state->result.buffer, &state->result.md);
}

static tape_place negated(onednn_tape *tape, const tape_place *from)
{
    const activation minus = {dnnl_eltwise_linear, -1, 0, false};
    tape_place to = tape_place_new(tape, &from->md);
    dnnl_primitive_desc_t pd = tape->failed ? NULL : describe_forward(tape, &minus, &from->md);
    if (!pd)
        return to;
    tape_step *step = tape_primitive(tape, PHASE_BACKWARD, pd);
    tape_bind(tape, step, DNNL_ARG_SRC, &from->md, from->buffer);
    tape_bind(tape, step, DNNL_ARG_DST, &to.md, to.buffer);
    dnnl_primitive_desc_destroy(pd);
    return to;
}

static tape_place combined(onednn_tape *tape, dnnl_alg_kind_t alg, const tape_place *a, const tape_place *b)
{
    tape_place to = tape_place_new(tape, &a->md);
    tape_binary(tape, PHASE_BACKWARD, alg, a, b, &to);
    return to;
}

/* y = a/b: da = g/b, db = -da·y. */
static void divide_backward(onednn_tape *tape, const nn_node *node, const tape_node *state, const tape_place *gradient)
{
    tape_place first = combined(tape, dnnl_binary_div, gradient, &state->other);
    if (tape->needs_gradient[node->inputs[1]]) {
        tape_place product = combined(tape, dnnl_binary_mul, &first, &state->result);
        tape_place second = negated(tape, &product);
        tape_contribute(tape, node->inputs[1], &second, true);
    }
    tape_contribute(tape, node->inputs[0], &first, true);
}

void tape_binary_backward(onednn_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    const tape_node *state = &tape->nodes[index];
    if (broadcasts(tape, node)) {
        tape_channel_backward(tape, index);
        return;
    }
    tape_place gradient;
    if (!tape_gradient(tape, index, &gradient))
        return;
    if (state->fused >= 0)
        gradient = tape_relu_backward(tape, &state->result, &gradient);
    if (node->op == NN_DIV) {
        divide_backward(tape, node, state, &gradient);
        return;
    }
    bool product = node->op == NN_MUL;
    tape_place first = product ? combined(tape, dnnl_binary_mul, &gradient, &state->other) : gradient;
    tape_place second = product              ? combined(tape, dnnl_binary_mul, &gradient, &state->source)
                        : node->op == NN_SUB ? negated(tape, &gradient)
                                             : gradient;
    tape_contribute(tape, node->inputs[0], &first, product);
    tape_contribute(tape, node->inputs[1], &second, product || node->op == NN_SUB);
}
