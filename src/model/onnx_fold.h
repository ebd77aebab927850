/* Evaluating operators on constants: shared by the two files that do it. */
#ifndef MODEL_ONNX_FOLD_H
#define MODEL_ONNX_FOLD_H

#include "model/onnx_reader.h"

/** Memory for the numbers of `out`, whose shape and kind are set: *ints or *floats, the other is NULL. */
mien_status onnx_fold_room(onnx_reader *r, onnx_tensor *out, int64_t **ints, float **floats);

mien_status onnx_fold_cast(onnx_reader *r, onnx_tensor *out);
mien_status onnx_fold_transpose(onnx_reader *r, onnx_tensor *out);
mien_status onnx_fold_slice(onnx_reader *r, onnx_tensor *out);
mien_status onnx_fold_add(onnx_reader *r, onnx_tensor *out);
mien_status onnx_fold_sub(onnx_reader *r, onnx_tensor *out);
mien_status onnx_fold_mul(onnx_reader *r, onnx_tensor *out);
mien_status onnx_fold_div(onnx_reader *r, onnx_tensor *out);

#endif
