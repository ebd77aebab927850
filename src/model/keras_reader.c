/* Tools of the Keras layer handlers: configuration, weights, adding nodes.
 *
 * A layer's weights lie in the group of its name (for a model inside a model: the group of the outermost one), listed
 * in the attribute weight_names as "<layer>/<kind>:0" (Keras 2), "<layer>/<kind>" (Keras 3) or "<layer>_<short kind>"
 * (Keras 1). They are found by kind, and by layer where several share a group.
 */
#include "model/keras_reader.h"

#include "base/error.h"
#include "model/keras_archive.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mien_status(keras_fail)(keras_reader *r, const keras_call *call, mien_status code, const char *format, ...)
{
    char message[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return error_set(r->error, code, "layer \"%.60s\" (%.40s): %s", call->name, call->type, message);
}

/* ---- configuration ---- */

const json_t *keras_member(const keras_call *call, const char *key, const char *old)
{
    const json_t *member = json_object_get(call->config, key);
    return member || !old ? member : json_object_get(call->config, old);
}

const char *keras_text(const keras_call *call, const char *key, const char *old, const char *otherwise)
{
    const char *text = json_string_value(keras_member(call, key, old));
    return text ? text : otherwise;
}

double keras_number(const keras_call *call, const char *key, const char *old, double otherwise)
{
    const json_t *member = keras_member(call, key, old);
    return json_is_number(member) ? json_number_value(member) : otherwise;
}

bool keras_flag(const keras_call *call, const char *key, const char *old, bool otherwise)
{
    const json_t *member = keras_member(call, key, old);
    return json_is_boolean(member) ? json_is_true(member) : otherwise;
}

static bool small_whole(const json_t *number, int *value)
{
    double given = json_number_value(number);
    if (!json_is_number(number) || given < 1 || given > NN_MAX_ATTRIBUTE || given != floor(given))
        return false;
    *value = (int)given;
    return true;
}

mien_status keras_pair(keras_reader *r, const keras_call *call, const char *key, const char *old, int *first,
                       int *second)
{
    const json_t *member = keras_member(call, key, old);
    if (!member || json_is_null(member))
        return MIEN_OK;
    if (small_whole(member, first)) {
        *second = *first;
        return MIEN_OK;
    }
    if (json_array_size(member) != 2 || !small_whole(json_array_get(member, 0), first) ||
        !small_whole(json_array_get(member, 1), second))
        return keras_fail(r, call, MIEN_EFORMAT, "%s is not one or two whole numbers", key);
    return MIEN_OK;
}

const char *keras_activation_name(const json_t *activation)
{
    const char *name = json_string_value(activation);
    if (name)
        return name;
    if (!json_is_object(activation))
        return "linear";
    name = json_string_value(json_object_get(activation, "config")); /* Keras 3: a function by its name */
    if (!name)
        name = json_string_value(json_object_get(activation, "class_name"));
    return name ? name : "?";
}

/* ---- weights ---- */

static mien_status load_weight_names(keras_reader *r, const char *group)
{
    if (r->weight_group && !strcmp(r->weight_group, group))
        return MIEN_OK;
    r->weight_group = NULL;
    mien_status status =
        keras_file_list(&r->file, group, "weight_names", &r->arena, &r->weight_names, &r->weight_name_count);
    size_t length = strlen(group) + 1;
    char *copy = status ? NULL : memory_arena_take(&r->arena, length, 1);
    if (copy)
        r->weight_group = memcpy(copy, group, length);
    return status || copy ? status : error_no_memory(r->error, length);
}

static const char *old_kind(const char *kind)
{
    static const char *const pairs[][2] = {{"kernel", "_W"},
                                           {"bias", "_b"},
                                           {"gamma", "_gamma"},
                                           {"beta", "_beta"},
                                           {"moving_mean", "_running_mean"},
                                           {"moving_variance", "_running_std"},
                                           {"alpha", "_alphas"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!strcmp(pairs[i][0], kind))
            return pairs[i][1];
    }
    return NULL;
}

/* Whether "a/owner/kind:0" is of that kind; *owner and *length are the part before. */
static bool is_kind(const char *name, const char *kind, const char **owner, size_t *length)
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    size_t kind_length = strcspn(last, ":");
    const char *start = name;
    for (const char *c = name; slash && c < slash; c++)
        start = *c == '/' ? c + 1 : start;
    *owner = start;
    *length = slash ? (size_t)(slash - start) : 0;
    if (kind_length == strlen(kind) && !strncmp(last, kind, kind_length))
        return true;
    const char *suffix = slash ? NULL : old_kind(kind);
    size_t total = strlen(name);
    if (!suffix || total < strlen(suffix) || strcmp(name + total - strlen(suffix), suffix))
        return false;
    *length = total - strlen(suffix);
    return true;
}

/* 2: the layer itself, 1: the layer with the number that TensorFlow adds to a name used before, 0: another layer. */
static int owner_match(const char *owner, size_t length, const char *layer)
{
    size_t own = strlen(layer);
    if (length < own || strncmp(owner, layer, own))
        return 0;
    if (length == own)
        return 2;
    if (owner[own] != '_' || length == own + 1)
        return 0;
    return strspn(owner + own + 1, "0123456789") >= length - own - 1;
}

static const char *match_weight(const keras_reader *r, const keras_call *call, const char *kind)
{
    const char *best = NULL;
    int quality = 0;
    for (size_t i = 0; i < r->weight_name_count; i++) {
        const char *owner;
        size_t length;
        if (!is_kind(r->weight_names[i], kind, &owner, &length))
            continue;
        int match = r->group ? owner_match(owner, length, call->layer) : 3;
        if (match > quality) {
            best = r->weight_names[i];
            quality = match;
        }
    }
    return best;
}

mien_status keras_tensor_find(keras_reader *r, const keras_call *call, const char *kind, keras_tensor *tensor,
                              bool *found)
{
    if (r->archive)
        return keras_archive_tensor(r, call, kind, tensor, found);
    buffer path = {0};
    const char *name = NULL;
    *found = false;
    buffer_append_format(&path, "%s%s", r->in_model_weights ? "model_weights/" : "", r->group ? r->group : call->layer);
    mien_status status = buffer_status(&path, r->error);
    bool there = false;
    if (!status)
        status = keras_file_has(&r->file, buffer_text(&path), &there);
    if (status || !there)
        goto out; /* a layer without weights need not have a group */
    if (!status)
        status = load_weight_names(r, buffer_text(&path));
    if (!status)
        name = match_weight(r, call, kind);
    if (status || !name)
        goto out;
    buffer_append_format(&path, "/%s", name);
    status = buffer_status(&path, r->error);
    if (!status)
        status = keras_file_tensor(&r->file, buffer_text(&path), &r->arena, tensor);
    *found = !status;
out:
    buffer_done(&path);
    return status;
}

mien_status keras_tensor_get(keras_reader *r, const keras_call *call, const char *kind, keras_tensor *tensor)
{
    bool found;
    mien_status status = keras_tensor_find(r, call, kind, tensor, &found);
    if (!status && !found)
        status = keras_fail(r, call, MIEN_EFORMAT, "the file has no %s for it", kind);
    return status;
}

float *keras_room(keras_reader *r, size_t count)
{
    float *data = memory_arena_take(&r->arena, count, sizeof *data);
    if (!data)
        error_set(r->error, MIEN_ELIMIT, "the weights need too much memory");
    return data;
}

static mien_status graph_failure(keras_reader *r)
{
    mien_status status = r->graph->failed;
    return error_set(r->error, status == MIEN_EINVAL ? MIEN_EFORMAT : status, "%s", r->graph->error.message);
}

static int find_equal(const nn_graph *graph, const char *name, const nn_shape *shape, const float *data)
{
    for (int i = 0; i < graph->weight_count; i++) {
        const nn_weight *weight = &graph->weights[i];
        if (!strcmp(weight->name, name) && nn_shape_equal(&weight->shape, shape) &&
            !memcmp(weight->data, data, weight->count * sizeof *data))
            return i;
    }
    return -1;
}

mien_status keras_weight(keras_reader *r, const keras_call *call, const char *part, nn_shape shape, unsigned flags,
                         const float *data, int *index)
{
    buffer name = {0};
    buffer_append_format(&name, "%s.%s", call->owner, part);
    mien_status status = buffer_status(&name, r->error);
    size_t bytes = nn_shape_count(&shape) * sizeof *data;
    *index = status ? -1 : find_equal(r->graph, buffer_text(&name), &shape, data);
    if (status || *index >= 0)
        goto out;
    if (bytes > r->max_weight_bytes - r->weight_bytes) {
        status = keras_fail(r, call, MIEN_ELIMIT, "the weights need more than %zu bytes", r->max_weight_bytes);
        goto out;
    }
    *index = nn_graph_weight(r->graph, buffer_text(&name), shape, flags);
    if (*index < 0) {
        status = graph_failure(r);
        goto out;
    }
    r->weight_bytes += bytes;
    memcpy(r->graph->weights[*index].data, data, bytes);
out:
    buffer_done(&name);
    return status;
}

mien_status keras_vector(keras_reader *r, const keras_call *call, const char *kind, const char *part, int64_t count,
                         unsigned flags, float fill, int *index)
{
    keras_tensor tensor = {0};
    bool found = false;
    mien_status status = kind ? keras_tensor_find(r, call, kind, &tensor, &found) : MIEN_OK;
    if (status)
        return status;
    if (count < 1 || count > NN_MAX_WEIGHT || (found && tensor.count != (size_t)count))
        return keras_fail(r, call, MIEN_EFORMAT, "its %s has %zu numbers for %lld channels", part, tensor.count,
                          (long long)count);
    float *data = found ? tensor.data : keras_room(r, (size_t)count);
    if (!data)
        return MIEN_ELIMIT;
    for (int64_t i = 0; i < count && !found; i++)
        data[i] = fill;
    return keras_weight(r, call, part, (nn_shape){1, {count}}, flags, data, index);
}

/* ---- nodes ---- */

nn_node keras_unary(nn_op op, int input)
{
    return (nn_node){.op = op, .input_count = 1, .inputs = {input}, .weights = {-1, -1, -1, -1}};
}

mien_status keras_add(keras_reader *r, const keras_call *call, const char *suffix, nn_node *node, keras_value *out)
{
    buffer name = {0};
    buffer_append_format(&name, "%s%s", call->name, suffix);
    mien_status status = buffer_status(&name, r->error);
    if (!status) {
        node->name = (char *)name.data;
        int index = nn_graph_add(r->graph, node);
        if (index < 0)
            status = graph_failure(r);
        else
            *out = (keras_value){.node = index};
    }
    buffer_done(&name);
    return status;
}

mien_status keras_add_pooled(keras_reader *r, const keras_call *call, nn_node *node, bool keep, keras_value *out)
{
    if (keep)
        return keras_add(r, call, "", node, out);
    keras_value pooled = {0};
    mien_status status = keras_add(r, call, "/pool", node, &pooled);
    nn_node flat = keras_unary(NN_FLATTEN, pooled.node);
    return status ? status : keras_add(r, call, "", &flat, out);
}

const nn_shape *keras_shape(const keras_reader *r, const keras_value *value)
{
    return &r->graph->nodes[value->node].shape;
}

mien_status keras_ordered(keras_reader *r, const keras_call *call, const keras_value *in, keras_value *out)
{
    if (!in->channels) {
        *out = *in;
        return MIEN_OK;
    }
    nn_node picture = keras_unary(NN_RESHAPE, in->node);
    picture.shape = (nn_shape){4, {NN_BATCH, in->channels, in->height, in->width}};
    keras_value at = *in;
    char suffix[2][40]; /* a layer may take several flattened pictures */
    snprintf(suffix[0], sizeof suffix[0], "/picture%d", in->node);
    snprintf(suffix[1], sizeof suffix[1], "/turned%d", in->node);
    mien_status status = keras_add(r, call, suffix[0], &picture, &at);
    nn_node turn = keras_unary(NN_TRANSPOSE, at.node);
    memcpy(turn.permutation, (const int[]){0, 2, 3, 1}, 4 * sizeof(int));
    if (!status)
        status = keras_add(r, call, suffix[1], &turn, &at);
    nn_node flat = keras_unary(NN_FLATTEN, at.node);
    snprintf(suffix[0], sizeof suffix[0], "/flat%d", in->node);
    return status ? status : keras_add(r, call, suffix[0], &flat, out);
}

mien_status keras_axis(keras_reader *r, const keras_call *call, int64_t axis, int rank, int *out)
{
    if (axis < 0)
        axis += rank;
    if (axis < 1 || axis >= rank || (rank != 2 && rank != 4))
        return keras_fail(r, call, MIEN_EUNSUPPORTED, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    static const int of_picture[4] = {0, 2, 3, 1}; /* N, H, W, C in the graph */
    *out = rank == 4 ? of_picture[axis] : (int)axis;
    return MIEN_OK;
}
