/* Keras layers that join, reshape, pad and cut, and the operator layers that preprocessing leaves in a model.
 *
 * Flattening is where the two orders of a picture meet: Keras counts [H,W,C], the graph [C,H,W]. The value is flattened
 * in the graph's order and says so (keras_value); see keras_reader.h.
 */
#include "model/keras_reader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static mien_status read_flatten(keras_reader *r, const keras_call *call, keras_value *out)
{
    const nn_shape in = *keras_shape(r, &call->inputs[0]);
    nn_node node = keras_unary(NN_FLATTEN, call->inputs[0].node);
    mien_status status = keras_add(r, call, "", &node, out);
    if (status || in.rank != 4)
        return status;
    if (in.dim[2] < 0 || in.dim[3] < 0)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "flattening a picture of unknown size");
    if (in.dim[2] != 1 || in.dim[3] != 1) {
        out->channels = in.dim[1];
        out->height = in.dim[2];
        out->width = in.dim[3];
    }
    return MIEN_OK;
}

/* The target of a Reshape, with its one -1 worked out; `total` numbers in all. */
static mien_status reshape_target(keras_reader *r, const keras_call *call, int64_t total, int64_t *dim, int *rank)
{
    const json_t *target = keras_member(call, "target_shape", NULL);
    size_t count = json_array_size(target);
    int64_t known = 1;
    int open = -1;
    if (count < 1 || count > 3)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "a target of rank %zu", count);
    for (size_t i = 0; i < count; i++) {
        dim[i] = json_integer_value(json_array_get(target, i));
        if (dim[i] == -1 && open < 0)
            open = (int)i;
        else if (dim[i] < 1 || dim[i] > total || __builtin_mul_overflow(known, dim[i], &known))
            return keras_fail(r, call, MIEN_EFORMAT, "its target does not fit its input");
    }
    if (open >= 0)
        dim[open] = total / known;
    if ((open >= 0 ? known * dim[open] : known) != total)
        return keras_fail(r, call, MIEN_EFORMAT, "its target does not fit its input");
    *rank = (int)count;
    return MIEN_OK;
}

/* The numbers of the input as one row in Keras's order. */
static mien_status as_row(keras_reader *r, const keras_call *call, keras_value *row)
{
    keras_value in = call->inputs[0];
    const nn_shape shape = *keras_shape(r, &in);
    if (shape.rank == 4) {
        nn_node flat = keras_unary(NN_FLATTEN, in.node);
        keras_value flattened;
        mien_status status = keras_add(r, call, "/row", &flat, &flattened);
        if (status)
            return status;
        if (shape.dim[2] < 0 || shape.dim[3] < 0)
            return keras_fail(r, call, MIEN_EUNSUPPORTED, "a picture of unknown size");
        in = (keras_value){flattened.node, shape.dim[1], shape.dim[2], shape.dim[3]};
        if (shape.dim[1] == 1 || (shape.dim[2] == 1 && shape.dim[3] == 1))
            in.channels = 0; /* both orders are the same */
    }
    return keras_ordered(r, call, &in, row);
}

static mien_status read_reshape(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_value row;
    int64_t dim[3];
    int rank = 0;
    mien_status status = as_row(r, call, &row);
    if (!status)
        status = reshape_target(r, call, keras_shape(r, &row)->dim[1], dim, &rank);
    if (status)
        return status;
    nn_node node = keras_unary(NN_IDENTITY, row.node);
    if (rank == 1)
        return keras_add(r, call, "", &node, out);
    if (rank == 2)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "a target of rank 2");
    node.op = NN_RESHAPE;
    if (dim[2] == 1 || (dim[0] == 1 && dim[1] == 1)) {
        node.shape = (nn_shape){4, {NN_BATCH, dim[2], dim[0], dim[1]}};
        return keras_add(r, call, "", &node, out);
    }
    keras_value picture = {0};
    node.shape = (nn_shape){4, {NN_BATCH, dim[0], dim[1], dim[2]}};
    status = keras_add(r, call, "/picture", &node, &picture);
    nn_node turn = keras_unary(NN_TRANSPOSE, picture.node);
    memcpy(turn.permutation, (const int[]){0, 3, 1, 2}, 4 * sizeof(int));
    return status ? status : keras_add(r, call, "", &turn, out);
}

/* Keras counts the axes of [N,H,W,C] from 1 on. */
static mien_status read_permute(keras_reader *r, const keras_call *call, keras_value *out)
{
    static const int of_picture[4] = {0, 2, 3, 1}; /* N, H, W, C in the graph */
    const json_t *dims = keras_member(call, "dims", NULL);
    int from[3];
    unsigned seen = 0;
    if (keras_shape(r, &call->inputs[0])->rank != 4 || json_array_size(dims) != 3)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "mien permutes the axes of pictures only");
    for (size_t i = 0; i < 3; i++) {
        json_int_t axis = json_integer_value(json_array_get(dims, i));
        if (axis < 1 || axis > 3 || seen & 1u << axis)
            return keras_fail(r, call, MIEN_EFORMAT, "its dims are no order of the axes 1, 2 and 3");
        seen |= 1u << axis;
        from[i] = of_picture[axis];
    }
    nn_node node = keras_unary(NN_TRANSPOSE, call->inputs[0].node);
    memcpy(node.permutation, (const int[]){0, from[2], from[0], from[1]}, 4 * sizeof(int));
    return keras_add(r, call, "", &node, out);
}

/* ---- joining ---- */

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

/* Keras lets a row [N,C] meet a picture: it counts as [N,1,1,C]. */
static mien_status as_channels(keras_reader *r, const keras_call *call, int other_rank, keras_value *value)
{
    const nn_shape shape = *keras_shape(r, value);
    if (shape.rank != 2 || other_rank != 4)
        return MIEN_OK;
    nn_node node = keras_unary(NN_RESHAPE, value->node);
    char suffix[32]; /* both may be rows, of different calls */
    snprintf(suffix, sizeof suffix, "/channels%d", value->node);
    node.shape = (nn_shape){4, {NN_BATCH, shape.dim[1], 1, 1}};
    return keras_add(r, call, suffix, &node, value);
}

static mien_status merge_two(keras_reader *r, const keras_call *call, nn_op op, const char *suffix, keras_value a,
                             keras_value b, keras_value *out)
{
    mien_status status = as_channels(r, call, keras_shape(r, &b)->rank, &a);
    if (!status)
        status = as_channels(r, call, keras_shape(r, &a)->rank, &b);
    if (status)
        return status;
    nn_node node = {.op = op, .input_count = 2, .inputs = {a.node, b.node}, .weights = {-1, -1, -1, -1}};
    const nn_shape *first = keras_shape(r, &a), *second = keras_shape(r, &b);
    bool repeated = (is_channel_vector(first) && !is_channel_vector(second)) || is_plane(first, second);
    if (op != NN_SUB && op != NN_DIV && repeated && !nn_shape_equal(first, second)) {
        node.inputs[0] = b.node;
        node.inputs[1] = a.node;
    }
    return keras_add(r, call, suffix, &node, out);
}

static mien_status read_merge(keras_reader *r, const keras_call *call, nn_op op, keras_value *out)
{
    keras_value sum = {0};
    if (call->input_count < 2 || (op == NN_SUB && call->input_count != 2))
        return keras_fail(r, call, MIEN_EFORMAT, "%d inputs", call->input_count);
    mien_status status = keras_ordered(r, call, &call->inputs[0], &sum);
    for (int i = 1; i < call->input_count && !status; i++) {
        static const char *const parts[KERAS_MAX_CALL_INPUTS] = {"",   "/1", "/2",  "/3",  "/4",  "/5",  "/6",  "/7",
                                                                 "/8", "/9", "/10", "/11", "/12", "/13", "/14", "/15"};
        keras_value next = {0};
        status = keras_ordered(r, call, &call->inputs[i], &next);
        if (!status)
            status = merge_two(r, call, op, i + 1 < call->input_count ? parts[i] : "", sum, next, &sum);
    }
    if (!status)
        *out = sum;
    return status;
}

/* Their sum divided by how many they are. */
static mien_status read_average(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_call parts = *call;
    keras_value sum;
    buffer name = {0};
    buffer_append_format(&name, "%s/sum", call->name);
    mien_status status = buffer_status(&name, r->error);
    parts.name = buffer_text(&name);
    if (!status)
        status = read_merge(r, &parts, NN_ADD, &sum);
    buffer_done(&name);
    if (status)
        return status;
    nn_node scale = keras_unary(NN_SCALE_SHIFT, sum.node);
    status = keras_vector(r, call, NULL, "share", keras_shape(r, &sum)->dim[1], 0, 1.0f / (float)call->input_count,
                          &scale.weights[0]);
    return status ? status : keras_add(r, call, "", &scale, out);
}

/* The larger of two is a + relu(b - a), the smaller a - relu(a - b). */
static mien_status read_extreme(keras_reader *r, const keras_call *call, bool larger, keras_value *out)
{
    keras_value a = {0}, b = {0}, apart, more;
    if (call->input_count != 2)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "%d inputs; mien takes two", call->input_count);
    mien_status status = keras_ordered(r, call, &call->inputs[0], &a);
    if (!status)
        status = keras_ordered(r, call, &call->inputs[1], &b);
    if (!status && !nn_shape_equal(keras_shape(r, &a), keras_shape(r, &b)))
        status = keras_fail(r, call, MIEN_EUNSUPPORTED, "inputs of different shapes");
    if (!status)
        status = merge_two(r, call, NN_SUB, "/apart", larger ? b : a, larger ? a : b, &apart);
    nn_node rectified = keras_unary(NN_RELU, status ? 0 : apart.node);
    if (!status)
        status = keras_add(r, call, "/more", &rectified, &more);
    return status ? status : merge_two(r, call, larger ? NN_ADD : NN_SUB, "", a, more, out);
}

static mien_status read_maximum(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_extreme(r, call, true, out);
}

static mien_status read_minimum(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_extreme(r, call, false, out);
}

static mien_status read_add(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_merge(r, call, NN_ADD, out);
}

static mien_status read_multiply(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_merge(r, call, NN_MUL, out);
}

static mien_status read_subtract(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_merge(r, call, NN_SUB, out);
}

static mien_status read_concatenate(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = {.op = NN_CONCAT, .input_count = call->input_count, .weights = {-1, -1, -1, -1}};
    mien_status status = MIEN_OK;
    keras_value ordered = {0};
    for (int i = 0; i < call->input_count && !status; i++) {
        status = keras_ordered(r, call, &call->inputs[i], &ordered);
        node.inputs[i] = ordered.node;
    }
    const json_t *axis = keras_member(call, "axis", "concat_axis");
    if (!status)
        status = keras_axis(r, call, json_is_integer(axis) ? json_integer_value(axis) : -1,
                            keras_shape(r, &ordered)->rank, &node.axis);
    return status ? status : keras_add(r, call, "", &node, out);
}

/* Keras 1: one layer for all of them. */
static mien_status read_merge_1(keras_reader *r, const keras_call *call, keras_value *out)
{
    const char *mode = keras_text(call, "mode", NULL, "sum");
    if (!strcmp(mode, "sum"))
        return read_add(r, call, out);
    if (!strcmp(mode, "mul"))
        return read_multiply(r, call, out);
    if (!strcmp(mode, "ave"))
        return read_average(r, call, out);
    if (!strcmp(mode, "max"))
        return read_maximum(r, call, out);
    if (!strcmp(mode, "concat"))
        return read_concatenate(r, call, out);
    return keras_fail(r, call, MIEN_EUNSUPPORTED, "mode \"%.40s\"", mode);
}

/* ---- padding, cutting, enlarging ---- */

/* 1, [1, 1] or [[top, bottom], [left, right]]. */
static bool read_sides(const json_t *value, int *sides)
{
    const json_t *part[4] = {value, value, value, value};
    if (json_array_size(value) == 2) {
        for (int i = 0; i < 4; i++) {
            const json_t *axis = json_array_get(value, (size_t)i / 2);
            part[i] = json_array_size(axis) == 2 ? json_array_get(axis, (size_t)i % 2) : axis;
        }
    }
    for (int i = 0; i < 4; i++) {
        json_int_t size = json_is_integer(part[i]) ? json_integer_value(part[i]) : -1;
        if (size < 0 || size > NN_MAX_ATTRIBUTE)
            return false;
        sides[i] = (int)size;
    }
    return true;
}

static mien_status read_zero_padding(keras_reader *r, const keras_call *call, keras_value *out)
{
    int sides[4] = {1, 1, 1, 1};
    const json_t *padding = keras_member(call, "padding", NULL);
    if (padding && !read_sides(padding, sides))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "its padding is not understood");
    nn_node node = keras_unary(NN_PAD, call->inputs[0].node);
    node.pad_top = sides[0];
    node.pad_bottom = sides[1];
    node.pad_left = sides[2];
    node.pad_right = sides[3];
    return keras_add(r, call, "", &node, out);
}

static mien_status read_cropping(keras_reader *r, const keras_call *call, keras_value *out)
{
    int sides[4] = {0};
    const nn_shape in = *keras_shape(r, &call->inputs[0]);
    const json_t *cropping = keras_member(call, "cropping", NULL);
    if ((cropping && !read_sides(cropping, sides)) || in.rank != 4 || in.dim[2] < 0 || in.dim[3] < 0)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "its cropping is not understood");
    nn_node rows = keras_unary(NN_SLICE, call->inputs[0].node), columns = keras_unary(NN_SLICE, 0);
    rows.axis = 2;
    rows.begin = sides[0];
    rows.end = (int)(in.dim[2] - sides[1]);
    columns.axis = 3;
    columns.begin = sides[2];
    columns.end = (int)(in.dim[3] - sides[3]);
    keras_value cut = {0};
    mien_status status = keras_add(r, call, "/rows", &rows, &cut);
    columns.inputs[0] = cut.node;
    return status ? status : keras_add(r, call, "", &columns, out);
}

static mien_status read_upsampling(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = keras_unary(NN_UPSAMPLE, call->inputs[0].node);
    node.stride_h = node.stride_w = 2;
    if (strcmp(keras_text(call, "interpolation", NULL, "nearest"), "nearest"))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "interpolation other than nearest");
    mien_status status = keras_pair(r, call, "size", NULL, &node.stride_h, &node.stride_w);
    return status ? status : keras_add(r, call, "", &node, out);
}

/* ---- operators on a number: what preprocess_input leaves behind ---- */

/* The one number among the arguments: "y" of TensorFlow's operators, the second argument of Keras 3's. */
static bool find_number(const json_t *arguments, double *number)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)arguments, key, value)
    {
        if (json_is_number(value) && (!strcmp(key, "y") || !strcmp(key, "x2"))) {
            *number = json_number_value(value);
            return true;
        }
    }
    return false;
}

static mien_status operate(keras_reader *r, const keras_call *call, nn_op op, keras_value *out)
{
    double number;
    if (call->input_count == 2)
        return read_merge(r, call, op, out);
    if (!find_number(call->arguments, &number) || (op == NN_DIV && number == 0))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "its other operand is not a number");
    bool scale = op == NN_MUL || op == NN_DIV;
    float value = (float)(op == NN_DIV ? 1 / number : op == NN_SUB ? -number : number);
    keras_value in;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (status)
        return status;
    nn_node node = keras_unary(NN_SCALE_SHIFT, in.node);
    status = keras_vector(r, call, NULL, scale ? "scale" : "shift", keras_shape(r, &in)->dim[1], 0, value,
                          &node.weights[scale ? 0 : 1]);
    return status ? status : keras_add(r, call, "", &node, out);
}

static mien_status read_operator(keras_reader *r, const keras_call *call, keras_value *out)
{
    static const struct {
        const char *name;
        nn_op op;
    } table[] = {
        {"math.truediv", NN_DIV}, {"math.divide", NN_DIV}, {"truediv", NN_DIV},
        {"TrueDivide", NN_DIV},   {"Divide", NN_DIV},      {"math.subtract", NN_SUB},
        {"Subtract", NN_SUB},     {"math.add", NN_ADD},    {"__operators__.add", NN_ADD},
        {"Add", NN_ADD},          {"add", NN_ADD},         {"math.multiply", NN_MUL},
        {"Multiply", NN_MUL},     {"multiply", NN_MUL},
    };
    const char *function = keras_text(call, "function", NULL, call->type);
    bool mean = !strcmp(function, "math.reduce_mean");
    if (mean || !strcmp(function, "math.reduce_max"))
        return keras_reduce(r, call, !mean, out);
    if (!strcmp(function, "nn.gelu"))
        return keras_gelu(r, call, false, out);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].name, function))
            return operate(r, call, table[i].op, out);
    }
    return keras_fail(r, call, MIEN_EUNSUPPORTED, "the function \"%.60s\"", function);
}

/* Keras 3 has operators of the same names as the layers. */
static mien_status read_add_or_operator(keras_reader *r, const keras_call *call, keras_value *out)
{
    return call->input_count > 1 ? read_add(r, call, out) : operate(r, call, NN_ADD, out);
}

static mien_status read_multiply_or_operator(keras_reader *r, const keras_call *call, keras_value *out)
{
    return call->input_count > 1 ? read_multiply(r, call, out) : operate(r, call, NN_MUL, out);
}

static mien_status read_subtract_or_operator(keras_reader *r, const keras_call *call, keras_value *out)
{
    return call->input_count > 1 ? read_subtract(r, call, out) : operate(r, call, NN_SUB, out);
}

keras_handler keras_layout_handler(const char *type)
{
    static const struct {
        const char *type;
        keras_handler handler;
    } table[] = {
        {"Flatten", read_flatten},
        {"Reshape", read_reshape},
        {"Permute", read_permute},
        {"Average", read_average},
        {"Maximum", read_maximum},
        {"Minimum", read_minimum},
        {"Add", read_add_or_operator},
        {"Multiply", read_multiply_or_operator},
        {"Subtract", read_subtract_or_operator},
        {"Concatenate", read_concatenate},
        {"Merge", read_merge_1},
        {"ZeroPadding2D", read_zero_padding},
        {"Cropping2D", read_cropping},
        {"UpSampling2D", read_upsampling},
        {"TFOpLambda", read_operator},
        {"TrueDivide", read_operator},
        {"Divide", read_operator},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].type, type))
            return table[i].handler;
    }
    return NULL;
}
