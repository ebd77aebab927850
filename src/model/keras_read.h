/* A Keras .h5 file into a model. */
#ifndef MODEL_KERAS_READ_H
#define MODEL_KERAS_READ_H

#include "model/model.h"

/** `limits` has every field set. */
mien_status keras_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out, mien_error *error);

#endif
