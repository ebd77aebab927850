/* An ONNX file as plain structures, without protobuf: what onnx_wire.c reads and writes, and all that the reader and
 * the writer of graphs see. Everything lies in the document's arena (or in the parsed message that it keeps) and is
 * freed with it. Text is never NULL.
 */
#ifndef MODEL_ONNX_DOCUMENT_H
#define MODEL_ONNX_DOCUMENT_H

#include "base/buffer.h"
#include "base/memory.h"
#include "model/model.h"

enum { ONNX_MAX_RANK = 8, ONNX_DIM_UNNAMED = -2 };

/** Element types of TensorProto that matter here. */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_BFLOAT16 = 16
};

/** A constant. Floating types are given as f32, whole ones as int64. */
typedef struct onnx_tensor {
    const char *name;
    int rank;
    int64_t dim[ONNX_MAX_RANK];
    size_t count;
    bool whole; /* ints holds the numbers, else floats */
    const float *floats;
    const int64_t *ints;
    const char *unusable; /* why the content could not be read, NULL when it could; matters only if it is used */
    mien_status why;      /* the status that goes with it */
} onnx_tensor;

typedef struct onnx_attribute {
    const char *name;
    float f;
    int64_t i;
    const char *text;
    const onnx_tensor *tensor; /* or NULL */
    size_t int_count, float_count;
    const int64_t *ints;
    const float *floats;
    int type; /* AttributeProto.AttributeType */
} onnx_attribute;

enum {
    ONNX_ATTRIBUTE_FLOAT = 1,
    ONNX_ATTRIBUTE_INT = 2,
    ONNX_ATTRIBUTE_TEXT = 3,
    ONNX_ATTRIBUTE_TENSOR = 4,
    ONNX_ATTRIBUTE_FLOATS = 6,
    ONNX_ATTRIBUTE_INTS = 7
};

typedef struct onnx_node {
    const char *name, *op, *domain;
    size_t input_count, output_count, attribute_count;
    const char **inputs; /* "" = left out */
    const char **outputs;
    onnx_attribute *attributes;
} onnx_node;

/** A graph input or output. */
typedef struct onnx_port {
    const char *name;
    int type;                   /* element type, 0 = not said */
    int rank;                   /* -1 = not said */
    int64_t dim[ONNX_MAX_RANK]; /* -1 = symbolic; ONNX_DIM_UNNAMED = symbolic, and written without a symbol */
} onnx_port;

typedef struct onnx_entry {
    const char *key, *value;
} onnx_entry;

typedef struct onnx_document {
    memory_arena arena;
    void *message; /* the parsed protobuf, while tensors point into it */
    int64_t opset;
    const char *name, *description;
    size_t node_count, tensor_count, input_count, output_count, entry_count;
    onnx_node *nodes;
    onnx_tensor *tensors;
    onnx_port *inputs, *outputs;
    onnx_entry *entries;
} onnx_document;

/** Parse. `bytes` is borrowed for the call. On failure the document is left empty. */
mien_status onnx_document_parse(const uint8_t *bytes, size_t length, const model_limits *limits,
                                onnx_document *document, mien_error *error);
/** Append the file's bytes to `out`. Only f32 and int64 tensors are written. */
mien_status onnx_document_write(const onnx_document *document, buffer *out, mien_error *error);
void onnx_document_done(onnx_document *document);

#endif
