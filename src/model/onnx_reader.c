/* Tools of the operator handlers: inputs, attributes, weights, and adding nodes. Every number that comes from the file
 * is narrowed here, with a check, so that a handler may use int.
 */
#include "model/onnx_reader.h"

#include "base/error.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mien_status(onnx_fail)(onnx_reader *r, mien_status code, const char *format, ...)
{
    char message[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (!r->at)
        return error_set(r->error, code, "%s", message);
    const char *name = *r->at->name ? r->at->name : r->at->output_count ? r->at->outputs[0] : "?";
    return error_set(r->error, code, "node \"%.60s\" (%.40s): %s", name, r->at->op, message);
}

/* ---- inputs ---- */

onnx_value *onnx_input(const onnx_reader *r, size_t index)
{
    if (index >= r->at->input_count || !*r->at->inputs[index])
        return NULL;
    return onnx_find(r, r->at->inputs[index]);
}

static mien_status graph_failure(onnx_reader *r)
{
    mien_status status = r->graph->failed;
    return error_set(r->error, status == MIEN_EINVAL ? MIEN_EFORMAT : status, "%s", r->graph->error.message);
}

static onnx_value *output_value(const onnx_reader *r)
{
    return onnx_find(r, r->at->outputs[0]);
}

/* What a waiting value is when nothing better comes of it. */
static mien_status realise_waiting(onnx_reader *r, onnx_value *value)
{
    onnx_value waiting = *value;
    onnx_node stand_in = {.name = "", .op = "", .domain = "", .outputs = &value->name, .output_count = 1};
    const onnx_node *at = r->at;
    r->at = &stand_in;
    mien_status status;
    bool named = waiting.kind == ONNX_VALUE_NHWC && !strcmp(r->graph->nodes[waiting.node].name, value->name);
    if (waiting.kind == ONNX_VALUE_NHWC) {
        nn_node node = onnx_unary(NN_TRANSPOSE, waiting.node);
        memcpy(node.permutation, (const int[]){0, 2, 3, 1}, 4 * sizeof(int));
        int turned = -1;
        status = named ? onnx_emit_part(r, &node, "/nhwc", &turned) : onnx_emit(r, &node);
        if (!status && named)
            onnx_alias(r, turned);
    } else if (waiting.kind == ONNX_VALUE_SCALED) {
        status = onnx_emit_scale_shift(r, waiting.node, waiting.constant, NULL);
    } else if (waiting.kind == ONNX_VALUE_MATMUL) {
        status = onnx_emit_dense(r, waiting.node, waiting.constant, false, 1, NULL, 0);
    } else {
        nn_node node = onnx_unary(waiting.op, waiting.node);
        node.alpha = waiting.alpha;
        node.beta = waiting.beta;
        status = onnx_emit(r, &node);
    }
    r->at = at;
    return status;
}

mien_status onnx_realise(onnx_reader *r, onnx_value *value, int *node)
{
    if (value->kind == ONNX_VALUE_CONSTANT || value->kind == ONNX_VALUE_NONE)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "\"%.60s\" is a constant where an activation is expected", value->name);
    if (value->kind != ONNX_VALUE_NODE) {
        mien_status status = realise_waiting(r, value);
        if (status)
            return status;
    }
    *node = value->node;
    return MIEN_OK;
}

mien_status onnx_activation(onnx_reader *r, size_t index, int *node)
{
    onnx_value *value = onnx_input(r, index);
    if (!value)
        return onnx_fail(r, MIEN_EFORMAT, "input %zu is missing", index);
    return onnx_realise(r, value, node);
}

mien_status onnx_constant(onnx_reader *r, size_t index, const onnx_tensor **tensor)
{
    const onnx_value *value = onnx_input(r, index);
    if (!value)
        return onnx_fail(r, MIEN_EFORMAT, "input %zu is missing", index);
    if (value->kind != ONNX_VALUE_CONSTANT)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "input %zu (\"%.60s\") is computed; mien needs a constant", index,
                         value->name);
    if (value->constant->unusable)
        return onnx_fail(r, value->constant->why ? value->constant->why : MIEN_EFORMAT, "tensor \"%.60s\" %s",
                         value->name, value->constant->unusable);
    *tensor = value->constant;
    return MIEN_OK;
}

/* ---- attributes ---- */

const onnx_attribute *onnx_attribute_find(const onnx_reader *r, const char *name)
{
    for (size_t i = 0; i < r->at->attribute_count; i++) {
        if (!strcmp(r->at->attributes[i].name, name))
            return &r->at->attributes[i];
    }
    return NULL;
}

int64_t onnx_attribute_int(const onnx_reader *r, const char *name, int64_t otherwise)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, name);
    return attribute ? attribute->i : otherwise;
}

float onnx_attribute_float(const onnx_reader *r, const char *name, float otherwise)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, name);
    return attribute ? attribute->f : otherwise;
}

const char *onnx_attribute_text(const onnx_reader *r, const char *name, const char *otherwise)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, name);
    return attribute ? attribute->text : otherwise;
}

mien_status onnx_attribute_ints(onnx_reader *r, const char *name, int *values, size_t count)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, name);
    if (!attribute)
        return MIEN_OK;
    if (attribute->int_count != count)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "%s has %zu numbers; mien takes %zu (two-dimensional pictures)", name,
                         attribute->int_count, count);
    for (size_t i = 0; i < count; i++) {
        if (attribute->ints[i] < INT_MIN || attribute->ints[i] > INT_MAX)
            return onnx_fail(r, MIEN_EFORMAT, "%s holds %lld", name, (long long)attribute->ints[i]);
    }
    for (size_t i = 0; i < count; i++)
        values[i] = (int)attribute->ints[i];
    return MIEN_OK;
}

mien_status onnx_list(onnx_reader *r, const char *name, size_t index, const int64_t **values, size_t *count)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, name);
    *count = 0;
    if (attribute) {
        *values = attribute->ints;
        *count = attribute->int_count;
        return MIEN_OK;
    }
    if (!onnx_input(r, index))
        return MIEN_OK;
    const onnx_tensor *tensor = NULL;
    mien_status status = onnx_constant(r, index, &tensor);
    if (status)
        return status;
    if (!tensor->whole || tensor->rank > 1)
        return onnx_fail(r, MIEN_EFORMAT, "%s is not a list of whole numbers", name);
    *values = tensor->ints;
    *count = tensor->count;
    return MIEN_OK;
}

mien_status onnx_scalar(onnx_reader *r, const char *name, size_t index, float *value)
{
    const onnx_attribute *attribute = onnx_attribute_find(r, name);
    if (attribute) {
        *value = attribute->f;
        return MIEN_OK;
    }
    if (!onnx_input(r, index))
        return MIEN_OK;
    const onnx_tensor *tensor = NULL;
    mien_status status = onnx_constant(r, index, &tensor);
    if (status)
        return status;
    if (tensor->count != 1)
        return onnx_fail(r, MIEN_EFORMAT, "%s is not one number", name);
    *value = tensor->whole ? (float)tensor->ints[0] : tensor->floats[0];
    return MIEN_OK;
}

mien_status onnx_axis(onnx_reader *r, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return onnx_fail(r, MIEN_EFORMAT, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return MIEN_OK;
}

/* ---- adding ---- */

nn_node onnx_unary(nn_op op, int input)
{
    return (nn_node){.op = op, .input_count = 1, .inputs = {input}, .weights = {-1, -1, -1, -1}};
}

void onnx_alias(onnx_reader *r, int node)
{
    onnx_value *value = output_value(r);
    value->kind = ONNX_VALUE_NODE;
    value->node = node;
}

mien_status onnx_emit(onnx_reader *r, nn_node *node)
{
    node->name = (char *)r->at->outputs[0];
    int index = nn_graph_add(r->graph, node);
    if (index < 0)
        return graph_failure(r);
    onnx_alias(r, index);
    return MIEN_OK;
}

mien_status onnx_emit_part(onnx_reader *r, nn_node *node, const char *suffix, int *index)
{
    buffer name = {0};
    buffer_append_text(&name, r->at->outputs[0]);
    buffer_append_text(&name, suffix);
    mien_status status = buffer_status(&name, r->error);
    if (!status) {
        node->name = (char *)name.data;
        *index = nn_graph_add(r->graph, node);
        status = *index < 0 ? graph_failure(r) : MIEN_OK;
    }
    buffer_done(&name);
    return status;
}

bool onnx_may_defer(const onnx_reader *r)
{
    const onnx_value *value = output_value(r);
    return value->uses == 1 && !value->is_output && !r->turned;
}

void onnx_defer(onnx_reader *r, onnx_value_kind kind, int node, const onnx_tensor *constant)
{
    onnx_value *value = output_value(r);
    value->kind = kind;
    value->node = node;
    value->constant = constant;
}

/* The weight of that name, when it has that content. */
static int find_equal(const nn_graph *graph, const char *name, const nn_shape *shape, const float *data, bool *taken)
{
    *taken = false;
    for (int i = 0; i < graph->weight_count; i++) {
        const nn_weight *weight = &graph->weights[i];
        if (strcmp(weight->name, name))
            continue;
        *taken = true;
        bool same = nn_shape_equal(&weight->shape, shape) && !memcmp(weight->data, data, weight->count * sizeof *data);
        return same ? i : -1;
    }
    return -1;
}

mien_status onnx_weight(onnx_reader *r, const char *name, nn_shape shape, unsigned flags, const float *data, int *index)
{
    size_t bytes = sizeof(float);
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 1 || !memory_multiply(bytes, (size_t)shape.dim[i], &bytes))
            return onnx_fail(r, MIEN_EFORMAT, "weight \"%.60s\" has an absurd shape", name);
    }
    char unique[320];
    snprintf(unique, sizeof unique, "%.300s", *name ? name : r->at->outputs[0]);
    bool taken;
    *index = find_equal(r->graph, unique, &shape, data, &taken);
    if (*index < 0 && taken) { /* one constant in two roles: the output's name tells them apart */
        snprintf(unique, sizeof unique, "%.150s/%.150s", r->at->outputs[0], name);
        *index = find_equal(r->graph, unique, &shape, data, &taken);
    }
    if (*index >= 0)
        return MIEN_OK;
    if (bytes > r->max_weight_bytes - r->weight_bytes)
        return onnx_fail(r, MIEN_ELIMIT, "the weights need more than %zu bytes", r->max_weight_bytes);
    int added = nn_graph_weight(r->graph, unique, shape, flags);
    if (added < 0)
        return graph_failure(r);
    r->weight_bytes += bytes;
    memcpy(r->graph->weights[added].data, data, bytes);
    *index = added;
    return MIEN_OK;
}

mien_status onnx_vector(onnx_reader *r, size_t index, int64_t count, unsigned flags, int *weight)
{
    const onnx_tensor *tensor = NULL;
    mien_status status = onnx_constant(r, index, &tensor);
    if (status)
        return status;
    if (tensor->whole || tensor->count != (size_t)count)
        return onnx_fail(r, MIEN_EFORMAT, "\"%.60s\" does not hold %lld numbers", tensor->name, (long long)count);
    return onnx_weight(r, tensor->name, (nn_shape){1, {count}}, flags, tensor->floats, weight);
}
