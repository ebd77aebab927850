/* The only file that includes oneDNN; only src/nn/onednn_*.c include this one. It holds what inference and training
 * share: engine and stream, errors in mien's idiom, memory descriptors from shapes, primitives with their arguments.
 *
 * Two rules that hold for every use here:
 * - Scratchpads are the caller's (onednn_context.attr says so): the library's own belong to the thread that created the
 *   primitive and die with it. onednn_scratch_bytes tells how much a primitive needs; one block serves all
 *   primitives of a session, since they run one after the other.
 * - The number of OpenMP threads counts when a primitive is created as well as when it runs; both must agree.
 *   onednn_threads sets it for the calling thread only.
 */
#ifndef NN_ONEDNN_H
#define NN_ONEDNN_H

#include <dnnl.h>

#include "nn/graph.h"

typedef struct onednn_context {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* default attributes with the scratchpad given by the caller */
} onednn_context;

mien_status onednn_context_init(onednn_context *context, mien_error *error);
void onednn_context_done(onednn_context *context);

/** OpenMP threads for oneDNN calls of this thread; returns the setting before, to be put back by a second call. */
int onednn_threads(int threads);

/** Translate a oneDNN status; `what` says what was being done. MIEN_OK for dnnl_success. */
mien_status onednn_check(dnnl_status_t status, const char *what, mien_error *error);

/** Row-major ("NCHW") description of a shape with every size known. */
dnnl_memory_desc_t onednn_plain(const nn_shape *shape, dnnl_data_type_t type);
/** The same with the layout left to the primitive. */
dnnl_memory_desc_t onednn_any(const nn_shape *shape, dnnl_data_type_t type);
/** With strides of one's own, in elements. */
dnnl_memory_desc_t onednn_strided(const nn_shape *shape, const dnnl_dim_t *strides, dnnl_data_type_t type);
/** The part of `whole` that begins at `begin`; false where its layout cannot say so (a block would be cut). */
bool onednn_part(const dnnl_memory_desc_t *whole, const nn_shape *part, const int64_t *begin, dnnl_memory_desc_t *md);
/** One dimension of `count`. */
dnnl_memory_desc_t onednn_vector(int64_t count, dnnl_data_type_t type);
/** A convolution's kernel [O, I/groups, kh, kw] as oneDNN sees it: five dimensions when groups > 1. */
dnnl_memory_desc_t onednn_kernel_plain(const nn_shape *kernel, int groups, dnnl_data_type_t type);
dnnl_memory_desc_t onednn_kernel_any(const nn_shape *kernel, int groups, dnnl_data_type_t type);
bool onednn_is_plain(const dnnl_memory_desc_t *md);

/** A primitive descriptor of `op` (any dnnl_*_desc_t). attr NULL = context->attr; a caller's own attributes must carry
 *  the user scratchpad mode too. hint = the forward descriptor for backward ones, else NULL. */
mien_status onednn_describe(const onednn_context *context, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr,
                            const_dnnl_primitive_desc_t hint, const char *what, dnnl_primitive_desc_t *pd,
                            mien_error *error);
/** Memory descriptor `index` of a kind of a primitive; one with ndims 0 when there is none. */
dnnl_memory_desc_t onednn_query(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index);
size_t onednn_scratch_bytes(const_dnnl_primitive_desc_t pd);
/** "jit:avx512_core", "brgconv:…", "ref:any": valid as long as `pd`. */
const char *onednn_implementation(const_dnnl_primitive_desc_t pd);

/** A reorder (layout and type) between two descriptions of the same dimensions. `accumulate`: add to the target. */
mien_status onednn_describe_reorder(const onednn_context *context, const dnnl_memory_desc_t *from,
                                    const dnnl_memory_desc_t *to, bool accumulate, dnnl_primitive_desc_t *pd,
                                    mien_error *error);

enum { ONEDNN_MAX_ARGS = NN_MAX_INPUTS + 4 };

/** A primitive and what it works on. Zero-initialised means empty. Owns the primitive, not the memories. */
typedef struct onednn_step {
    dnnl_primitive_t primitive;
    int count;
    dnnl_exec_arg_t args[ONEDNN_MAX_ARGS];
} onednn_step;

mien_status onednn_step_init(onednn_step *step, const_dnnl_primitive_desc_t pd, mien_error *error);
void onednn_step_done(onednn_step *step);
/** Argument `arg` (DNNL_ARG_SRC …); EINTERNAL when there are too many. */
mien_status onednn_step_bind(onednn_step *step, int arg, dnnl_memory_t memory, mien_error *error);
mien_status onednn_step_run(const onednn_step *step, const onednn_context *context, mien_error *error);

/** A memory object over `data` (borrowed; NULL = set later with dnnl_memory_set_data_handle). */
mien_status onednn_memory(const onednn_context *context, const dnnl_memory_desc_t *md, void *data,
                          dnnl_memory_t *memory, mien_error *error);

#endif
