/* The plain-C truth of training: what nn/reference.h is to inference. NCHW f32, sums in double, slow on purpose. */
#ifndef NN_REFERENCE_BACKWARD_H
#define NN_REFERENCE_BACKWARD_H

#include "nn/reference.h"

/** The gradients of one operator. Every one is added to; NULL means that it is not asked for. */
typedef struct nn_reference_gradients {
    const nn_reference_call *call; /* the forward pass, its output included */
    const float *output;           /* gradient of the output */
    float *inputs[NN_MAX_INPUTS];
    float *weights[4];            /* by the node's slots */
    const float *mean, *variance; /* batch normalisation: of the microbatch */
    const uint8_t *keep;          /* dropout: what was kept */
    float *positions;             /* moves: scratch as long as all inputs and the output together */
} nn_reference_gradients;

/** Batch statistics of the input (variance biased), [C] each, and the output that follows from them. */
void nn_reference_norm_train(const nn_reference_call *call, float *mean, float *variance);
/** keep: 1 = kept and scaled by 1/(1 - probability). */
void nn_reference_dropout_train(const nn_reference_call *call, const uint8_t *keep);

/** A move's positions pass through f32, so its tensors may hold fewer than 2^24 numbers. */
enum { NN_REFERENCE_MOST = 1 << 24 };
void nn_reference_backward(const nn_reference_gradients *gradients);

/** Derivative of a pointwise operator at x; at a kink the one from the left. */
float nn_reference_slope(const nn_node *node, float x);

/* One file each; nn_reference_backward chooses. */
void nn_reference_window_backward(const nn_reference_gradients *gradients); /* convolution, pooling */
void nn_reference_move_backward(const nn_reference_gradients *gradients);   /* what only moves numbers */

#endif
