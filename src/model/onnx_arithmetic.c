/* Add, Sub, Mul, Div and Neg: between activations, or of an activation and a constant.
 *
 * With a constant they are an affine map per channel (ScaleShift). A constant that varies along other axes is applied
 * to the flattened tensor, where every element is a channel. Mul waits for an Add, and recognises x·sigmoid(x).
 */
#include "model/onnx_reader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum spread {
    SPREAD_CHANNEL, /* one number, or one for each channel */
    SPREAD_FULL,    /* one for each element of a picture */
    SPREAD_NONE     /* does not fit */
} spread;

/* How a constant falls on a shape, broadcast from the right as ONNX does. */
static spread spread_of(const onnx_tensor *t, const nn_shape *shape)
{
    if (t->rank > shape->rank)
        return SPREAD_NONE;
    bool channel = true, open = false;
    int lead = shape->rank - t->rank;
    for (int i = 0; i < shape->rank; i++) {
        int64_t dim = i < lead ? 1 : t->dim[i - lead];
        if (dim != 1 && (i == 0 || dim != shape->dim[i]))
            return SPREAD_NONE;
        channel = channel && (dim == 1 || i == 1);
        open = open || shape->dim[i] == NN_DYNAMIC;
    }
    if (channel)
        return shape->dim[1] > 0 ? SPREAD_CHANNEL : SPREAD_NONE;
    return open ? SPREAD_NONE : SPREAD_FULL;
}

/* The number that falls on element `at` (row-major index within one picture). */
static float spread_at(const onnx_tensor *t, const nn_shape *shape, size_t at)
{
    int lead = shape->rank - t->rank;
    size_t index = 0, step = 1;
    for (int i = shape->rank - 1; i > 0; i--) {
        size_t size = (size_t)shape->dim[i], here = at % size;
        at /= size;
        if (i < lead)
            continue;
        if (t->dim[i - lead] != 1)
            index += here * step;
        step *= (size_t)t->dim[i - lead];
    }
    return t->whole ? (float)t->ints[index] : t->floats[index];
}

/* One slot of a ScaleShift: `constant` written out for every channel of the (possibly flattened) input. */
static mien_status affine_weight(onnx_reader *r, const onnx_tensor *constant, const nn_shape *shape, spread how,
                                 int *weight)
{
    size_t channels = (size_t)shape->dim[1];
    if (how == SPREAD_FULL)
        channels = nn_shape_count(shape);
    float *data = memory_arena_take(&r->arena, channels, sizeof *data);
    if (!data)
        return onnx_fail(r, MIEN_ELIMIT, "the constants need too much memory");
    nn_shape line = {2, {NN_BATCH, shape->dim[1]}};
    onnx_tensor vector = *constant;
    if (how == SPREAD_CHANNEL) { /* all other axes are 1 */
        vector.rank = 1;
        vector.dim[0] = (int64_t)constant->count;
    }
    for (size_t i = 0; i < channels; i++)
        data[i] = spread_at(&vector, how == SPREAD_FULL ? shape : &line, i);
    return onnx_weight(r, constant->name, (nn_shape){1, {(int64_t)channels}}, 0, data, weight);
}

mien_status onnx_channel_weight(onnx_reader *r, const onnx_tensor *constant, int64_t channels, int *weight)
{
    nn_shape shape = {2, {NN_BATCH, channels}};
    if (channels < 1 || channels > NN_MAX_WEIGHT)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "an input without channels");
    return affine_weight(r, constant, &shape, SPREAD_CHANNEL, weight);
}

static spread wider(spread a, spread b)
{
    return a > b ? a : b;
}

mien_status onnx_emit_scale_shift(onnx_reader *r, int input, const onnx_tensor *scale, const onnx_tensor *shift)
{
    const nn_shape shape = r->graph->nodes[input].shape;
    spread how = SPREAD_CHANNEL;
    if (scale)
        how = wider(how, spread_of(scale, &shape));
    if (shift)
        how = wider(how, spread_of(shift, &shape));
    if (how == SPREAD_NONE)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a constant whose shape does not fall on the input's");
    mien_status status = MIEN_OK;
    nn_node node = onnx_unary(NN_SCALE_SHIFT, input);
    bool flatten = how == SPREAD_FULL && shape.rank != 2;
    if (flatten) {
        nn_node flat = onnx_unary(NN_FLATTEN, input);
        status = onnx_emit_part(r, &flat, "/flat", &node.inputs[0]);
    }
    if (!status && scale)
        status = affine_weight(r, scale, &shape, how, &node.weights[0]);
    if (!status && shift)
        status = affine_weight(r, shift, &shape, how, &node.weights[1]);
    if (status || !flatten)
        return status ? status : onnx_emit(r, &node);
    nn_node back = onnx_unary(NN_RESHAPE, 0);
    back.shape = shape;
    status = onnx_emit_part(r, &node, "/affine", &back.inputs[0]);
    return status ? status : onnx_emit(r, &back);
}

/* ---- with a constant ---- */

/* A constant with `op` applied to each number: 'n' negated, 'r' reciprocal. */
static const onnx_tensor *mapped(onnx_reader *r, const onnx_tensor *t, char op)
{
    onnx_tensor *copy = memory_arena_take(&r->arena, 1, sizeof *copy);
    float *floats = memory_arena_take(&r->arena, t->count, sizeof *floats);
    if (!copy || !floats)
        return NULL;
    for (size_t i = 0; i < t->count; i++) {
        float value = t->whole ? (float)t->ints[i] : t->floats[i];
        floats[i] = op == 'n' ? -value : 1 / value;
    }
    *copy = *t;
    copy->whole = false;
    copy->floats = floats;
    return copy;
}

static mien_status read_shift(onnx_reader *r, onnx_value *value, const onnx_tensor *shift)
{
    if (value->kind == ONNX_VALUE_MATMUL && !shift->whole &&
        (shift->count == 1 || (shift->dim[shift->rank - 1] == (int64_t)shift->count)))
        return onnx_emit_dense(r, value->node, value->constant, false, 1, shift, 1);
    if (value->kind == ONNX_VALUE_SCALED)
        return onnx_emit_scale_shift(r, value->node, value->constant, shift);
    int node = 0;
    mien_status status = onnx_realise(r, value, &node);
    return status ? status : onnx_emit_scale_shift(r, node, NULL, shift);
}

static mien_status read_scale(onnx_reader *r, onnx_value *value, const onnx_tensor *scale)
{
    int node = 0;
    mien_status status = onnx_realise(r, value, &node);
    if (status)
        return status;
    if (!onnx_may_defer(r) || spread_of(scale, &r->graph->nodes[node].shape) == SPREAD_NONE)
        return onnx_emit_scale_shift(r, node, scale, NULL);
    onnx_defer(r, ONNX_VALUE_SCALED, node, scale);
    return MIEN_OK;
}

static const onnx_tensor minus_one = {.name = "minus_one", .count = 1, .floats = (const float[]){-1}};

/* `constant` is operand `side` (0 or 1) of `op`; `value` is the other. */
static mien_status with_constant(onnx_reader *r, nn_op op, onnx_value *value, size_t side)
{
    const onnx_tensor *constant = NULL;
    mien_status status = onnx_constant(r, side, &constant);
    if (!status && r->turned)
        status = onnx_turn_constant(r, constant, &constant);
    if (status)
        return status;
    if (op == NN_ADD)
        return read_shift(r, value, constant);
    if (op == NN_MUL)
        return read_scale(r, value, constant);
    if (op == NN_DIV && side == 0)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a constant divided by an activation");
    if (op == NN_SUB && side == 0) {
        int node = 0;
        status = onnx_realise(r, value, &node);
        return status ? status : onnx_emit_scale_shift(r, node, &minus_one, constant);
    }
    const onnx_tensor *turned = mapped(r, constant, op == NN_SUB ? 'n' : 'r');
    if (!turned)
        return onnx_fail(r, MIEN_ELIMIT, "the constants need too much memory");
    return op == NN_SUB ? read_shift(r, value, turned) : read_scale(r, value, turned);
}

/* ---- between activations ---- */

static bool is_hard_swish_gate(const onnx_value *gate)
{
    return gate->op == NN_HARD_SIGMOID && fabsf(gate->alpha - 1.0f / 6) < 1e-6f && fabsf(gate->beta - 0.5f) < 1e-6f;
}

/* x times a gate of x itself. */
static bool swish_of(const onnx_value *gate, const onnx_value *x, nn_op *op)
{
    if (gate->kind != ONNX_VALUE_GATE || x->kind != ONNX_VALUE_NODE || x->node != gate->node)
        return false;
    if (gate->op != NN_SIGMOID && !is_hard_swish_gate(gate))
        return false;
    *op = gate->op == NN_SIGMOID ? NN_SWISH : NN_HARD_SWISH;
    return true;
}

static bool is_channel_vector(const nn_shape *shape)
{
    return shape->rank == 4 && shape->dim[2] == 1 && shape->dim[3] == 1;
}

/* One number for each pixel of the other. */
static bool is_plane(const nn_shape *shape, const nn_shape *like)
{
    return shape->rank == 4 && like->rank == 4 && shape->dim[1] == 1 && shape->dim[2] == like->dim[2] &&
           shape->dim[3] == like->dim[3];
}

/* The smaller of the two, which is repeated over the other. */
static bool is_repeated(const nn_shape *shape, const nn_shape *like)
{
    return is_plane(shape, like) || (is_channel_vector(shape) && !is_channel_vector(like));
}

static mien_status between(onnx_reader *r, nn_op op)
{
    nn_node node = {.op = op, .input_count = 2, .weights = {-1, -1, -1, -1}};
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = onnx_activation(r, 1, &node.inputs[1]);
    if (status)
        return status;
    const nn_shape *first = &r->graph->nodes[node.inputs[0]].shape;
    const nn_shape *second = &r->graph->nodes[node.inputs[1]].shape;
    bool equal = nn_shape_equal(first, second);
    if ((op == NN_ADD || op == NN_MUL) && !equal && is_repeated(first, second)) {
        int swap = node.inputs[0];
        node.inputs[0] = node.inputs[1];
        node.inputs[1] = swap;
    } else if (!equal && !is_repeated(second, first)) {
        return onnx_fail(r, MIEN_EUNSUPPORTED,
                         "its inputs have different shapes, and none is one number for a channel or a pixel");
    }
    return onnx_emit(r, &node);
}

static mien_status read_binary(onnx_reader *r, nn_op op)
{
    onnx_value *a = onnx_input(r, 0), *b = onnx_input(r, 1);
    if (!a || !b || r->at->input_count != 2)
        return onnx_fail(r, MIEN_EFORMAT, "it takes two inputs");
    if (b->kind == ONNX_VALUE_CONSTANT)
        return with_constant(r, op, a, 1);
    if (a->kind == ONNX_VALUE_CONSTANT)
        return with_constant(r, op, b, 0);
    nn_op swish;
    if (op == NN_MUL && (swish_of(a, b, &swish) || swish_of(b, a, &swish))) {
        nn_node node = onnx_unary(swish, a->node);
        return onnx_emit(r, &node);
    }
    return between(r, op);
}

static mien_status read_add(onnx_reader *r)
{
    return read_binary(r, NN_ADD);
}

static mien_status read_sub(onnx_reader *r)
{
    return read_binary(r, NN_SUB);
}

static mien_status read_mul(onnx_reader *r)
{
    return read_binary(r, NN_MUL);
}

static mien_status read_div(onnx_reader *r)
{
    return read_binary(r, NN_DIV);
}

static mien_status read_neg(onnx_reader *r)
{
    int node = 0;
    mien_status status = onnx_activation(r, 0, &node);
    return status ? status : onnx_emit_scale_shift(r, node, &minus_one, NULL);
}

/* Sum of any number of activations, in pairs. */
static mien_status read_sum(onnx_reader *r)
{
    enum { MOST = 16 };
    size_t count = r->at->input_count;
    nn_node sum = {.op = NN_ADD, .input_count = 2, .weights = {-1, -1, -1, -1}};
    if (count == 2)
        return read_binary(r, NN_ADD);
    if (count < 1 || count > MOST)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien adds up to %d values, not %zu", MOST, count);
    mien_status status = onnx_activation(r, 0, &sum.inputs[0]);
    if (!status && count == 1) {
        nn_node same = onnx_unary(NN_IDENTITY, sum.inputs[0]);
        return onnx_emit(r, &same);
    }
    for (size_t i = 1; i < count && !status; i++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "/%zu", i);
        status = onnx_activation(r, i, &sum.inputs[1]);
        if (!status)
            status = i + 1 < count ? onnx_emit_part(r, &sum, suffix, &sum.inputs[0]) : onnx_emit(r, &sum);
    }
    return status;
}

onnx_handler onnx_arithmetic_handler(const char *op)
{
    static const struct {
        const char *op;
        onnx_handler handler;
    } table[] = {
        {"Add", read_add}, {"Sub", read_sub}, {"Mul", read_mul},
        {"Div", read_div}, {"Neg", read_neg}, {"Sum", read_sum},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].op, op))
            return table[i].handler;
    }
    return NULL;
}
