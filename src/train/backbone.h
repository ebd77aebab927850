/* The lower part of another model, to stand a new head on. */
#ifndef TRAIN_BACKBONE_H
#define TRAIN_BACKBONE_H

#include "model/model.h"

/**
 * Copy a model's network up to its last feature map (the last value with a height and width above 1 on the way to its
 * first output). Normalisations become fixed scales and shifts, as they are in inference: a frozen layer must not
 * follow the statistics of new data, and fine-tuning is steadier without (Keras's own advice for transfer learning).
 * @param side    height and width of the input where the model leaves them open.
 * @param to      empty.
 * @param layers  [out] layers with weights that were copied.
 * @return the feature map's node; -1 on failure, see `error`.
 */
int backbone_copy(const model *from, int side, nn_graph *to, int *layers, mien_error *error);

#endif
