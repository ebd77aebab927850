/* A network as data: nodes, attributes and named f32 weights, in the order of execution.
 *
 * The graph is what the ONNX and Keras readers make, what architectures are written in and what the ONNX writer saves.
 * It computes nothing: nn/plan.h runs it fast, nn/tape.h trains it, nn/reference.h is the plain-C truth of both.
 * Activations are NCHW (or [N,F] after flatten), dim[0] is the batch and is NN_BATCH in every stored shape.
 * A graph may be read from several threads; building and editing it is for one.
 */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include <mien/base.h>

#include <stdbool.h>

enum { NN_MAX_RANK = 6, NN_MAX_INPUTS = 16, NN_BATCH = -1 };

/** NN_DYNAMIC height/width (fully convolutional networks) are stored as -2 and fixed when a plan is made. */
enum { NN_DYNAMIC = -2 };

/** Limits that keep a hostile file from asking for the machine: elements of one image's tensor and of one weight,
 *  nodes and weights of one graph, any attribute (kernel, stride, padding, axis bounds). */
enum { NN_MAX_ELEMENTS = 1 << 30, NN_MAX_WEIGHT = 1 << 28, NN_MAX_NODES = 16384, NN_MAX_ATTRIBUTE = 1 << 20 };

typedef struct nn_shape {
    int rank;
    int64_t dim[NN_MAX_RANK];
} nn_shape;

/** Operators, by ONNX meaning where there is one. weights[] below: index into graph->weights or -1. */
typedef enum nn_op {
    NN_INPUT = 0,      /* shape [NN_BATCH, …]; dims 2 and 3 may be NN_DYNAMIC */
    NN_CONV,           /* weights: 0 kernel [O, I/groups, kh, kw], 1 bias [O] or -1 */
    NN_CONV_TRANSPOSE, /* weights as NN_CONV's, so that both fold alike; adds stride·x steps apart, pads cut off */
    NN_DENSE,          /* weights: 0 kernel [O, I], 1 bias [O] or -1; input [N,I] */
    NN_BATCH_NORM,     /* weights: 0 gamma, 1 beta, 2 running mean, 3 running variance, each [C] */
    NN_LAYER_NORM,     /* weights: 0 scale, 1 shift, each [size of `axis`] or -1; to mean 0, variance 1 along `axis` */
    NN_SCALE_SHIFT,    /* weights: 0 scale [C] or -1, 1 shift [C] or -1; a constant affine map per channel */
    NN_RELU,
    NN_CLIP,       /* min..max; ReLU6 is 0..6 */
    NN_LEAKY_RELU, /* alpha */
    NN_ELU,        /* alpha */
    NN_SIGMOID,
    NN_TANH,
    NN_SWISH,        /* x · sigmoid(x) */
    NN_HARD_SIGMOID, /* clip(alpha·x + beta, 0, 1) */
    NN_HARD_SWISH,   /* x · clip(x/6 + 1/2, 0, 1) */
    NN_GELU,         /* x/2 · (1 + erf(x/√2)) */
    NN_GELU_TANH,    /* the same with erf(x/√2) as tanh(√(2/π) · (x + 0.044715·x³)) */
    NN_SOFTPLUS,     /* log(1 + exp(x)) */
    NN_EXP,
    NN_ERF,
    NN_PRELU,           /* weights: 0 slope [C] or [1] */
    NN_MAX_POOL,        /* padding counts as minus infinity */
    NN_AVG_POOL,        /* count_include_pad */
    NN_GLOBAL_AVG_POOL, /* [N,C,H,W] -> [N,C,1,1] */
    NN_GLOBAL_MAX_POOL,
    NN_CHANNEL_MEAN, /* [N,C,H,W] -> [N,1,H,W] */
    NN_CHANNEL_MAX,
    NN_ADD, /* 2 inputs: same shape, or the second [N,C,1,1] or [N,1,H,W] (broadcast) */
    NN_SUB,
    NN_MUL,
    NN_DIV,
    NN_CONCAT,    /* axis */
    NN_FLATTEN,   /* [N, …] -> [N, product], NCHW order */
    NN_RESHAPE,   /* shape; dim[0] stays the batch; one other dim may be -1, "the rest" (NN_DYNAMIC when unknown) */
    NN_TRANSPOSE, /* permutation; permutation[0] is 0 */
    NN_SLICE,     /* axis, begin, end (end exclusive, -1 never: already resolved) */
    NN_PAD,       /* pad_*: zeros around H and W */
    NN_UPSAMPLE,  /* nearest, factor stride_h × stride_w */
    NN_SOFTMAX,   /* axis (last axis of [N,F], or given) */
    NN_DROPOUT,   /* alpha = probability; identity at inference */
    NN_IDENTITY,
    NN_OP_COUNT
} nn_op;

/** One node. Fields that an operator does not use are 0 (strides, dilations and groups of 0 are taken as 1, a kernel of
 * 0 as the weight's; a softmax axis of 0 as the last). Operators without weights get weights[] -1 by themselves. */
typedef struct nn_node {
    nn_op op;
    char *name; /* unique; owned by the graph; names the node in errors and in ONNX */
    int input_count;
    int inputs[NN_MAX_INPUTS]; /* indices of earlier nodes; each node has one output */
    int weights[4];            /* indices into graph->weights, -1 = none */
    nn_shape shape;            /* of the output, inferred by nn_graph_add */
    int groups;                /* convolutions; = channels for depthwise */
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w; /* dilation 1 = dense */
    int pad_top, pad_left, pad_bottom, pad_right;
    int extra_h, extra_w;    /* transposed convolution: rows and columns more at the end, less than the stride */
    float alpha, beta;       /* slopes, drop probability, clip minimum (alpha) and maximum (beta) */
    float epsilon, momentum; /* of norms; running = momentum·running + (1-momentum)·batch */
    bool count_include_pad;
    int axis, begin, end;
    int permutation[NN_MAX_RANK];
} nn_node;

enum {
    NN_WEIGHT_TRAINABLE = 1 << 0, /* gradients are computed */
    NN_WEIGHT_DECAY = 1 << 1,     /* weight decay applies: kernels, not biases nor normalisation */
    NN_WEIGHT_STATISTIC = 1 << 2, /* running mean or variance */
    NN_WEIGHT_GLOROT = 1 << 3     /* nn_graph_initialise draws this kernel as Keras does by default */
};

typedef struct nn_weight {
    char *name; /* unique; owned */
    nn_shape shape;
    size_t count; /* product of shape */
    float *data;  /* owned, 64-byte aligned */
    unsigned flags;
} nn_weight;

typedef struct nn_graph {
    nn_node *nodes;
    int node_count;
    nn_weight *weights;
    int weight_count;
    int *outputs; /* node indices */
    int output_count;
    int node_capacity, weight_capacity, output_capacity;
    mien_status failed; /* sticky: after a failed build step every later one does nothing and returns -1 */
    mien_error error;
} nn_graph;

/** Zero-initialised means empty. */
void nn_graph_done(nn_graph *graph);
mien_status nn_graph_copy(const nn_graph *from, nn_graph *to, mien_error *error);

/** A weight of that shape, zeroed. Returns its index, -1 on failure (see graph->failed). */
int nn_graph_weight(nn_graph *graph, const char *name, nn_shape shape, unsigned flags);
/**
 * Append a node: checks the inputs, the weights' shapes and the attributes, infers the output shape, checks its size.
 * `node->name` is copied. Returns the node's index, -1 on failure: graph->failed and graph->error say why, naming it.
 */
int nn_graph_add(nn_graph *graph, const nn_node *node);
mien_status nn_graph_set_output(nn_graph *graph, int node);
/** Give a node another name, which no other node may have. MIEN_OK or the failure, as nn_graph_add. */
mien_status nn_graph_rename(nn_graph *graph, int node, const char *name);
/** Index of the first NN_INPUT node, or -1. */
int nn_graph_input(const nn_graph *graph);

/** Elements of a shape whose sizes are all fixed (a batch of NN_BATCH counts as 1); 0 where one is NN_DYNAMIC. */
size_t nn_shape_count(const nn_shape *shape);
bool nn_shape_equal(const nn_shape *a, const nn_shape *b);

/**
 * Every node's output shape with the batch and the open sizes filled in, checked anew.
 * @param height,width  replace NN_DYNAMIC in the inputs; 0 where nothing is open (MIEN_EINVAL otherwise).
 * @param shapes        [out] graph->node_count shapes.
 */
mien_status nn_graph_shapes(const nn_graph *graph, int64_t batch, int64_t height, int64_t width, nn_shape *shapes,
                            mien_error *error);

/** Multiply-adds of one image (convolutions and dense layers; an open height or width counts as 1), saturating, and
 *  trainable numbers. */
uint64_t nn_graph_multiply_adds(const nn_graph *graph);
uint64_t nn_graph_parameters(const nn_graph *graph);

/** Convolutions and dense layers: weight 0 is a kernel [O, I, …]. */
bool nn_op_has_kernel(nn_op op);
/** Name of an operator, as ONNX has it where it does: "Conv". */
const char *nn_op_name(nn_op op);

/* Short forms for architectures. Each returns a node index or -1 and is safe to call after a failure. Weights are
 * created, named "<name>.weight", "<name>.bias", … and initialised by nn_graph_initialise. */
int nn_input(nn_graph *graph, const char *name, int64_t channels, int64_t height, int64_t width);
/** Padding "same" for odd kernels at stride 1: kernel/2 on each side. */
int nn_conv(nn_graph *graph, const char *name, int input, int filters, int kernel, int stride, int pad, int groups,
            bool bias);
int nn_batch_norm(nn_graph *graph, const char *name, int input);
int nn_dense(nn_graph *graph, const char *name, int input, int features, bool bias);
/** Activations (slopes: leaky 0.01, ELU 1, PReLU a weight [C] of 0.25, clip 0..6, hard sigmoid 1/6 and 1/2), global
 * pools, flatten, softmax, identity. */
int nn_unary(nn_graph *graph, nn_op op, const char *name, int input);
int nn_binary(nn_graph *graph, nn_op op, const char *name, int a, int b);
int nn_pool(nn_graph *graph, nn_op op, const char *name, int input, int kernel, int stride, int pad);
int nn_dropout(nn_graph *graph, const char *name, int input, float probability);

/** He-normal kernels (fan-in; Glorot-uniform for the last dense layer before a softmax or an output, and where
 *  NN_WEIGHT_GLOROT says so), zero biases, gamma 1, beta 0, mean 0, variance 1. Deterministic in `seed`. */
void nn_graph_initialise(nn_graph *graph, uint64_t seed);

#endif
