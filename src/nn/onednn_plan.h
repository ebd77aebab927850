/* A program turned into oneDNN primitives: what plan.c sees. Immutable once made; shared between threads. */
#ifndef NN_ONEDNN_PLAN_H
#define NN_ONEDNN_PLAN_H

#include "nn/plan.h"
#include "nn/plan_program.h"

typedef struct onednn_plan onednn_plan;
typedef struct onednn_session onednn_session;

/** `program` is rewritten already and must outlive the plan. */
mien_status onednn_plan_create(const plan_program *program, const nn_plan_options *options, onednn_plan **plan,
                               mien_error *error);
void onednn_plan_destroy(onednn_plan **plan);
/** Some operation reads the program's weights while running (a plain-C operator with weights). */
bool onednn_plan_needs_weights(const onednn_plan *plan);
/** "node: implementation" of operation `step`; NULL past the end. */
const char *onednn_plan_name(const onednn_plan *plan, size_t step);

/** Bytes of a run's activations and scratchpads. */
size_t onednn_plan_block(const onednn_plan *plan);

mien_status onednn_session_create(const onednn_plan *plan, onednn_session **session, mien_error *error);
void onednn_session_destroy(onednn_session **session);
/** One image: plain f32 in and out, one pointer per input and output of the program. Allocates nothing.
 *  @param block  onednn_plan_block() bytes, 64-byte aligned; what is in them matters to nobody between two runs. */
mien_status onednn_session_run(onednn_session *session, unsigned char *block, float *const *inputs,
                               float *const *outputs, mien_error *error);

#endif
