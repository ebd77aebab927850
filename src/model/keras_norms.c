/* Keras layers that work with statistics of the picture at hand: layer and group normalisation, and means and maxima
 * along an axis, which are no layers but operators that a model was written with.
 */
#include "model/keras_reader.h"

#include <string.h>

static mien_status refuse_other_axes(keras_reader *r, const keras_call *call, int rank)
{
    const json_t *axis = keras_member(call, "axis", NULL);
    if (json_is_array(axis) && json_array_size(axis) == 1)
        axis = json_array_get(axis, 0);
    json_int_t at = json_is_integer(axis) ? json_integer_value(axis) : json_is_array(axis) ? 0 : -1;
    if ((rank == 2 || rank == 4) && (at == -1 || at == rank - 1))
        return MIEN_OK;
    return keras_fail(r, call, MIEN_EUNSUPPORTED, "mien normalises over the channels, the last axis");
}

/* gamma and beta, where the layer has them. */
static mien_status scale_and_shift(keras_reader *r, const keras_call *call, int64_t channels, nn_node *node)
{
    mien_status status = MIEN_OK;
    if (keras_flag(call, "scale", NULL, true))
        status = keras_vector(r, call, "gamma", "weight", channels, NN_WEIGHT_TRAINABLE, 1, &node->weights[0]);
    if (!status && keras_flag(call, "center", NULL, true))
        status = keras_vector(r, call, "beta", "bias", channels, NN_WEIGHT_TRAINABLE, 0, &node->weights[1]);
    return status;
}

static mien_status read_layer_norm(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_value in;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (!status)
        status = refuse_other_axes(r, call, keras_shape(r, &in)->rank);
    if (!status && keras_flag(call, "rms_scaling", NULL, false))
        status = keras_fail(r, call, MIEN_EUNSUPPORTED, "rms_scaling");
    if (status)
        return status;
    nn_node node = keras_unary(NN_LAYER_NORM, in.node);
    node.axis = 1;
    node.epsilon = (float)keras_number(call, "epsilon", NULL, 1e-3);
    status = scale_and_shift(r, call, keras_shape(r, &in)->dim[1], &node);
    return status ? status : keras_add(r, call, "", &node, out);
}

/* Each group of channels is a row of [N,G,rest]. */
static mien_status read_group_norm(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_value in, at;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (!status)
        status = refuse_other_axes(r, call, keras_shape(r, &in)->rank);
    if (status)
        return status;
    const nn_shape shape = *keras_shape(r, &in);
    int64_t channels = shape.dim[1], count = (int64_t)nn_shape_count(&shape);
    double given = keras_number(call, "groups", NULL, 32);
    int64_t groups = given == -1 ? channels : given >= 1 && given <= NN_MAX_ATTRIBUTE ? (int64_t)given : 0;
    if (count < 1 || groups < 1 || groups > channels || channels % groups)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "%g groups of %lld channels, or an unknown size", given,
                          (long long)channels);
    nn_node rows = keras_unary(NN_RESHAPE, in.node), norm = keras_unary(NN_LAYER_NORM, 0),
            back = keras_unary(NN_RESHAPE, 0), affine = keras_unary(NN_SCALE_SHIFT, 0);
    rows.shape = (nn_shape){3, {NN_BATCH, groups, count / groups}};
    status = keras_add(r, call, "/rows", &rows, &at);
    norm.inputs[0] = at.node;
    norm.axis = 2;
    norm.epsilon = (float)keras_number(call, "epsilon", NULL, 1e-3);
    if (!status)
        status = keras_add(r, call, "/norm", &norm, &at);
    back.inputs[0] = at.node;
    back.shape = shape;
    if (!status)
        status = keras_add(r, call, "/back", &back, &at);
    affine.inputs[0] = at.node;
    if (!status)
        status = scale_and_shift(r, call, channels, &affine);
    return status ? status : keras_add(r, call, "", &affine, out);
}

/* ConvNeXt's, from keras.applications: a number for each channel. */
static mien_status read_layer_scale(keras_reader *r, const keras_call *call, keras_value *out)
{
    keras_value in;
    mien_status status = keras_ordered(r, call, &call->inputs[0], &in);
    if (status)
        return status;
    nn_node node = keras_unary(NN_SCALE_SHIFT, in.node);
    keras_tensor gamma;
    status = keras_tensor_get(r, call, "gamma", &gamma);
    if (!status)
        status = keras_vector(r, call, "gamma", "weight", keras_shape(r, &in)->dim[1], NN_WEIGHT_TRAINABLE, 1,
                              &node.weights[0]);
    return status ? status : keras_add(r, call, "", &node, out);
}

/* ---- means and maxima ---- */

/* What an operator was given: Keras 3 keeps it in the configuration, Keras 2 beside the inputs. */
static const json_t *given(const keras_call *call, const char *key)
{
    const json_t *member = json_object_get(call->config, key);
    return member ? member : json_object_get(call->arguments, key);
}

/* The axes of [N,H,W,C] as a set of bits; 0 where they are not some of H, W and C. */
static unsigned axes_of(const json_t *axes)
{
    unsigned seen = 0;
    size_t count = json_is_array(axes) ? json_array_size(axes) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *axis = json_is_array(axes) ? json_array_get(axes, i) : axes;
        json_int_t at = json_is_integer(axis) ? json_integer_value(axis) : 0;
        at = at < 0 ? at + 4 : at;
        if (at < 1 || at > 3)
            return 0;
        seen |= 1u << at;
    }
    return seen;
}

mien_status keras_reduce(keras_reader *r, const keras_call *call, bool largest, keras_value *out)
{
    const keras_value *in = &call->inputs[0];
    unsigned axes = keras_shape(r, in)->rank == 4 ? axes_of(given(call, "axis")) : 0;
    bool keep = json_is_true(given(call, "keepdims")), channels = axes == 1u << 3;
    if ((!channels || !keep) && axes != (1u << 1 | 1u << 2))
        return keras_fail(r, call, MIEN_EUNSUPPORTED,
                          "mien reduces pictures over height and width, or over the channels and keeps that axis");
    nn_node node = keras_unary(channels ? (largest ? NN_CHANNEL_MAX : NN_CHANNEL_MEAN)
                                        : (largest ? NN_GLOBAL_MAX_POOL : NN_GLOBAL_AVG_POOL),
                               in->node);
    return keras_add_pooled(r, call, &node, keep, out);
}

static mien_status read_mean(keras_reader *r, const keras_call *call, keras_value *out)
{
    return keras_reduce(r, call, false, out);
}

static mien_status read_most(keras_reader *r, const keras_call *call, keras_value *out)
{
    return keras_reduce(r, call, true, out);
}

keras_handler keras_norm_handler(const char *type)
{
    static const struct {
        const char *type;
        keras_handler handler;
    } table[] = {
        {"LayerNormalization", read_layer_norm},
        {"GroupNormalization", read_group_norm},
        {"LayerScale", read_layer_scale},
        {"Mean", read_mean},
        {"Max", read_most},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(table[i].type, type))
            return table[i].handler;
    }
    return NULL;
}
