/* One step of the parameters: the microbatches' gradients are summed, clipped and applied, running statistics and the
 * average of the weights are moved. Everything is flat arrays in the layout of nn_parameters_layout. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "base/thread_pool.h"
#include "nn/tape.h"
#include "train/cluster.h"
#include "train/config.h"

typedef struct optimizer optimizer;

/**
 * @param graph   structure and flags are copied; the parameters begin as its weights.
 * @param slots   microbatches of a step in this process, each with a gradient array of its own.
 * @param all_slots  those of all processes.
 * @param frozen  [weight_count] 1 = never changed; NULL = none.
 */
mien_status optimizer_create(const nn_graph *graph, const train_config *config, size_t slots, size_t all_slots,
                             const uint8_t *frozen, optimizer **out, mien_error *error);
void optimizer_destroy(optimizer **opt);

/** Floats in each array. */
size_t optimizer_count(const optimizer *opt);
float *optimizer_parameters(optimizer *opt);
/** The running average, or the parameters themselves where there is none. */
float *optimizer_average(optimizer *opt);
/** Where a slot adds its gradient; zero it first. */
float *optimizer_gradient(optimizer *opt, size_t slot);

/** Apply the slots' sum over all processes of `group` (already divided by the batch). Runs on the pool; the result does
 *  not depend on its threads. `norm` [out]: the gradient's before clipping. Fails only where processes cannot be
 * reached. */
mien_status optimizer_step(optimizer *opt, thread_pool *pool, const cluster *group, double rate, double *norm,
                           mien_error *error);

/** Put the mean of what the slots of all processes gathered, `rounds` microbatches each, in the place of the average's
 *  running statistics. Fails only where processes cannot be reached. */
mien_status optimizer_set_statistics(optimizer *opt, thread_pool *pool, const cluster *group, size_t rounds,
                                     mien_error *error);

/** Everything that a checkpoint must hold: `visit` is called with each array and number in a fixed order. */
typedef void (*optimizer_visit)(void *context, void *bytes, size_t length);
void optimizer_state(optimizer *opt, optimizer_visit visit, void *context);

#endif
