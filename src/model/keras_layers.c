/* Keras layers with weights or windows.
 *
 * Keras stores a kernel as [h, w, in, out] and a dense matrix as [in, out]; the graph wants [out, in, h, w] and [out,
 * in]. Padding "same" makes the output ceil(size / stride) and puts the odd row and column at the end, as TensorFlow
 * does, so it depends on the input's size.
 */
#include "model/keras_reader.h"

#include <math.h>
#include <string.h>

enum { KERNEL = NN_WEIGHT_TRAINABLE | NN_WEIGHT_DECAY };

/* ---- windows ---- */

static mien_status same_padding(keras_reader *r, const keras_call *call, int64_t size, int kernel, int stride,
                                int dilation, int *before, int *after)
{
    int64_t extent = (int64_t)dilation * ((int64_t)kernel - 1) + 1, total = extent - 1;
    if (size == NN_DYNAMIC && stride != 1)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "padding \"same\" of an input of unknown size");
    if (size != NN_DYNAMIC)
        total = ((size + stride - 1) / stride - 1) * stride + extent - size;
    total = total < 0 ? 0 : total;
    if (total > NN_MAX_ATTRIBUTE)
        return keras_fail(r, call, MIEN_EFORMAT, "padding of %lld", (long long)total);
    *before = (int)(total / 2);
    *after = (int)total - *before;
    return MIEN_OK;
}

static mien_status read_padding(keras_reader *r, const keras_call *call, const nn_shape *in, nn_node *node)
{
    const char *padding = keras_text(call, "padding", "border_mode", "valid");
    if (!strcmp(padding, "valid"))
        return MIEN_OK;
    if (strcmp(padding, "same"))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "padding \"%.40s\"", padding);
    mien_status status = same_padding(r, call, in->dim[2], node->kernel_h, node->stride_h, node->dilation_h,
                                      &node->pad_top, &node->pad_bottom);
    if (status)
        return status;
    return same_padding(r, call, in->dim[3], node->kernel_w, node->stride_w, node->dilation_w, &node->pad_left,
                        &node->pad_right);
}

/* Strides, dilation and padding; the kernel's size is in `node` already. */
static mien_status read_window(keras_reader *r, const keras_call *call, nn_node *node)
{
    const nn_shape *in = keras_shape(r, &call->inputs[0]);
    if (in->rank != 4)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "an input of rank %d", in->rank);
    node->dilation_h = node->dilation_w = 1;
    if (!node->stride_h)
        node->stride_h = node->stride_w = 1;
    mien_status status = keras_pair(r, call, "strides", "subsample", &node->stride_h, &node->stride_w);
    if (!status)
        status = keras_pair(r, call, "dilation_rate", "atrous_rate", &node->dilation_h, &node->dilation_w);
    return status ? status : read_padding(r, call, in, node);
}

/* ---- kernels ---- */

/* [h, w, in, out] to [out, in, h, w]. With `depthwise` the file has [h, w, channels, multiplier] and the graph
 * [channels·multiplier, 1, h, w]. */
static float *turn_kernel(keras_reader *r, const keras_tensor *k, bool depthwise)
{
    float *data = keras_room(r, k->count);
    size_t places = (size_t)(k->dim[0] * k->dim[1]), in = (size_t)k->dim[2], out = (size_t)k->dim[3];
    for (size_t p = 0; data && p < places; p++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                data[(depthwise ? i * out + o : o * in + i) * places + p] = k->data[(p * in + i) * out + o];
    return data;
}

/* Kernel `kind` as weight 0 of `node`, whose kernel size it sets. */
static mien_status read_kernel(keras_reader *r, const keras_call *call, const keras_tensor *kernel, const char *part,
                               bool depthwise, nn_node *node)
{
    if (kernel->rank != 4 || kernel->dim[0] > NN_MAX_ATTRIBUTE || kernel->dim[1] > NN_MAX_ATTRIBUTE)
        return keras_fail(r, call, MIEN_EFORMAT, "its kernel is not of rank 4");
    float *data = turn_kernel(r, kernel, depthwise);
    if (!data)
        return MIEN_ELIMIT;
    const int64_t *k = kernel->dim;
    nn_shape shape = {4, {k[3], k[2], k[0], k[1]}};
    if (depthwise)
        shape = (nn_shape){4, {k[2] * k[3], 1, k[0], k[1]}};
    node->kernel_h = (int)k[0];
    node->kernel_w = (int)k[1];
    return keras_weight(r, call, part, shape, KERNEL, data, &node->weights[0]);
}

/* Bias, if the layer has one, then the activation. */
static mien_status finish_layer(keras_reader *r, const keras_call *call, const char *suffix, int64_t outputs,
                                nn_node *node, keras_value *out)
{
    mien_status status = MIEN_OK;
    if (keras_flag(call, "use_bias", "bias", true))
        status = keras_vector(r, call, "bias", "bias", outputs, NN_WEIGHT_TRAINABLE, 0, &node->weights[1]);
    keras_value added = {0};
    if (!status)
        status = keras_add(r, call, suffix, node, &added);
    if (status)
        return status;
    const char *activation = keras_activation_name(keras_member(call, "activation", NULL));
    return keras_activate(r, call, activation, "/activation", &added, out);
}

static mien_status refuse_channels_first(keras_reader *r, const keras_call *call)
{
    const char *format = keras_text(call, "data_format", "dim_ordering", "channels_last");
    if (!strcmp(format, "channels_last") || !strcmp(format, "tf"))
        return MIEN_OK;
    return keras_fail(r, call, MIEN_EUNSUPPORTED, "data format \"%.40s\"", format);
}

static mien_status read_conv(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_tensor kernel = {0};
    nn_node node = keras_unary(NN_CONV, call->inputs[0].node);
    mien_status status = refuse_channels_first(r, call);
    if (!status)
        status = keras_tensor_get(r, call, "kernel", &kernel);
    if (!status)
        status = read_kernel(r, call, &kernel, "weight", false, &node);
    if (!status)
        status = read_window(r, call, &node);
    if (status)
        return status;
    double groups = keras_number(call, "groups", NULL, 1);
    if (groups < 1 || groups > NN_MAX_ATTRIBUTE)
        return keras_fail(r, call, MIEN_EFORMAT, "%g groups", groups);
    node.groups = (int)groups;
    return finish_layer(r, call, "", kernel.dim[3], &node, out);
}

static mien_status depthwise_kernel(keras_reader *r, const keras_call *call, nn_node *node)
{
    keras_tensor kernel;
    bool found;
    mien_status status = keras_tensor_find(r, call, "depthwise_kernel", &kernel, &found);
    if (!status && !found) /* Keras 3 */
        status = keras_tensor_get(r, call, "kernel", &kernel);
    if (!status)
        status = read_kernel(r, call, &kernel, "weight", true, node);
    if (!status)
        node->groups = (int)kernel.dim[2];
    return status ? status : read_window(r, call, node);
}

static mien_status read_depthwise(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = keras_unary(NN_CONV, call->inputs[0].node);
    mien_status status = refuse_channels_first(r, call);
    if (!status)
        status = depthwise_kernel(r, call, &node);
    if (status)
        return status;
    return finish_layer(r, call, "", r->graph->weights[node.weights[0]].shape.dim[0], &node, out);
}

/* A depthwise convolution without bias, then a 1×1 convolution with it (Chollet 2017). */
static mien_status read_separable(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_tensor kernel = {0};
    keras_value between = {0};
    nn_node depth = keras_unary(NN_CONV, call->inputs[0].node), point = keras_unary(NN_CONV, 0);
    mien_status status = refuse_channels_first(r, call);
    if (!status)
        status = depthwise_kernel(r, call, &depth);
    if (!status)
        status = keras_add(r, call, "/depthwise", &depth, &between);
    if (!status)
        status = keras_tensor_get(r, call, "pointwise_kernel", &kernel);
    if (!status)
        status = read_kernel(r, call, &kernel, "pointwise", false, &point);
    if (status)
        return status;
    point.inputs[0] = between.node;
    point.groups = point.stride_h = point.stride_w = point.dilation_h = point.dilation_w = 1;
    return finish_layer(r, call, "", kernel.dim[3], &point, out);
}

/* ---- transposed convolution ---- */

/* Keras says how large the result is: the size times the stride ("same"), or as much as the last window needs. What is
 * more is cut off, the odd row at the end; what is less is added there. */
static mien_status transposed_padding(keras_reader *r, const keras_call *call, int kernel, int stride, int dilation,
                                      int64_t given, int *before, int *after, int *extra)
{
    const char *padding = keras_text(call, "padding", NULL, "valid");
    int64_t extent = (int64_t)dilation * ((int64_t)kernel - 1) + 1, cut = extent - stride;
    bool same = !strcmp(padding, "same");
    if (!same && strcmp(padding, "valid"))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "padding \"%.40s\"", padding);
    if (given >= 0)
        cut = (same ? extent / 2 * 2 : 0) - given;
    else if (!same && cut > 0)
        cut = 0;
    if (cut > NN_MAX_ATTRIBUTE)
        return keras_fail(r, call, MIEN_EFORMAT, "padding of %lld", (long long)cut);
    *extra = cut < 0 ? (int)-cut : 0;
    *before = cut < 0 ? 0 : (int)(cut / 2);
    *after = cut < 0 ? 0 : (int)cut - *before;
    return MIEN_OK;
}

/* output_padding: one or two whole numbers, -1 where there is none. */
static mien_status read_output_padding(keras_reader *r, const keras_call *call, int64_t *given)
{
    const json_t *member = keras_member(call, "output_padding", NULL);
    given[0] = given[1] = -1;
    for (size_t i = 0; i < 2 && member && !json_is_null(member); i++) {
        const json_t *number = json_is_array(member) ? json_array_get(member, i) : member;
        given[i] = json_is_integer(number) ? json_integer_value(number) : -1;
        if (given[i] < 0 || given[i] > NN_MAX_ATTRIBUTE)
            return keras_fail(r, call, MIEN_EFORMAT, "output_padding is not one or two whole numbers");
    }
    return MIEN_OK;
}

/* The file has [h, w, out, in]: turned like a convolution's it is [in, out, h, w], and the graph wants the other. */
static mien_status transposed_kernel(keras_reader *r, const keras_call *call, nn_node *node, int64_t *outputs)
{
    keras_tensor kernel = {0};
    mien_status status = keras_tensor_get(r, call, "kernel", &kernel);
    if (!status && (kernel.rank != 4 || kernel.dim[0] > NN_MAX_ATTRIBUTE || kernel.dim[1] > NN_MAX_ATTRIBUTE))
        status = keras_fail(r, call, MIEN_EFORMAT, "its kernel is not of rank 4");
    if (status)
        return status;
    const int64_t *k = kernel.dim;
    float *data = keras_room(r, kernel.count);
    size_t places = (size_t)(k[0] * k[1]), pairs = (size_t)(k[2] * k[3]);
    for (size_t p = 0; data && p < places; p++)
        for (size_t i = 0; i < pairs; i++)
            data[i * places + p] = kernel.data[p * pairs + i];
    node->kernel_h = (int)k[0];
    node->kernel_w = (int)k[1];
    node->groups = 1;
    *outputs = k[2];
    nn_shape shape = {4, {k[2], k[3], k[0], k[1]}};
    return data ? keras_weight(r, call, "weight", shape, KERNEL, data, &node->weights[0]) : MIEN_ELIMIT;
}

static mien_status read_conv_transpose(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = keras_unary(NN_CONV_TRANSPOSE, call->inputs[0].node);
    int64_t outputs = 0, given[2];
    node.stride_h = node.stride_w = node.dilation_h = node.dilation_w = 1;
    mien_status status = refuse_channels_first(r, call);
    if (!status && keras_number(call, "groups", NULL, 1) != 1)
        status = keras_fail(r, call, MIEN_EUNSUPPORTED, "groups");
    if (!status)
        status = transposed_kernel(r, call, &node, &outputs);
    if (!status)
        status = keras_pair(r, call, "strides", NULL, &node.stride_h, &node.stride_w);
    if (!status)
        status = keras_pair(r, call, "dilation_rate", NULL, &node.dilation_h, &node.dilation_w);
    if (!status)
        status = read_output_padding(r, call, given);
    if (!status)
        status = transposed_padding(r, call, node.kernel_h, node.stride_h, node.dilation_h, given[0], &node.pad_top,
                                    &node.pad_bottom, &node.extra_h);
    if (!status)
        status = transposed_padding(r, call, node.kernel_w, node.stride_w, node.dilation_w, given[1], &node.pad_left,
                                    &node.pad_right, &node.extra_w);
    return status ? status : finish_layer(r, call, "", outputs, &node, out);
}

/* ---- dense ---- */

/* [in, out] to [out, in]; row `i` of the file belongs to column `i` of the graph, or, behind a flattened picture, to
 * the place of (h, w, c) in [C,H,W] order. */
static float *turn_matrix(keras_reader *r, const keras_tensor *k, const keras_value *in)
{
    float *data = keras_room(r, k->count);
    size_t inputs = (size_t)k->dim[0], outputs = (size_t)k->dim[1];
    size_t channels = (size_t)in->channels, places = (size_t)(in->height * in->width);
    for (size_t i = 0; data && i < inputs; i++) {
        size_t column = channels ? i % channels * places + i / channels : i;
        for (size_t o = 0; o < outputs; o++)
            data[o * inputs + column] = k->data[i * outputs + o];
    }
    return data;
}

static mien_status read_dense(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_tensor kernel;
    const keras_value *in = &call->inputs[0];
    bool picture = keras_shape(r, in)->rank == 4; /* applied at every place: a 1×1 convolution */
    mien_status status = keras_tensor_get(r, call, "kernel", &kernel);
    if (status)
        return status;
    if (kernel.rank != 2 || (in->channels && kernel.dim[0] != in->channels * in->height * in->width))
        return keras_fail(r, call, MIEN_EFORMAT, "its kernel does not fit its input");
    float *data = turn_matrix(r, &kernel, in);
    if (!data)
        return MIEN_ELIMIT;
    nn_node node = keras_unary(picture ? NN_CONV : NN_DENSE, in->node);
    nn_shape shape = {2, {kernel.dim[1], kernel.dim[0]}};
    if (picture) {
        shape = (nn_shape){4, {kernel.dim[1], kernel.dim[0], 1, 1}};
        node.groups = node.kernel_h = node.kernel_w = 1;
    }
    status = keras_weight(r, call, "weight", shape, KERNEL, data, &node.weights[0]);
    return status ? status : finish_layer(r, call, "", kernel.dim[1], &node, out);
}

/* ---- normalisation ---- */

/* Over the channels, which are Keras's last axis. */
static mien_status check_norm_axis(keras_reader *r, const keras_call *call, int rank)
{
    const json_t *axis = keras_member(call, "axis", NULL);
    if (json_is_array(axis) && json_array_size(axis) == 1)
        axis = json_array_get(axis, 0);
    json_int_t at = json_is_integer(axis) ? json_integer_value(axis) : -1;
    if (at == -1 || at == rank - 1)
        return MIEN_OK;
    return keras_fail(r, call, MIEN_EUNSUPPORTED, "normalisation over another axis than the last");
}

static mien_status read_batch_norm(keras_reader *r, const keras_call *call, keras_value *out)
{
    static const struct {
        const char *kind, *part, *flag; /* of the configuration, that says whether there is one */
        unsigned flags;
        float fill;
    } slots[4] = {{"gamma", "weight", "scale", NN_WEIGHT_TRAINABLE, 1},
                  {"beta", "bias", "center", NN_WEIGHT_TRAINABLE, 0},
                  {"moving_mean", "running_mean", NULL, NN_WEIGHT_STATISTIC, 0},
                  {"moving_variance", "running_var", NULL, NN_WEIGHT_STATISTIC, 1}};
    keras_value in;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (!status)
        status = check_norm_axis(r, call, keras_shape(r, &in)->rank);
    if (status)
        return status;
    nn_node node = keras_unary(NN_BATCH_NORM, in.node);
    int64_t channels = keras_shape(r, &in)->dim[1];
    for (int i = 0; i < 4 && !status; i++) {
        /* in a model inside a model "bn" without a gamma must not be given that of its neighbour "bn_1" */
        bool has = !slots[i].flag || keras_flag(call, slots[i].flag, NULL, true);
        status = keras_vector(r, call, has ? slots[i].kind : NULL, slots[i].part, channels, slots[i].flags,
                              slots[i].fill, &node.weights[i]);
    }
    node.epsilon = (float)keras_number(call, "epsilon", NULL, 1e-3);
    node.momentum = (float)keras_number(call, "momentum", NULL, 0.99);
    return status ? status : keras_add(r, call, "", &node, out);
}

/* Number `index` of a list, or the number itself for all. */
static double listed_number(const json_t *value, size_t index, double otherwise)
{
    if (json_is_array(value))
        value = json_array_get(value, json_array_size(value) == 1 ? 0 : index);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static mien_status add_affine(keras_reader *r, const keras_call *call, const keras_value *in, const float *scale,
                              const float *shift, keras_value *out)
{
    nn_node node = keras_unary(NN_SCALE_SHIFT, in->node);
    nn_shape shape = {1, {keras_shape(r, in)->dim[1]}};
    mien_status status = keras_weight(r, call, "scale", shape, 0, scale, &node.weights[0]);
    if (!status)
        status = keras_weight(r, call, "shift", shape, 0, shift, &node.weights[1]);
    return status ? status : keras_add(r, call, "", &node, out);
}

/* Rescaling: x·scale + offset. Normalization: (x − mean) / max(√variance, 1e-7). */
static mien_status read_affine(keras_reader *r, const keras_call *call, bool normalise, keras_value *out)
{
    keras_value in;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (status)
        return status;
    int64_t channels = keras_shape(r, &in)->dim[1];
    float *scale = channels > 0 && channels <= NN_MAX_WEIGHT ? keras_room(r, (size_t)channels) : NULL;
    float *shift = scale ? keras_room(r, (size_t)channels) : NULL;
    if (!shift)
        return keras_fail(r, call, MIEN_ELIMIT, "too many channels");
    keras_tensor mean = {0}, variance = {0};
    bool has_mean = false, has_variance = false;
    if (normalise)
        status = keras_tensor_find(r, call, "mean", &mean, &has_mean);
    if (!status && normalise)
        status = keras_tensor_find(r, call, "variance", &variance, &has_variance);
    if (status)
        return status;
    if ((has_mean && mean.count != (size_t)channels) || (has_variance && variance.count != (size_t)channels))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "statistics that are not one for each channel");
    for (size_t c = 0; c < (size_t)channels; c++) {
        if (normalise) {
            double m = has_mean ? mean.data[c] : listed_number(keras_member(call, "mean", NULL), c, 0);
            double v = has_variance ? variance.data[c] : listed_number(keras_member(call, "variance", NULL), c, 1);
            scale[c] = (float)(1 / fmax(sqrt(fmax(v, 0)), 1e-7));
            shift[c] = (float)(-m) * scale[c];
        } else {
            scale[c] = (float)listed_number(keras_member(call, "scale", NULL), c, 1);
            shift[c] = (float)listed_number(keras_member(call, "offset", NULL), c, 0);
        }
    }
    return add_affine(r, call, &in, scale, shift, out);
}

static mien_status read_rescaling(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_affine(r, call, false, out);
}

static mien_status read_normalization(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_affine(r, call, true, out);
}

/* ---- pooling ---- */

static mien_status read_pool(keras_reader *r, const keras_call *call, nn_op op, keras_value *out)
{
    nn_node node = keras_unary(op, call->inputs[0].node);
    node.kernel_h = node.kernel_w = 2;
    mien_status status = refuse_channels_first(r, call);
    if (!status)
        status = keras_pair(r, call, "pool_size", NULL, &node.kernel_h, &node.kernel_w);
    node.stride_h = node.kernel_h; /* unless strides are given */
    node.stride_w = node.kernel_w;
    if (!status)
        status = read_window(r, call, &node);
    return status ? status : keras_add(r, call, "", &node, out);
}

static mien_status read_max_pool(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_pool(r, call, NN_MAX_POOL, out);
}

static mien_status read_average_pool(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_pool(r, call, NN_AVG_POOL, out);
}

static mien_status read_global(keras_reader *r, const keras_call *call, nn_op op, keras_value *out)
{
    nn_node pool = keras_unary(op, call->inputs[0].node);
    mien_status status = refuse_channels_first(r, call);
    return status ? status : keras_add_pooled(r, call, &pool, keras_flag(call, "keepdims", NULL, false), out);
}

static mien_status read_global_average(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_global(r, call, NN_GLOBAL_AVG_POOL, out);
}

static mien_status read_global_max(keras_reader *r, const keras_call *call, keras_value *out)
{
    return read_global(r, call, NN_GLOBAL_MAX_POOL, out);
}

keras_handler keras_layer_handler(const char *type)
{
    static const struct {
        const char *type;
        keras_handler handler;
    } table[] = {
        {"Conv2D", read_conv},
        {"Convolution2D", read_conv},
        {"Conv2DTranspose", read_conv_transpose},
        {"Deconvolution2D", read_conv_transpose},
        {"DepthwiseConv2D", read_depthwise},
        {"SeparableConv2D", read_separable},
        {"SeparableConvolution2D", read_separable},
        {"Dense", read_dense},
        {"BatchNormalization", read_batch_norm},
        {"BatchNormalizationV1", read_batch_norm},
        {"Rescaling", read_rescaling},
        {"Normalization", read_normalization},
        {"MaxPooling2D", read_max_pool},
        {"MaxPool2D", read_max_pool},
        {"AveragePooling2D", read_average_pool},
        {"AvgPool2D", read_average_pool},
        {"GlobalAveragePooling2D", read_global_average},
        {"GlobalMaxPooling2D", read_global_max},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].type, type))
            return table[i].handler;
    }
    return NULL;
}
