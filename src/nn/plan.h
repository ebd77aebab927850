/* Inference: a graph compiled once (normalisation folded, activations and sums fused, weights reordered into blocked
 * layouts) and run by sessions that allocate nothing.
 *
 * A plan is immutable and shared between threads. A session belongs to one thread at a time.
 */
#ifndef NN_PLAN_H
#define NN_PLAN_H

#include "base/buffer.h"
#include "nn/graph.h"

/** Without bf16 or VNNI instructions bf16 and int8 run as f32, which is faster there and at least as exact. */
typedef enum nn_precision { NN_F32 = 0, NN_BF16, NN_INT8 } nn_precision;

/** "f32", "bf16", "int8"; NULL outside the range. */
const char *nn_precision_name(nn_precision precision);
/** The precision of that name. False, and *precision untouched, when there is none. */
bool nn_precision_from_name(const char *name, nn_precision *precision);
/** What a plan of that precision really computes in on this processor: where the instructions are missing (AVX-512
 * BF16, VNNI), the next one that has them, at last f32. */
nn_precision nn_precision_here(nn_precision wanted);

/** Range of a node's output over representative inputs; {0} where it is not known or not needed. */
typedef struct nn_range {
    float most;    /* magnitude beyond which eight bits clip */
    bool negative; /* has numbers below zero */
} nn_range;

typedef struct nn_plan_options {
    int batch;         /* images per run, ≥ 1; default 1 */
    int height, width; /* of the input, where the graph leaves them NN_DYNAMIC; 0 otherwise */
    nn_precision precision;
    int threads; /* oneDNN threads within one run; default 1 */
    /* int8 only: ranges of the activations, graph->node_count of them (nn_calibrate, nn_ranges_read); or NULL and
     * representative inputs [count, C, H, W] to find them now. Borrowed for the call. */
    const nn_range *ranges;
    const float *calibration;
    int calibration_count;
    bool reference; /* run the plain-C operators instead: for tests */
} nn_plan_options;

/**
 * Find the ranges that an int8 plan needs, once, to be kept with the model.
 * @param options  height, width, threads and the calibration inputs are used.
 * @param ranges   [out] graph->node_count of them.
 * @return MIEN_OK, MIEN_EINVAL (no calibration inputs, several network inputs), MIEN_ENOMEM, as nn_plan_create.
 */
mien_status nn_calibrate(const nn_graph *graph, const nn_plan_options *options, nn_range *ranges, mien_error *error);
/** As text, a line per node, and back; MIEN_EFORMAT says where. Unknown nodes are ignored. */
mien_status nn_ranges_write(const nn_graph *graph, const nn_range *ranges, buffer *out);
mien_status nn_ranges_read(const nn_graph *graph, const char *text, nn_range *ranges, mien_error *error);

typedef struct nn_plan nn_plan;
typedef struct nn_session nn_session;
typedef struct nn_workspace nn_workspace; /* memory that sessions of one thread share */

void nn_plan_default_options(nn_plan_options *options);
/** `graph` is borrowed for the call. MIEN_EUNSUPPORTED names the node that cannot run. */
mien_status nn_plan_create(const nn_graph *graph, const nn_plan_options *options, nn_plan **plan, mien_error *error);
void nn_plan_destroy(nn_plan **plan);

size_t nn_plan_input_count(const nn_plan *plan);
size_t nn_plan_output_count(const nn_plan *plan);
/** Shapes with the batch and every size filled in. */
nn_shape nn_plan_input_shape(const nn_plan *plan, size_t index);
nn_shape nn_plan_output_shape(const nn_plan *plan, size_t index);
/** For each step of the plan "node: implementation", as oneDNN names it; NULL past the end. A name with "ref" is slow.
 */
const char *nn_plan_step_name(const nn_plan *plan, size_t step);

/** `plan` must outlive the session. */
mien_status nn_session_create(const nn_plan *plan, nn_session **session, mien_error *error);
/** A session whose inputs and activations lie in a workspace beside those of others. From the filling of its inputs
 *  to the end of its run nobody else may use the workspace, which must outlive that, but not the session. */
mien_status nn_session_create_in(const nn_plan *plan, nn_workspace *workspace, nn_session **session, mien_error *error);
void nn_session_destroy(nn_session **session);
/** Plain NCHW f32, to be filled before a run. Stays valid as long as the session; in a workspace of several until the
 *  next use of the workspace, and NULL when that has no memory. */
float *nn_session_input(nn_session *session, size_t index);
mien_status nn_session_run(nn_session *session, mien_error *error);
/** Plain NCHW f32, valid until the next run. */
const float *nn_session_output(const nn_session *session, size_t index);

/** Empty; grows to what its largest session needs. */
mien_status nn_workspace_create(nn_workspace **workspace, mien_error *error);
/** Accepts a pointer to NULL. Its sessions may be destroyed afterwards, no more. */
void nn_workspace_destroy(nn_workspace **workspace);
/** Give the memory back if it is more than `bytes`; the next run takes what it needs. */
void nn_workspace_trim(nn_workspace *workspace, size_t bytes);

#endif
