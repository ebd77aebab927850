/* A Keras Functional names for each layer the layers that feed each of its calls. Calls are applied when their inputs
 * are there, in passes over the list, which Keras keeps sorted, so that one pass is the rule and a cycle shows as a
 * pass without progress.
 */
#include "model/keras_reader.h"

#include "base/error.h"

#include <string.h>

enum { MOST_PASSES = 64, MOST_NESTED_ARGUMENTS = 8 };

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
    mien_status status = keras_describe(f->r, entry, f->scope, number, &call);
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
        status = keras_apply(f->r, &call, &value);
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
    mien_status status = keras_describe(f->r, entry, f->scope, 0, &call);
    if (status)
        return status;
    keras_value value = {0};
    if (!f->inputs) {
        const json_t *shape = keras_input_shape(call.config);
        if (!shape)
            return keras_fail(f->r, &call, MIEN_EFORMAT, "an input without a shape");
        status = keras_add_input(f->r, &call, shape, &value);
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
        if (!value || *count == KERAS_MAX_OUTPUTS)
            return keras_bad_config(f->r, "names an output that no layer gives");
        outputs[(*count)++] = *value;
    }
    return *count ? MIEN_OK : keras_bad_config(f->r, "has no outputs");
}

static mien_status read_all(functional *f, keras_value *outputs, int *count)
{
    size_t layers = json_array_size(f->layers), next_input = 0;
    f->calls_done = memory_arena_take(&f->r->arena, layers, sizeof *f->calls_done);
    f->finished = memory_arena_take(&f->r->arena, layers, sizeof *f->finished);
    if (!f->calls_done || !f->finished)
        return error_no_memory(f->r->error, layers * sizeof *f->calls_done);
    bool progress = true, complete = false;
    for (int passes = 0; !complete; passes++) {
        if (!progress || passes == MOST_PASSES)
            return keras_bad_config(f->r, "has layers that wait for each other (a cycle) or for one that is missing");
        mien_status status = pass(f, &next_input, &progress, &complete);
        if (status)
            return status;
    }
    return collect_outputs(f, outputs, count);
}

mien_status keras_read_functional(keras_reader *r, const json_t *model, const json_t *layers, const char *scope,
                                  const keras_value *inputs, int input_count, keras_value *outputs, int *output_count)
{
    functional f = {
        .r = r, .model = model, .layers = layers, .scope = scope, .inputs = inputs, .input_count = input_count};
    mien_status status = read_all(&f, outputs, output_count);
    memory_free(f.results);
    return status;
}
