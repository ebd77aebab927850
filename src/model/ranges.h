/* A model's plan, and the ranges that it needs for eight bits: found once, kept in the file as mien.int8.ranges. */
#ifndef MODEL_RANGES_H
#define MODEL_RANGES_H

#include "model/model.h"
#include "nn/plan.h"

/**
 * nn_plan_create of the model's network, with the stored ranges when options->precision is NN_INT8 and options has
 * neither ranges nor calibration inputs. MIEN_ENOTFOUND: it has none stored; MIEN_EFORMAT: they are damaged.
 */
mien_status model_plan_create(const model *m, const nn_plan_options *options, nn_plan **plan, mien_error *error);
/** Whether the model carries ranges. */
bool model_has_ranges(const model *m);
/** Find the ranges with options->calibration (and height, width) and store them in the model. */
mien_status model_calibrate(model *m, const nn_plan_options *options, mien_error *error);

#endif
