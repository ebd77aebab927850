/* A program run node by node with the plain-C operators: the truth that tests compare with, slow. */
#ifndef NN_PLAN_REFERENCE_H
#define NN_PLAN_REFERENCE_H

#include "nn/plan_program.h"

typedef struct plan_reference plan_reference;

/** `program` is imported, not rewritten, and must outlive this. */
mien_status plan_reference_create(const plan_program *program, plan_reference **reference, mien_error *error);
void plan_reference_destroy(plan_reference **reference);
/** One image. */
void plan_reference_run(plan_reference *reference, float *const *inputs, float *const *outputs);
/** "node: plain C" for every step; freed with memory_free. */
mien_status plan_reference_names(const plan_program *program, char (**names)[96], mien_error *error);

#endif
