/* What range of values a network was trained on, where its file does not say. */
#ifndef MODEL_KERAS_RANGE_H
#define MODEL_KERAS_RANGE_H

#include "model/model.h"

/** Sets info.input's scale, mean and std from the graph where they can be told; leaves them alone otherwise. */
void keras_guess_range(model *m);

#endif
