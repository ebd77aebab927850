/* Walks the program once, step by step: each emitter chooses primitives and layouts, reorders weights, and appends
 * operations. Then every activation and scratchpad gets its place in the one block of memory that a session allocates.
 * Nothing is decided while running. */
#include "nn/onednn_build.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { NAME_CAPACITY = 200 };

void onednn_fail(onednn_plan *plan, mien_status status, const char *what)
{
    if (!plan->failed)
        plan->failed = error_set(plan->error, status, "%s", what);
}

void onednn_operation_free(onednn_operation *operation)
{
    if (operation->primitive)
        dnnl_primitive_destroy(operation->primitive);
    operation->primitive = NULL;
}

static int operation_append(onednn_plan *plan, const onednn_operation *operation, const char *name, const char *kernel)
{
    char text[NAME_CAPACITY];
    onednn_operation named = *operation;
    snprintf(text, sizeof text, "%.150s: %s", name, kernel);
    named.name = memory_arena_take(&plan->arena, strlen(text) + 1, 1);
    if (!named.name || buffer_append(&plan->operations, &named, sizeof named)) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
        return -1;
    }
    memcpy(named.name, text, strlen(text) + 1);
    return onednn_operation_count(plan) - 1;
}

void onednn_bind_tensor(onednn_plan *plan, int operation, int arg, int tensor)
{
    if (plan->failed || operation < 0 || tensor < 0)
        return;
    onednn_operation *op = onednn_operation_at(plan, operation);
    if (op->bind_count >= ONEDNN_MAX_ARGS)
        onednn_fail(plan, MIEN_EUNSUPPORTED, "too many operands");
    else
        op->binds[op->bind_count++] = (onednn_bind){arg, tensor};
}

int onednn_emit(onednn_plan *plan, dnnl_primitive_desc_t pd, const char *name)
{
    onednn_operation operation = {0};
    int index = -1;
    if (!plan->failed)
        plan->failed =
            onednn_check(dnnl_primitive_create(&operation.primitive, pd), "creating a primitive", plan->error);
    if (!plan->failed)
        index = operation_append(plan, &operation, name, onednn_implementation(pd));
    if (index < 0)
        onednn_operation_free(&operation);
    dnnl_memory_desc_t scratch = index >= 0 ? onednn_query(pd, dnnl_query_scratchpad_md, 0) : (dnnl_memory_desc_t){0};
    if (index >= 0 && dnnl_memory_desc_get_size(&scratch))
        onednn_bind_tensor(plan, index, DNNL_ARG_SCRATCHPAD, onednn_tensor_new(plan, &scratch));
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return index;
}

int onednn_emit_own(onednn_plan *plan, onednn_kind kind, const plan_step *step, const char *name, const char *kernel)
{
    onednn_operation operation = {.kind = kind, .step = step};
    return plan->failed ? -1 : operation_append(plan, &operation, name, kernel);
}

int onednn_emit_plain(onednn_plan *plan, const plan_step *step)
{
    int inputs[NN_MAX_INPUTS] = {0};
    for (int i = 0; i < step->node.input_count; i++)
        inputs[i] = onednn_value_plain(plan, step->node.inputs[i], true);
    if (plan->failed)
        return -1;
    dnnl_memory_desc_t md = onednn_plain(onednn_shape(plan, step->output), dnnl_f32);
    int index = onednn_emit_own(plan, ONEDNN_PLAIN, step, step->node.name, "plain C");
    int result = onednn_tensor_new(plan, &md);
    onednn_bind_tensor(plan, index, DNNL_ARG_DST, result);
    for (int i = 0; i < step->node.input_count; i++)
        onednn_bind_tensor(plan, index, DNNL_ARG_MULTIPLE_SRC + i, inputs[i]);
    return result;
}

bool onednn_is_nhwc(const dnnl_memory_desc_t *md)
{
    if (md->ndims != 4 || md->format_kind != dnnl_blocked || md->format_desc.blocking.inner_nblks)
        return false;
    const dnnl_dim_t *strides = md->format_desc.blocking.strides, channels = md->padded_dims[1];
    return md->dims[0] == 1 && channels == md->dims[1] && strides[1] == 1 && strides[3] == channels &&
           strides[2] == channels * md->dims[3];
}

int onednn_emit_mean(onednn_plan *plan, const plan_step *step)
{
    int input = onednn_value_first(plan, step->node.inputs[0]);
    dnnl_memory_desc_t from = input < 0 ? (dnnl_memory_desc_t){0} : onednn_tensor_at(plan, input)->md;
    if ((from.data_type != dnnl_u8 && from.data_type != dnnl_s8) || !onednn_is_nhwc(&from))
        return -1;
    dnnl_memory_desc_t md = onednn_plain(onednn_shape(plan, step->output), dnnl_f32);
    int index = onednn_emit_own(plan, ONEDNN_MEAN, step, step->node.name, "mean of eight bits"),
        result = onednn_tensor_new(plan, &md);
    onednn_bind_tensor(plan, index, DNNL_ARG_DST, result);
    onednn_bind_tensor(plan, index, DNNL_ARG_SRC, input);
    return result;
}

dnnl_primitive_desc_t onednn_try(onednn_plan *plan, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr)
{
    dnnl_primitive_desc_t pd = NULL;
    if (plan->failed ||
        dnnl_primitive_desc_create(&pd, op, attr ? attr : plan->context.attr, plan->context.engine, NULL))
        return NULL;
    if (!strstr(onednn_implementation(pd), "ref"))
        return pd;
    dnnl_primitive_desc_destroy(pd);
    return NULL;
}

static int emit_input(onednn_plan *plan, const plan_step *step)
{
    dnnl_memory_desc_t md = onednn_plain(onednn_shape(plan, step->output), dnnl_f32);
    int tensor = onednn_tensor_new(plan, &md);
    for (int i = 0; i < plan->program->input_count && tensor >= 0; i++)
        if (plan->program->inputs[i] == step->output)
            onednn_storage_at(plan, onednn_tensor_at(plan, tensor)->storage)->input = i;
    return tensor;
}

static int emit_step(onednn_plan *plan, const plan_step *step)
{
    switch (step->node.op) {
    case NN_INPUT:
        return emit_input(plan, step);
    case NN_CONV_TRANSPOSE:
        return onednn_emit_linear(plan, step);
    case NN_CONV:
    case NN_DENSE:
        if (plan->eight && plan_step_is_eight(plan->program, step)) {
            int result = onednn_emit_eight(plan, step);
            if (result >= 0 || plan->failed)
                return result;
        }
        return onednn_emit_linear(plan, step);
    case NN_ADD:
    case NN_SUB:
    case NN_MUL:
    case NN_DIV:
        if (plan->eight && plan->program->values[step->output].eight) {
            int result = onednn_emit_eight_sum(plan, step);
            if (result >= 0 || plan->failed)
                return result;
        }
        return onednn_emit_arithmetic(plan, step);
    case NN_LAYER_NORM:
        return onednn_emit_norm(plan, step);
    case NN_CHANNEL_MEAN:
    case NN_CHANNEL_MAX:
        return onednn_emit_channel_pool(plan, step);
    case NN_MAX_POOL:
    case NN_AVG_POOL:
    case NN_GLOBAL_AVG_POOL:
    case NN_GLOBAL_MAX_POOL:
    case NN_UPSAMPLE:
    case NN_SOFTMAX:
        return onednn_emit_window(plan, step);
    case NN_CONCAT:
    case NN_SLICE:
    case NN_TRANSPOSE:
    case NN_FLATTEN:
    case NN_RESHAPE:
    case NN_PAD:
        return onednn_emit_move(plan, step);
    case NN_ERF: /* nobody's activation by itself */
        return onednn_emit_plain(plan, step);
    default:
        return onednn_emit_pointwise(plan, step);
    }
}

static void use(onednn_plan *plan, const plan_step *step)
{
    for (int i = 0; i < step->node.input_count; i++)
        plan->values[step->node.inputs[i]].uses_left--;
    for (int p = 0; p < step->post_count; p++)
        if (step->posts[p].value >= 0)
            plan->values[step->posts[p].value].uses_left--;
}

static void emit_steps(onednn_plan *plan)
{
    const plan_program *program = plan->program;
    if (plan->failed)
        return;
    for (int v = 0; v < program->value_count; v++)
        plan->values[v].uses_left = program->values[v].uses;
    for (int s = 0; s < program->step_count && !plan->failed; s++) {
        const plan_step *step = &program->steps[s];
        if (step->dead)
            continue;
        use(plan, step);
        onednn_value *value = &plan->values[step->output];
        value->form[0] = emit_step(plan, step);
        value->form_count = 1;
        if (plan->failed)
            error_prefix(plan->error, plan->failed, "node %.100s (%s)", step->node.name, nn_op_name(step->node.op));
    }
}

static void emit_outputs(onednn_plan *plan)
{
    const plan_program *program = plan->program;
    plan->outputs = memory_arena_take(&plan->arena, (size_t)program->output_count, sizeof(int));
    if (!plan->outputs)
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
    for (int o = 0; o < program->output_count && !plan->failed; o++) {
        plan->outputs[o] = onednn_value_plain(plan, program->outputs[o], true);
        if (plan->failed)
            break;
        size_t offset = 0;
        int root = onednn_root(plan, onednn_tensor_at(plan, plan->outputs[o])->storage, &offset);
        onednn_storage_at(plan, root)->kept = true;
    }
}

/* When each storage is first written and last read, by the operations that name it. */
static void find_lives(const onednn_plan *plan, plan_buffer *buffers)
{
    int operations = onednn_operation_count(plan);
    for (int i = 0; i < operations; i++) {
        const onednn_operation *operation = onednn_operation_at(plan, i);
        for (int b = 0; b < operation->bind_count; b++) {
            size_t offset = 0;
            int root = onednn_root(plan, onednn_tensor_at(plan, operation->binds[b].tensor)->storage, &offset);
            const onednn_storage *storage = onednn_storage_at(plan, root);
            if (storage->constant || storage->input >= 0)
                continue;
            if (!buffers[root].bytes)
                buffers[root].first = i;
            buffers[root].bytes = storage->bytes;
            buffers[root].last = storage->kept ? operations : i;
        }
    }
}

static void place_storages(onednn_plan *plan)
{
    int count = onednn_storage_count(plan);
    plan_buffer *buffers = plan->failed ? NULL : memory_zeroed((size_t)count, sizeof *buffers);
    if (!buffers) {
        onednn_fail(plan, MIEN_ENOMEM, "out of memory while planning");
        return;
    }
    find_lives(plan, buffers);
    plan->failed = plan_memory_place(buffers, (size_t)count, &plan->block_bytes, plan->error);
    for (int i = 0; i < count && !plan->failed; i++)
        onednn_storage_at(plan, i)->place = buffers[i].place;
    memory_free(buffers);
}

mien_status onednn_plan_create(const plan_program *program, const nn_plan_options *options, onednn_plan **plan,
                               mien_error *error)
{
    onednn_plan *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->program = program;
    made->threads = options->threads;
    /* what is not in eight bits in an eight-bit plan is in bf16 where there is that */
    bool bf16 = options->precision != NN_F32 && nn_precision_here(NN_BF16) == NN_BF16;
    made->type = bf16 ? dnnl_bf16 : dnnl_f32;
    made->eight = nn_precision_here(options->precision) == NN_INT8;
    made->blocks = !made->eight && onednn_prefers_blocks(program);
    made->error = error;
    int before = onednn_threads(made->threads);
    made->failed = onednn_context_init(&made->context, error);
    made->values = memory_zeroed((size_t)program->value_count, sizeof *made->values);
    if (!made->values)
        onednn_fail(made, MIEN_ENOMEM, "out of memory while planning");
    emit_steps(made);
    emit_outputs(made);
    place_storages(made);
    onednn_threads(before);
    memory_free(made->values);
    made->values = NULL;
    made->error = NULL;
    mien_status status = made->failed;
    if (status)
        onednn_plan_destroy(&made);
    else
        *plan = made;
    return status;
}

void onednn_plan_destroy(onednn_plan **plan)
{
    onednn_plan *p = plan ? *plan : NULL;
    if (!p)
        return;
    for (int i = 0; i < onednn_operation_count(p); i++)
        onednn_operation_free(onednn_operation_at(p, i));
    for (int i = 0; i < onednn_storage_count(p); i++)
        memory_free(onednn_storage_at(p, i)->constant);
    buffer_done(&p->operations);
    buffer_done(&p->storages);
    buffer_done(&p->tensors);
    onednn_context_done(&p->context);
    memory_arena_done(&p->arena);
    memory_free(p);
    *plan = NULL;
}

bool onednn_plan_needs_weights(const onednn_plan *plan)
{
    for (int i = 0; i < onednn_operation_count(plan); i++) {
        const onednn_operation *operation = onednn_operation_at(plan, i);
        if (operation->kind == ONEDNN_PLAIN &&
            (operation->step->kernel || operation->step->scale || operation->step->shift))
            return true;
    }
    return false;
}

size_t onednn_plan_block(const onednn_plan *plan)
{
    return plan->block_bytes;
}

const char *onednn_plan_name(const onednn_plan *plan, size_t step)
{
    return step < (size_t)onednn_operation_count(plan) ? onednn_operation_at(plan, (int)step)->name : NULL;
}
