/* Keras 3's own format: a zip archive of config.json, which is what .h5 keeps as model_config, and model.weights.h5.
 *
 * There weights have no names. A layer's lie in the group of its model under "layers/<class>", with the class in snake
 * case and a number behind it from the second layer of a class on ("layers/conv2d_1"); those of a model inside a model
 * below that model's own place. In it "vars/0", "vars/1", … are the layer's variables in the order in which the class
 * makes them, trainable ones first.
 */
#include "model/keras_archive.h"

#include "base/error.h"
#include "model/keras_read.h"
#include "model/zip.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CLASS_BYTES = 96, MOST_VARIABLES = 4 };

/* The variables of a class; one with a flag is there where the configuration has it (it does unless it says no). */
static const struct saved_layer {
    const char *type;
    struct {
        const char *kind, *flag;
    } variables[MOST_VARIABLES];
} saved_layers[] = {
    {"Dense", {{"kernel", NULL}, {"bias", "use_bias"}}},
    {"Conv2D", {{"kernel", NULL}, {"bias", "use_bias"}}},
    {"DepthwiseConv2D", {{"depthwise_kernel", NULL}, {"bias", "use_bias"}}},
    {"SeparableConv2D", {{"depthwise_kernel", NULL}, {"pointwise_kernel", NULL}, {"bias", "use_bias"}}},
    {"BatchNormalization", {{"gamma", "scale"}, {"beta", "center"}, {"moving_mean", NULL}, {"moving_variance", NULL}}},
    {"Normalization", {{"mean", NULL}, {"variance", NULL}}},
    {"PReLU", {{"alpha", NULL}}},
};

/* ---- where a layer's weights lie ---- */

/* "GlobalAveragePooling2D" becomes "global_average_pooling2d", "PReLU" becomes "p_re_lu": a word begins at a capital
 * that a small letter follows, and at a capital behind a small letter. */
static void snake_case(const char *name, char snake[CLASS_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; name[i] && used < CLASS_BYTES - 2; i++) {
        bool capital = i && isupper((unsigned char)name[i]);
        if (capital && (islower((unsigned char)name[i + 1]) || islower((unsigned char)name[i - 1])))
            snake[used++] = '_';
        snake[used++] = (char)tolower((unsigned char)name[i]);
    }
    snake[used] = 0;
}

static mien_status place_layers(keras_reader *r, json_t *config, const char *above, int depth);

/* `used` counts the layers of each class so far. */
static mien_status place_layer(keras_reader *r, json_t *entry, const char *above, json_t *used, int depth)
{
    char snake[CLASS_BYTES], number[32] = "";
    const char *type = json_string_value(json_object_get(entry, "class_name"));
    if (!type)
        return keras_bad_config(r, "has a layer without a type");
    snake_case(type, snake);
    json_int_t before = json_integer_value(json_object_get(used, snake));
    if (before)
        snprintf(number, sizeof number, "_%lld", (long long)before);
    json_t *place = json_sprintf("%s%slayers/%s%s", above, *above ? "/" : "", snake, number);
    if (!place || json_object_set_new(used, snake, json_integer(before + 1)) ||
        json_object_set(entry, KERAS_PLACE, place)) {
        json_decref(place);
        return error_set(r->error, MIEN_EFORMAT, "a layer's class \"%.60s\" is no name", type);
    }
    mien_status status = MIEN_OK;
    if (keras_is_model(type))
        status = place_layers(r, json_object_get(entry, "config"), json_string_value(place), depth + 1);
    json_decref(place);
    return status;
}

static mien_status place_layers(keras_reader *r, json_t *config, const char *above, int depth)
{
    json_t *layers = json_object_get(config, "layers"), *used = json_object();
    if (!used)
        return error_no_memory(r->error, sizeof(json_t *));
    mien_status status = depth > KERAS_MAX_DEPTH
                             ? error_set(r->error, MIEN_ELIMIT, "models nested more than %d deep", KERAS_MAX_DEPTH)
                             : MIEN_OK;
    for (size_t i = 0; i < json_array_size(layers) && !status; i++)
        status = place_layer(r, json_array_get(layers, i), above, used, depth);
    json_decref(used);
    return status;
}

mien_status keras_archive_place(keras_reader *r, json_t *model)
{
    return place_layers(r, json_object_get(model, "config"), "", 1);
}

/* ---- which of them ---- */

/* Number of the variable, -1 where the layer has none of that kind. */
static int variable_number(const keras_call *call, const char *kind)
{
    const struct saved_layer *layer = NULL;
    for (size_t i = 0; i < sizeof saved_layers / sizeof *saved_layers && !layer; i++)
        layer = strcmp(saved_layers[i].type, call->type) ? NULL : &saved_layers[i];
    const json_t *mean = keras_member(call, "mean", NULL);
    if (!layer || (mean && !json_is_null(mean))) /* a Normalization that was given its numbers has no variables */
        return -1;
    int number = 0;
    for (int i = 0; i < MOST_VARIABLES && layer->variables[i].kind; i++) {
        const char *flag = layer->variables[i].flag;
        bool there = !flag || keras_flag(call, flag, NULL, true);
        if (there && !strcmp(layer->variables[i].kind, kind))
            return number;
        number += there;
    }
    return -1;
}

mien_status keras_archive_tensor(keras_reader *r, const keras_call *call, const char *kind, keras_tensor *tensor,
                                 bool *found)
{
    buffer path = {0};
    bool there = false;
    int number = variable_number(call, kind);
    *found = false;
    if (number < 0)
        return MIEN_OK;
    buffer_append_format(&path, "%s/vars/%d", call->place ? call->place : "", number);
    mien_status status = buffer_status(&path, r->error);
    if (!status)
        status = keras_file_has(&r->file, buffer_text(&path), &there);
    if (!status && !there)
        status = keras_fail(r, call, MIEN_EFORMAT, "the archive has no %s for it (%s); saved as .h5 it may be read",
                            kind, buffer_text(&path));
    if (!status)
        status = keras_file_tensor(&r->file, buffer_text(&path), &r->arena, tensor);
    *found = !status;
    buffer_done(&path);
    return status;
}

/* ---- the archive ---- */

static mien_status open_member(const uint8_t *bytes, size_t length, const char *name, size_t limit, buffer *room,
                               const uint8_t **content, size_t *content_length, mien_error *error)
{
    zip_file file;
    mien_status status = zip_find(bytes, length, name, &file, error);
    if (status == MIEN_ENOTFOUND)
        return error_set(error, MIEN_EUNSUPPORTED,
                         "a zip archive without %s is no .keras model; mien reads ONNX, .h5 and .keras", name);
    if (!status)
        status = zip_content(&file, limit, room, content, error);
    if (status)
        return error_prefix(error, status, "%s", name);
    *content_length = file.length;
    return MIEN_OK;
}

mien_status keras_archive_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out,
                               mien_error *error)
{
    enum { MOST_CONFIG = 64 << 20 };
    buffer config_room = {0}, weights_room = {0};
    const uint8_t *config = NULL, *weights = NULL;
    size_t config_length = 0, weights_length = 0;
    keras_reader r = {.archive = true,
                      .arena = {.limit = limits->max_weight_bytes},
                      .max_items = limits->max_items,
                      .max_weight_bytes = limits->max_weight_bytes,
                      .error = error};
    mien_status status =
        open_member(bytes, length, "config.json", MOST_CONFIG, &config_room, &config, &config_length, error);
    if (!status)
        status = open_member(bytes, length, "model.weights.h5", limits->max_bytes, &weights_room, &weights,
                             &weights_length, error);
    if (!status)
        status = keras_file_open(weights, weights_length, limits, &r.file, error);
    if (!status)
        status = keras_read_model(&r, (const char *)config, config_length, out);
    memory_arena_done(&r.arena);
    buffer_done(&config_room);
    buffer_done(&weights_room);
    return status;
}
