/* Between the files that turn a program into primitives (onednn_plan.c, onednn_tensor.c, onednn_linear.c,
 * onednn_pointwise.c, onednn_move.c, onednn_channel.c) and the one that runs them (onednn_session.c). Nobody else
 * includes this.
 *
 * Words: a value is a tensor of the program; a tensor is a value in one layout and type; a storage is the bytes that
 * one or more tensors lie in; an operation is a primitive, or a plain-C operator, with tensors as arguments.
 */
#ifndef NN_ONEDNN_BUILD_H
#define NN_ONEDNN_BUILD_H

#include "base/buffer.h"
#include "nn/onednn.h"
#include "nn/onednn_plan.h"
#include "nn/plan_memory.h"
#include "nn/reference.h"

enum { ONEDNN_MAX_FORMS = 4 };

typedef struct onednn_tensor {
    dnnl_memory_desc_t md;
    int storage;
    size_t offset; /* bytes into the storage */
    float scale;   /* value = scale · number; 1 unless it is stored in eight bits */
} onednn_tensor;

typedef struct onednn_storage {
    size_t bytes;
    int parent;           /* a storage that contains this one, or -1 */
    size_t parent_offset; /* bytes */
    int input;            /* the session's input whose memory this is, or -1 */
    void *constant;       /* weights, owned by the plan; NULL for activations */
    bool shared;          /* more than one value lies in it: never overwritten in place */
    bool kept;            /* an output: alive until the end */
    size_t place;         /* in a session's block */
} onednn_storage;

typedef struct onednn_bind {
    int arg;
    int tensor;
} onednn_bind;

typedef enum onednn_kind {
    ONEDNN_PRIMITIVE = 0,
    ONEDNN_PLAIN,      /* the plain-C operator of `step`; bind 0 is the result, binds 1… its inputs */
    ONEDNN_MEAN,       /* nn_mean_eight; likewise */
    ONEDNN_INTERLEAVE, /* nn_interleave3; likewise */
    ONEDNN_AFFINE,     /* nn_affine_rows; bind 2 is the scale, 3 the shift */
    ONEDNN_CHANNELS    /* nn_channel_mean or nn_channel_max, by the step; bind 0 is the result */
} onednn_kind;

typedef struct onednn_operation {
    onednn_kind kind;
    dnnl_primitive_t primitive;
    int bind_count;
    onednn_bind binds[ONEDNN_MAX_ARGS];
    const plan_step *step; /* plain C: attributes and weights */
    char *name;
} onednn_operation;

/** The layouts in which a value exists. form[0] is what its maker made. */
typedef struct onednn_value {
    int form[ONEDNN_MAX_FORMS];
    int form_count;
    int uses_left; /* readers not yet emitted */
} onednn_value;

struct onednn_plan {
    onednn_context context;
    const plan_program *program;
    int threads;
    memory_arena arena; /* names */
    buffer tensors;     /* onednn_tensor[] */
    buffer storages;    /* onednn_storage[] */
    buffer operations;  /* onednn_operation[] */
    size_t block_bytes; /* activations and scratch of one session */
    int *outputs;       /* tensors: plain f32, one per output */
    /* only while building */
    onednn_value *values;
    dnnl_data_type_t type; /* of activations and kernels that are not in eight bits */
    bool eight;            /* the program is quantised */
    bool blocks;           /* convolutions on blocks of 16 channels where the channels allow it */
    mien_status failed;    /* sticky; `error` says why */
    mien_error *error;
};

/* onednn_tensor.c: all give -1 after a failure and do nothing once the plan has failed. */
onednn_tensor *onednn_tensor_at(const onednn_plan *plan, int tensor);
onednn_storage *onednn_storage_at(const onednn_plan *plan, int storage);
onednn_operation *onednn_operation_at(const onednn_plan *plan, int operation);
int onednn_operation_count(const onednn_plan *plan);
int onednn_storage_count(const onednn_plan *plan);
/** The outermost storage that contains this tensor, and where in it the tensor begins. */
int onednn_root(const onednn_plan *plan, int storage, size_t *offset);
/** A tensor in new storage. */
int onednn_tensor_new(onednn_plan *plan, const dnnl_memory_desc_t *md);
/** Another look at the same bytes; marks them shared. `md` may carry an offset0, which becomes bytes. */
int onednn_tensor_view(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *md);
/** The same bytes, to be overwritten by the next operation. */
int onednn_tensor_reuse(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *md);
/** A constant vector as [1, C, 1, 1] (rank 2: [1, C]) f32; copied. */
int onednn_tensor_constant(onednn_plan *plan, const float *data, int64_t channels, int rank);
/** A weight in the layout that a primitive wants: reordered now, once. */
int onednn_tensor_weight(onednn_plan *plan, const float *data, const dnnl_memory_desc_t *plain,
                         const dnnl_memory_desc_t *wanted, const_dnnl_primitive_attr_t attr);
/** This value in this layout, reordered if it does not exist in it yet. */
int onednn_value_as(onednn_plan *plan, int value, const dnnl_memory_desc_t *md);
/** The tensor, or a reordered copy of it; `scale` of the copy. */
int onednn_tensor_as(onednn_plan *plan, int tensor, const dnnl_memory_desc_t *md, float scale);
/** A reorder from one tensor into another, with the ratio of their scales. */
void onednn_emit_reorder(onednn_plan *plan, const char *name, int from, int to);
/** This value in row-major order, in f32, or in bf16 where it is that. */
int onednn_value_plain(onednn_plan *plan, int value, bool f32);
/** What the value's maker made. */
int onednn_value_first(onednn_plan *plan, int value);
/** The same, but not in eight bits. */
int onednn_value_float(onednn_plan *plan, int value);
/** Type of a value in eight bits. */
dnnl_data_type_t onednn_eight_type(const onednn_plan *plan, int value);
/** Nobody will read the value after the step being emitted, and no other value lies in its bytes. */
bool onednn_value_dies(const onednn_plan *plan, int value);
const nn_shape *onednn_shape(const onednn_plan *plan, int value);

/** A point to return to when what was emitted after it turns out not to work. */
typedef struct onednn_mark {
    size_t tensors, storages, operations;
} onednn_mark;
onednn_mark onednn_mark_here(const onednn_plan *plan);
/** Forget everything emitted since `mark` on behalf of `step`. */
void onednn_rewind(onednn_plan *plan, const plan_step *step, onednn_mark mark);

/* onednn_plan.c */
void onednn_fail(onednn_plan *plan, mien_status status, const char *what);
/** Append a primitive of `pd` (consumed, also on failure) with its scratchpad; returns its index or -1. */
int onednn_emit(onednn_plan *plan, dnnl_primitive_desc_t pd, const char *name);
void onednn_bind_tensor(onednn_plan *plan, int operation, int arg, int tensor);
/** Run the step as the plain-C operator: f32, row-major. Returns the output tensor. */
void onednn_operation_free(onednn_operation *operation);
int onednn_emit_plain(onednn_plan *plan, const plan_step *step);
/** Append an operation that is ours. */
int onednn_emit_own(onednn_plan *plan, onednn_kind kind, const plan_step *step, const char *name, const char *kernel);
/** Each pixel's channels lie together, without gaps, and there is one image. */
bool onednn_is_nhwc(const dnnl_memory_desc_t *md);
/** Global average of an eight-bit picture in NHWC; -1 without failing the plan when it is not that. */
int onednn_emit_mean(onednn_plan *plan, const plan_step *step);
/** A primitive descriptor, or NULL where oneDNN has none or only its reference code. Does not fail the plan. */
dnnl_primitive_desc_t onednn_try(onednn_plan *plan, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr);

/* Each emits one step and returns the tensor of its result, -1 on failure. */
int onednn_emit_linear(onednn_plan *plan, const plan_step *step);     /* onednn_linear.c: convolution, dense */
int onednn_emit_pointwise(onednn_plan *plan, const plan_step *step);  /* onednn_pointwise.c: activations, affine maps */
int onednn_emit_arithmetic(onednn_plan *plan, const plan_step *step); /* onednn_pointwise.c: two operands */
int onednn_emit_window(onednn_plan *plan, const plan_step *step);     /* onednn_window.c: pools, upsampling, softmax */
int onednn_emit_move(onednn_plan *plan, const plan_step *step);       /* onednn_move.c */
int onednn_emit_norm(onednn_plan *plan, const plan_step *step);       /* onednn_channel.c: layer normalisation */
int onednn_emit_channel_pool(onednn_plan *plan, const plan_step *step); /* onednn_channel.c */

/** onednn_eight.c: the same in eight bits; -1 without failing the plan where oneDNN cannot. */
int onednn_emit_eight(onednn_plan *plan, const plan_step *step);
/** onednn_eight_sum.c: arithmetic with operands and result in eight bits; -1 likewise. */
int onednn_emit_eight_sum(onednn_plan *plan, const plan_step *step);

typedef struct onednn_linear {
    nn_shape kernel;
    int groups;
    dnnl_memory_desc_t src, weights, bias, dst;
    bool convolution; /* or a transposed one */
    const plan_step *step;
} onednn_linear;
/** Type of what a layer with weights makes, where it is not in eight bits. */
dnnl_data_type_t onednn_result_type(const onednn_plan *plan, int value);
/** A network for which blocks of 16 channels are faster. */
bool onednn_prefers_blocks(const plan_program *program);
/** Descriptions of what a convolution or dense layer reads and writes, layouts open. */
onednn_linear onednn_linear_describe(onednn_plan *plan, const plan_step *step);
dnnl_primitive_desc_t onednn_linear_try(onednn_plan *plan, const onednn_linear *l, const_dnnl_primitive_attr_t attr);

/* onednn_post.c */
typedef struct onednn_posts {
    dnnl_primitive_attr_t attr; /* owned */
    dnnl_post_ops_t ops;        /* owned until attached */
    int sum_tensor;             /* the operand of a sum post, or -1 */
    int bind_count;
    onednn_bind binds[ONEDNN_MAX_ARGS]; /* binary posts' second operands */
} onednn_posts;

/** Attributes for the first `count` posts of the step. dst: the layout of the result, for operands of the same shape.
 *  `sum`: an addition of a dying value may become a sum into its bytes. False when a post cannot be expressed. */
bool onednn_posts_init(onednn_plan *plan, const plan_step *step, int count, const dnnl_memory_desc_t *dst, bool sum,
                       onednn_posts *posts);
void onednn_posts_done(onednn_posts *posts);
/** A binary post with this tensor as the second operand. */
bool onednn_posts_binary(onednn_plan *plan, dnnl_alg_kind_t kind, int tensor, onednn_posts *posts);
/** The step reads the value in one place only, so that its bytes may become the result's. */
bool onednn_reads_once(const plan_step *step, int value);
void onednn_posts_bind(onednn_plan *plan, int operation, const onednn_posts *posts);
/** Posts from..end as operations of their own on `tensor`; returns the result. */
int onednn_emit_posts(onednn_plan *plan, const plan_step *step, int from, int tensor);
/** One pointwise function on a tensor (which is overwritten when `dies`). */
int onednn_emit_unary(onednn_plan *plan, const plan_post *post, const char *name, int tensor, bool dies);
/** How oneDNN calls a pointwise operator; false for those it has not. */
bool onednn_eltwise(nn_op op, float alpha, float beta, dnnl_alg_kind_t *kind, float *a, float *b);

#endif
