/* Activations of Keras, by name inside another layer or as layers of their own, and the layers that do nothing at
 * inference. All keep the order of a flattened picture, softmax and per-channel slopes apart.
 */
#include "model/keras_reader.h"

#include <float.h>
#include <string.h>

/* A node of one input that works on each number by itself. */
static mien_status elementwise(keras_reader *r, const keras_call *call, const char *suffix, nn_node node,
                               const keras_value *in, keras_value *out)
{
    node.input_count = 1;
    node.inputs[0] = in->node;
    for (int i = 0; i < 4; i++)
        node.weights[i] = -1;
    keras_value added;
    mien_status status = keras_add(r, call, suffix, &node, &added);
    if (status)
        return status;
    *out = *in;
    out->node = added.node;
    return MIEN_OK;
}

static mien_status softmax(keras_reader *r, const keras_call *call, const char *suffix, int64_t axis,
                           const keras_value *in, keras_value *out)
{
    keras_value ordered;
    mien_status status = keras_ordered(r, call, in, &ordered);
    if (status)
        return status;
    nn_node node = keras_unary(NN_SOFTMAX, ordered.node);
    status = keras_axis(r, call, axis, keras_shape(r, &ordered)->rank, &node.axis);
    return status ? status : keras_add(r, call, suffix, &node, out);
}

/* Scaled exponential unit (Klambauer et al. 2017): ELU with its fixed alpha, times a fixed scale. */
static mien_status selu(keras_reader *r, const keras_call *call, const char *suffix, const keras_value *in,
                        keras_value *out)
{
    keras_value ordered, inner;
    mien_status status = keras_ordered(r, call, in, &ordered);
    if (!status)
        status = elementwise(r, call, "/elu", (nn_node){.op = NN_ELU, .alpha = 1.67326324f}, &ordered, &inner);
    if (status)
        return status;
    nn_node scale = keras_unary(NN_SCALE_SHIFT, inner.node);
    status = keras_vector(r, call, NULL, "selu", keras_shape(r, &inner)->dim[1], 0, 1.05070098f, &scale.weights[0]);
    return status ? status : keras_add(r, call, suffix, &scale, out);
}

/* x · tanh(softplus(x)) (Misra 2019). */
static mien_status mish(keras_reader *r, const keras_call *call, const char *suffix, const keras_value *in,
                        keras_value *out)
{
    keras_value soft, bent;
    mien_status status = elementwise(r, call, "/softplus", (nn_node){.op = NN_SOFTPLUS}, in, &soft);
    if (!status)
        status = elementwise(r, call, "/tanh", (nn_node){.op = NN_TANH}, &soft, &bent);
    if (status)
        return status;
    nn_node product = {.op = NN_MUL, .input_count = 2, .inputs = {in->node, bent.node}, .weights = {-1, -1, -1, -1}};
    keras_value added;
    status = keras_add(r, call, suffix, &product, &added);
    if (status)
        return status;
    *out = *in;
    out->node = added.node;
    return MIEN_OK;
}

/* x / (1 + |x|); |x| is a leaky rectifier of slope -1. */
static mien_status softsign(keras_reader *r, const keras_call *call, const char *suffix, const keras_value *in,
                            keras_value *out)
{
    keras_value ordered, magnitude, above;
    mien_status status = keras_ordered(r, call, in, &ordered);
    if (!status)
        status = elementwise(r, call, "/magnitude", (nn_node){.op = NN_LEAKY_RELU, .alpha = -1}, &ordered, &magnitude);
    if (status)
        return status;
    nn_node shift = keras_unary(NN_SCALE_SHIFT, magnitude.node);
    status = keras_vector(r, call, NULL, "softsign", keras_shape(r, &magnitude)->dim[1], 0, 1, &shift.weights[1]);
    if (!status)
        status = keras_add(r, call, "/above", &shift, &above);
    if (status)
        return status;
    nn_node quotient = {
        .op = NN_DIV, .input_count = 2, .inputs = {ordered.node, above.node}, .weights = {-1, -1, -1, -1}};
    return keras_add(r, call, suffix, &quotient, out);
}

mien_status keras_activate(keras_reader *r, const keras_call *call, const char *name, const char *suffix,
                           const keras_value *in, keras_value *out)
{
    static const struct {
        const char *name;
        nn_node node;
    } table[] = {
        {"relu", {.op = NN_RELU}},
        {"ReLU", {.op = NN_RELU}},
        {"relu6", {.op = NN_CLIP, .alpha = 0, .beta = 6}},
        {"sigmoid", {.op = NN_SIGMOID}},
        {"tanh", {.op = NN_TANH}},
        {"elu", {.op = NN_ELU, .alpha = 1}},
        {"swish", {.op = NN_SWISH}},
        {"silu", {.op = NN_SWISH}},
        {"hard_swish", {.op = NN_HARD_SWISH}},
        {"hard_silu", {.op = NN_HARD_SWISH}},
        {"gelu", {.op = NN_GELU}}, /* approximate only where a model says so */
        {"exponential", {.op = NN_EXP}},
        {"softplus", {.op = NN_SOFTPLUS}},
        {"leaky_relu", {.op = NN_LEAKY_RELU, .alpha = 0.2f}},
    };
    if (!strcmp(name, "linear")) {
        *out = *in;
        return MIEN_OK;
    }
    if (!strcmp(name, "softmax") || !strcmp(name, "Softmax"))
        return softmax(r, call, suffix, -1, in, out);
    if (!strcmp(name, "selu"))
        return selu(r, call, suffix, in, out);
    if (!strcmp(name, "mish"))
        return mish(r, call, suffix, in, out);
    if (!strcmp(name, "softsign"))
        return softsign(r, call, suffix, in, out);
    if (!strcmp(name, "hard_sigmoid")) /* x/6 + 1/2 since Keras 3 (which has dtype objects), x/5 + 1/2 before */
        return elementwise(r, call, suffix,
                           (nn_node){.op = NN_HARD_SIGMOID,
                                     .alpha = json_is_object(keras_member(call, "dtype", NULL)) ? 1.0f / 6 : 0.2f,
                                     .beta = 0.5f},
                           in, out);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].name, name))
            return elementwise(r, call, suffix, table[i].node, in, out);
    }
    return keras_fail(r, call, MIEN_EUNSUPPORTED, "the activation \"%.40s\"", name);
}

static mien_status read_activation(keras_reader *r, const keras_call *call, keras_value *out)
{
    const char *name = keras_activation_name(keras_member(call, "activation", NULL));
    if (strcmp(name, "linear"))
        return keras_activate(r, call, name, "", &call->inputs[0], out);
    return elementwise(r, call, "", (nn_node){.op = NN_IDENTITY}, &call->inputs[0], out);
}

mien_status keras_gelu(keras_reader *r, const keras_call *call, bool approximate, keras_value *out)
{
    const json_t *given = keras_member(call, "approximate", NULL);
    if (!given)
        given = json_object_get(call->arguments, "approximate");
    bool by_tanh = json_is_boolean(given) ? json_is_true(given) : approximate;
    return elementwise(r, call, "", (nn_node){.op = by_tanh ? NN_GELU_TANH : NN_GELU}, &call->inputs[0], out);
}

/* Keras 3's operator. */
static mien_status read_gelu(keras_reader *r, const keras_call *call, keras_value *out)
{
    return keras_gelu(r, call, true, out);
}

static mien_status read_relu(keras_reader *r, const keras_call *call, keras_value *out)
{
    double most = keras_number(call, "max_value", NULL, -1), slope = keras_number(call, "negative_slope", NULL, 0);
    nn_node node = {.op = NN_RELU};
    if (keras_number(call, "threshold", NULL, 0) != 0 || (most >= 0 && slope != 0))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "a threshold, or a slope together with a maximum");
    if (most >= 0)
        node = (nn_node){.op = NN_CLIP, .beta = (float)most};
    else if (slope != 0)
        node = (nn_node){.op = NN_LEAKY_RELU, .alpha = (float)slope};
    return elementwise(r, call, "", node, &call->inputs[0], out);
}

static mien_status read_leaky_relu(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = {.op = NN_LEAKY_RELU, .alpha = (float)keras_number(call, "negative_slope", "alpha", 0.3)};
    return elementwise(r, call, "", node, &call->inputs[0], out);
}

static mien_status read_elu(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = {.op = NN_ELU, .alpha = (float)keras_number(call, "alpha", NULL, 1)};
    return elementwise(r, call, "", node, &call->inputs[0], out);
}

static mien_status read_softmax(keras_reader *r, const keras_call *call, keras_value *out)
{
    const json_t *axis = keras_member(call, "axis", NULL);
    return softmax(r, call, "", json_is_integer(axis) ? json_integer_value(axis) : -1, &call->inputs[0], out);
}

/* Keras's own default: a slope for each place [H,W,C]. The picture becomes a row, in which every place is a channel. */
static mien_status read_prelu_places(keras_reader *r, const keras_call *call, const keras_value *in,
                                     const keras_tensor *slope, keras_value *out)
{
    const nn_shape shape = *keras_shape(r, in);
    int64_t channels = shape.dim[1], places = shape.dim[2] * shape.dim[3];
    if (shape.rank != 4 || shape.dim[2] < 1 || shape.dim[3] < 1 || (int64_t)slope->count != channels * places)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "slopes that are neither one for a channel nor one for a place");
    float *turned = keras_room(r, slope->count);
    if (!turned)
        return MIEN_ELIMIT;
    for (int64_t p = 0; p < places; p++)
        for (int64_t c = 0; c < channels; c++)
            turned[c * places + p] = slope->data[p * channels + c];
    nn_node row = keras_unary(NN_FLATTEN, in->node), node = keras_unary(NN_PRELU, 0), back = keras_unary(NN_RESHAPE, 0);
    keras_value at;
    mien_status status = keras_add(r, call, "/row", &row, &at);
    node.inputs[0] = at.node;
    if (!status)
        status = keras_weight(r, call, "slope", (nn_shape){1, {(int64_t)slope->count}}, NN_WEIGHT_TRAINABLE, turned,
                              &node.weights[0]);
    if (!status)
        status = keras_add(r, call, "/bent", &node, &at);
    back.inputs[0] = at.node;
    back.shape = shape;
    return status ? status : keras_add(r, call, "", &back, out);
}

/* One slope for each channel: [1,1,C] of a picture (shared_axes 1 and 2), [C] of a row. */
static mien_status read_prelu(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_value in;
    keras_tensor slope;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (!status)
        status = keras_tensor_get(r, call, "alpha", &slope);
    if (status)
        return status;
    if (slope.count != 1 && (int64_t)slope.count != keras_shape(r, &in)->dim[1])
        return read_prelu_places(r, call, &in, &slope, out);
    nn_node node = keras_unary(NN_PRELU, in.node);
    status = keras_weight(r, call, "slope", (nn_shape){1, {(int64_t)slope.count}}, NN_WEIGHT_TRAINABLE, slope.data,
                          &node.weights[0]);
    return status ? status : keras_add(r, call, "", &node, out);
}

static mien_status read_dropout(keras_reader *r, const keras_call *call, keras_value *out)
{
    nn_node node = {.op = NN_DROPOUT, .alpha = (float)keras_number(call, "rate", "p", 0.5)};
    return elementwise(r, call, "", node, &call->inputs[0], out);
}

/* Noise, augmentation and regularisation: nothing at inference. */
static mien_status read_nothing(keras_reader *r, const keras_call *call, keras_value *out)
{
    return elementwise(r, call, "", (nn_node){.op = NN_IDENTITY}, &call->inputs[0], out);
}

keras_handler keras_activation_handler(const char *type)
{
    static const struct {
        const char *type;
        keras_handler handler;
    } table[] = {
        {"Activation", read_activation},
        {"ReLU", read_relu},
        {"Gelu", read_gelu},
        {"LeakyReLU", read_leaky_relu},
        {"ELU", read_elu},
        {"PReLU", read_prelu},
        {"Softmax", read_softmax},
        {"Dropout", read_dropout},
        {"SpatialDropout2D", read_nothing},
        {"StochasticDepth", read_nothing},
        {"GaussianDropout", read_nothing},
        {"GaussianNoise", read_nothing},
        {"AlphaDropout", read_nothing},
        {"ActivityRegularization", read_nothing},
        {"Identity", read_nothing},
        {"RandomErasing", read_nothing},
        {"RandomGrayscale", read_nothing},
        {"RandomFlip", read_nothing},
        {"RandomRotation", read_nothing},
        {"RandomZoom", read_nothing},
        {"RandomTranslation", read_nothing},
        {"RandomContrast", read_nothing},
        {"RandomBrightness", read_nothing},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].type, type))
            return table[i].handler;
    }
    return NULL;
}
