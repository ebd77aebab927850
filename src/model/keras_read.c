/* Keras .h5: the attribute model_config is a JSON description of the layers, the groups under model_weights hold their
 * numbers (or the root does, in files of Keras 1).
 *
 * A Sequential is a list. A Functional names for each layer the layers that feed each of its calls; calls are applied
 * when their inputs are there, in passes over the list, which Keras keeps sorted, so that one pass is the rule and a
 * cycle shows as a pass without progress. A model inside a model is read in place.
 */
#include "model/keras_read.h"

#include "base/error.h"
#include "model/keras_range.h"
#include "model/keras_reader.h"

#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 4096, MOST_PASSES = 64, MOST_NESTED_ARGUMENTS = 8, MOST_OUTPUTS = 16 };

static mien_status bad_config(keras_reader *r, const char *why)
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

static bool is_model(const char *type)
{
    return !strcmp(type, "Sequential") || !strcmp(type, "Functional") || !strcmp(type, "Model");
}

static mien_status read_nested(keras_reader *r, const keras_call *call, keras_value *out)
{
    const char *outer = r->group, *scope = arena_text(r, call->name, "/", 0);
    keras_value outputs[MOST_OUTPUTS];
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
        handler = keras_activation_handler(type);
    return handler ? handler : keras_layout_handler(type);
}

static mien_status apply_layer(keras_reader *r, keras_call *call, keras_value *out)
{
    if (++r->calls > NN_MAX_NODES)
        return error_set(r->error, MIEN_ELIMIT, "more than %d layers", NN_MAX_NODES);
    if (is_model(call->type))
        return read_nested(r, call, out);
    keras_handler handler = find_handler(call->type);
    if (!handler)
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "mien has no such layer");
    if (!call->input_count)
        return keras_fail(r, call, MIEN_EFORMAT, "nothing feeds it");
    return handler(r, call, out);
}

/* Type, names and configuration of a layer's entry. */
static mien_status describe(keras_reader *r, const json_t *entry, const char *scope, size_t number, keras_call *call)
{
    *call = (keras_call){.type = json_string_value(json_object_get(entry, "class_name")),
                         .config = json_object_get(entry, "config")};
    call->layer = json_string_value(json_object_get(call->config, "name"));
    if (!call->layer)
        call->layer = json_string_value(json_object_get(entry, "name"));
    if (!call->type || !call->config)
        return bad_config(r, "has a layer without a type");
    if (!call->layer || !*call->layer)
        return bad_config(r, "has a layer without a name");
    call->owner = arena_text(r, scope, call->layer, 0);
    call->name = arena_text(r, scope, call->layer, number);
    return call->owner && call->name ? MIEN_OK : error_no_memory(r->error, strlen(call->layer));
}

/* ---- inputs ---- */

static const json_t *find_input_shape(const json_t *config)
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
static mien_status add_input(keras_reader *r, const keras_call *call, const json_t *shape, keras_value *out)
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
    const json_t *shape = find_input_shape(first->config);
    if (!shape)
        shape = find_input_shape(model);
    if (!shape)
        return keras_fail(r, first, MIEN_EUNSUPPORTED, "the size of the input is not in the file");
    keras_call call = *first;
    if (strcmp(first->type, "InputLayer"))
        call.name = arena_text(r, first->name, "/input", 0);
    return call.name ? add_input(r, &call, shape, value) : error_no_memory(r->error, strlen(first->name));
}

static mien_status read_sequential(keras_reader *r, const json_t *model, const json_t *layers, const char *scope,
                                   const keras_value *inputs, keras_value *out)
{
    keras_value value = inputs ? *inputs : (keras_value){.node = -1};
    for (size_t i = 0; i < json_array_size(layers); i++) {
        keras_call call;
        mien_status status = describe(r, json_array_get(layers, i), scope, 0, &call);
        if (!status && value.node < 0 && !is_model(call.type))
            status = sequential_input(r, model, &call, &value);
        if (status)
            return status;
        if (!strcmp(call.type, "InputLayer"))
            continue;
        call.inputs[0] = value;
        call.input_count = value.node >= 0;
        status = apply_layer(r, &call, &value);
        if (status)
            return status;
    }
    if (value.node < 0)
        return bad_config(r, "has no layers");
    *out = value;
    return MIEN_OK;
}

/* ---- Functional ---- */

typedef struct result {
    const char *layer;
    size_t call;
    bool single; /* the layer's only call */
    keras_value value;
} result;

typedef struct functional {
    keras_reader *r;
    const json_t *model, *layers;
    const char *scope;
    const keras_value *inputs;
    int input_count;
    result *results;
    size_t result_count, result_capacity;
    size_t *calls_done; /* of each layer */
    bool *finished;
} functional;

static mien_status add_result(functional *f, const char *layer, size_t call, bool single, keras_value value)
{
    if (f->result_count == f->result_capacity) {
        size_t capacity = f->result_capacity ? f->result_capacity * 2 : 64;
        result *grown = memory_resize(f->results, capacity, sizeof *grown);
        if (!grown)
            return error_no_memory(f->r->error, capacity * sizeof *grown);
        f->results = grown;
        f->result_capacity = capacity;
    }
    f->results[f->result_count++] = (result){layer, call, single, value};
    return MIEN_OK;
}

/* The value of a call. Keras counts the calls of a nested model from 1 in some versions: the only call is the one
 * meant. */
static const keras_value *find_result(const functional *f, const char *layer, size_t call)
{
    for (size_t i = 0; i < f->result_count; i++) {
        const result *known = &f->results[i];
        if (!strcmp(known->layer, layer) && (known->call == call || (known->single && call == 1)))
            return &known->value;
    }
    return NULL;
}

/* [layer, call, tensor, …]: adds the value to the call's inputs; *ready false when it is not there yet. */
static mien_status add_reference(const functional *f, const json_t *reference, keras_call *call, bool *ready)
{
    const char *layer = json_string_value(json_array_get(reference, 0));
    json_int_t number = json_integer_value(json_array_get(reference, 1));
    if (!layer || number < 0 || call->input_count == KERAS_MAX_CALL_INPUTS)
        return keras_fail(f->r, call, MIEN_EFORMAT, "its inputs are not understood, or more than %d",
                          KERAS_MAX_CALL_INPUTS);
    if (json_integer_value(json_array_get(reference, 2)) != 0)
        return keras_fail(f->r, call, MIEN_EUNSUPPORTED, "it takes a second output of a layer");
    const keras_value *value = find_result(f, layer, (size_t)number);
    if (!value)
        *ready = false;
    else
        call->inputs[call->input_count++] = *value;
    return MIEN_OK;
}

/* Keras 3: tensors stand anywhere among the arguments. */
static mien_status add_tensors(const functional *f, const json_t *argument, int depth, keras_call *call, bool *ready)
{
    mien_status status = MIEN_OK;
    if (depth > MOST_NESTED_ARGUMENTS)
        return keras_fail(f->r, call, MIEN_EFORMAT, "its inputs are nested too deep");
    const char *type = json_string_value(json_object_get(argument, "class_name"));
    if (type && !strcmp(type, "__keras_tensor__"))
        return add_reference(f, json_object_get(json_object_get(argument, "config"), "keras_history"), call, ready);
    for (size_t i = 0; i < json_array_size(argument) && !status; i++)
        status = add_tensors(f, json_array_get(argument, i), depth + 1, call, ready);
    return status;
}

/* The second argument of an operator, under the name that operators' handlers look for. */
static mien_status keep_number(functional *f, const json_t *inbound, json_t *numbers, keras_call *call)
{
    const json_t *second = json_array_get(json_object_get(inbound, "args"), 1);
    if (!json_is_number(second))
        second = json_object_get(json_object_get(inbound, "kwargs"), "x2");
    if (json_is_number(second) && json_object_set_new(numbers, "x2", json_real(json_number_value(second))))
        return error_no_memory(f->r->error, sizeof(json_t *));
    call->arguments = numbers;
    return MIEN_OK;
}

/* Keras 1 and 2: a list of references, or one of them; the fourth member of each is an object of other arguments. */
static mien_status add_references(functional *f, const json_t *inbound, keras_call *call, bool *ready)
{
    bool single = json_is_string(json_array_get(inbound, 0));
    size_t count = single ? 1 : json_array_size(inbound);
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const json_t *reference = single ? inbound : json_array_get(inbound, i);
        status = add_reference(f, reference, call, ready);
        const json_t *arguments = json_array_get(reference, 3), *other = json_object_get(arguments, "y");
        if (!call->arguments)
            call->arguments = arguments;
        if (!status && json_is_string(json_array_get(other, 0)))
            status = add_reference(f, other, call, ready);
    }
    return status;
}

/* Apply call `number` of a layer when its inputs are there. */
static mien_status try_call(functional *f, const json_t *entry, const json_t *inbound, size_t number, bool single,
                            bool *done)
{
    keras_call call;
    bool ready = true;
    keras_value value;
    json_t *numbers = json_object();
    mien_status status = describe(f->r, entry, f->scope, number, &call);
    if (!numbers)
        status = error_no_memory(f->r->error, sizeof(json_t *));
    if (!status && json_is_object(inbound)) {
        status = add_tensors(f, json_object_get(inbound, "args"), 0, &call, &ready);
        if (!status)
            status = keep_number(f, inbound, numbers, &call);
    } else if (!status) {
        status = add_references(f, inbound, &call, &ready);
    }
    *done = false;
    if (!status && ready) {
        status = apply_layer(f->r, &call, &value);
        if (!status)
            status = add_result(f, call.layer, number, single, value);
        *done = !status;
    }
    json_decref(numbers);
    return status;
}

/* [["a",0,0],["b",0,0]], or ["a",0,0] alone. */
static const json_t *listed_reference(const json_t *list, size_t i)
{
    if (json_is_string(json_array_get(list, 0)))
        return i ? NULL : list;
    return json_array_get(list, i);
}

static mien_status give_input(functional *f, const json_t *entry, size_t *next)
{
    keras_call call;
    mien_status status = describe(f->r, entry, f->scope, 0, &call);
    if (status)
        return status;
    keras_value value = {0};
    if (!f->inputs) {
        const json_t *shape = find_input_shape(call.config);
        if (!shape)
            return keras_fail(f->r, &call, MIEN_EFORMAT, "an input without a shape");
        status = add_input(f->r, &call, shape, &value);
    } else {
        size_t index = (*next)++;
        const json_t *listed = json_object_get(f->model, "input_layers"), *reference;
        for (size_t i = 0; (reference = listed_reference(listed, i)); i++) {
            const char *name = json_string_value(json_array_get(reference, 0));
            if (name && !strcmp(name, call.layer))
                index = i;
        }
        if (index >= (size_t)f->input_count)
            return keras_fail(f->r, &call, MIEN_EFORMAT, "the model is given %d inputs", f->input_count);
        value = f->inputs[index];
    }
    return status ? status : add_result(f, call.layer, 0, true, value);
}

/* One pass over the layers. */
static mien_status pass(functional *f, size_t *next_input, bool *progress, bool *complete)
{
    *progress = false;
    *complete = true;
    for (size_t i = 0; i < json_array_size(f->layers); i++) {
        const json_t *entry = json_array_get(f->layers, i), *inbound = json_object_get(entry, "inbound_nodes");
        const char *type = json_string_value(json_object_get(entry, "class_name"));
        mien_status status = MIEN_OK;
        if (f->finished[i])
            continue;
        if (type && !strcmp(type, "InputLayer")) {
            status = give_input(f, entry, next_input);
            f->finished[i] = *progress = true;
        }
        while (!status && f->calls_done[i] < json_array_size(inbound)) {
            bool done = false;
            status = try_call(f, entry, json_array_get(inbound, f->calls_done[i]), f->calls_done[i],
                              json_array_size(inbound) == 1, &done);
            if (!done)
                break;
            f->calls_done[i]++;
            *progress = true;
        }
        if (status)
            return status;
        f->finished[i] = f->finished[i] || f->calls_done[i] >= json_array_size(inbound);
        *complete = *complete && f->finished[i];
    }
    return MIEN_OK;
}

static mien_status collect_outputs(const functional *f, keras_value *outputs, int *count)
{
    const json_t *listed = json_object_get(f->model, "output_layers"), *reference;
    *count = 0;
    for (size_t i = 0; (reference = listed_reference(listed, i)); i++) {
        const char *layer = json_string_value(json_array_get(reference, 0));
        json_int_t call = json_integer_value(json_array_get(reference, 1));
        const keras_value *value = layer && call >= 0 ? find_result(f, layer, (size_t)call) : NULL;
        if (!value || *count == MOST_OUTPUTS)
            return bad_config(f->r, "names an output that no layer gives");
        outputs[(*count)++] = *value;
    }
    return *count ? MIEN_OK : bad_config(f->r, "has no outputs");
}

static mien_status read_functional(functional *f, keras_value *outputs, int *count)
{
    size_t layers = json_array_size(f->layers), next_input = 0;
    f->calls_done = memory_arena_take(&f->r->arena, layers, sizeof *f->calls_done);
    f->finished = memory_arena_take(&f->r->arena, layers, sizeof *f->finished);
    if (!f->calls_done || !f->finished)
        return error_no_memory(f->r->error, layers * sizeof *f->calls_done);
    bool progress = true, complete = false;
    for (int passes = 0; !complete; passes++) {
        if (!progress || passes == MOST_PASSES)
            return bad_config(f->r, "has layers that wait for each other (a cycle) or for one that is missing");
        mien_status status = pass(f, &next_input, &progress, &complete);
        if (status)
            return status;
    }
    return collect_outputs(f, outputs, count);
}

/* ---- the whole ---- */

mien_status keras_read_layers(keras_reader *r, const char *type, const json_t *config, const char *scope,
                              const keras_value *inputs, int input_count, keras_value *outputs, int *output_count)
{
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    if (r->depth >= KERAS_MAX_DEPTH)
        return error_set(r->error, MIEN_ELIMIT, "models nested more than %d deep", KERAS_MAX_DEPTH);
    if (!json_array_size(layers) || json_array_size(layers) > MOST_LAYERS)
        return bad_config(r, "has no layers, or too many");
    mien_status status;
    r->depth++;
    if (!strcmp(type, "Sequential")) {
        *output_count = 1;
        status = read_sequential(r, config, layers, scope, inputs, outputs);
    } else {
        functional f = {
            .r = r, .model = config, .layers = layers, .scope = scope, .inputs = inputs, .input_count = input_count};
        status = read_functional(&f, outputs, output_count);
        memory_free(f.results);
    }
    r->depth--;
    return status;
}

static mien_status load_config(keras_reader *r, json_t **config)
{
    buffer text = {0};
    json_error_t why;
    mien_status status = keras_file_text(&r->file, "/", "model_config", &text);
    if (status == MIEN_ENOTFOUND)
        status = error_set(r->error, MIEN_EUNSUPPORTED, "the file holds weights without a model (no model_config)");
    if (!status) {
        *config = json_loadb(buffer_text(&text), text.length, 0, &why);
        if (!*config)
            status = error_set(r->error, MIEN_EFORMAT, "the model's description is not JSON: %.120s", why.text);
    }
    buffer_done(&text);
    return status;
}

static mien_status read_model(keras_reader *r, const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "class_name"));
    keras_value outputs[MOST_OUTPUTS];
    int count = 0;
    if (!type || !is_model(type))
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

mien_status keras_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out, mien_error *error)
{
    model read = {0};
    json_t *config = NULL;
    keras_reader r = {.graph = &read.graph,
                      .arena = {.limit = limits->max_weight_bytes},
                      .max_items = limits->max_items,
                      .max_weight_bytes = limits->max_weight_bytes,
                      .error = error};
    mien_status status = keras_file_open(bytes, length, limits, &r.file, error);
    if (!status)
        status = load_config(&r, &config);
    if (!status)
        status = read_model(&r, config);
    if (!status)
        status = guess_info(&read, config, error);
    json_decref(config);
    memory_arena_done(&r.arena);
    if (status)
        model_done(&read);
    else
        *out = read;
    return status;
}
