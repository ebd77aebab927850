/* One thread's copy of everything that changes while a plan runs: a stream, and memory objects that point into the
 * caller's block of activations and scratchpads and at its inputs. All is made when the session is; a run points them
 * anew where block or inputs have moved, and walks the operations. */
#include "nn/onednn_build.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/affine_rows.h"
#include "nn/channel_pool.h"
#include "nn/interleave.h"
#include "nn/mean_eight.h"

#include <string.h>

struct onednn_session {
    const onednn_plan *plan;
    dnnl_stream_t stream;
    size_t memory_count;
    dnnl_memory_t *memories; /* one per tensor that an operation names */
    dnnl_exec_arg_t *args;   /* of all operations, one after the other */
    unsigned char *block;    /* where the tensors point now; NULL before the first run */
    float **inputs;          /* likewise */
};

static size_t tensor_count(const onednn_plan *plan)
{
    return plan->tensors.length / sizeof(onednn_tensor);
}

static unsigned char *address(const onednn_session *session, int tensor)
{
    const onednn_plan *plan = session->plan;
    size_t offset = onednn_tensor_at(plan, tensor)->offset;
    const onednn_storage *root =
        onednn_storage_at(plan, onednn_root(plan, onednn_tensor_at(plan, tensor)->storage, &offset));
    if (root->input >= 0)
        return session->inputs[root->input] ? (unsigned char *)session->inputs[root->input] + offset : NULL;
    if (root->constant)
        return (unsigned char *)root->constant + offset;
    return session->block ? session->block + root->place + offset : NULL;
}

static mien_status make_memory(onednn_session *session, int tensor, mien_error *error)
{
    dnnl_memory_t *memory = &session->memories[tensor];
    if (*memory)
        return MIEN_OK;
    return onednn_memory(&session->plan->context, &onednn_tensor_at(session->plan, tensor)->md,
                         address(session, tensor), memory, error);
}

static mien_status make_args(onednn_session *session, mien_error *error)
{
    dnnl_exec_arg_t *next = session->args;
    for (int i = 0; i < onednn_operation_count(session->plan); i++) {
        const onednn_operation *operation = onednn_operation_at(session->plan, i);
        for (int b = 0; b < operation->bind_count; b++) {
            int tensor = operation->binds[b].tensor;
            mien_status status = make_memory(session, tensor, error);
            if (status)
                return status;
            *next++ = (dnnl_exec_arg_t){operation->binds[b].arg, session->memories[tensor]};
        }
    }
    return MIEN_OK;
}

static mien_status allocate(onednn_session *session, mien_error *error)
{
    const onednn_plan *plan = session->plan;
    size_t binds = 0;
    for (int i = 0; i < onednn_operation_count(plan); i++)
        binds += (size_t)onednn_operation_at(plan, i)->bind_count;
    session->memory_count = tensor_count(plan);
    session->memories = memory_zeroed(session->memory_count, sizeof(dnnl_memory_t));
    session->args = memory_array(binds, sizeof(dnnl_exec_arg_t));
    session->inputs = memory_zeroed((size_t)plan->program->input_count, sizeof(float *));
    if (!session->memories || !session->args || !session->inputs)
        return error_no_memory(error, binds * sizeof(dnnl_exec_arg_t));
    return onednn_check(dnnl_stream_create(&session->stream, plan->context.engine, dnnl_stream_default_flags),
                        "starting a session", error);
}

mien_status onednn_session_create(const onednn_plan *plan, onednn_session **session, mien_error *error)
{
    onednn_session *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->plan = plan;
    mien_status status = allocate(made, error);
    if (!status)
        status = make_args(made, error);
    if (status)
        onednn_session_destroy(&made);
    else
        *session = made;
    return status;
}

void onednn_session_destroy(onednn_session **session)
{
    onednn_session *s = session ? *session : NULL;
    if (!s)
        return;
    for (size_t i = 0; s->memories && i < s->memory_count; i++)
        if (s->memories[i])
            dnnl_memory_destroy(s->memories[i]);
    if (s->stream)
        dnnl_stream_destroy(s->stream);
    memory_free(s->memories);
    memory_free(s->args);
    memory_free(s->inputs);
    memory_free(s);
    *session = NULL;
}

/* Point the tensors at this block and at this image. */
static mien_status point(onednn_session *session, unsigned char *block, float *const *inputs, mien_error *error)
{
    size_t bytes = (size_t)session->plan->program->input_count * sizeof(float *);
    bool moved = session->block != block;
    if (!moved && !memcmp(session->inputs, inputs, bytes))
        return MIEN_OK;
    session->block = block;
    memcpy(session->inputs, inputs, bytes);
    for (size_t i = 0; i < session->memory_count; i++) {
        size_t offset = 0;
        const onednn_storage *root = onednn_storage_at(
            session->plan, onednn_root(session->plan, onednn_tensor_at(session->plan, (int)i)->storage, &offset));
        if (!session->memories[i] || root->constant || (root->input < 0 && !moved))
            continue;
        dnnl_status_t status = dnnl_memory_set_data_handle(session->memories[i], address(session, (int)i));
        if (status) {
            session->block = NULL; /* point all anew next time */
            return onednn_check(status, "setting memory", error);
        }
    }
    return MIEN_OK;
}

static void run_plain(const onednn_session *session, const onednn_operation *operation, const dnnl_exec_arg_t *args)
{
    const plan_step *step = operation->step;
    const plan_program *program = session->plan->program;
    bool linear = step->kernel != NULL;
    nn_weight weights[2] = {{.data = linear ? step->kernel : step->scale, .count = step->slopes},
                            {.data = linear ? step->bias : step->shift}};
    nn_node node = step->node;
    node.weights[0] = weights[0].data ? 0 : -1;
    node.weights[1] = weights[1].data ? 1 : -1;
    nn_reference_call call = {.node = &node, .weights = weights, .to = &program->values[step->output].shape};
    void *data = NULL;
    for (int i = 0; i < node.input_count; i++) {
        call.from[i] = &program->values[node.inputs[i]].shape;
        dnnl_memory_get_data_handle(args[1 + i].memory, &data);
        call.inputs[i] = data;
    }
    dnnl_memory_get_data_handle(args[0].memory, &data);
    call.output = data;
    nn_reference_apply(&call);
}

static void run_mean(const onednn_session *session, const onednn_operation *operation, const dnnl_exec_arg_t *args)
{
    const onednn_tensor *picture = onednn_tensor_at(session->plan, operation->binds[1].tensor);
    const dnnl_dim_t *dims = picture->md.dims;
    void *from = NULL, *to = NULL;
    dnnl_memory_get_data_handle(args[0].memory, &to);
    dnnl_memory_get_data_handle(args[1].memory, &from);
    nn_mean_eight(from, (size_t)(dims[2] * dims[3]), (size_t)dims[1], picture->md.data_type == dnnl_s8, picture->scale,
                  to);
}

static void run_interleave(const onednn_session *session, const onednn_operation *operation,
                           const dnnl_exec_arg_t *args)
{
    const dnnl_dim_t *dims = onednn_tensor_at(session->plan, operation->binds[1].tensor)->md.dims;
    void *from = NULL, *to = NULL;
    dnnl_memory_get_data_handle(args[0].memory, &to);
    dnnl_memory_get_data_handle(args[1].memory, &from);
    nn_interleave3(from, (size_t)(dims[2] * dims[3]), to);
}

static void run_affine(const onednn_session *session, const onednn_operation *operation, const dnnl_exec_arg_t *args)
{
    const dnnl_memory_desc_t *md = &onednn_tensor_at(session->plan, operation->binds[1].tensor)->md;
    void *data[4];
    for (int i = 0; i < 4; i++)
        dnnl_memory_get_data_handle(args[i].memory, &data[i]);
    size_t length = 1;
    for (int d = 2; d < md->ndims; d++)
        length *= (size_t)md->dims[d];
    nn_affine_rows(data[1], (size_t)md->dims[1], length, data[2], data[3], data[0]);
}

static void run_channels(const onednn_session *session, const onednn_operation *operation, const dnnl_exec_arg_t *args)
{
    const dnnl_memory_desc_t *md = &onednn_tensor_at(session->plan, operation->binds[1].tensor)->md;
    size_t channels = (size_t)md->dims[1], pixels = (size_t)(md->dims[2] * md->dims[3]);
    void *from = NULL, *to = NULL;
    dnnl_memory_get_data_handle(args[0].memory, &to);
    dnnl_memory_get_data_handle(args[1].memory, &from);
    nn_channel_pool(from, pixels, channels, onednn_is_nhwc(md), operation->step->node.op == NN_CHANNEL_MAX, to);
}

static mien_status run_operations(onednn_session *session, mien_error *error)
{
    const dnnl_exec_arg_t *args = session->args;
    for (int i = 0; i < onednn_operation_count(session->plan); i++) {
        const onednn_operation *operation = onednn_operation_at(session->plan, i);
        dnnl_status_t status = dnnl_success;
        if (operation->kind == ONEDNN_PRIMITIVE)
            status = dnnl_primitive_execute(operation->primitive, session->stream, operation->bind_count, args);
        else if (operation->kind == ONEDNN_MEAN)
            run_mean(session, operation, args);
        else if (operation->kind == ONEDNN_INTERLEAVE)
            run_interleave(session, operation, args);
        else if (operation->kind == ONEDNN_AFFINE)
            run_affine(session, operation, args);
        else if (operation->kind == ONEDNN_CHANNELS)
            run_channels(session, operation, args);
        else
            run_plain(session, operation, args);
        if (status)
            return onednn_check(status, operation->name, error);
        args += operation->bind_count;
    }
    return MIEN_OK;
}

mien_status onednn_session_run(onednn_session *session, unsigned char *block, float *const *inputs,
                               float *const *outputs, mien_error *error)
{
    const onednn_plan *plan = session->plan;
    mien_status status = point(session, block, inputs, error);
    if (status)
        return status;
    int before = onednn_threads(plan->threads);
    status = run_operations(session, error);
    onednn_threads(before);
    for (int o = 0; o < plan->program->output_count && !status; o++)
        memcpy(outputs[o], address(session, plan->outputs[o]),
               nn_shape_count(&plan->program->values[plan->program->outputs[o]].shape) * sizeof(float));
    return status;
}
