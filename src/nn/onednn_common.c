/* What inference and training share of oneDNN: see nn/onednn.h. Thin on purpose: descriptors stay oneDNN's own plain
 * structures, only errors, defaults and life times are put into mien's shape. */
#include "nn/onednn.h"

#include "base/error.h"

#include <omp.h>
#include <string.h>

mien_status onednn_check(dnnl_status_t status, const char *what, mien_error *error)
{
    switch (status) {
    case dnnl_success:
        return MIEN_OK;
    case dnnl_out_of_memory:
        return error_set(error, MIEN_ENOMEM, "%s: oneDNN is out of memory", what);
    case dnnl_unimplemented:
        return error_set(error, MIEN_EUNSUPPORTED, "%s: oneDNN has no implementation", what);
    case dnnl_invalid_arguments:
        return error_set(error, MIEN_EINTERNAL, "%s: oneDNN refuses the arguments", what);
    default:
        return error_set(error, MIEN_EINTERNAL, "%s: oneDNN failed with status %d", what, (int)status);
    }
}

int onednn_threads(int threads)
{
    int before = omp_get_max_threads();
    if (threads != before)
        omp_set_num_threads(threads);
    return before;
}

/* oneDNN keeps the code of the last 1024 primitives, which is tens of megabytes in a server that sees pictures of many
 * sizes; this many are the layers of all networks in use at a time. */
enum { ONEDNN_KEPT_PRIMITIVES = 128 };

mien_status onednn_context_init(onednn_context *context, mien_error *error)
{
    onednn_context fresh = {0};
    dnnl_status_t status = dnnl_set_primitive_cache_capacity(ONEDNN_KEPT_PRIMITIVES);
    if (!status)
        status = dnnl_engine_create(&fresh.engine, dnnl_cpu, 0);
    if (!status)
        status = dnnl_stream_create(&fresh.stream, fresh.engine, dnnl_stream_default_flags);
    if (!status)
        status = dnnl_primitive_attr_create(&fresh.attr);
    if (!status)
        status = dnnl_primitive_attr_set_scratchpad_mode(fresh.attr, dnnl_scratchpad_mode_user);
    if (status)
        onednn_context_done(&fresh);
    else
        *context = fresh;
    return onednn_check(status, "starting oneDNN", error);
}

void onednn_context_done(onednn_context *context)
{
    if (context->attr)
        dnnl_primitive_attr_destroy(context->attr);
    if (context->stream)
        dnnl_stream_destroy(context->stream);
    if (context->engine)
        dnnl_engine_destroy(context->engine);
    *context = (onednn_context){0};
}

/* The dimensions go through one function; ranks and sizes were checked by the graph, so it cannot fail. */
static dnnl_memory_desc_t describe(int rank, const dnnl_dim_t *dims, dnnl_data_type_t type, bool plain)
{
    dnnl_memory_desc_t md = {0};
    if (!plain) {
        dnnl_memory_desc_init_by_tag(&md, rank, dims, type, dnnl_format_tag_any);
        return md;
    }
    dnnl_dims_t strides;
    dnnl_dim_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
    dnnl_memory_desc_init_by_strides(&md, rank, dims, type, strides);
    return md;
}

dnnl_memory_desc_t onednn_plain(const nn_shape *shape, dnnl_data_type_t type)
{
    return describe(shape->rank, shape->dim, type, true);
}

dnnl_memory_desc_t onednn_any(const nn_shape *shape, dnnl_data_type_t type)
{
    return describe(shape->rank, shape->dim, type, false);
}

/* oneDNN's arrays of dimensions have a fixed length, ours are shorter. */
static void copy_dims(int rank, const int64_t *from, dnnl_dims_t to)
{
    memset(to, 0, sizeof(dnnl_dims_t));
    memcpy(to, from, (size_t)rank * sizeof *from);
}

dnnl_memory_desc_t onednn_strided(const nn_shape *shape, const dnnl_dim_t *strides, dnnl_data_type_t type)
{
    dnnl_memory_desc_t md = {0};
    dnnl_dims_t dims, steps;
    copy_dims(shape->rank, shape->dim, dims);
    copy_dims(shape->rank, strides, steps);
    dnnl_memory_desc_init_by_strides(&md, shape->rank, dims, type, steps);
    return md;
}

bool onednn_part(const dnnl_memory_desc_t *whole, const nn_shape *part, const int64_t *begin, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dims, offsets;
    copy_dims(part->rank, part->dim, dims);
    copy_dims(part->rank, begin, offsets);
    return dnnl_memory_desc_init_submemory(md, whole, dims, offsets) == dnnl_success;
}

dnnl_memory_desc_t onednn_vector(int64_t count, dnnl_data_type_t type)
{
    return describe(1, &count, type, true);
}

static dnnl_memory_desc_t describe_kernel(const nn_shape *kernel, int groups, dnnl_data_type_t type, bool plain)
{
    if (groups <= 1)
        return describe(kernel->rank, kernel->dim, type, plain);
    dnnl_dims_t dims = {groups, kernel->dim[0] / groups, kernel->dim[1], kernel->dim[2], kernel->dim[3]};
    return describe(5, dims, type, plain);
}

dnnl_memory_desc_t onednn_kernel_plain(const nn_shape *kernel, int groups, dnnl_data_type_t type)
{
    return describe_kernel(kernel, groups, type, true);
}

dnnl_memory_desc_t onednn_kernel_any(const nn_shape *kernel, int groups, dnnl_data_type_t type)
{
    return describe_kernel(kernel, groups, type, false);
}

bool onednn_is_plain(const dnnl_memory_desc_t *md)
{
    dnnl_memory_desc_t plain = describe(md->ndims, md->dims, md->data_type, true);
    return dnnl_memory_desc_equal(md, &plain);
}

mien_status onednn_describe(const onednn_context *context, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr,
                            const_dnnl_primitive_desc_t hint, const char *what, dnnl_primitive_desc_t *pd,
                            mien_error *error)
{
    return onednn_check(dnnl_primitive_desc_create(pd, op, attr ? attr : context->attr, context->engine, hint), what,
                        error);
}

dnnl_memory_desc_t onednn_query(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, index);
    return md ? *md : (dnnl_memory_desc_t){0};
}

size_t onednn_scratch_bytes(const_dnnl_primitive_desc_t pd)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    return md ? dnnl_memory_desc_get_size(md) : 0;
}

const char *onednn_implementation(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) || !name)
        return "?";
    return name;
}

mien_status onednn_describe_reorder(const onednn_context *context, const dnnl_memory_desc_t *from,
                                    const dnnl_memory_desc_t *to, bool accumulate, dnnl_primitive_desc_t *pd,
                                    mien_error *error)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_status_t status = dnnl_success;
    if (accumulate) {
        status = dnnl_primitive_attr_clone(&attr, context->attr);
        if (!status)
            status = dnnl_post_ops_create(&post);
        if (!status)
            status = dnnl_post_ops_append_sum(post, 1.0f);
        if (!status)
            status = dnnl_primitive_attr_set_post_ops(attr, post);
    }
    if (!status)
        status = dnnl_reorder_primitive_desc_create(pd, from, context->engine, to, context->engine,
                                                    attr ? attr : context->attr);
    if (post)
        dnnl_post_ops_destroy(post);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return onednn_check(status, "a change of layout", error);
}

mien_status onednn_step_init(onednn_step *step, const_dnnl_primitive_desc_t pd, mien_error *error)
{
    *step = (onednn_step){0};
    return onednn_check(dnnl_primitive_create(&step->primitive, pd), "creating a primitive", error);
}

void onednn_step_done(onednn_step *step)
{
    if (step->primitive)
        dnnl_primitive_destroy(step->primitive);
    *step = (onednn_step){0};
}

mien_status onednn_step_bind(onednn_step *step, int arg, dnnl_memory_t memory, mien_error *error)
{
    if (step->count >= ONEDNN_MAX_ARGS)
        return error_set(error, MIEN_EINTERNAL, "a primitive takes more than %d arguments", ONEDNN_MAX_ARGS);
    step->args[step->count++] = (dnnl_exec_arg_t){arg, memory};
    return MIEN_OK;
}

mien_status onednn_step_run(const onednn_step *step, const onednn_context *context, mien_error *error)
{
    dnnl_status_t status = dnnl_primitive_execute(step->primitive, context->stream, step->count, step->args);
    return status ? onednn_check(status, "running a primitive", error) : MIEN_OK;
}

mien_status onednn_memory(const onednn_context *context, const dnnl_memory_desc_t *md, void *data,
                          dnnl_memory_t *memory, mien_error *error)
{
    return onednn_check(dnnl_memory_create(memory, md, context->engine, data ? data : DNNL_MEMORY_NONE),
                        "creating a memory object", error);
}
