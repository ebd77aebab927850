/* ONNX into a model, and back. */
#ifndef MODEL_ONNX_READ_H
#define MODEL_ONNX_READ_H

#include "model/model.h"

/** `limits` has every field set. */
mien_status onnx_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out, mien_error *error);

#endif
