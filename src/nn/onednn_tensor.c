/* Layouts. A value starts in the layout that its maker prefers; whoever wants another asks for it here, and the reorder
 * is emitted once and shared by later readers. Views (slices along the outermost axis, reshapes, transpositions)
 * describe the same bytes again and cost nothing. */
#include "nn/onednn_build.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

onednn_tensor *onednn_tensor_at(const onednn_plan *plan, int tensor)
{
    return (onednn_tensor *)(void *)plan->tensors.data + tensor;
}

onednn_storage *onednn_storage_at(const onednn_plan *plan, int storage)
{
    return (onednn_storage *)(void *)plan->storages.data + storage;
}

onednn_operation *onednn_operation_at(const onednn_plan *plan, int operation)
{
    return (onednn_operation *)(void *)plan->operations.data + operation;
}

int onednn_operation_count(const onednn_plan *plan)
{
    return (int)(plan->operations.length / sizeof(onednn_operation));
}

int onednn_storage_count(const onednn_plan *plan)
{
    return (int)(plan->storages.length / sizeof(onednn_storage));
}

const nn_shape *onednn_shape(const onednn_plan *plan, int value)
{
    return &plan->program->values[value].shape;
}

int onednn_root(const onednn_plan *plan, int storage, size_t *offset)
{
    while (onednn_storage_at(plan, storage)->parent >= 0) {
        *offset += onednn_storage_at(plan, storage)->parent_offset;
        storage = onednn_storage_at(plan, storage)->parent;
    }
    return storage;
}

static int storage_new(onednn_plan *plan, size_t bytes)
{
    onednn_storage storage = {.bytes = bytes, .parent = -1, .input = -1};
    if (plan->failed || buffer_append(&plan->storages, &storage, sizeof storage)) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
        return -1;
    }
    return onednn_storage_count(plan) - 1;
}

static int tensor_append(onednn_plan *plan, const dnnl_memory_desc_t *md, int storage, size_t offset, float scale)
{
    onednn_tensor tensor = {*md, storage, offset, scale};
    if (plan->failed || buffer_append(&plan->tensors, &tensor, sizeof tensor)) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
        return -1;
    }
    return (int)(plan->tensors.length / sizeof tensor) - 1;
}

int onednn_tensor_new(onednn_plan *plan, const dnnl_memory_desc_t *md)
{
    int storage = storage_new(plan, dnnl_memory_desc_get_size(md));
    return storage < 0 ? -1 : tensor_append(plan, md, storage, 0, 1);
}

int onednn_tensor_view(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *md)
{
    if (plan->failed)
        return -1;
    onednn_tensor base = *onednn_tensor_at(plan, tensor);
    dnnl_memory_desc_t at_zero = *md;
    at_zero.offset0 = 0;
    size_t bytes = (size_t)md->offset0 * dnnl_data_type_size(md->data_type);
    onednn_storage_at(plan, base.storage)->shared = true;
    return tensor_append(plan, &at_zero, base.storage, base.offset + bytes, base.scale);
}

int onednn_tensor_reuse(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *md)
{
    if (plan->failed)
        return -1;
    onednn_tensor base = *onednn_tensor_at(plan, tensor);
    return tensor_append(plan, md, base.storage, base.offset, base.scale);
}

/* Bytes that the plan owns, filled by the caller through onednn_storage.constant. */
static int constant_new(onednn_plan *plan, const dnnl_memory_desc_t *md)
{
    size_t bytes = dnnl_memory_desc_get_size(md);
    int tensor = onednn_tensor_new(plan, md);
    if (tensor < 0)
        return -1;
    onednn_storage *storage = onednn_storage_at(plan, onednn_tensor_at(plan, tensor)->storage);
    storage->constant = memory_aligned(bytes, 1);
    if (!storage->constant) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory for weights");
        return -1;
    }
    memset(storage->constant, 0, bytes);
    return tensor;
}

int onednn_tensor_constant(onednn_plan *plan, const float *data, int64_t channels, int rank)
{
    nn_shape shape = {rank, {1, channels, 1, 1, 1, 1}};
    dnnl_memory_desc_t md = onednn_plain(&shape, dnnl_f32);
    int tensor = constant_new(plan, &md);
    if (tensor >= 0)
        memcpy(onednn_storage_at(plan, onednn_tensor_at(plan, tensor)->storage)->constant, data,
               (size_t)channels * sizeof(float));
    return tensor;
}

static mien_status reorder_now(onednn_plan *plan, const float *data, const dnnl_memory_desc_t *plain,
                               const dnnl_memory_desc_t *wanted, const_dnnl_primitive_attr_t attr, void *to)
{
    onednn_context *context = &plan->context;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_memory_t source = NULL, target = NULL;
    onednn_step step = {0};
    void *scratch = NULL;
    dnnl_memory_t scratch_memory = NULL;
    mien_status status = onednn_check(dnnl_reorder_primitive_desc_create(&pd, plain, context->engine, wanted,
                                                                         context->engine, attr ? attr : context->attr),
                                      "reordering a weight", plan->error);
    if (status)
        return status;
    dnnl_memory_desc_t scratch_md = onednn_query(pd, dnnl_query_scratchpad_md, 0);
    status = onednn_step_init(&step, pd, plan->error);
    if (!status && !(scratch = memory_aligned(onednn_scratch_bytes(pd) + 1, 1)))
        status = error_no_memory(plan->error, onednn_scratch_bytes(pd));
    if (!status)
        status = onednn_memory(context, plain, (void *)(uintptr_t)data, &source, plan->error);
    if (!status)
        status = onednn_memory(context, wanted, to, &target, plan->error);
    if (!status)
        status = onednn_memory(context, &scratch_md, scratch, &scratch_memory, plan->error);
    if (!status) {
        onednn_step_bind(&step, DNNL_ARG_FROM, source, NULL);
        onednn_step_bind(&step, DNNL_ARG_TO, target, NULL);
        onednn_step_bind(&step, DNNL_ARG_SCRATCHPAD, scratch_memory, NULL);
        status = onednn_step_run(&step, context, plan->error);
    }
    dnnl_stream_wait(context->stream);
    onednn_step_done(&step);
    dnnl_memory_destroy(source);
    dnnl_memory_destroy(target);
    dnnl_memory_destroy(scratch_memory);
    memory_free(scratch);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

int onednn_tensor_weight(onednn_plan *plan, const float *data, const dnnl_memory_desc_t *plain,
                         const dnnl_memory_desc_t *wanted, const_dnnl_primitive_attr_t attr)
{
    int tensor = constant_new(plan, wanted);
    if (tensor < 0)
        return -1;
    void *to = onednn_storage_at(plan, onednn_tensor_at(plan, tensor)->storage)->constant;
    if (dnnl_memory_desc_equal(plain, wanted)) {
        memcpy(to, data, dnnl_memory_desc_get_size(plain));
        return tensor;
    }
    plan->failed = reorder_now(plan, data, plain, wanted, attr, to);
    return plan->failed ? -1 : tensor;
}

onednn_mark onednn_mark_here(const onednn_plan *plan)
{
    return (onednn_mark){plan->tensors.length, plan->storages.length, plan->operations.length};
}

static void forget_forms(onednn_plan *plan, int value, int tensors)
{
    onednn_value *v = &plan->values[value];
    while (v->form_count && v->form[v->form_count - 1] >= tensors)
        v->form_count--;
}

void onednn_rewind(onednn_plan *plan, const plan_step *step, onednn_mark mark)
{
    int tensors = (int)(mark.tensors / sizeof(onednn_tensor));
    for (int i = 0; i < step->node.input_count; i++)
        forget_forms(plan, step->node.inputs[i], tensors);
    for (int p = 0; p < step->post_count; p++)
        if (step->posts[p].value >= 0)
            forget_forms(plan, step->posts[p].value, tensors);
    for (int i = (int)(mark.operations / sizeof(onednn_operation)); i < onednn_operation_count(plan); i++)
        onednn_operation_free(onednn_operation_at(plan, i));
    for (int i = (int)(mark.storages / sizeof(onednn_storage)); i < onednn_storage_count(plan); i++)
        memory_free(onednn_storage_at(plan, i)->constant);
    plan->tensors.length = mark.tensors;
    plan->storages.length = mark.storages;
    plan->operations.length = mark.operations;
}

static mien_status describe_scaled(onednn_plan *plan, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                                   float factor, dnnl_primitive_desc_t *pd)
{
    if (factor == 1)
        return onednn_describe_reorder(&plan->context, from, to, false, pd, plan->error);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_engine_t engine = plan->context.engine;
    dnnl_status_t status = dnnl_primitive_attr_clone(&attr, plan->context.attr);
    if (!status)
        status = dnnl_primitive_attr_set_output_scales(attr, 1, 0, &factor);
    if (!status)
        status = dnnl_reorder_primitive_desc_create(pd, from, engine, to, engine, attr);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return onednn_check(status, "a change of type", plan->error);
}

void onednn_emit_reorder(onednn_plan *plan, const char *name, int from, int to)
{
    if (plan->failed || from < 0 || to < 0)
        return;
    onednn_tensor source = *onednn_tensor_at(plan, from), target = *onednn_tensor_at(plan, to);
    dnnl_primitive_desc_t pd = NULL;
    plan->failed = describe_scaled(plan, &source.md, &target.md, source.scale / target.scale, &pd);
    int operation = onednn_emit(plan, pd, name);
    onednn_bind_tensor(plan, operation, DNNL_ARG_FROM, from);
    onednn_bind_tensor(plan, operation, DNNL_ARG_TO, to);
}

int onednn_tensor_as(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *md, float scale)
{
    if (plan->failed || tensor < 0)
        return -1;
    onednn_tensor from = *onednn_tensor_at(plan, tensor);
    if (dnnl_memory_desc_equal(&from.md, md) && from.scale == scale)
        return tensor;
    int copy = onednn_tensor_new(plan, md);
    if (copy >= 0)
        onednn_tensor_at(plan, copy)->scale = scale;
    onednn_emit_reorder(plan, "reorder", tensor, copy);
    return plan->failed ? -1 : copy;
}

static bool is_eight(dnnl_data_type_t type)
{
    return type == dnnl_u8 || type == dnnl_s8;
}

dnnl_data_type_t onednn_eight_type(const onednn_plan *plan, int value)
{
    return plan->program->values[value].negative ? dnnl_s8 : dnnl_u8;
}

/* A colour picture in planes, wanted pixel by pixel, first as f32: its own kernel, and a change of type after it. */
static int interleaved(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *wanted)
{
    dnnl_memory_desc_t from = onednn_tensor_at(plan, tensor)->md, md = *wanted;
    md.data_type = dnnl_f32;
    if (from.ndims != 4 || from.dims[1] != 3 || from.data_type != dnnl_f32 || !onednn_is_plain(&from) ||
        !onednn_is_nhwc(wanted) || from.dims[2] * from.dims[3] == 1)
        return tensor;
    int index = onednn_emit_own(plan, ONEDNN_INTERLEAVE, NULL, "reorder", "interleave"),
        copy = onednn_tensor_new(plan, &md);
    onednn_bind_tensor(plan, index, DNNL_ARG_TO, copy);
    onednn_bind_tensor(plan, index, DNNL_ARG_FROM, tensor);
    return copy;
}

int onednn_value_as(onednn_plan *plan, int value, const dnnl_memory_desc_t *md)
{
    if (plan->failed)
        return -1;
    onednn_value *v = &plan->values[value];
    for (int i = 0; i < v->form_count; i++)
        if (dnnl_memory_desc_equal(&onednn_tensor_at(plan, v->form[i])->md, md))
            return v->form[i];
    float scale = is_eight(md->data_type) ? plan->program->values[value].scale : 1;
    int copy = onednn_tensor_as(plan, interleaved(plan, v->form[0], md), md, scale);
    if (copy >= 0 && v->form_count < ONEDNN_MAX_FORMS)
        v->form[v->form_count++] = copy;
    return copy;
}

int onednn_value_plain(onednn_plan *plan, int value, bool f32)
{
    if (plan->failed)
        return -1;
    dnnl_data_type_t type = onednn_tensor_at(plan, plan->values[value].form[0])->md.data_type;
    type = f32 ? dnnl_f32 : is_eight(type) ? plan->type : type;
    dnnl_memory_desc_t md = onednn_plain(onednn_shape(plan, value), type);
    return onednn_value_as(plan, value, &md);
}

int onednn_value_first(onednn_plan *plan, int value)
{
    return plan->failed ? -1 : plan->values[value].form[0];
}

int onednn_value_float(onednn_plan *plan, int value)
{
    if (plan->failed)
        return -1;
    dnnl_memory_desc_t md = onednn_tensor_at(plan, plan->values[value].form[0])->md;
    if (!is_eight(md.data_type))
        return plan->values[value].form[0];
    md.data_type = plan->type;
    return onednn_value_as(plan, value, &md);
}

bool onednn_value_dies(const onednn_plan *plan, int value)
{
    const onednn_value *v = &plan->values[value];
    if (v->uses_left > 0)
        return false;
    for (int i = 0; i < v->form_count; i++) {
        const onednn_storage *storage = onednn_storage_at(plan, onednn_tensor_at(plan, v->form[i])->storage);
        if (storage->shared || storage->parent >= 0 || storage->input >= 0 || storage->constant)
            return false;
    }
    return true;
}
