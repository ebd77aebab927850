/* How a oneDNN tape is put together: values, buffers and steps.
 *
 * Creation walks the graph forward and then backward. Each operator appends steps; a step is a oneDNN primitive or a
 * plain function, with the buffers that it reads and writes. When all steps stand, every buffer's first and last use
 * are known and buffers that never live at once share memory (onednn_tape_memory.c): gradients run through a few warm
 * blocks instead of each having memory of its own. Running a tape is then a walk over the steps of a phase.
 *
 * Creation is sticky like graph building: after a failure every builder function does nothing.
 */
#ifndef NN_ONEDNN_TAPE_H
#define NN_ONEDNN_TAPE_H

#include "base/memory.h"
#include "nn/onednn.h"
#include "nn/tape_backend.h"

enum tape_phase {
    PHASE_PREPARE = 1, /* parameters changed */
    PHASE_TRAIN = 2,   /* forward with batch statistics and dropout */
    PHASE_EVAL = 4,    /* forward with running statistics */
    PHASE_BACKWARD = 8,
    PHASE_FORWARD = PHASE_TRAIN | PHASE_EVAL
};

/** In place of a buffer: the caller's flat arrays. */
enum { TAPE_PARAMETERS = -2, TAPE_GRADIENTS = -3, TAPE_NONE = -1 };

typedef struct tape_buffer {
    size_t bytes;
    int first, last; /* steps; last < first = never used */
    bool fixed;      /* keeps its memory for the tape's whole life */
    char *data;
} tape_buffer;

/** Where a tensor lies and how. */
typedef struct tape_place {
    int buffer;
    dnnl_memory_desc_t md;
} tape_place;

enum { TAPE_MAX_FORMS = 4 };

/** A node's output: its own form, and copies in other layouts that consumers asked for. */
typedef struct tape_value {
    tape_place forms[TAPE_MAX_FORMS];
    int form_count;
    tape_place gradient; /* buffer TAPE_NONE: none yet */
    bool gradient_owned; /* nobody else reads that buffer: it may be added to in place */
} tape_value;

/** What an operator's forward pass leaves for its backward pass. */
typedef struct tape_node {
    dnnl_primitive_desc_t pd;
    tape_place source, other, result; /* first and second input as used, output */
    int weights[4];                   /* buffers of prepared weights */
    int mean, variance, workspace;
    int fused;    /* node of the activation that this one computes too, or -1 */
    int fused_by; /* node that computes this activation, or -1 */
} tape_node;

struct onednn_tape;
struct tape_step;
typedef void tape_function(struct onednn_tape *tape, const struct tape_step *step);

typedef struct tape_operand {
    int buffer;
    size_t offset;        /* floats, for the caller's arrays */
    dnnl_memory_t memory; /* of a primitive's operand */
    void *data;           /* resolved when memory is laid out or the caller's array is known */
} tape_operand;

typedef struct tape_step {
    unsigned phase;
    onednn_step primitive; /* primitive.primitive NULL: a plain function */
    tape_function *function;
    int count;
    tape_operand operands[ONEDNN_MAX_ARGS];
    int64_t size[6]; /* the function's own numbers */
    float factor[2];
    int flags[4];
} tape_step;

typedef struct onednn_tape {
    const nn_graph *graph;
    onednn_context context;
    dnnl_data_type_t type; /* of activations and their gradients */
    nn_shape *shapes;
    size_t *offsets;
    bool *used, *needs_gradient;
    int *consumers; /* how many used nodes and outputs read a node */
    tape_value *values;
    tape_node *nodes;
    tape_buffer *buffers;
    int buffer_count, buffer_capacity;
    tape_step **steps;
    int step_count, step_capacity;
    memory_arena arena; /* the arrays above and the steps */
    void *block;        /* all buffers */
    size_t block_bytes;
    int scratch; /* one buffer for every primitive's scratchpad */
    int current; /* node being built, for errors */
    int input_buffer;
    tape_place *outputs; /* plain f32, one per graph output */
    tape_place *output_gradients;
    const float *parameters; /* of the last forward */
    bool trained;            /* the last forward was a training one */
    uint64_t seed;
    mien_status failed;
    mien_error error;
} onednn_tape;

/* ---- building ---- */

void tape_fail(onednn_tape *tape, mien_status status);
int tape_buffer_add(onednn_tape *tape, size_t bytes, bool fixed);
int tape_buffer_for(onednn_tape *tape, const dnnl_memory_desc_t *md, bool fixed);

/** A primitive of `pd`, whose scratchpad is bound. NULL after a failure; tape_bind accepts that. */
tape_step *tape_primitive(onednn_tape *tape, unsigned phase, const_dnnl_primitive_desc_t pd);
void tape_bind(onednn_tape *tape, tape_step *step, int arg, const dnnl_memory_desc_t *md, int buffer);
void tape_bind_external(onednn_tape *tape, tape_step *step, int arg, const dnnl_memory_desc_t *md, int array,
                        size_t offset);
/** A plain function; NULL after a failure. */
tape_step *tape_call(onednn_tape *tape, unsigned phase, tape_function *function);
/** The next operand, operands[i].data while running. */
void tape_use(onednn_tape *tape, tape_step *step, int buffer);
void tape_use_external(onednn_tape *tape, tape_step *step, int array, size_t offset);

/** Create a descriptor; NULL after a failure. The caller destroys it (or keeps it in its tape_node). */
dnnl_primitive_desc_t tape_describe(onednn_tape *tape, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr,
                                    const_dnnl_primitive_desc_t hint);

/** A step that copies between layouts and types. */
void tape_reorder(onednn_tape *tape, unsigned phase, const tape_place *from, const tape_place *to);

/** Set a node's own form. */
void tape_set_value(onednn_tape *tape, int node, int buffer, const dnnl_memory_desc_t *md);
/** A node's value in its own layout and the tape's type. */
tape_place tape_source(onednn_tape *tape, int node, unsigned phase);
/** A node's value in a given layout and type; emits a reorder when it does not exist yet. */
tape_place tape_source_as(onednn_tape *tape, int node, const dnnl_memory_desc_t *md, unsigned phase);
/** Plain layout, the tape's type. */
tape_place tape_source_plain(onednn_tape *tape, int node, unsigned phase);

/** A node's finished gradient in its value's layout; false when it has none (nothing depends on it). */
bool tape_gradient(onednn_tape *tape, int node, tape_place *gradient);
/** The same in a given layout (type included). */
tape_place tape_place_as(onednn_tape *tape, const tape_place *from, const dnnl_memory_desc_t *md, unsigned phase);
/** Add to a node's gradient. `owned`: the buffer was made for this call. */
void tape_contribute(onednn_tape *tape, int node, const tape_place *gradient, bool owned);
/** A new place of that description. */
tape_place tape_place_new(onednn_tape *tape, const dnnl_memory_desc_t *md);

/** Prepared copies of a weight: plain f32, or in a primitive's layout from a description of the plain one. */
int tape_weight_plain(onednn_tape *tape, int weight);
int tape_weight_as(onednn_tape *tape, int weight, const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *md);
bool tape_trainable(const onednn_tape *tape, int weight);
/** Add `count` floats of a buffer to a weight's gradient. */
void tape_add_gradient(onednn_tape *tape, int weight, int buffer);

/** The node that alone reads this one, if that is an activation of kind `op` and nobody else sees the value; else -1.
 */
int tape_only_consumer(const onednn_tape *tape, int node, nn_op op);

dnnl_memory_desc_t tape_typed(const dnnl_memory_desc_t *md, dnnl_data_type_t type);
/** Does the layout hold padding lanes (channels that do not fill a block)? */
bool tape_padded(const dnnl_memory_desc_t *md);

/* ---- operators: forward and backward of one node ---- */

void tape_conv_forward(onednn_tape *tape, int node);
void tape_conv_backward(onednn_tape *tape, int node);
void tape_dense_forward(onednn_tape *tape, int node);
void tape_dense_backward(onednn_tape *tape, int node);
void tape_norm_forward(onednn_tape *tape, int node);
void tape_norm_backward(onednn_tape *tape, int node);
/** Hand the batch statistics to the caller; part of the backward pass, alone where nothing before is trainable. */
void tape_norm_report(onednn_tape *tape, int node);
void tape_eltwise_forward(onednn_tape *tape, int node);
void tape_eltwise_backward(onednn_tape *tape, int node);
void tape_pool_forward(onednn_tape *tape, int node);
void tape_pool_backward(onednn_tape *tape, int node);
void tape_binary_forward(onednn_tape *tape, int node);
void tape_binary_backward(onednn_tape *tape, int node);
void tape_concat_forward(onednn_tape *tape, int node);
void tape_concat_backward(onednn_tape *tape, int node);
void tape_alias_forward(onednn_tape *tape, int node);
void tape_alias_backward(onednn_tape *tape, int node);
void tape_transpose_forward(onednn_tape *tape, int node);
void tape_transpose_backward(onednn_tape *tape, int node);
void tape_window_forward(onednn_tape *tape, int node);
void tape_window_backward(onednn_tape *tape, int node);
void tape_upsample_forward(onednn_tape *tape, int node);
void tape_upsample_backward(onednn_tape *tape, int node);
void tape_softmax_forward(onednn_tape *tape, int node);
void tape_softmax_backward(onednn_tape *tape, int node);
void tape_channel_forward(onednn_tape *tape, int node);
void tape_channel_backward(onednn_tape *tape, int node);
void tape_dropout_forward(onednn_tape *tape, int node);
void tape_dropout_backward(onednn_tape *tape, int node);

/** Rectifier backward from the output: the gradient before the rectifier. */
tape_place tape_relu_backward(onednn_tape *tape, const tape_place *result, const tape_place *gradient);
/** Elementwise dnnl_binary_* of two places of one layout into a third (which may be the first). */
void tape_binary(onednn_tape *tape, unsigned phase, dnnl_alg_kind_t alg, const tape_place *a, const tape_place *b,
                 const tape_place *to);

/* ---- memory ---- */

/** Give every buffer its place in one block. */
mien_status tape_lay_out(onednn_tape *tape, mien_error *error);

#endif
