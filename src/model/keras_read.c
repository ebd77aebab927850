/* Keras .h5: the attribute model_config is a JSON description of the layers, the groups under model_weights hold their
 * numbers (or the root does, in files of Keras 1). Where .keras keeps both: keras_archive.c.
 *
 * A Sequential is a list; a Functional is in keras_functional.c. A model inside a model is read in place.
 */
#include "model/keras_read.h"

#include "base/error.h"
#include "model/keras_archive.h"
#include "model/keras_range.h"
#include "model/keras_reader.h"

#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 4096 };

mien_status keras_bad_config(keras_reader *r, const char *why)
{
    return error_set(r->error, MIEN_EFORMAT, "the model's description %s", why);
}

static const char *arena_text(keras_reader *r, const char *scope, const char *name, size_t number)
{
    char suffix[32] = "";
    if (number)
        snprintf(suffix, sizeof suffix, ":%zu", number);
    size_t size = strlen(scope) + strlen(name) + strlen(suffix) + 1;
    char *text = memory_arena_take(&r->arena, size, 1);
    if (text)
        snprintf(text, size, "%s%s%s", scope, name, suffix);
    return text;
}

/* ---- one layer ---- */

bool keras_is_model(const char *type)
{
    return !strcmp(type, "Sequential") || !strcmp(type, "Functional") || !strcmp(type, "Model");
}

static mien_status read_nested(keras_reader *r, const keras_call *call, keras_value *out)
{
    const char *outer = r->group, *scope = arena_text(r, call->name, "/", 0);
    keras_value outputs[KERAS_MAX_OUTPUTS];
    int count = 0;
    if (!scope)
        return error_no_memory(r->error, strlen(call->name));
    if (!outer)
        r->group = call->layer;
    mien_status status = keras_read_layers(r, call->type, call->config, scope, call->input_count ? call->inputs : NULL,
                                           call->input_count, outputs, &count);
    r->group = outer;
    if (!status && count != 1)
        status = keras_fail(r, call, MIEN_EUNSUPPORTED, "a model inside a model with %d outputs", count);
    if (!status)
        *out = outputs[0];
    return status;
}

static keras_handler find_handler(const char *type)
{
    keras_handler handler = keras_layer_handler(type);
    if (!handler)
        handler = keras_norm_handler(type);
    if (!handler)
        handler = keras_activation_handler(type);
    return handler ? handler : keras_layout_handler(type);
}

mien_status keras_apply(keras_reader *r, keras_call *call, keras_value *out)
{
    if (++r->calls > NN_MAX_NODES)
        return error_set(r->error, MIEN_ELIMIT, "more than %d layers", NN_MAX_NODES);
    if (keras_is_model(call->type))
        return read_nested(r, call, out);
    keras_handler handler = find_handler(call->type);
    if (!handler)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "mien has no such layer");
    if (!call->input_count)
        return keras_fail(r, call, MIEN_EFORMAT, "nothing feeds it");
    return handler(r, call, out);
}

/* Type, names and configuration of a layer's entry. */
mien_status keras_describe(keras_reader *r, const json_t *entry, const char *scope, size_t number, keras_call *call)
{
    *call = (keras_call){.type = json_string_value(json_object_get(entry, "class_name")),
                         .config = json_object_get(entry, "config"),
                         .place = json_string_value(json_object_get(entry, KERAS_PLACE))};
    call->layer = json_string_value(json_object_get(call->config, "name"));
    if (!call->layer)
        call->layer = json_string_value(json_object_get(entry, "name"));
    if (!call->type || !call->config)
        return keras_bad_config(r, "has a layer without a type");
    if (!call->layer || !*call->layer)
        return keras_bad_config(r, "has a layer without a name");
    call->owner = arena_text(r, scope, call->layer, 0);
    call->name = arena_text(r, scope, call->layer, number);
    return call->owner && call->name ? MIEN_OK : error_no_memory(r->error, strlen(call->layer));
}

/* ---- inputs ---- */

const json_t *keras_input_shape(const json_t *config)
{
    static const char *const keys[] = {"batch_input_shape", "batch_shape", "build_input_shape"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *shape = json_object_get(config, keys[i]);
        if (json_array_size(shape) == 1 && json_is_array(json_array_get(shape, 0)))
            shape = json_array_get(shape, 0);
        if (json_is_array(shape))
            return shape;
    }
    return NULL;
}

/* [null, H, W, C] or [null, F]. */
mien_status keras_add_input(keras_reader *r, const keras_call *call, const json_t *shape, keras_value *out)
{
    int rank = (int)json_array_size(shape);
    int64_t dim[4];
    if (rank != 2 && rank != 4)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "an input of rank %d", rank);
    for (int i = 1; i < rank; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        dim[i] = json_is_null(size) ? NN_DYNAMIC : json_integer_value(size);
    }
    nn_node node = {.op = NN_INPUT, .shape = {2, {NN_BATCH, dim[1]}}, .weights = {-1, -1, -1, -1}};
    if (rank == 4)
        node.shape = (nn_shape){4, {NN_BATCH, dim[3], dim[1], dim[2]}};
    return keras_add(r, call, "", &node, out);
}

/* ---- Sequential ---- */

static mien_status sequential_input(keras_reader *r, const json_t *model, const keras_call *first, keras_value *value)
{
    const json_t *shape = keras_input_shape(first->config);
    if (!shape)
        shape = keras_input_shape(model);
    if (!shape)
        return keras_fail(r, first, MIEN_EUNSUPPORTED, "the size of the input is not in the file");
    keras_call call = *first;
    if (strcmp(first->type, "InputLayer"))
        call.name = arena_text(r, first->name, "/input", 0);
    return call.name ? keras_add_input(r, &call, shape, value) : error_no_memory(r->error, sizeof call);
}

static mien_status read_sequential(keras_reader *r, const json_t *model, const json_t *layers, const char *scope,
                                   const keras_value *inputs, keras_value *out)
{
    keras_value value = inputs ? *inputs : (keras_value){.node = -1};
    for (size_t i = 0; i < json_array_size(layers); i++) {
        keras_call call;
        mien_status status = keras_describe(r, json_array_get(layers, i), scope, 0, &call);
        if (!status && value.node < 0 && !keras_is_model(call.type))
            status = sequential_input(r, model, &call, &value);
        if (status)
            return status;
        if (!strcmp(call.type, "InputLayer"))
            continue;
        call.inputs[0] = value;
        call.input_count = value.node >= 0;
        status = keras_apply(r, &call, &value);
        if (status)
            return status;
    }
    if (value.node < 0)
        return keras_bad_config(r, "has no layers");
    *out = value;
    return MIEN_OK;
}

/* ---- the whole ---- */

mien_status keras_read_layers(keras_reader *r, const char *type, const json_t *config, const char *scope,
                              const keras_value *inputs, int input_count, keras_value *outputs, int *output_count)
{
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    if (r->depth >= KERAS_MAX_DEPTH)
        return error_set(r->error, MIEN_ELIMIT, "models nested more than %d deep", KERAS_MAX_DEPTH);
    if (!json_array_size(layers) || json_array_size(layers) > MOST_LAYERS)
        return keras_bad_config(r, "has no layers, or too many");
    mien_status status;
    r->depth++;
    if (!strcmp(type, "Sequential")) {
        *output_count = 1;
        status = read_sequential(r, config, layers, scope, inputs, outputs);
    } else {
        status = keras_read_functional(r, config, layers, scope, inputs, input_count, outputs, output_count);
    }
    r->depth--;
    return status;
}

static mien_status read_graph(keras_reader *r, const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "class_name"));
    keras_value outputs[KERAS_MAX_OUTPUTS];
    int count = 0;
    if (!type || !keras_is_model(type))
        return error_set(r->error, MIEN_EUNSUPPORTED, "a Keras model of class \"%.60s\"", type ? type : "?");
    mien_status status = keras_file_has(&r->file, "model_weights", &r->in_model_weights);
    if (!status)
        status = keras_read_layers(r, type, json_object_get(config, "config"), "", NULL, 0, outputs, &count);
    for (int i = 0; i < count && !status; i++) {
        keras_call call = {.type = type, .name = "output", .layer = "output", .owner = "output"};
        keras_value ordered;
        status = keras_ordered(r, &call, &outputs[i], &ordered);
        if (!status && nn_graph_set_output(r->graph, ordered.node))
            status = error_set(r->error, r->graph->failed, "%s", r->graph->error.message);
    }
    return status;
}

/* The file does not say how pixels become inputs: 0..1 is the commonest, and 0..255 where the model rescales itself;
 * better than both is what the first normalisation remembers of its training data. */
static mien_status guess_info(model *m, const json_t *config, mien_error *error)
{
    model_info_init(&m->info, &m->graph);
    int input = nn_graph_input(&m->graph);
    for (int i = 0; i < m->graph.node_count; i++) {
        const nn_node *node = &m->graph.nodes[i];
        if (node->op == NN_SCALE_SHIFT && node->inputs[0] == input)
            m->info.input.scale = 1;
    }
    keras_guess_range(m);
    const char *name = json_string_value(json_object_get(json_object_get(config, "config"), "name"));
    return name ? model_info_set(&m->info, "name", name, error) : MIEN_OK;
}

mien_status keras_read_model(keras_reader *r, const char *text, size_t length, model *out)
{
    model read = {0};
    json_error_t why;
    mien_status status = MIEN_OK;
    json_t *config = json_loadb(text, length, 0, &why);
    if (!config)
        return error_set(r->error, MIEN_EFORMAT, "the model's description is not JSON: %.120s", why.text);
    r->graph = &read.graph;
    if (r->archive)
        status = keras_archive_place(r, config);
    if (!status)
        status = read_graph(r, config);
    if (!status)
        status = guess_info(&read, config, r->error);
    json_decref(config);
    r->graph = NULL;
    if (status)
        model_done(&read);
    else
        *out = read;
    return status;
}

mien_status keras_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out, mien_error *error)
{
    buffer text = {0};
    keras_reader r = {.arena = {.limit = limits->max_weight_bytes},
                      .max_items = limits->max_items,
                      .max_weight_bytes = limits->max_weight_bytes,
                      .error = error};
    mien_status status = keras_file_open(bytes, length, limits, &r.file, error);
    if (!status)
        status = keras_file_text(&r.file, "/", "model_config", &text);
    if (status == MIEN_ENOTFOUND)
        status = error_set(error, MIEN_EUNSUPPORTED, "the file holds weights without a model (no model_config)");
    if (!status)
        status = keras_read_model(&r, buffer_text(&text), text.length, out);
    memory_arena_done(&r.arena);
    buffer_done(&text);
    return status;
}
