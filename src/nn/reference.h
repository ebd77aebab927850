/* The plain-C truth of every operator: NCHW f32, one loop nest per operator, sums in double. Slow on purpose.
 *
 * Kernel tests compare everything fast with it, plans run on it when options.reference is set, and a plan falls back on
 * it for the few cheap operators that oneDNN would only run on its own reference code.
 */
#ifndef NN_REFERENCE_H
#define NN_REFERENCE_H

#include "nn/graph.h"

/** One operator applied to concrete tensors (every dimension ≥ 1, plain row-major layout). */
typedef struct nn_reference_call {
    const nn_node *node;
    const nn_weight *weights; /* of the graph; node->weights indexes it */
    const nn_shape *to;       /* concrete shape of the output */
    const nn_shape *from[NN_MAX_INPUTS];
    const float *inputs[NN_MAX_INPUTS];
    float *output; /* overlaps no input */
} nn_reference_call;

/** Inference semantics: running statistics, no dropout. The shapes must follow from the node, as nn_graph_add checks
 *  them; nothing is checked again here. NN_INPUT does nothing. */
void nn_reference_apply(const nn_reference_call *call);

/** Value of a pointwise operator (NN_RELU … NN_ERF, not NN_PRELU) at x. */
float nn_reference_unary(const nn_node *node, float x);

/** √(2/π) · (x + 0.044715·x³), whose tanh stands for erf(x/√2) in NN_GELU_TANH. */
double nn_reference_gelu_argument(double x);

/* The families, one file each; nn_reference_apply chooses. */
void nn_reference_window(const nn_reference_call *call); /* convolution, pooling, padding, upsampling */
void nn_reference_move(const nn_reference_call *call);   /* concat, slice, transpose, copies */

/** Product of the dimensions from..to-1. */
size_t nn_reference_span(const nn_shape *shape, int from, int to);

#endif
