/* Operators that move numbers without computing: reshaping, transposing, joining, cutting, padding, enlarging.
 *
 * The batch stays where it is and keeps its size: a target shape must name it as 0, as -1, as a value taken from Shape,
 * or as the number that the file's input fixes.
 */
#include "model/onnx_reader.h"

#include <math.h>
#include <string.h>

static const nn_shape *shape_of(const onnx_reader *r, int node)
{
    return &r->graph->nodes[node].shape;
}

/* ---- reshaping ---- */

static mien_status emit_shape(onnx_reader *r, int input, const nn_shape *shape)
{
    if (nn_shape_equal(shape_of(r, input), shape)) {
        nn_node node = onnx_unary(NN_IDENTITY, input);
        return onnx_emit(r, &node);
    }
    nn_node node = onnx_unary(shape->rank == 2 ? NN_FLATTEN : NN_RESHAPE, input);
    node.shape = *shape;
    return onnx_emit(r, &node);
}

/* Whether `first`, the leading target size, means the batch. `rest` is the product of the others, 0 when one is open.
 */
static bool names_batch(const onnx_reader *r, int64_t first, int64_t rest, const nn_shape *in)
{
    if (first == 0 || first == ONNX_DIM_BATCH || (r->batch > 0 && first == r->batch))
        return true;
    return first == -1 && rest == (int64_t)nn_shape_count(in);
}

static mien_status reshape_target(onnx_reader *r, const nn_shape *in, const int64_t *dim, size_t rank, nn_shape *out)
{
    if (rank < 2 || rank > NN_MAX_RANK)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a target of rank %zu", rank);
    int64_t rest = 1;
    int open = 0;
    *out = (nn_shape){.rank = (int)rank, .dim = {NN_BATCH}};
    for (size_t i = 1; i < rank; i++) {
        int64_t size = dim[i];
        if (size == 0 && (int)i < in->rank)
            size = in->dim[i];
        if (size == -1 || size == NN_DYNAMIC || size == ONNX_DIM_OPEN)
            size = -1;
        open += size == -1;
        if (size != -1 && (size < 1 || size > NN_MAX_ELEMENTS || __builtin_mul_overflow(rest, size, &rest)))
            return onnx_fail(r, MIEN_EUNSUPPORTED, "size %zu of the target shape is not known", i);
        out->dim[i] = size;
    }
    if (open > 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "two sizes of the target shape are open");
    if (!names_batch(r, dim[0], open ? 0 : rest, in))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "the target shape does not keep the batch");
    int64_t have = (int64_t)nn_shape_count(in);
    if (open && have && have % rest == 0) {
        for (size_t i = 1; i < rank; i++)
            out->dim[i] = out->dim[i] == -1 ? have / rest : out->dim[i];
    }
    return MIEN_OK;
}

static mien_status read_reshape(onnx_reader *r)
{
    int input = 0;
    const int64_t *dim = NULL;
    size_t rank = 0;
    nn_shape shape;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_list(r, "shape", 1, &dim, &rank);
    if (!status && onnx_attribute_int(r, "allowzero", 0))
        status = onnx_fail(r, MIEN_EUNSUPPORTED, "allowzero");
    if (!status)
        status = reshape_target(r, shape_of(r, input), dim, rank, &shape);
    return status ? status : emit_shape(r, input, &shape);
}

static mien_status read_flatten(onnx_reader *r)
{
    int input = 0, axis = 1;
    mien_status status = onnx_activation(r, 0, &input);
    int64_t given = onnx_attribute_int(r, "axis", 1);
    if (!status && given != 1)
        status = onnx_axis(r, given, shape_of(r, input)->rank, &axis);
    if (!status && axis != 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "flattening from axis %d", axis);
    nn_node node = onnx_unary(NN_FLATTEN, input);
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_squeeze(onnx_reader *r)
{
    int input = 0;
    const int64_t *axes = NULL;
    size_t count = 0;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_list(r, "axes", 1, &axes, &count);
    if (status)
        return status;
    const nn_shape in = *shape_of(r, input);
    bool drop[NN_MAX_RANK] = {false};
    for (int i = 1; i < in.rank && !count; i++)
        drop[i] = in.dim[i] == 1;
    for (size_t i = 0; i < count && !status; i++) {
        int axis = 0;
        status = onnx_axis(r, axes[i], in.rank, &axis);
        if (!status && in.dim[axis] != 1)
            status = onnx_fail(r, MIEN_EUNSUPPORTED, "axis %d is not of size 1", axis);
        drop[axis] = true;
    }
    nn_shape out = {0};
    for (int i = 0; i < in.rank; i++) {
        if (!drop[i])
            out.dim[out.rank++] = in.dim[i];
    }
    return status ? status : emit_shape(r, input, &out);
}

static mien_status read_unsqueeze(onnx_reader *r)
{
    int input = 0;
    const int64_t *axes = NULL;
    size_t count = 0;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_list(r, "axes", 1, &axes, &count);
    if (status)
        return status;
    const nn_shape in = *shape_of(r, input);
    if (count > (size_t)(NN_MAX_RANK - in.rank))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "more than %d axes", NN_MAX_RANK);
    bool fresh[NN_MAX_RANK] = {false};
    int rank = in.rank + (int)count;
    for (size_t i = 0; i < count && !status; i++) {
        int axis = 0;
        status = onnx_axis(r, axes[i], rank, &axis);
        if (!status && (axis == 0 || fresh[axis]))
            status = onnx_fail(r, MIEN_EUNSUPPORTED, "axis %d before the batch, or twice", axis);
        fresh[axis] = true;
    }
    nn_shape out = {.rank = rank};
    for (int i = 0, from = 0; i < rank && !status; i++)
        out.dim[i] = fresh[i] ? 1 : in.dim[from++];
    if (status)
        return status;
    nn_node node = onnx_unary(NN_RESHAPE, input);
    node.shape = out;
    return onnx_emit(r, &node);
}

static bool has_order(const onnx_reader *r, int second, int third, int fourth)
{
    const onnx_attribute *order = onnx_attribute_find(r, "perm");
    const int64_t wanted[4] = {0, second, third, fourth};
    return order && order->int_count == 4 && !memcmp(order->ints, wanted, sizeof wanted);
}

/* To [N,C,H,W] from a [N,H,W,C] that is so in the graph already. Where nobody else knows the node it takes the name
 * that the file has for this layout. */
static mien_status undo_nhwc(onnx_reader *r, const onnx_value *value)
{
    const nn_node *made = &r->graph->nodes[value->node];
    if (value->uses != 1 || made->op == NN_INPUT || strcmp(made->name, value->name)) {
        nn_node same = onnx_unary(NN_IDENTITY, value->node);
        return onnx_emit(r, &same);
    }
    mien_status status = nn_graph_rename(r->graph, value->node, r->at->outputs[0]);
    if (status)
        return onnx_fail(r, status == MIEN_EINVAL ? MIEN_EFORMAT : status, "%s", r->graph->error.message);
    onnx_alias(r, value->node);
    return MIEN_OK;
}

static mien_status read_transpose(onnx_reader *r)
{
    const onnx_value *value = onnx_input(r, 0);
    if (value && value->kind == ONNX_VALUE_NHWC && has_order(r, 3, 1, 2))
        return undo_nhwc(r, value);
    nn_node node = onnx_unary(NN_TRANSPOSE, 0);
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (status)
        return status;
    int rank = shape_of(r, node.inputs[0])->rank;
    if (rank == 4 && has_order(r, 2, 3, 1)) { /* waits for what works on each pixel's channels */
        onnx_defer(r, ONNX_VALUE_NHWC, node.inputs[0], NULL);
        return MIEN_OK;
    }
    for (int i = 0; i < rank; i++)
        node.permutation[i] = rank - 1 - i;
    status = onnx_attribute_ints(r, "perm", node.permutation, (size_t)rank);
    if (!status && node.permutation[0] != 0)
        status = onnx_fail(r, MIEN_EUNSUPPORTED, "it moves the batch");
    return status ? status : onnx_emit(r, &node);
}

/* ---- joining and cutting ---- */

static mien_status read_concat(onnx_reader *r)
{
    nn_node node = {.op = NN_CONCAT, .weights = {-1, -1, -1, -1}};
    if (r->at->input_count > NN_MAX_INPUTS)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "%zu inputs; mien joins up to %d", r->at->input_count, NN_MAX_INPUTS);
    node.input_count = (int)r->at->input_count;
    mien_status status = MIEN_OK;
    for (int i = 0; i < node.input_count && !status; i++)
        status = onnx_activation(r, (size_t)i, &node.inputs[i]);
    if (!status)
        status = onnx_axis(r, onnx_attribute_int(r, "axis", 1), shape_of(r, node.inputs[0])->rank, &node.axis);
    if (!status && node.input_count == 1)
        node.op = NN_IDENTITY;
    return status ? status : onnx_emit(r, &node);
}

/* begin..end of a slice, with negative positions counted from the end and both clamped. */
static mien_status slice_bounds(onnx_reader *r, int64_t size, int64_t begin, int64_t end, nn_node *node)
{
    if (size == NN_DYNAMIC)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "cutting an axis of unknown size");
    begin = begin < 0 ? (begin < -size ? 0 : begin + size) : begin > size ? size : begin;
    end = end < 0 ? (end < -size ? 0 : end + size) : end > size ? size : end;
    if (end <= begin)
        return onnx_fail(r, MIEN_EFORMAT, "an empty slice");
    node->begin = (int)begin;
    node->end = (int)end;
    return MIEN_OK;
}

static mien_status read_slice(onnx_reader *r)
{
    int input = 0;
    const int64_t *begin = NULL, *end = NULL, *axes = NULL, *steps = NULL;
    size_t count = 0, ends = 0, axis_count = 0, step_count = 0;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_list(r, "starts", 1, &begin, &count);
    if (!status)
        status = onnx_list(r, "ends", 2, &end, &ends);
    if (!status)
        status = onnx_list(r, "axes", 3, &axes, &axis_count);
    if (!status)
        status = onnx_list(r, "steps", 4, &steps, &step_count);
    if (status)
        return status;
    if (count < 1 || ends != count || (axis_count && axis_count != count) || (step_count && step_count != count))
        return onnx_fail(r, MIEN_EFORMAT, "starts, ends, axes and steps do not go together");
    for (size_t i = 0; i < count && !status; i++) {
        nn_node node = onnx_unary(NN_SLICE, input);
        const nn_shape *in = shape_of(r, input);
        status = onnx_axis(r, axis_count ? axes[i] : (int64_t)i, in->rank, &node.axis);
        if (!status && ((step_count && steps[i] != 1) || node.axis == 0))
            status = onnx_fail(r, MIEN_EUNSUPPORTED, "steps, or cutting the batch");
        if (!status)
            status = slice_bounds(r, in->dim[node.axis], begin[i], end[i], &node);
        if (!status)
            status = i + 1 < count ? onnx_emit_part(r, &node, i ? "/cut2" : "/cut1", &input) : onnx_emit(r, &node);
    }
    return status;
}

/* A split is one slice for each output. */
static mien_status read_split(onnx_reader *r)
{
    int input = 0, axis = 0;
    const int64_t *sizes = NULL;
    size_t count = 0, parts = r->at->output_count;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_list(r, "split", 1, &sizes, &count);
    if (!status)
        status = onnx_axis(r, onnx_attribute_int(r, "axis", 0), shape_of(r, input)->rank, &axis);
    if (status)
        return status;
    int64_t size = shape_of(r, input)->dim[axis], begin = 0;
    if (axis == 0 || size < 1 || (count && count != parts) || (!count && size % (int64_t)parts))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "a split of the batch, of an open axis, or into uneven parts");
    const onnx_node *at = r->at;
    for (size_t i = 0; i < parts && !status; i++) {
        nn_node node = onnx_unary(NN_SLICE, input);
        node.axis = axis;
        int64_t length = count ? sizes[i] : size / (int64_t)parts;
        if (length < 1 || length > size - begin)
            return onnx_fail(r, MIEN_EFORMAT, "parts that do not add up");
        node.begin = (int)begin;
        node.end = (int)(begin += length);
        onnx_node part = *at;
        part.outputs = at->outputs + i;
        part.output_count = 1;
        r->at = &part;
        if (*part.outputs[0])
            status = onnx_emit(r, &node);
        r->at = at;
    }
    return status;
}

/* ---- padding and enlarging ---- */

static mien_status read_pad(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_PAD, 0);
    const int64_t *pads = NULL;
    size_t count = 0;
    float value = 0;
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = onnx_list(r, "pads", 1, &pads, &count);
    if (!status)
        status = onnx_scalar(r, "value", 2, &value);
    if (status)
        return status;
    if (count != 8 || pads[0] || pads[1] || pads[4] || pads[5] || onnx_input(r, 3))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien pads the height and width of pictures only");
    if (strcmp(onnx_attribute_text(r, "mode", "constant"), "constant") || value != 0)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien pads with zeros only");
    for (size_t i = 0; i < count; i++) {
        if (pads[i] < 0 || pads[i] > NN_MAX_ATTRIBUTE)
            return onnx_fail(r, MIEN_EFORMAT, "padding of %lld", (long long)pads[i]);
    }
    node.pad_top = (int)pads[2];
    node.pad_left = (int)pads[3];
    node.pad_bottom = (int)pads[6];
    node.pad_right = (int)pads[7];
    return onnx_emit(r, &node);
}

/* Factors from `sizes` (input 3 of Resize), where the input's size is known. */
static mien_status factors_from_sizes(onnx_reader *r, const nn_shape *in, float *factor)
{
    const onnx_tensor *sizes = NULL;
    mien_status status = onnx_constant(r, 3, &sizes);
    if (status)
        return status;
    if (!sizes->whole || sizes->count != 4 || in->dim[2] < 1 || in->dim[3] < 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "sizes for an input of unknown size");
    for (int i = 0; i < 2; i++)
        factor[i] = (float)sizes->ints[2 + i] / (float)in->dim[2 + i];
    return MIEN_OK;
}

static mien_status read_factors(onnx_reader *r, const nn_shape *in, float *factor)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, "scales");
    bool resize = !strcmp(r->at->op, "Resize") && r->document->opset >= 11;
    size_t index = resize ? 2 : 1;
    const onnx_value *given = onnx_input(r, index);
    if (!attribute && resize && (!given || (given->kind == ONNX_VALUE_CONSTANT && given->constant->count == 0)))
        return factors_from_sizes(r, in, factor);
    const float *scales = attribute ? attribute->floats : NULL;
    size_t count = attribute ? attribute->float_count : 0;
    if (!attribute) {
        const onnx_tensor *tensor = NULL;
        mien_status status = onnx_constant(r, index, &tensor);
        if (status)
            return status;
        scales = tensor->floats;
        count = tensor->whole ? 0 : tensor->count;
    }
    if (count != 4 || scales[0] != 1 || scales[1] != 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien enlarges the height and width of pictures only");
    factor[0] = scales[2];
    factor[1] = scales[3];
    return MIEN_OK;
}

/* Whether nearest sampling by this whole factor repeats each pixel: the only kind that the graph has. */
static bool repeats_pixels(const onnx_reader *r, float factor)
{
    if (r->document->opset < 11)
        return true;
    const char *where = onnx_attribute_text(r, "coordinate_transformation_mode", "half_pixel");
    const char *round = onnx_attribute_text(r, "nearest_mode", "round_prefer_floor");
    if (!strcmp(where, "half_pixel") || !strcmp(where, "pytorch_half_pixel"))
        return !strncmp(round, "round_", 6);
    if (!strcmp(where, "tf_half_pixel_for_nn"))
        return !strcmp(round, "floor");
    return !strcmp(where, "asymmetric") &&
           (!strcmp(round, "floor") || factor == 1 || (factor == 2 && !strcmp(round, "round_prefer_floor")));
}

static mien_status read_resize(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_UPSAMPLE, 0);
    float factor[2] = {0};
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (status)
        return status;
    if (strcmp(onnx_attribute_text(r, "mode", "nearest"), "nearest"))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mode \"%.40s\"; mien has nearest", onnx_attribute_text(r, "mode", ""));
    const nn_shape *in = shape_of(r, node.inputs[0]);
    if (in->rank != 4)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "an input of rank %d", in->rank);
    status = read_factors(r, in, factor);
    for (int i = 0; i < 2 && !status; i++) {
        if (!(factor[i] >= 1 && factor[i] <= 4096) || factor[i] != floorf(factor[i]) || !repeats_pixels(r, factor[i]))
            status = onnx_fail(r, MIEN_EUNSUPPORTED, "mien enlarges by whole factors that repeat pixels");
    }
    node.stride_h = (int)factor[0];
    node.stride_w = (int)factor[1];
    return status ? status : onnx_emit(r, &node);
}

onnx_handler onnx_layout_handler(const char *op)
{
    static const struct {
        const char *op;
        onnx_handler handler;
    } table[] = {
        {"Reshape", read_reshape},     {"Flatten", read_flatten}, {"Squeeze", read_squeeze},
        {"Unsqueeze", read_unsqueeze}, {"Concat", read_concat},   {"Transpose", read_transpose},
        {"Slice", read_slice},         {"Split", read_split},     {"Pad", read_pad},
        {"Resize", read_resize},       {"Upsample", read_resize},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].op, op))
            return table[i].handler;
    }
    return NULL;
}
