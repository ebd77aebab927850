/* Networks that keep each pixel's channels together for a while (ConvNeXt between its convolutions, all that comes from
 * TensorFlow) transpose to [N,H,W,C], work there and transpose back. The graph stays [N,C,H,W]: a transposition waits
 * (ONNX_VALUE_NHWC), operators that mean the same in both orders are read on what it waits for, and the one back is
 * nothing. Whatever else asks for such a value gets it transposed.
 */
#include "model/onnx_reader.h"

#include <string.h>

static const char *const pointwise[] = {"Relu", "LeakyRelu", "Elu",      "Selu",       "Sigmoid",   "HardSigmoid",
                                        "Tanh", "HardSwish", "Softplus", "Softsign",   "Exp",       "Erf",
                                        "Gelu", "Mish",      "Abs",      "Neg",        "Clip",      "Dropout",
                                        "Cast", "Identity",  "Max",      "ReduceMean", "ReduceMax", "Min"};
static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div"};

#define LISTED(list, op) listed(list, sizeof(list) / sizeof *(list), op)

static bool listed(const char *const *list, size_t count, const char *op)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i], op))
            return true;
    return false;
}

/* One number, or one for each of the channels, which are the last axis. */
static bool falls_on_channels(const onnx_tensor *t, int64_t channels)
{
    return t->count == 1 ||
           (t->rank >= 1 && t->rank <= 4 && t->dim[t->rank - 1] == channels && t->count == (size_t)channels);
}

/* The operator means the same on [N,C,H,W] as on [N,H,W,C]; `first` is its first operand of that kind. */
static bool works_turned(const onnx_reader *r, const onnx_value *first)
{
    const char *op = r->at->op;
    int64_t axis = onnx_attribute_int(r, "axis", -1), channels = r->graph->nodes[first->node].shape.dim[1];
    if (!strcmp(op, "LayerNormalization"))
        return axis == -1 || axis == 3;
    if (!strcmp(op, "MatMul"))
        return onnx_input(r, 0) == first && onnx_input(r, 1) != first;
    if (!LISTED(arithmetic, op))
        return LISTED(pointwise, op);
    for (size_t i = 0; i < r->at->input_count; i++) {
        const onnx_value *value = onnx_input(r, i);
        if (value && value->kind == ONNX_VALUE_CONSTANT && !falls_on_channels(value->constant, channels))
            return false;
    }
    return true;
}

/* Every activation that it reads is [N,H,W,C], and there is one: *first. */
static bool reads_turned(const onnx_reader *r, const onnx_value **first)
{
    *first = NULL;
    for (size_t i = 0; i < r->at->input_count; i++) {
        const onnx_value *value = onnx_input(r, i);
        if (value && value->kind != ONNX_VALUE_NHWC && value->kind != ONNX_VALUE_CONSTANT)
            return false;
        if (!*first && value && value->kind == ONNX_VALUE_NHWC)
            *first = value;
    }
    return *first != NULL;
}

static void set_kinds(onnx_reader *r, onnx_value_kind from, onnx_value_kind to)
{
    for (size_t i = 0; i < r->at->input_count; i++) {
        onnx_value *value = onnx_input(r, i);
        if (value && value->kind == from)
            value->kind = to;
    }
}

mien_status onnx_read_turned(onnx_reader *r, onnx_handler handler, bool *done)
{
    const onnx_value *first;
    onnx_value *made = onnx_find(r, r->at->outputs[0]);
    *done = reads_turned(r, &first) && !made->is_output && works_turned(r, first);
    if (!*done)
        return MIEN_OK;
    set_kinds(r, ONNX_VALUE_NHWC, ONNX_VALUE_NODE);
    r->turned = true;
    mien_status status = handler(r);
    r->turned = false;
    set_kinds(r, ONNX_VALUE_NODE, ONNX_VALUE_NHWC);
    if (!status && made->kind == ONNX_VALUE_NODE && r->graph->nodes[made->node].shape.rank == 4)
        made->kind = ONNX_VALUE_NHWC;
    return status;
}

mien_status onnx_turn_constant(onnx_reader *r, const onnx_tensor *constant, const onnx_tensor **turned)
{
    onnx_tensor *copy = memory_arena_take(&r->arena, 1, sizeof *copy);
    if (!copy)
        return onnx_fail(r, MIEN_ELIMIT, "the constants need too much memory");
    *copy = *constant;
    copy->rank = constant->count == 1 ? 0 : 3;
    copy->dim[0] = (int64_t)constant->count;
    copy->dim[1] = copy->dim[2] = 1;
    *turned = copy;
    return MIEN_OK;
}
