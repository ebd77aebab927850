/* Ranges of activations from representative inputs, for eight-bit plans. */
#ifndef NN_PLAN_CALIBRATE_H
#define NN_PLAN_CALIBRATE_H

#include "nn/plan.h"
#include "nn/plan_program.h"

/** Run the (rewritten) program in f32 on options->calibration and fill in every value's scale and sign.
 *  @return MIEN_OK, MIEN_EINVAL (no calibration data, or a program of several inputs), MIEN_ENOMEM. */
mien_status plan_calibrate(plan_program *program, const nn_plan_options *options, mien_error *error);

/** The same from ranges that were found before, one per value (plan_ranges.c). */
void plan_apply_ranges(plan_program *program, const nn_range *ranges);

#endif
