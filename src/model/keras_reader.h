/* What the files that read Keras models share. Private to src/model/keras_*.c. */
#ifndef MODEL_KERAS_READER_H
#define MODEL_KERAS_READER_H

#include "base/error.h"
#include "model/keras_file.h"

#include <jansson.h>

/**
 * What a Keras tensor is in the graph. Keras keeps pictures as [N,H,W,C], the graph as [N,C,H,W]; the difference shows
 * only where axes are counted or joined. A flattened picture is left in the graph's order, and the dense layer behind
 * it gets its columns permuted; whoever else needs Keras's order asks keras_ordered.
 */
typedef struct keras_value {
    int node;                        /* -1 = none */
    int64_t channels, height, width; /* of a flattened picture in [C,H,W] order; channels 0 = Keras's own order */
} keras_value;

enum { KERAS_MAX_DEPTH = 8, KERAS_MAX_CALL_INPUTS = NN_MAX_INPUTS, KERAS_MAX_OUTPUTS = 16 };

/** A layer being applied. */
typedef struct keras_call {
    const char *type;  /* "Conv2D" */
    const char *layer; /* as the file names it */
    const char *name;  /* for the graph: unique, with the enclosing models and the number of the call */
    const char *owner; /* the same without the number: shared layers share their weights */
    const char *place; /* the group of an archive that keeps its weights; NULL in .h5, which has names for them */
    const json_t *config;
    const json_t *arguments; /* what stands beside the inputs: numbers of operator layers */
    keras_value inputs[KERAS_MAX_CALL_INPUTS];
    int input_count;
} keras_call;

typedef struct keras_reader {
    keras_file file;
    bool archive; /* the weights of a .keras archive */
    nn_graph *graph;
    memory_arena arena;
    const char *group;         /* top-level layer whose weights the file keeps together; NULL at the top level */
    const char **weight_names; /* of weight_group */
    size_t weight_name_count;
    const char *weight_group;
    bool in_model_weights; /* weights lie under /model_weights, else at the root */
    size_t weight_bytes, max_weight_bytes, max_items, calls;
    int depth;
    mien_error *error;
} keras_reader;

typedef mien_status (*keras_handler)(keras_reader *r, const keras_call *call, keras_value *out);

/** `layer "name" (Type): …` */
mien_status keras_fail(keras_reader *r, const keras_call *call, mien_status code, const char *format, ...)
    MIEN_PRINTF(4, 5);

#ifdef __clang_analyzer__ /* see base/error.h */
#define keras_fail(r, call, code, ...) error_known((keras_fail)(r, call, code, __VA_ARGS__), code)
#endif

/* ---- configuration ---- */

/** Members of the layer's configuration; `old` is the name that Keras 1 had for it, or NULL. */
const json_t *keras_member(const keras_call *call, const char *key, const char *old);
const char *keras_text(const keras_call *call, const char *key, const char *old, const char *otherwise);
double keras_number(const keras_call *call, const char *key, const char *old, double otherwise);
bool keras_flag(const keras_call *call, const char *key, const char *old, bool otherwise);
/** One whole number for both, or two; each within 1..NN_MAX_ATTRIBUTE. */
mien_status keras_pair(keras_reader *r, const keras_call *call, const char *key, const char *old, int *first,
                       int *second);
/** The name of an activation, written as text or as an object. */
const char *keras_activation_name(const json_t *activation);

/* ---- weights ---- */

/** Weight `kind` ("kernel") of the layer. *found false when the layer has none of that kind. */
mien_status keras_tensor_find(keras_reader *r, const keras_call *call, const char *kind, keras_tensor *tensor,
                              bool *found);
/** The same, an error when there is none. */
mien_status keras_tensor_get(keras_reader *r, const keras_call *call, const char *kind, keras_tensor *tensor);
/** Zeroed data for a weight that is laid out differently. */
float *keras_room(keras_reader *r, size_t count);
/** A graph weight "<name>.<part>" with that content; shared when the layer is applied a second time. */
mien_status keras_weight(keras_reader *r, const keras_call *call, const char *part, nn_shape shape, unsigned flags,
                         const float *data, int *index);
/** Weight `kind` as [count]; `fill` when the layer has none of that kind. */
mien_status keras_vector(keras_reader *r, const keras_call *call, const char *kind, const char *part, int64_t count,
                         unsigned flags, float fill, int *index);

/* ---- nodes ---- */

nn_node keras_unary(nn_op op, int input);
/** Add under "<call name><suffix>". */
mien_status keras_add(keras_reader *r, const keras_call *call, const char *suffix, nn_node *node, keras_value *out);
/** Add what leaves one number a channel, [N,C,1,1], and unless these axes are kept make it [N,C]. */
mien_status keras_add_pooled(keras_reader *r, const keras_call *call, nn_node *node, bool keep, keras_value *out);
const nn_shape *keras_shape(const keras_reader *r, const keras_value *value);
/** The value in Keras's order: a flattened picture is transposed. */
mien_status keras_ordered(keras_reader *r, const keras_call *call, const keras_value *in, keras_value *out);
/** An axis of a Keras tensor, counted as Keras does, as the graph's axis. */
mien_status keras_axis(keras_reader *r, const keras_call *call, int64_t axis, int rank, int *out);
/** Apply an activation by name; "linear" gives the value itself. */
mien_status keras_activate(keras_reader *r, const keras_call *call, const char *name, const char *suffix,
                           const keras_value *in, keras_value *out);

/** The handler of a layer type, NULL when there is none. */
keras_handler keras_layer_handler(const char *type);
keras_handler keras_norm_handler(const char *type);
keras_handler keras_activation_handler(const char *type);
keras_handler keras_layout_handler(const char *type);

/** Mean or maximum along the axes that the call was given. */
mien_status keras_reduce(keras_reader *r, const keras_call *call, bool largest, keras_value *out);
/** GELU; `approximate` by tanh where the call was not given it. */
mien_status keras_gelu(keras_reader *r, const keras_call *call, bool approximate, keras_value *out);

/* ---- models ---- */

mien_status keras_bad_config(keras_reader *r, const char *why);
/** Whether a class is a model of layers. */
bool keras_is_model(const char *type);
/** The model whose description is that JSON; `r` is all but its graph, which is made here. */
mien_status keras_read_model(keras_reader *r, const char *text, size_t length, model *out);
/** Type, names and configuration of a layer's entry; `number` counts its calls. */
mien_status keras_describe(keras_reader *r, const json_t *entry, const char *scope, size_t number, keras_call *call);
/** Apply a layer, or a model inside a model, to call->inputs. */
mien_status keras_apply(keras_reader *r, keras_call *call, keras_value *out);
/** The [null, H, W, C] of an input or of a first layer, NULL when it says none. */
const json_t *keras_input_shape(const json_t *config);
mien_status keras_add_input(keras_reader *r, const keras_call *call, const json_t *shape, keras_value *out);

/** Read a model's layers (config of a Sequential or Functional) applied to `inputs`; with `inputs` NULL its own input
 *  layers are made. `outputs` holds KERAS_MAX_OUTPUTS. */
mien_status keras_read_layers(keras_reader *r, const char *type, const json_t *config, const char *scope,
                              const keras_value *inputs, int input_count, keras_value *outputs, int *output_count);
mien_status keras_read_functional(keras_reader *r, const json_t *model, const json_t *layers, const char *scope,
                                  const keras_value *inputs, int input_count, keras_value *outputs, int *output_count);

#endif
