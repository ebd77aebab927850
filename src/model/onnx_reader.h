/* What the files that read ONNX operators share: the state of one reading, and how an operator gets at its inputs and
 * attributes. Private to src/model/onnx_*.c. */
#ifndef MODEL_ONNX_READER_H
#define MODEL_ONNX_READER_H

#include "base/error.h"
#include "model/onnx_document.h"

/** A dimension that is not known while reading, as shape arithmetic sees it. */
#define ONNX_DIM_BATCH INT64_MIN
#define ONNX_DIM_OPEN (INT64_MIN + 1)
#define ONNX_DIM_UNKNOWN (INT64_MIN + 2) /* computed from one of the others */

/**
 * What a name stands for. The last four wait: the operator is not in the graph yet, because its only consumer may turn
 * it into something better (x·sigmoid(x) is Swish, x·a+b one ScaleShift, x·W+b one dense layer, a transposed input
 * needs no transposition). Whoever else asks for the value gets it added as it is.
 */
typedef enum onnx_value_kind {
    ONNX_VALUE_NONE = 0, /* not computed yet */
    ONNX_VALUE_NODE,
    ONNX_VALUE_CONSTANT,
    ONNX_VALUE_NHWC,   /* [N,H,W,C] in the file; `node` is the graph's [N,C,H,W] */
    ONNX_VALUE_GATE,   /* sigmoid or hard sigmoid of `node` */
    ONNX_VALUE_SCALED, /* `node` times the constant, per channel */
    ONNX_VALUE_MATMUL  /* `node` times the constant matrix [I, O] */
} onnx_value_kind;

typedef struct onnx_value {
    const char *name;
    onnx_value_kind kind;
    int node; /* index in the graph */
    const onnx_tensor *constant;
    nn_op op;          /* of a gate */
    float alpha, beta; /* of a gate */
    size_t uses;       /* by nodes and as a graph output */
    onnx_node *maker;  /* NULL: an input or a tensor of the file */
    bool is_output;
} onnx_value;

typedef struct onnx_reader {
    const onnx_document *document;
    const onnx_node *at; /* being read */
    bool turned;         /* its [N,H,W,C] operands are given as the graph's [N,C,H,W], and so is its result */
    nn_graph *graph;
    onnx_value *values; /* sorted by name */
    size_t value_count;
    int64_t batch; /* the first input's fixed batch, or -1 */
    memory_arena arena;
    size_t weight_bytes, max_weight_bytes;
    mien_error *error;
} onnx_reader;

typedef mien_status (*onnx_handler)(onnx_reader *r);

/** `node "name" (Op): …` */
mien_status onnx_fail(onnx_reader *r, mien_status code, const char *format, ...) MIEN_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* see base/error.h */
#define onnx_fail(r, code, ...) error_known((onnx_fail)(r, code, __VA_ARGS__), code)
#endif

/** Input `index` of the current node; NULL when it is left out. */
onnx_value *onnx_input(const onnx_reader *r, size_t index);
onnx_value *onnx_find(const onnx_reader *r, const char *name);
/** The graph node that computes input `index`. */
mien_status onnx_activation(onnx_reader *r, size_t index, int *node);
/** Input `index` as a constant that can be read. */
mien_status onnx_constant(onnx_reader *r, size_t index, const onnx_tensor **tensor);
/** The value as a graph node, adding it when it was waiting. */
mien_status onnx_realise(onnx_reader *r, onnx_value *value, int *node);

const onnx_attribute *onnx_attribute_find(const onnx_reader *r, const char *name);
int64_t onnx_attribute_int(const onnx_reader *r, const char *name, int64_t otherwise);
float onnx_attribute_float(const onnx_reader *r, const char *name, float otherwise);
const char *onnx_attribute_text(const onnx_reader *r, const char *name, const char *otherwise);
/** `count` whole numbers, each within int; `values` keeps what it held when the attribute is absent. */
mien_status onnx_attribute_ints(onnx_reader *r, const char *name, int *values, size_t count);
/** Whole numbers from attribute `name` or, where newer operator sets moved them, from constant input `index`.
 *  *count is 0 when neither is there. */
mien_status onnx_list(onnx_reader *r, const char *name, size_t index, const int64_t **values, size_t *count);
/** The same for one float: attribute, else scalar input, else what *value holds. */
mien_status onnx_scalar(onnx_reader *r, const char *name, size_t index, float *value);

/** A fresh node of `op` with one input. */
nn_node onnx_unary(nn_op op, int input);
/** Add `node` under the name of output 0 of the current node and let that name stand for it. */
mien_status onnx_emit(onnx_reader *r, nn_node *node);
/** Add a helper node named after output 0 with `suffix`. */
mien_status onnx_emit_part(onnx_reader *r, nn_node *node, const char *suffix, int *index);
/** Let output 0 stand for a node that is there already. */
void onnx_alias(onnx_reader *r, int node);
/** Let output 0 wait (see onnx_value_kind). */
void onnx_defer(onnx_reader *r, onnx_value_kind kind, int node, const onnx_tensor *constant);
/** Whether output 0 may wait: one consumer, and it is not an output of the graph. */
bool onnx_may_defer(const onnx_reader *r);
/** A weight of the graph; an equal one of the same name is shared. *index is the result. */
mien_status onnx_weight(onnx_reader *r, const char *name, nn_shape shape, unsigned flags, const float *data,
                        int *index);
/** A [count] weight straight from constant input `index`. */
mien_status onnx_vector(onnx_reader *r, size_t index, int64_t count, unsigned flags, int *weight);
/** Axis counted from the end when negative. */
mien_status onnx_axis(onnx_reader *r, int64_t axis, int rank, int *out);

/** onnx_turn.c: read the current node on the graph's [N,C,H,W] when its operands are [N,H,W,C] in the file and it can
 *  work so; *done says whether it was. A handler that must know looks at r->turned. */
mien_status onnx_read_turned(onnx_reader *r, onnx_handler handler, bool *done);
/** A constant that falls on [N,H,W,C] as one that falls on [N,C,H,W] in the same way. */
mien_status onnx_turn_constant(onnx_reader *r, const onnx_tensor *constant, const onnx_tensor **turned);

/** onnx_fuse.c: what exporters write for an operator that ONNX got later becomes that operator, before reading. */
mien_status onnx_fuse(onnx_reader *r);
/** The domain of nodes that onnx_fuse made and ONNX does not have, told by its address. */
extern const char onnx_fused[];

/** Evaluate the current node when it only does arithmetic on constants and shapes; *done says whether it was. */
mien_status onnx_fold(onnx_reader *r, bool *done);

/** The handler of an operator, NULL when there is none. One table per file. */
onnx_handler onnx_layer_handler(const char *op);
onnx_handler onnx_norm_handler(const char *op);
onnx_handler onnx_activation_handler(const char *op);
onnx_handler onnx_arithmetic_handler(const char *op);
onnx_handler onnx_layout_handler(const char *op);

/* Used by more than one table. */
mien_status onnx_emit_dense(onnx_reader *r, int input, const onnx_tensor *kernel, bool transposed, float alpha,
                            const onnx_tensor *bias, float beta);
/** A constant of one number, or one for each channel, as a [channels] weight. */
mien_status onnx_channel_weight(onnx_reader *r, const onnx_tensor *constant, int64_t channels, int *weight);
mien_status onnx_emit_scale_shift(onnx_reader *r, int input, const onnx_tensor *scale, const onnx_tensor *shift);

#endif
