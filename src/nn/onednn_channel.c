/* Steps along the channels of each pixel: layer normalisation, means and maxima. Both want a pixel's channels together,
 * which is what the convolutions before them prefer to make: such a picture is a matrix of a row for each pixel, and so
 * is any tensor whose last axis is normalised. */
#include "nn/onednn_build.h"

#include "base/memory.h"

/* A picture with each pixel's channels together. */
static dnnl_memory_desc_t together(const nn_shape *shape, dnnl_data_type_t type)
{
    const int64_t *d = shape->dim;
    dnnl_dim_t strides[4] = {d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]};
    return onednn_strided(shape, strides, type);
}

/* ---- layer normalisation ---- */

/* The layout in which `axis` is innermost; false where mien has none for that axis. */
static bool axis_innermost(const nn_shape *shape, int axis, dnnl_data_type_t type, dnnl_memory_desc_t *md)
{
    bool picture = shape->rank == 4 && axis == 1;
    if (!picture && axis != shape->rank - 1)
        return false;
    *md = picture ? together(shape, type) : onednn_plain(shape, type);
    return true;
}

/* [2, length]: scales, then shifts; what is missing is 1 or 0. */
static int scale_and_shift(onednn_plan *plan, const plan_step *step, int64_t length)
{
    nn_shape shape = {2, {2, length}};
    dnnl_memory_desc_t md = onednn_plain(&shape, dnnl_f32);
    size_t count = (size_t)length;
    float *both = memory_array(2 * count, sizeof(float));
    if (!both) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        both[i] = step->scale ? step->scale[i] : 1;
        both[count + i] = step->shift ? step->shift[i] : 0;
    }
    int tensor = onednn_tensor_weight(plan, both, &md, &md, NULL);
    memory_free(both);
    return tensor;
}

/* In numbers of that type; -1 without failing the plan where oneDNN has no kernel. */
static int norm_in(onednn_plan *plan, const plan_step *step, dnnl_data_type_t type)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    int64_t length = shape->dim[step->node.axis];
    nn_shape matrix = {2, {(int64_t)nn_shape_count(shape) / length, length}};
    dnnl_memory_desc_t rows = onednn_plain(&matrix, type), md;
    bool affine = step->scale || step->shift;
    dnnl_layer_normalization_desc_t desc;
    if (plan->failed || !axis_innermost(shape, step->node.axis, type, &md) ||
        dnnl_layer_normalization_forward_desc_init(&desc, dnnl_forward_inference, &rows, NULL, step->node.epsilon,
                                                   affine ? dnnl_use_scaleshift : dnnl_normalization_flags_none))
        return -1;
    dnnl_primitive_desc_t pd = onednn_try(plan, &desc, NULL);
    if (!pd)
        return -1;
    int input = onednn_value_as(plan, step->node.inputs[0], &md), result = onednn_tensor_new(plan, &md);
    int operation = onednn_emit(plan, pd, step->node.name);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, onednn_tensor_reuse(plan, input, &rows));
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, onednn_tensor_reuse(plan, result, &rows));
    if (affine)
        onednn_bind_tensor(plan, operation, DNNL_ARG_SCALE_SHIFT, scale_and_shift(plan, step, length));
    return plan->failed ? -1 : result;
}

int onednn_emit_norm(onednn_plan *plan, const plan_step *step)
{
    int input = onednn_value_float(plan, step->node.inputs[0]);
    dnnl_data_type_t type = input < 0 ? dnnl_f32 : onednn_tensor_at(plan, input)->md.data_type;
    int result = norm_in(plan, step, type);
    if (result < 0 && type != dnnl_f32)
        result = norm_in(plan, step, dnnl_f32);
    return result < 0 && !plan->failed ? onednn_emit_plain(plan, step) : result;
}

/* ---- mean and maximum over the channels ---- */

/* In whichever of the two layouts the picture has already, else in planes. */
int onednn_emit_channel_pool(onednn_plan *plan, const plan_step *step)
{
    int value = step->node.inputs[0], first = onednn_value_first(plan, value);
    if (first < 0)
        return -1;
    const nn_shape *from = onednn_shape(plan, value);
    bool pixels = onednn_is_nhwc(&onednn_tensor_at(plan, first)->md);
    dnnl_memory_desc_t md = pixels ? together(from, dnnl_f32) : onednn_plain(from, dnnl_f32);
    dnnl_memory_desc_t made = onednn_plain(onednn_shape(plan, step->output), dnnl_f32);
    int input = onednn_value_as(plan, value, &md), result = onednn_tensor_new(plan, &made);
    int operation = onednn_emit_own(plan, ONEDNN_CHANNELS, step, step->node.name, "channel pool");
    onednn_bind_tensor(plan, operation, DNNL_ARG_DST, result);
    onednn_bind_tensor(plan, operation, DNNL_ARG_SRC, input);
    return result;
}
