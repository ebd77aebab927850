/* Normalisation by statistics of the picture at hand. Layer normalisation is an operator of the graph; instances and
 * groups are rows of it: a picture seen as [N,G,rest] is normalised along its last axis and gets its scale and shift
 * per channel afterwards.
 */
#include "model/onnx_reader.h"

#include <string.h>

/* Over all axes from the second on: the row that the picture is when flattened. */
static mien_status emit_row_norm(onnx_reader *r, nn_node *norm, const nn_shape *shape)
{
    nn_node flat = onnx_unary(NN_FLATTEN, norm->inputs[0]), back = onnx_unary(NN_RESHAPE, 0);
    mien_status status = onnx_emit_part(r, &flat, "/flat", &norm->inputs[0]);
    if (!status)
        status = onnx_emit_part(r, norm, "/norm", &back.inputs[0]);
    back.shape = *shape;
    return status ? status : onnx_emit(r, &back);
}

/* The axis that is normalised; *row when it is all from the second on. */
static mien_status find_axis(onnx_reader *r, const nn_shape *shape, int *axis, bool *row)
{
    mien_status status = onnx_axis(r, onnx_attribute_int(r, "axis", -1), shape->rank, axis);
    if (r->turned)
        *axis = 1;
    bool single = r->turned || r->at->domain == onnx_fused || (!status && *axis == shape->rank - 1);
    *row = !single && *axis == 1;
    if (!status && (*axis == 0 || (!single && !*row)))
        status = onnx_fail(r, MIEN_EUNSUPPORTED, "mien normalises the last axis, or all but the batch");
    return status;
}

static mien_status read_layer_norm(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_LAYER_NORM, 0);
    bool row = false;
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (status)
        return status;
    const nn_shape shape = r->graph->nodes[node.inputs[0]].shape;
    status = find_axis(r, &shape, &node.axis, &row);
    int64_t length = row ? (int64_t)nn_shape_count(&shape) : status ? 0 : shape.dim[node.axis];
    if (!status && length < 1)
        status = onnx_fail(r, MIEN_EUNSUPPORTED, "an axis of unknown size");
    for (int slot = 0; slot < 2 && !status; slot++)
        if (onnx_input(r, (size_t)slot + 1))
            status = onnx_vector(r, (size_t)slot + 1, length, NN_WEIGHT_TRAINABLE, &node.weights[slot]);
    node.epsilon = onnx_attribute_float(r, "epsilon", 1e-5f);
    if (status)
        return status;
    return row ? emit_row_norm(r, &node, &shape) : onnx_emit(r, &node);
}

/* ---- groups of channels ---- */

/* A number for each channel from one for each channel or each group. */
static mien_status spread_vector(onnx_reader *r, size_t index, int64_t channels, int64_t groups, int *weight)
{
    const onnx_tensor *given = NULL;
    mien_status status = onnx_constant(r, index, &given);
    if (status)
        return status;
    if (given->whole || (given->count != (size_t)channels && given->count != (size_t)groups))
        return onnx_fail(r, MIEN_EFORMAT, "\"%.60s\" has %zu numbers for %lld channels", given->name, given->count,
                         (long long)channels);
    float *data = memory_arena_take(&r->arena, (size_t)channels, sizeof *data);
    if (!data)
        return onnx_fail(r, MIEN_ELIMIT, "the weights need too much memory");
    for (int64_t c = 0; c < channels; c++)
        data[c] = given->floats[given->count == (size_t)channels ? c : c / (channels / groups)];
    return onnx_weight(r, given->name, (nn_shape){1, {channels}}, NN_WEIGHT_TRAINABLE, data, weight);
}

static mien_status normalise_groups(onnx_reader *r, int input, int64_t groups, int *normed)
{
    const nn_shape shape = r->graph->nodes[input].shape;
    int64_t count = (int64_t)nn_shape_count(&shape);
    nn_node norm = onnx_unary(NN_LAYER_NORM, input), rows = onnx_unary(NN_RESHAPE, input),
            back = onnx_unary(NN_RESHAPE, 0);
    if (count < 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a picture of unknown size");
    rows.shape = (nn_shape){3, {NN_BATCH, groups, count / groups}};
    back.shape = shape;
    norm.axis = 2;
    norm.epsilon = onnx_attribute_float(r, "epsilon", 1e-5f);
    bool as_it_is = nn_shape_equal(&rows.shape, &shape);
    mien_status status = as_it_is ? MIEN_OK : onnx_emit_part(r, &rows, "/rows", &norm.inputs[0]);
    if (!status)
        status = onnx_emit_part(r, &norm, "/norm", as_it_is ? normed : &back.inputs[0]);
    return status || as_it_is ? status : onnx_emit_part(r, &back, "/back", normed);
}

static mien_status read_groups(onnx_reader *r, bool instance)
{
    int input = 0;
    mien_status status = onnx_activation(r, 0, &input);
    if (status)
        return status;
    const nn_shape shape = r->graph->nodes[input].shape;
    int64_t channels = shape.dim[1], groups = instance ? channels : onnx_attribute_int(r, "num_groups", 0);
    if (shape.rank < 3 || channels < 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "an input without channels");
    if (groups < 1 || groups > channels || channels % groups)
        return onnx_fail(r, MIEN_EFORMAT, "%lld groups of %lld channels", (long long)groups, (long long)channels);
    nn_node affine = onnx_unary(NN_SCALE_SHIFT, 0);
    status = normalise_groups(r, input, groups, &affine.inputs[0]);
    for (int slot = 0; slot < 2 && !status; slot++)
        status = spread_vector(r, (size_t)slot + 1, channels, groups, &affine.weights[slot]);
    return status ? status : onnx_emit(r, &affine);
}

static mien_status read_instance_norm(onnx_reader *r)
{
    return read_groups(r, true);
}

static mien_status read_group_norm(onnx_reader *r)
{
    return read_groups(r, false);
}

onnx_handler onnx_norm_handler(const char *op)
{
    static const struct {
        const char *op;
        onnx_handler handler;
    } table[] = {
        {"LayerNormalization", read_layer_norm},
        {"InstanceNormalization", read_instance_norm},
        {"GroupNormalization", read_group_norm},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].op, op))
            return table[i].handler;
    }
    return NULL;
}
