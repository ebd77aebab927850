/* Training: forward and backward of a graph for one microbatch, on one thread.
 *
 * The trainer (train/) splits each batch into microbatches of a fixed size and gives them to tapes on worker threads or
 * MPI ranks. Batch normalisation uses the statistics of its microbatch, gradients are summed in a fixed order: the
 * result depends on the microbatch size, never on how many threads or ranks there are.
 *
 * Parameters live in one flat f32 array, the graph's weights one after the other in plain layout, so that optimiser,
 * average, checkpoint and all-reduce are loops over one array. nn_parameters_layout gives the offsets.
 */
#ifndef NN_TAPE_H
#define NN_TAPE_H

#include "nn/graph.h"
#include "nn/plan.h"

/** Where graph->weights[i] lies in the flat array: offset[i] (each aligned to 16 floats). Returns the array's length.
 */
size_t nn_parameters_layout(const nn_graph *graph, size_t *offset);
void nn_parameters_from_graph(const nn_graph *graph, float *flat);
void nn_parameters_to_graph(const float *flat, nn_graph *graph);

typedef struct nn_tape_options {
    int microbatch;         /* images, ≥ 1 */
    int height, width;      /* as in nn_plan_options */
    nn_precision precision; /* NN_F32, or NN_BF16: arithmetic and activations in bf16, parameters and gradients f32 */
    bool reference;         /* plain C, for tests */
} nn_tape_options;

typedef struct nn_tape nn_tape;

/** MIEN_EUNSUPPORTED: an operator or a precision that this processor cannot train (bf16 takes AVX-512, anything AVX2).
 *  `graph` must outlive the tape; only its structure and flags are read. A final NN_SOFTMAX output is left out: the
 * tape gives logits. oneDNN runs on the calling thread only. */
mien_status nn_tape_create(const nn_graph *graph, const nn_tape_options *options, nn_tape **tape, mien_error *error);
void nn_tape_destroy(nn_tape **tape);

/** Plain NCHW f32 [microbatch, C, H, W]. */
float *nn_tape_input(nn_tape *tape);
nn_shape nn_tape_output_shape(const nn_tape *tape, size_t output);

/**
 * Forward. `parameters` is the flat array; call with `fresh` true when it changed since this tape's last call (the tape
 * then reorders or converts it). `training` true: batch statistics and dropout (drawn from `seed`); false: running
 * statistics, no dropout.
 */
mien_status nn_tape_forward(nn_tape *tape, const float *parameters, bool fresh, bool training, uint64_t seed,
                            mien_error *error);
/** Logits or other outputs, plain f32, valid until the next forward. */
const float *nn_tape_output(const nn_tape *tape, size_t output);

/**
 * Backward of the last training forward, once for each. output_gradients[o] has the shape of output o (NULL = zero).
 * Adds each trainable weight's gradient to `gradients` (same layout as the parameters). At statistics' places it adds
 * the microbatch's batch mean and (unbiased) variance, so that the trainer averages them over microbatches and moves
 * the running ones.
 */
mien_status nn_tape_backward(nn_tape *tape, const float *const *output_gradients, float *gradients, mien_error *error);

#endif
