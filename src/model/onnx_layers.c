/* Operators with weights or windows: convolutions, dense layers, batch normalisation, pooling.
 *
 * Automatic padding and rounding up are turned into plain numbers here, by the size of the input: SAME_UPPER puts the
 * odd row at the bottom (as TensorFlow does), ceil_mode becomes extra padding at the bottom and right. Both need a
 * known input size unless the stride is 1.
 */
#include "model/onnx_reader.h"

#include "base/error.h"

#include <string.h>

enum { KERNEL = NN_WEIGHT_TRAINABLE | NN_WEIGHT_DECAY };

/* Padding that makes the output ceil(size / stride). */
static mien_status same_padding(onnx_reader *r, int64_t size, int kernel, int stride, int dilation, bool upper,
                                int *before, int *after)
{
    int64_t extent = (int64_t)dilation * ((int64_t)kernel - 1) + 1, total;
    if (size == NN_DYNAMIC && stride != 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "automatic padding of an input of unknown size");
    if (size == NN_DYNAMIC)
        total = extent - 1;
    else
        total = ((size + stride - 1) / stride - 1) * stride + extent - size;
    if (total < 0)
        total = 0;
    if (total > NN_MAX_ATTRIBUTE)
        return onnx_fail(r, MIEN_EFORMAT, "automatic padding of %lld", (long long)total);
    int half = (int)(total / 2);
    *before = upper ? half : (int)total - half;
    *after = (int)total - *before;
    return MIEN_OK;
}

/* A transposed convolution makes its input's size times the stride, or the given output: what is more is cut off, what
 * is less is added. */
static mien_status transposed_padding(onnx_reader *r, int kernel, int stride, int dilation, int64_t size,
                                      int64_t wanted, bool upper, int *before, int *after, int *extra)
{
    int64_t total = (int64_t)dilation * (kernel - 1) + 1 - stride + *extra;
    if (wanted > 0 && size == NN_DYNAMIC)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "output_shape for an input of unknown size");
    if (wanted > 0) /* each factor is at most NN_MAX_ELEMENTS or NN_MAX_ATTRIBUTE */
        total = (size - 1) * stride + *extra + (int64_t)dilation * (kernel - 1) + 1 - wanted;
    if (total > NN_MAX_ATTRIBUTE || total < -NN_MAX_ATTRIBUTE)
        return onnx_fail(r, MIEN_EFORMAT, "automatic padding of %lld", (long long)total);
    *extra = total < 0 ? (int)-total : 0;
    total = total < 0 ? 0 : total;
    int half = (int)(total / 2);
    *before = upper ? half : (int)total - half;
    *after = (int)total - *before;
    return MIEN_OK;
}

static bool window_in_range(const nn_node *node)
{
    const int positive[] = {node->kernel_h, node->kernel_w,   node->stride_h,
                            node->stride_w, node->dilation_h, node->dilation_w};
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
        if (positive[i] < 1 || positive[i] > NN_MAX_ATTRIBUTE)
            return false;
    }
    const int pads[] = {node->pad_top, node->pad_left, node->pad_bottom, node->pad_right};
    for (size_t i = 0; i < 4; i++) {
        if (pads[i] < 0 || pads[i] > NN_MAX_ATTRIBUTE)
            return false;
    }
    return true;
}

static mien_status automatic_padding(onnx_reader *r, const nn_shape *in, nn_node *node)
{
    const char *mode = onnx_attribute_text(r, "auto_pad", "NOTSET");
    if (!*mode || !strcmp(mode, "NOTSET"))
        return MIEN_OK;
    node->pad_top = node->pad_left = node->pad_bottom = node->pad_right = 0;
    if (!strcmp(mode, "VALID"))
        return MIEN_OK;
    bool upper = !strcmp(mode, "SAME_UPPER");
    if (!upper && strcmp(mode, "SAME_LOWER"))
        return onnx_fail(r, MIEN_EFORMAT, "auto_pad is \"%.40s\"", mode);
    mien_status status = same_padding(r, in->dim[2], node->kernel_h, node->stride_h, node->dilation_h, upper,
                                      &node->pad_top, &node->pad_bottom);
    if (status)
        return status;
    return same_padding(r, in->dim[3], node->kernel_w, node->stride_w, node->dilation_w, upper, &node->pad_left,
                        &node->pad_right);
}

/* Kernel size, strides, dilations and padding; the kernel's size is in `node` already when there is a weight. */
static mien_status read_window(onnx_reader *r, nn_node *node)
{
    int kernel[2] = {node->kernel_h, node->kernel_w}, stride[2] = {1, 1}, dilation[2] = {1, 1}, pads[4] = {0};
    const nn_shape *in = &r->graph->nodes[node->inputs[0]].shape;
    if (in->rank != 4)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "its input has rank %d; mien takes pictures [N,C,H,W]", in->rank);
    mien_status status = onnx_attribute_ints(r, "kernel_shape", kernel, 2);
    if (!status)
        status = onnx_attribute_ints(r, "strides", stride, 2);
    if (!status)
        status = onnx_attribute_ints(r, "dilations", dilation, 2);
    if (!status)
        status = onnx_attribute_ints(r, "pads", pads, 4);
    if (status)
        return status;
    node->kernel_h = kernel[0];
    node->kernel_w = kernel[1];
    node->stride_h = stride[0];
    node->stride_w = stride[1];
    node->dilation_h = dilation[0];
    node->dilation_w = dilation[1];
    node->pad_top = pads[0];
    node->pad_left = pads[1];
    node->pad_bottom = pads[2];
    node->pad_right = pads[3];
    if (!window_in_range(node))
        return onnx_fail(r, MIEN_EFORMAT, "kernel, stride, dilation or padding out of range");
    return node->op == NN_CONV_TRANSPOSE ? MIEN_OK : automatic_padding(r, in, node);
}

/* What a convolution works on, and its kernel, whose layout the error names. */
static mien_status read_conv_inputs(onnx_reader *r, const char *layout, nn_node *node, const onnx_tensor **out)
{
    const onnx_tensor *kernel = NULL;
    mien_status status = onnx_activation(r, 0, &node->inputs[0]);
    if (!status)
        status = onnx_constant(r, 1, &kernel);
    if (status)
        return status;
    if (kernel->whole || kernel->rank != 4 || kernel->dim[2] > NN_MAX_ATTRIBUTE || kernel->dim[3] > NN_MAX_ATTRIBUTE)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "the kernel \"%.60s\" is not %s", kernel->name, layout);
    *out = kernel;
    return MIEN_OK;
}

static mien_status read_conv(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_CONV, 0);
    const onnx_tensor *kernel = NULL;
    mien_status status = read_conv_inputs(r, "[O, I, h, w]", &node, &kernel);
    if (status)
        return status;
    int group = 1;
    int64_t groups = onnx_attribute_int(r, "group", 1);
    if (groups < 1 || groups > NN_MAX_ATTRIBUTE)
        return onnx_fail(r, MIEN_EFORMAT, "%lld groups", (long long)groups);
    group = (int)groups;
    node.groups = group;
    node.kernel_h = (int)kernel->dim[2];
    node.kernel_w = (int)kernel->dim[3];
    status = read_window(r, &node);
    if (!status && (node.kernel_h != kernel->dim[2] || node.kernel_w != kernel->dim[3]))
        status = onnx_fail(r, MIEN_EFORMAT, "kernel_shape is not the kernel's shape");
    nn_shape shape = {4, {kernel->dim[0], kernel->dim[1], kernel->dim[2], kernel->dim[3]}};
    if (!status)
        status = onnx_weight(r, kernel->name, shape, KERNEL, kernel->floats, &node.weights[0]);
    if (!status && onnx_input(r, 2))
        status = onnx_vector(r, 2, kernel->dim[0], NN_WEIGHT_TRAINABLE, &node.weights[1]);
    return status ? status : onnx_emit(r, &node);
}

/* ---- transposed convolution ---- */

/* [I, O/groups, h, w] to [O, I/groups, h, w]. */
static float *turn_kernel(onnx_reader *r, const onnx_tensor *k, size_t groups)
{
    float *data = memory_arena_take(&r->arena, k->count, sizeof *data);
    size_t inputs = (size_t)k->dim[0] / groups, outputs = (size_t)k->dim[1], places = (size_t)(k->dim[2] * k->dim[3]);
    for (size_t g = 0; data && g < groups; g++)
        for (size_t i = 0; i < inputs; i++)
            for (size_t o = 0; o < outputs; o++)
                memcpy(data + ((g * outputs + o) * inputs + i) * places,
                       k->floats + ((g * inputs + i) * outputs + o) * places, places * sizeof *data);
    return data;
}

/* Padding by auto_pad or output_shape, which both say how large the result is to be. */
static mien_status read_output_size(onnx_reader *r, nn_node *node)
{
    int extra[2] = {0}, wanted[2] = {0};
    mien_status status = onnx_attribute_ints(r, "output_padding", extra, 2);
    if (!status)
        status = onnx_attribute_ints(r, "output_shape", wanted, 2);
    if (status)
        return status;
    if (extra[0] < 0 || extra[1] < 0 || extra[0] > NN_MAX_ATTRIBUTE || extra[1] > NN_MAX_ATTRIBUTE)
        return onnx_fail(r, MIEN_EFORMAT, "output_padding out of range");
    node->extra_h = extra[0];
    node->extra_w = extra[1];
    const char *mode = onnx_attribute_text(r, "auto_pad", "NOTSET");
    bool upper = !strcmp(mode, "SAME_UPPER"), same = upper || !strcmp(mode, "SAME_LOWER");
    bool given = onnx_attribute_find(r, "output_shape") != NULL;
    if (given && (wanted[0] < 1 || wanted[1] < 1))
        return onnx_fail(r, MIEN_EFORMAT, "output_shape out of range");
    if (!strcmp(mode, "VALID"))
        node->pad_top = node->pad_left = node->pad_bottom = node->pad_right = 0;
    else if (*mode && !same && strcmp(mode, "NOTSET"))
        return onnx_fail(r, MIEN_EFORMAT, "auto_pad is \"%.40s\"", mode);
    if (!same && !given)
        return MIEN_OK;
    const int64_t *in = r->graph->nodes[node->inputs[0]].shape.dim;
    status = transposed_padding(r, node->kernel_h, node->stride_h, node->dilation_h, in[2], wanted[0], upper,
                                &node->pad_top, &node->pad_bottom, &node->extra_h);
    return status ? status
                  : transposed_padding(r, node->kernel_w, node->stride_w, node->dilation_w, in[3], wanted[1], upper,
                                       &node->pad_left, &node->pad_right, &node->extra_w);
}

static mien_status read_conv_transpose(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_CONV_TRANSPOSE, 0);
    const onnx_tensor *kernel = NULL;
    mien_status status = read_conv_inputs(r, "[I, O, h, w]", &node, &kernel);
    if (status)
        return status;
    int64_t groups = onnx_attribute_int(r, "group", 1);
    if (groups < 1 || groups > NN_MAX_ATTRIBUTE || kernel->dim[0] % groups || !kernel->count)
        return onnx_fail(r, MIEN_EFORMAT, "%lld groups", (long long)groups);
    node.groups = (int)groups;
    node.kernel_h = (int)kernel->dim[2];
    node.kernel_w = (int)kernel->dim[3];
    status = read_window(r, &node);
    if (!status && (node.kernel_h != kernel->dim[2] || node.kernel_w != kernel->dim[3]))
        status = onnx_fail(r, MIEN_EFORMAT, "kernel_shape is not the kernel's shape");
    if (!status)
        status = read_output_size(r, &node);
    float *data = status ? NULL : turn_kernel(r, kernel, (size_t)groups);
    if (!status && !data)
        status = onnx_fail(r, MIEN_ELIMIT, "the weights need too much memory");
    int64_t outputs = kernel->dim[1] * groups; /* both within what the file holds */
    nn_shape shape = {4, {outputs, kernel->dim[0] / groups, kernel->dim[2], kernel->dim[3]}};
    if (!status)
        status = onnx_weight(r, kernel->name, shape, KERNEL, data, &node.weights[0]);
    if (!status && onnx_input(r, 2))
        status = onnx_vector(r, 2, outputs, NN_WEIGHT_TRAINABLE, &node.weights[1]);
    return status ? status : onnx_emit(r, &node);
}

/* ---- dense ---- */

/* The kernel as [O, I], times alpha. */
static float *dense_kernel(onnx_reader *r, const onnx_tensor *kernel, bool transposed, float alpha)
{
    float *data = memory_arena_take(&r->arena, kernel->count, sizeof *data);
    if (!data)
        return NULL;
    size_t rows = (size_t)kernel->dim[0], columns = (size_t)kernel->dim[1];
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            data[transposed ? i * columns + k : k * rows + i] = kernel->floats[i * columns + k] * alpha;
    return data;
}

static mien_status dense_bias(onnx_reader *r, const onnx_tensor *bias, float beta, int64_t outputs, int *weight)
{
    if (bias->whole || (bias->count != 1 && bias->count != (size_t)outputs))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "the bias \"%.60s\" does not have one number for each output",
                         bias->name);
    if (outputs < 1 || outputs > NN_MAX_WEIGHT)
        return onnx_fail(r, MIEN_EFORMAT, "%lld outputs", (long long)outputs);
    float *data = memory_arena_take(&r->arena, (size_t)outputs, sizeof *data);
    if (!data)
        return onnx_fail(r, MIEN_ELIMIT, "the weights need too much memory");
    for (int64_t i = 0; i < outputs; i++)
        data[i] = bias->floats[bias->count == 1 ? 0 : i] * beta;
    return onnx_weight(r, bias->name, (nn_shape){1, {outputs}}, NN_WEIGHT_TRAINABLE, data, weight);
}

mien_status onnx_emit_dense(onnx_reader *r, int input, const onnx_tensor *kernel, bool transposed, float alpha,
                            const onnx_tensor *bias, float beta)
{
    if (kernel->whole || kernel->rank != 2)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "the matrix \"%.60s\" is not of rank 2", kernel->name);
    nn_node node = onnx_unary(NN_DENSE, input);
    float *data = dense_kernel(r, kernel, transposed, alpha);
    if (!data)
        return onnx_fail(r, MIEN_ELIMIT, "the weights need too much memory");
    int64_t outputs = kernel->dim[transposed ? 0 : 1], inputs = kernel->dim[transposed ? 1 : 0];
    mien_status status = onnx_weight(r, kernel->name, (nn_shape){2, {outputs, inputs}}, KERNEL, data, &node.weights[0]);
    if (!status && bias)
        status = dense_bias(r, bias, beta, outputs, &node.weights[1]);
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_gemm(onnx_reader *r)
{
    int input = 0;
    const onnx_tensor *kernel = NULL, *bias = NULL;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_constant(r, 1, &kernel);
    if (!status && onnx_input(r, 2))
        status = onnx_constant(r, 2, &bias);
    if (status)
        return status;
    if (onnx_attribute_int(r, "transA", 0))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "transA");
    return onnx_emit_dense(r, input, kernel, onnx_attribute_int(r, "transB", 0) != 0,
                           onnx_attribute_float(r, "alpha", 1), bias, onnx_attribute_float(r, "beta", 1));
}

/* Each pixel's channels by the matrix: a 1×1 convolution. */
static mien_status multiply_pixels(onnx_reader *r, int input, const onnx_tensor *kernel)
{
    nn_node node = onnx_unary(NN_CONV, input);
    float *data = kernel->whole || kernel->rank != 2 ? NULL : dense_kernel(r, kernel, false, 1);
    if (!data)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "the matrix \"%.60s\" is not of rank 2, or too large", kernel->name);
    nn_shape shape = {4, {kernel->dim[1], kernel->dim[0], 1, 1}};
    mien_status status = onnx_weight(r, kernel->name, shape, KERNEL, data, &node.weights[0]);
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_matmul(onnx_reader *r)
{
    int input = 0;
    const onnx_tensor *kernel = NULL;
    mien_status status = onnx_activation(r, 0, &input);
    if (!status)
        status = onnx_constant(r, 1, &kernel);
    if (status)
        return status;
    if (r->turned)
        return multiply_pixels(r, input, kernel);
    if (r->graph->nodes[input].shape.rank != 2)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "its input has rank %d; mien multiplies [N,F] by a matrix",
                         r->graph->nodes[input].shape.rank);
    if (!onnx_may_defer(r))
        return onnx_emit_dense(r, input, kernel, false, 1, NULL, 0);
    onnx_defer(r, ONNX_VALUE_MATMUL, input, kernel);
    return MIEN_OK;
}

/* ---- normalisation ---- */

static mien_status read_batch_norm(onnx_reader *r)
{
    nn_node node = onnx_unary(NN_BATCH_NORM, 0);
    static const unsigned flags[4] = {NN_WEIGHT_TRAINABLE, NN_WEIGHT_TRAINABLE, NN_WEIGHT_STATISTIC,
                                      NN_WEIGHT_STATISTIC};
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (status)
        return status;
    if (onnx_attribute_int(r, "training_mode", 0) || !onnx_attribute_int(r, "spatial", 1))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "training mode or per-activation statistics");
    int64_t channels = r->graph->nodes[node.inputs[0]].shape.dim[1];
    for (int i = 0; i < 4 && !status; i++)
        status = onnx_vector(r, (size_t)i + 1, channels, flags[i], &node.weights[i]);
    node.epsilon = onnx_attribute_float(r, "epsilon", 1e-5f);
    node.momentum = onnx_attribute_float(r, "momentum", 0.9f);
    return status ? status : onnx_emit(r, &node);
}

/* ---- pooling ---- */

/* Rounding up: as much padding at the end as makes the division exact, unless that window would start in it. */
static mien_status ceil_padding(onnx_reader *r, int64_t size, int kernel, int stride, int before, int *after)
{
    if (size == NN_DYNAMIC)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "ceil_mode with an input of unknown size");
    int64_t steps = size + before + *after - kernel;
    if (steps < 0 || steps % stride == 0)
        return MIEN_OK;
    int64_t extra = stride - steps % stride;
    if (steps + extra >= size + before)
        return MIEN_OK; /* the last window would lie wholly in the padding */
    *after += (int)extra;
    return MIEN_OK;
}

static mien_status read_pool(onnx_reader *r, nn_op op)
{
    nn_node node = onnx_unary(op, 0);
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = read_window(r, &node);
    if (status)
        return status;
    node.count_include_pad = op == NN_AVG_POOL && onnx_attribute_int(r, "count_include_pad", 0) != 0;
    if (node.dilation_h != 1 || node.dilation_w != 1)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "dilated pooling");
    if (onnx_attribute_int(r, "ceil_mode", 0)) {
        int bottom = node.pad_bottom, right = node.pad_right;
        const nn_shape *in = &r->graph->nodes[node.inputs[0]].shape;
        status = ceil_padding(r, in->dim[2], node.kernel_h, node.stride_h, node.pad_top, &node.pad_bottom);
        if (!status)
            status = ceil_padding(r, in->dim[3], node.kernel_w, node.stride_w, node.pad_left, &node.pad_right);
        bool grown = node.pad_bottom != bottom || node.pad_right != right;
        if (!status && grown && node.count_include_pad)
            status = onnx_fail(r, MIEN_EUNSUPPORTED, "ceil_mode together with count_include_pad");
    }
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_max_pool(onnx_reader *r)
{
    return read_pool(r, NN_MAX_POOL);
}

static mien_status read_average_pool(onnx_reader *r)
{
    return read_pool(r, NN_AVG_POOL);
}

static mien_status read_global(onnx_reader *r, nn_op op)
{
    nn_node node = onnx_unary(op, 0);
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    return status ? status : onnx_emit(r, &node);
}

static mien_status read_global_average(onnx_reader *r)
{
    return read_global(r, NN_GLOBAL_AVG_POOL);
}

static mien_status read_global_max(onnx_reader *r)
{
    return read_global(r, NN_GLOBAL_MAX_POOL);
}

/* Over one axis, as `x.mean(3).mean(2)` does: the last one of a picture is a window as wide as the picture, and that of
 * [N,C,H], which is what the first leaves, a picture of width 1. */
static mien_status reduce_last(onnx_reader *r, nn_op op, int input, int64_t axis)
{
    const nn_shape in = r->graph->nodes[input].shape;
    bool keep = onnx_attribute_int(r, "keepdims", 1) != 0;
    nn_node shaped = onnx_unary(NN_RESHAPE, input);
    if ((axis != -1 && axis != in.rank - 1) || (in.rank != 3 && in.rank != 4) || in.dim[2] < 1 ||
        in.dim[in.rank - 1] < 1 || in.dim[in.rank - 1] > NN_MAX_ATTRIBUTE)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien reduces pictures over height and width, or over the channels");
    if (in.rank == 3) { /* [N,C,H] to [N,C,1,H] */
        shaped.shape = (nn_shape){4, {NN_BATCH, in.dim[1], 1, in.dim[2]}};
        mien_status status = onnx_emit_part(r, &shaped, "/row", &input);
        if (status)
            return status;
    }
    nn_node pool = onnx_unary(op == NN_GLOBAL_AVG_POOL ? NN_AVG_POOL : NN_MAX_POOL, input);
    pool.kernel_h = pool.stride_h = pool.stride_w = pool.dilation_h = pool.dilation_w = 1;
    pool.kernel_w = (int)in.dim[in.rank - 1];
    if (keep && in.rank == 4)
        return onnx_emit(r, &pool);
    mien_status status = onnx_emit_part(r, &pool, "/pool", &shaped.inputs[0]);
    shaped.shape = in; /* kept: the last axis is 1; else it goes */
    shaped.shape.dim[in.rank - 1] = 1;
    shaped.shape.rank = in.rank - !keep;
    if (shaped.shape.rank == 2)
        shaped.op = NN_FLATTEN;
    return status ? status : onnx_emit(r, &shaped);
}

/* Over the channels: one number for each pixel. */
static mien_status reduce_channels(onnx_reader *r, nn_op op, int input)
{
    nn_node node = onnx_unary(op == NN_GLOBAL_AVG_POOL ? NN_CHANNEL_MEAN : NN_CHANNEL_MAX, input);
    if (onnx_attribute_int(r, "keepdims", 1))
        return onnx_emit(r, &node);
    const nn_shape in = r->graph->nodes[input].shape;
    nn_node plane = onnx_unary(NN_RESHAPE, 0); /* [N,H,W] */
    plane.shape = (nn_shape){3, {NN_BATCH, in.dim[2], in.dim[3]}};
    mien_status status = onnx_emit_part(r, &node, "/plane", &plane.inputs[0]);
    return status ? status : onnx_emit(r, &plane);
}

/* The axes of a picture [N,C,H,W] as a set of bits; 0 where one is the batch, or none. */
static unsigned picture_axes(const onnx_reader *r, const int64_t *axes, size_t count)
{
    static const int of_turned[4] = {0, 2, 3, 1};
    unsigned seen = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + 4 : axes[i];
        if (axis < 1 || axis > 3)
            return 0;
        seen |= 1u << (r->turned ? of_turned[axis] : axis);
    }
    return seen;
}

/* Mean or maximum over H and W is global pooling; without kept dimensions it is flattened too. */
static mien_status read_reduce(onnx_reader *r, nn_op op)
{
    nn_node node = onnx_unary(op, 0);
    const int64_t *axes = NULL;
    size_t count = 0;
    mien_status status = onnx_activation(r, 0, &node.inputs[0]);
    if (!status)
        status = onnx_list(r, "axes", 1, &axes, &count);
    if (status)
        return status;
    bool picture = r->graph->nodes[node.inputs[0]].shape.rank == 4;
    unsigned set = picture ? picture_axes(r, axes, count) : 0;
    if (count == 1 && set == 1 << 1)
        return reduce_channels(r, op, node.inputs[0]);
    if (count == 1 && !r->turned)
        return reduce_last(r, op, node.inputs[0], axes[0]);
    if (count != 2 || set != (1 << 2 | 1 << 3))
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien reduces pictures over height and width, or over the channels");
    if (onnx_attribute_int(r, "keepdims", 1))
        return onnx_emit(r, &node);
    int pooled = 0;
    status = onnx_emit_part(r, &node, "/pool", &pooled);
    nn_node flatten = onnx_unary(NN_FLATTEN, pooled);
    return status ? status : onnx_emit(r, &flatten);
}

static mien_status read_reduce_mean(onnx_reader *r)
{
    return read_reduce(r, NN_GLOBAL_AVG_POOL);
}

static mien_status read_reduce_max(onnx_reader *r)
{
    return read_reduce(r, NN_GLOBAL_MAX_POOL);
}

onnx_handler onnx_layer_handler(const char *op)
{
    static const struct {
        const char *op;
        onnx_handler handler;
    } table[] = {
        {"Conv", read_conv},
        {"ConvTranspose", read_conv_transpose},
        {"Gemm", read_gemm},
        {"MatMul", read_matmul},
        {"BatchNormalization", read_batch_norm},
        {"MaxPool", read_max_pool},
        {"AveragePool", read_average_pool},
        {"GlobalAveragePool", read_global_average},
        {"GlobalMaxPool", read_global_max},
        {"ReduceMean", read_reduce_mean},
        {"ReduceMax", read_reduce_max},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].op, op))
            return table[i].handler;
    }
    return NULL;
}
