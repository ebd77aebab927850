/* Putting an ONNX document together, node by node. A failure is sticky: every later step does nothing, and the writer
 * looks at `status` once. */
#ifndef MODEL_ONNX_SKETCH_H
#define MODEL_ONNX_SKETCH_H

#include "model/onnx_document.h"

/** Room in the document's arrays for each node of the graph. */
enum { ONNX_SKETCH_NODES = 3, ONNX_SKETCH_TENSORS = 5 };

typedef struct onnx_sketch {
    const nn_graph *graph;
    onnx_document document; /* its arrays are taken before the first node */
    const nn_node *at;      /* being written */
    mien_error *error;
    mien_status status;
} onnx_sketch;

/** Zeroed memory that lives as long as the document. */
void *sketch_take(onnx_sketch *w, size_t count, size_t size);
const char *sketch_join(onnx_sketch *w, const char *name, const char *suffix);

/** A node whose inputs and attributes the following calls add. `op` and `output` are borrowed. */
void sketch_add_node(onnx_sketch *w, const char *op, const char *output);
void sketch_add_input(onnx_sketch *w, const char *name);
void sketch_add_int(onnx_sketch *w, const char *name, int64_t value);
void sketch_add_float(onnx_sketch *w, const char *name, float value);
void sketch_add_text(onnx_sketch *w, const char *name, const char *value);
void sketch_add_ints(onnx_sketch *w, const char *name, const int *values, size_t count);

/** A constant tensor "<node><what>" as the next input: a list of whole numbers; floats, a list or (rank 0) one. */
void sketch_input_ints(onnx_sketch *w, const char *what, const int64_t *values, size_t count);
void sketch_input_floats(onnx_sketch *w, const char *what, const float *values, size_t count, int rank);
/** Weight `slot` of the node as the next input, its shape followed by `ones` axes of size 1 (for broadcasting). A
 * weight that several nodes share is stored once for each rank that is asked for. */
void sketch_input_weight(onnx_sketch *w, int slot, int ones);

/** Weight `slot` in another shape: its numbers are the caller's to fill in. NULL after a failure. */
float *sketch_input_copy(onnx_sketch *w, int slot, nn_shape shape);
/** So many ones as the next input. */
void sketch_input_ones(onnx_sketch *w, const char *what, int64_t count);

#endif
