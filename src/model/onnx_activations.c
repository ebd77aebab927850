/* Element-wise operators of one input, softmax and dropout. Bounds and ratios are attributes in old operator sets and
 * constant inputs in new ones.
 */
#include "model/onnx_reader.h"

#include <float.h>
#include <math.h>
#include <string.h>

static mien_status read_plain(onnx_reader *r, nn_op op, float alpha, float beta)
{
    nn_node node = onnx_unary(op, 0);
    node.alpha = onnx_attribute_float(r, "alpha", alpha);
    node.beta = onnx_attribute_float(r, "beta", beta);
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_relu(onnx_reader *r)
{
    return read_plain(r, NN_RELU, 0, 0);
}

static mien_status read_leaky_relu(onnx_reader *r)
{
    return read_plain(r, NN_LEAKY_RELU, 0.01f, 0);
}

static mien_status read_elu(onnx_reader *r)
{
    return read_plain(r, NN_ELU, 1, 0);
}

static mien_status read_tanh(onnx_reader *r)
{
    return read_plain(r, NN_TANH, 0, 0);
}

static mien_status read_exp(onnx_reader *r)
{
    return read_plain(r, NN_EXP, 0, 0);
}

static mien_status read_softplus(onnx_reader *r)
{
    return read_plain(r, NN_SOFTPLUS, 0, 0);
}

static mien_status read_erf(onnx_reader *r)
{
    return read_plain(r, NN_ERF, 0, 0);
}

static mien_status read_gelu(onnx_reader *r)
{
    const char *how = onnx_attribute_text(r, "approximate", "none");
    if (!strcmp(how, "tanh"))
        return read_plain(r, NN_GELU_TANH, 0, 0);
    if (strcmp(how, "none"))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "approximate is \"%.40s\"", how);
    return read_plain(r, NN_GELU, 0, 0);
}

/* |x| is a leaky rectifier of slope -1. */
static mien_status read_abs(onnx_reader *r)
{
    return read_plain(r, NN_LEAKY_RELU, -1, 0);
}

/* gamma · (x > 0 ? x : alpha · (exp(x) - 1)): ELU, then a scale. */
static mien_status read_selu(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_ELU, 0);
    float *gamma = memory_arena_take(&r->arena, 1, sizeof *gamma);
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status && !gamma)
        status = onnx_fail(r, MIEN_ELIMIT, "the constants need too much memory");
    if (status)
        return status;
    int inner = 0;
    node.alpha = onnx_attribute_float(r, "alpha", 1.67326319f);
    *gamma = onnx_attribute_float(r, "gamma", 1.05070102f);
    onnx_tensor scale = {.name = "selu", .count = 1, .floats = gamma};
    status = onnx_emit_part(r, &node, "/elu", &inner);
    return status ? status : onnx_emit_scale_shift(r, inner, &scale, NULL);
}

/* x · tanh(softplus(x)) */
static mien_status read_mish(onnx_reader *r)
{
    nn_node soft = onnx_unary(NN_SOFTPLUS, 0), bent = onnx_unary(NN_TANH, 0);
    mien_status status = onnx_activation(r, 0, &soft.inputs[0]);
    if (!status)
        status = onnx_emit_part(r, &soft, "/softplus", &bent.inputs[0]);
    nn_node product = {.op = NN_MUL, .input_count = 2, .inputs = {soft.inputs[0]}, .weights = {-1, -1, -1, -1}};
    if (!status)
        status = onnx_emit_part(r, &bent, "/tanh", &product.inputs[1]);
    return status ? status : onnx_emit(r, &product);
}

/* x / (1 + |x|) */
static mien_status read_softsign(onnx_reader *r)
{
    static const float one[] = {1};
    static const onnx_tensor shift = {.name = "softsign", .count = 1, .floats = one};
    nn_node magnitude = onnx_unary(NN_LEAKY_RELU, 0), above = onnx_unary(NN_SCALE_SHIFT, 0);
    mien_status status = onnx_activation(r, 0, &magnitude.inputs[0]);
    if (status)
        return status;
    magnitude.alpha = -1;
    int64_t channels = r->graph->nodes[magnitude.inputs[0]].shape.dim[1];
    status = onnx_emit_part(r, &magnitude, "/magnitude", &above.inputs[0]);
    if (!status)
        status = onnx_channel_weight(r, &shift, channels, &above.weights[1]);
    nn_node quotient = {.op = NN_DIV, .input_count = 2, .inputs = {magnitude.inputs[0]}, .weights = {-1, -1, -1, -1}};
    if (!status)
        status = onnx_emit_part(r, &above, "/above", &quotient.inputs[1]);
    return status ? status : onnx_emit(r, &quotient);
}

static mien_status read_identity(onnx_reader *r)
{
    return read_plain(r, NN_IDENTITY, 0, 0);
}

static mien_status read_hard_swish(onnx_reader *r)
{
    return read_plain(r, NN_HARD_SWISH, 0, 0);
}

/* A sigmoid may be the gate of a swish: it waits for the multiplication. */
static mien_status read_gate(onnx_reader *r, nn_op op, float alpha, float beta)
{
    int input = 0;
    if (!onnx_may_defer(r))
        return read_plain(r, op, alpha, beta);
    mien_status status = onnx_activation(r, 0, &input);
    if (status)
        return status;
    onnx_defer(r, ONNX_VALUE_GATE, input, NULL);
    onnx_value *value = onnx_find(r, r->at->outputs[0]);
    value->op = op;
    value->alpha = onnx_attribute_float(r, "alpha", alpha);
    value->beta = onnx_attribute_float(r, "beta", beta);
    return MIEN_OK;
}

static mien_status read_sigmoid(onnx_reader *r)
{
    return read_gate(r, NN_SIGMOID, 0, 0);
}

static mien_status read_hard_sigmoid(onnx_reader *r)
{
    return read_gate(r, NN_HARD_SIGMOID, 0.2f, 0.5f);
}

static mien_status read_clip(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_CLIP, 0);
    node.alpha = -FLT_MAX;
    node.beta = FLT_MAX;
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = onnx_scalar(r, "min", 1, &node.alpha);
    if (!status)
        status = onnx_scalar(r, "max", 2, &node.beta);
    return status ? status : onnx_emit(r, &node);
}

/* The larger of two activations is a + relu(b - a), the smaller a - relu(a - b): what LightCNN's maxout asks for. */
static mien_status read_extreme(onnx_reader *r, bool larger)
{
    nn_node apart = {.op = NN_SUB, .input_count = 2, .weights = {-1, -1, -1, -1}}, more = onnx_unary(NN_RELU, 0);
    int a = 0, b = 0;
    mien_status status = onnx_activation(r, 0, &a);
    if (!status)
        status = onnx_activation(r, 1, &b);
    if (status)
        return status;
    if (!nn_shape_equal(&r->graph->nodes[a].shape, &r->graph->nodes[b].shape))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "its inputs have different shapes");
    apart.inputs[0] = larger ? b : a;
    apart.inputs[1] = larger ? a : b;
    status = onnx_emit_part(r, &apart, "/apart", &more.inputs[0]);
    nn_node chosen = {.op = larger ? NN_ADD : NN_SUB, .input_count = 2, .inputs = {a}, .weights = {-1, -1, -1, -1}};
    if (!status)
        status = onnx_emit_part(r, &more, "/more", &chosen.inputs[1]);
    return status ? status : onnx_emit(r, &chosen);
}

/* The larger or smaller of an activation and a number. */
static mien_status read_bound(onnx_reader *r, bool lower)
{
    nn_node node = onnx_unary(NN_CLIP, 0);
    node.alpha = -FLT_MAX;
    node.beta = FLT_MAX;
    const onnx_value *first = onnx_input(r, 0), *second = onnx_input(r, 1);
    size_t activation = second && second->kind == ONNX_VALUE_CONSTANT ? 0 : 1;
    if (r->at->input_count != 2)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien takes two inputs only");
    if (first && second && first->kind != ONNX_VALUE_CONSTANT && second->kind != ONNX_VALUE_CONSTANT)
        return read_extreme(r, lower);
    mien_status status = onnx_activation(r, activation, &node.inputs[0]);
    if (!status)
        status = onnx_scalar(r, "", 1 - activation, lower ? &node.alpha : &node.beta);
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_max(onnx_reader *r)
{
    return read_bound(r, true);
}

static mien_status read_min(onnx_reader *r)
{
    return read_bound(r, false);
}

/* The slope has one number, or one for each channel: [C,1,1]. */
static mien_status read_prelu(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_PRELU, 0);
    const onnx_tensor *slope = NULL;
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = onnx_constant(r, 1, &slope);
    if (status)
        return status;
    const nn_shape *in = &r->graph->nodes[node.inputs[0]].shape;
    int axis = slope->rank - (in->rank - 1); /* where the channels stand in the slope's shape */
    bool per_channel = axis >= 0 && slope->rank && slope->dim[axis] == in->dim[1] && slope->count == (size_t)in->dim[1];
    if (slope->whole || (slope->count != 1 && !per_channel))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a slope that is not one number for each channel");
    nn_shape shape = {1, {(int64_t)slope->count}};
    status = onnx_weight(r, slope->name, shape, NN_WEIGHT_TRAINABLE, slope->floats, &node.weights[0]);
    return status ? status : onnx_emit(r, &node);
}

/* Before operator set 13, softmax runs over all axes from the given one on: the same thing when those after it are 1.
 */
static mien_status read_softmax(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_SOFTMAX, 0);
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (status)
        return status;
    bool old = r->document->opset < 13;
    const nn_shape *in = &r->graph->nodes[node.inputs[0]].shape;
    status = onnx_axis(r, onnx_attribute_int(r, "axis", old ? 1 : -1), in->rank, &node.axis);
    for (int i = node.axis + 1; i < in->rank && old && !status; i++) {
        if (in->dim[i] != 1)
            status = onnx_fail(r, MIEN_EUNSUPPORTED, "softmax over several axes");
    }
    return status ? status : onnx_emit(r, &node);
}

/* As the network's end only: there it gives logits, whose softmax is the same as with it. */
static mien_status read_log_softmax(onnx_reader *r)
{
    const onnx_value *value = onnx_find(r, r->at->outputs[0]);
    if (!value || !value->is_output || value->uses != 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien takes it as the last node only");
    return read_identity(r);
}

static mien_status read_dropout(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_DROPOUT, 0);
    node.alpha = 0.5f;
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = onnx_scalar(r, "ratio", 1, &node.alpha);
    return status ? status : onnx_emit(r, &node);
}

/* Between floating types nothing changes: everything is f32 here. */
static mien_status read_cast(onnx_reader *r)
{
    int64_t to = onnx_attribute_int(r, "to", 0);
    if (to != ONNX_FLOAT && to != ONNX_FLOAT16 && to != ONNX_DOUBLE && to != ONNX_BFLOAT16)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "to a type that is not floating");
    return read_identity(r);
}

onnx_handler onnx_activation_handler(const char *op)
{
    static const struct {
        const char *op;
        onnx_handler handler;
    } table[] = {
        {"Relu", read_relu},
        {"LeakyRelu", read_leaky_relu},
        {"Elu", read_elu},
        {"Sigmoid", read_sigmoid},
        {"HardSigmoid", read_hard_sigmoid},
        {"HardSwish", read_hard_swish},
        {"Tanh", read_tanh},
        {"Exp", read_exp},
        {"Erf", read_erf},
        {"Gelu", read_gelu},
        {"Softplus", read_softplus},
        {"Softsign", read_softsign},
        {"Abs", read_abs},
        {"Selu", read_selu},
        {"Mish", read_mish},
        {"LogSoftmax", read_log_softmax},
        {"Clip", read_clip},
        {"Max", read_max},
        {"Min", read_min},
        {"PRelu", read_prelu},
        {"Softmax", read_softmax},
        {"Dropout", read_dropout},
        {"Identity", read_identity},
        {"Cast", read_cast},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].op, op))
            return table[i].handler;
    }
    return NULL;
}
