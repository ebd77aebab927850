/* The two ways of running a tape: oneDNN (nn/onednn_tape.c) and plain C (nn/reference_tape.c). */
#ifndef NN_TAPE_BACKEND_H
#define NN_TAPE_BACKEND_H

#include "nn/tape.h"

typedef struct tape_backend {
    mien_status (*create)(const nn_graph *graph, const nn_tape_options *options, void **state, mien_error *error);
    void (*destroy)(void *state);
    float *(*input)(void *state);
    nn_shape (*output_shape)(const void *state, size_t output);
    const float *(*output)(const void *state, size_t output);
    mien_status (*forward)(void *state, const float *parameters, bool fresh, bool training, uint64_t seed,
                           mien_error *error);
    mien_status (*backward)(void *state, const float *const *output_gradients, float *gradients, mien_error *error);
} tape_backend;

extern const tape_backend tape_onednn;
extern const tape_backend tape_reference;

/** A dropout's mask, 1 = kept, from the forward's seed and the node's index: 16 bits a number, so that the probability
 * is met to 1/65536. */
void tape_draw_mask(float probability, uint64_t seed, uint64_t node, uint8_t *keep, size_t count);

/** The node whose value output `output` gives: the softmax at the end is left out. */
int tape_output_node(const nn_graph *graph, size_t output);
/** used[i]: does node i contribute to an output? gradient[i]: does a trainable weight stand at or before it? Both hold
 *  graph->node_count entries. */
void tape_mark(const nn_graph *graph, bool *used, bool *gradient);

#endif
