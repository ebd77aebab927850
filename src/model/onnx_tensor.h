/* Numbers of any ONNX element type as f32 or int64. */
#ifndef MODEL_ONNX_TENSOR_H
#define MODEL_ONNX_TENSOR_H

#include "model/onnx_document.h"

/** Where TensorProto may keep its numbers; exactly one of them is used, by element type. */
typedef struct onnx_storage {
    const uint8_t *raw; /* little-endian; NULL when absent */
    size_t raw_length;
    const float *floats;
    size_t float_count;
    const double *doubles;
    size_t double_count;
    const int32_t *narrow; /* also bool, int8, uint8, float16, bfloat16 */
    size_t narrow_count;
    const int64_t *wide;
    size_t wide_count;
} onnx_storage;

/** Fill in `tensor`'s numbers (dim and rank are set already). A tensor that cannot be read gets `unusable`, which is
 *  no failure until somebody needs it. False only when memory is short. */
bool onnx_tensor_load(onnx_tensor *tensor, int type, const onnx_storage *storage, memory_arena *arena);
/** Set rank and dim; multiplies them into count. False: a negative or absurd size. */
bool onnx_tensor_shape(onnx_tensor *tensor, const int64_t *dim, size_t rank);

#endif
