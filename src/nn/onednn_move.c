/* Steps that change no number. For one image, a concatenation or slice along the channels is contiguous in the
 * row-major and in the blocked layouts: the parts of a concatenation are placed inside the whole after the fact (their
 * storage gets a parent), and a slice is a view. Flatten, reshape and transpose are views wherever the layout allows
 * it. What must move is one reorder. */
#include "nn/onednn_build.h"

#include <string.h>

static void dims_of(const nn_shape *shape, dnnl_dims_t dims)
{
    for (int i = 0; i < shape->rank; i++)
        dims[i] = shape->dim[i];
}

/* A batch of one may have any stride; kernels expect the dense one. */
static void densify_batch(dnnl_memory_desc_t *md)
{
    if (md->dims[0] != 1 || md->format_kind != dnnl_blocked || md->offset0)
        return;
    dnnl_dim_t count = 1;
    for (int d = 1; d < md->ndims; d++)
        count *= md->padded_dims[d];
    md->format_desc.blocking.strides[0] = count;
}

/* The layout of the whole that continues the layout of its first part along axis 1. False when the channels are not the
 * outermost axis or the layout has padding. */
static bool grow_along_channels(const dnnl_memory_desc_t *part, int64_t channels, dnnl_memory_desc_t *whole)
{
    if (part->format_kind != dnnl_blocked || part->padded_dims[1] != part->dims[1] || part->dims[0] != 1)
        return false;
    const dnnl_blocking_desc_t *blocking = &part->format_desc.blocking;
    dnnl_dim_t per_block = 1;
    for (int b = 0; b < blocking->inner_nblks; b++)
        if (blocking->inner_idxs[b] == 1)
            per_block *= blocking->inner_blks[b];
    for (int d = 2; d < part->ndims; d++) {
        if (part->padded_dims[d] != part->dims[d])
            return false;
        per_block *= part->dims[d];
    }
    if (blocking->strides[1] != per_block)
        return false;
    *whole = *part;
    whole->dims[1] = whole->padded_dims[1] = channels;
    densify_batch(whole);
    return true;
}

/* Put a tensor's storage inside `whole` at `offset` bytes, when the storage holds nothing else and has the layout. */
static bool adopt(onednn_plan *plan, int part, int whole, const dnnl_memory_desc_t *region, size_t offset)
{
    onednn_tensor *tensor = onednn_tensor_at(plan, part);
    onednn_storage *storage = onednn_storage_at(plan, tensor->storage);
    dnnl_memory_desc_t dense = *region;
    dense.offset0 = 0;
    densify_batch(&dense);
    bool entire = tensor->offset == 0 && storage->bytes == dnnl_memory_desc_get_size(&tensor->md);
    bool same_scale = tensor->scale == onednn_tensor_at(plan, whole)->scale;
    if (!entire || !same_scale || storage->parent >= 0 || storage->input >= 0 || storage->constant ||
        !dnnl_memory_desc_equal(&dense, &tensor->md))
        return false;
    storage->parent = onednn_tensor_at(plan, whole)->storage;
    onednn_storage_at(plan, storage->parent)->shared = true;
    storage->parent_offset = offset;
    return true;
}

static void place_part(onednn_plan *plan, const plan_step *step, int index, int64_t at, int whole)
{
    const nn_shape *shape = onednn_shape(plan, step->node.inputs[index]);
    dnnl_dims_t offsets = {0}, dims;
    dims_of(shape, dims);
    offsets[step->node.axis] = at;
    dnnl_memory_desc_t region, md = onednn_tensor_at(plan, whole)->md;
    if (dnnl_memory_desc_init_submemory(&region, &md, dims, offsets)) {
        onednn_fail(plan, MIEN_EUNSUPPORTED, "a concatenation in this layout");
        return;
    }
    size_t bytes = (size_t)region.offset0 * dnnl_data_type_size(region.data_type);
    int part = onednn_value_first(plan, step->node.inputs[index]);
    if (step->node.axis == 1 && adopt(plan, part, whole, &region, bytes))
        return;
    onednn_emit_reorder(plan, step->node.name, part, onednn_tensor_view(plan, whole, &region));
}

/* The same picture with each pixel's channels together. */
static dnnl_memory_desc_t pixels_together(const dnnl_memory_desc_t *plain)
{
    dnnl_memory_desc_t md = *plain;
    dnnl_dim_t *strides = md.format_desc.blocking.strides;
    strides[1] = 1;
    strides[3] = md.dims[1];
    strides[2] = md.dims[1] * md.dims[3];
    return md;
}

/* The whole takes the layout of its first part where that can be continued, else row-major. */
static dnnl_memory_desc_t concat_layout(onednn_plan *plan, const plan_step *step)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    dnnl_memory_desc_t first = onednn_tensor_at(plan, onednn_value_first(plan, step->node.inputs[0]))->md, whole;
    if (plan->program->values[step->output].eight)
        first.data_type = onednn_eight_type(plan, step->output);
    else if (first.data_type == dnnl_u8 || first.data_type == dnnl_s8)
        first.data_type = plan->type;
    dnnl_memory_desc_t plain = onednn_plain(shape, first.data_type);
    if (step->node.axis == 1 && onednn_is_nhwc(&first) && shape->dim[2] * shape->dim[3] > 1)
        return pixels_together(&plain);
    if (step->node.axis != 1 || !grow_along_channels(&first, shape->dim[1], &whole))
        return plain;
    for (int i = 0; i < step->node.input_count; i++) {
        const nn_shape *part = onednn_shape(plan, step->node.inputs[i]);
        for (int b = 0; b < first.format_desc.blocking.inner_nblks; b++)
            if (first.format_desc.blocking.inner_idxs[b] == 1 &&
                part->dim[1] % first.format_desc.blocking.inner_blks[b])
                return plain;
    }
    return whole;
}

static int emit_concat(onednn_plan *plan, const plan_step *step)
{
    if (plan->failed)
        return -1;
    dnnl_memory_desc_t md = concat_layout(plan, step);
    int whole = onednn_tensor_new(plan, &md);
    if (whole >= 0 && plan->program->values[step->output].eight)
        onednn_tensor_at(plan, whole)->scale = plan->program->values[step->output].scale;
    int64_t at = 0;
    for (int i = 0; i < step->node.input_count && !plan->failed; i++) {
        place_part(plan, step, i, at, whole);
        at += onednn_shape(plan, step->node.inputs[i])->dim[step->node.axis];
    }
    return plan->failed ? -1 : whole;
}

static int emit_slice(onednn_plan *plan, const plan_step *step)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    dnnl_dims_t offsets = {0}, dims;
    dims_of(shape, dims);
    offsets[step->node.axis] = step->node.begin;
    int input = onednn_value_first(plan, step->node.inputs[0]);
    for (int attempt = 0; attempt < 2 && !plan->failed; attempt++) {
        dnnl_memory_desc_t md = onednn_tensor_at(plan, input)->md, region, grown;
        if (!dnnl_memory_desc_init_submemory(&region, &md, dims, offsets)) {
            dnnl_memory_desc_t dense = region;
            dense.offset0 = 0;
            bool contiguous = step->node.axis == 1 && grow_along_channels(&dense, shape->dim[1], &grown);
            if (contiguous)
                region.format_desc.blocking.strides[0] = grown.format_desc.blocking.strides[0];
            int view = onednn_tensor_view(plan, input, &region);
            dnnl_memory_desc_t plain = onednn_plain(shape, md.data_type);
            return contiguous || plan->failed
                       ? view
                       : onednn_tensor_as(plan, view, &plain, onednn_tensor_at(plan, view)->scale);
        }
        input = onednn_value_plain(plan, step->node.inputs[0], false);
    }
    onednn_fail(plan, MIEN_EUNSUPPORTED, "a slice in this layout");
    return -1;
}

static int emit_reshape(onednn_plan *plan, const plan_step *step)
{
    const nn_shape *shape = onednn_shape(plan, step->output);
    dnnl_dims_t dims;
    dims_of(shape, dims);
    int input = onednn_value_first(plan, step->node.inputs[0]);
    for (int attempt = 0; attempt < 2 && !plan->failed; attempt++) {
        dnnl_memory_desc_t md = onednn_tensor_at(plan, input)->md, view;
        if (!dnnl_memory_desc_reshape(&view, &md, shape->rank, dims))
            return onednn_tensor_view(plan, input, &view);
        input = onednn_value_plain(plan, step->node.inputs[0], false);
    }
    onednn_fail(plan, MIEN_EUNSUPPORTED, "a reshape in this layout");
    return -1;
}

static int emit_transpose(onednn_plan *plan, const plan_step *step)
{
    int input = onednn_value_first(plan, step->node.inputs[0]);
    if (plan->failed)
        return -1;
    int order[NN_MAX_RANK];
    dnnl_memory_desc_t md = onednn_tensor_at(plan, input)->md, view;
    for (int i = 0; i < md.ndims; i++)
        order[step->node.permutation[i]] = i;
    if (dnnl_memory_desc_permute_axes(&view, &md, order)) {
        onednn_fail(plan, MIEN_EUNSUPPORTED, "a transposition of this layout");
        return -1;
    }
    dnnl_memory_desc_t plain = onednn_plain(onednn_shape(plan, step->output), md.data_type);
    return onednn_tensor_as(plan, onednn_tensor_view(plan, input, &view), &plain, onednn_tensor_at(plan, input)->scale);
}

int onednn_emit_move(onednn_plan *plan, const plan_step *step)
{
    switch (step->node.op) {
    case NN_CONCAT:
        return emit_concat(plan, step);
    case NN_SLICE:
        return emit_slice(plan, step);
    case NN_TRANSPOSE:
        return emit_transpose(plan, step);
    case NN_FLATTEN:
    case NN_RESHAPE:
        return emit_reshape(plan, step);
    default:
        return onednn_emit_plain(plan, step);
    }
}
