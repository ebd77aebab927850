/* Each answer of an evaluation as a line of CSV, for whoever computes figures of their own. */
#ifndef APP_EVAL_PREDICTIONS_H
#define APP_EVAL_PREDICTIONS_H

#include "eval_output.h"

/** Replace `path` by one line for each model and picture: model, data, row (counted from 0), file (of pictures in
 *  files), true and said class, and the probability of each class. */
mien_status eval_predictions_write(const char *path, const eval_results *results, mien_error *error);

#endif
