/* Pieces of an ONNX document for the writer: everything lies in the document's arena, names and weights are borrowed
 * from the graph.
 */
#include "model/onnx_sketch.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { MOST_ATTRIBUTES = 8 };

void *sketch_take(onnx_sketch *w, size_t count, size_t size)
{
    void *block = memory_arena_take(&w->document.arena, count, size);
    if (!block && !w->status)
        w->status = error_no_memory(w->error, count * size);
    return block;
}

const char *sketch_join(onnx_sketch *w, const char *name, const char *suffix)
{
    size_t length = strlen(name) + strlen(suffix) + 1;
    char *text = sketch_take(w, length, 1);
    if (!text)
        return "";
    snprintf(text, length, "%s%s", name, suffix);
    return text;
}

void sketch_add_node(onnx_sketch *w, const char *op, const char *output)
{
    onnx_node *node = &w->document.nodes[w->document.node_count];
    *node = (onnx_node){.name = output, .op = op, .domain = ""};
    node->inputs = sketch_take(w, NN_MAX_INPUTS, sizeof *node->inputs);
    node->outputs = sketch_take(w, 1, sizeof *node->outputs);
    node->attributes = sketch_take(w, MOST_ATTRIBUTES, sizeof *node->attributes);
    if (w->status)
        return;
    node->outputs[0] = output;
    node->output_count = 1;
    w->document.node_count++;
}

void sketch_add_input(onnx_sketch *w, const char *name)
{
    if (w->status)
        return;
    onnx_node *node = &w->document.nodes[w->document.node_count - 1];
    node->inputs[node->input_count++] = name;
}

static onnx_attribute *add_attribute(onnx_sketch *w, const char *name, int type)
{
    if (w->status)
        return NULL;
    onnx_node *node = &w->document.nodes[w->document.node_count - 1];
    onnx_attribute *attribute = &node->attributes[node->attribute_count++];
    *attribute = (onnx_attribute){.name = name, .type = type, .text = ""};
    return attribute;
}

void sketch_add_int(onnx_sketch *w, const char *name, int64_t value)
{
    onnx_attribute *attribute = add_attribute(w, name, ONNX_ATTRIBUTE_INT);
    if (attribute)
        attribute->i = value;
}

void sketch_add_float(onnx_sketch *w, const char *name, float value)
{
    onnx_attribute *attribute = add_attribute(w, name, ONNX_ATTRIBUTE_FLOAT);
    if (attribute)
        attribute->f = value;
}

void sketch_add_text(onnx_sketch *w, const char *name, const char *value)
{
    onnx_attribute *attribute = add_attribute(w, name, ONNX_ATTRIBUTE_TEXT);
    if (attribute)
        attribute->text = value;
}

void sketch_add_ints(onnx_sketch *w, const char *name, const int *values, size_t count)
{
    int64_t *copy = sketch_take(w, count, sizeof *copy);
    onnx_attribute *attribute = add_attribute(w, name, ONNX_ATTRIBUTE_INTS);
    if (!attribute || !copy)
        return;
    for (size_t i = 0; i < count; i++)
        copy[i] = values[i];
    attribute->ints = copy;
    attribute->int_count = count;
}

static onnx_tensor *add_tensor(onnx_sketch *w, const char *name)
{
    if (w->status)
        return NULL;
    onnx_tensor *tensor = &w->document.tensors[w->document.tensor_count++];
    *tensor = (onnx_tensor){.name = name};
    return tensor;
}

void sketch_input_ints(onnx_sketch *w, const char *what, const int64_t *values, size_t count)
{
    const char *name = sketch_join(w, w->at->name, what);
    int64_t *copy = sketch_take(w, count, sizeof *copy);
    onnx_tensor *tensor = add_tensor(w, name);
    if (!tensor || !copy)
        return;
    memcpy(copy, values, count * sizeof *copy);
    tensor->rank = 1;
    tensor->dim[0] = (int64_t)count;
    tensor->count = count;
    tensor->whole = true;
    tensor->ints = copy;
    sketch_add_input(w, name);
}

void sketch_input_floats(onnx_sketch *w, const char *what, const float *values, size_t count, int rank)
{
    const char *name = sketch_join(w, w->at->name, what);
    float *copy = sketch_take(w, count, sizeof *copy);
    onnx_tensor *tensor = add_tensor(w, name);
    if (!tensor || !copy)
        return;
    memcpy(copy, values, count * sizeof *copy);
    tensor->rank = rank;
    tensor->dim[0] = (int64_t)count;
    tensor->count = count;
    tensor->floats = copy;
    sketch_add_input(w, name);
}

static const onnx_tensor *find_tensor(const onnx_sketch *w, const char *name)
{
    for (size_t i = 0; i < w->document.tensor_count; i++) {
        if (!strcmp(w->document.tensors[i].name, name))
            return &w->document.tensors[i];
    }
    return NULL;
}

void sketch_input_weight(onnx_sketch *w, int slot, int ones)
{
    if (w->status)
        return;
    const nn_weight *weight = &w->graph->weights[w->at->weights[slot]];
    const char *name = weight->name;
    int rank = weight->shape.rank + ones;
    const onnx_tensor *stored = find_tensor(w, name);
    if (stored && stored->rank != rank) {
        name = sketch_join(w, w->at->name, slot ? ".shift" : ".scale");
        stored = NULL;
    }
    onnx_tensor *tensor = stored ? NULL : add_tensor(w, name);
    if (tensor) {
        tensor->rank = rank;
        for (int i = 0; i < rank; i++)
            tensor->dim[i] = i < weight->shape.rank ? weight->shape.dim[i] : 1;
        tensor->count = weight->count;
        tensor->floats = weight->data;
    }
    sketch_add_input(w, name);
}

float *sketch_input_copy(onnx_sketch *w, int slot, nn_shape shape)
{
    const nn_weight *weight = &w->graph->weights[w->at->weights[slot]];
    const char *name = find_tensor(w, weight->name) ? sketch_join(w, w->at->name, ".kernel") : weight->name;
    float *data = sketch_take(w, weight->count, sizeof *data);
    onnx_tensor *tensor = add_tensor(w, name);
    if (!tensor || !data)
        return NULL;
    tensor->rank = shape.rank;
    for (int i = 0; i < shape.rank; i++)
        tensor->dim[i] = shape.dim[i];
    tensor->count = weight->count;
    tensor->floats = data;
    sketch_add_input(w, name);
    return data;
}

void sketch_input_ones(onnx_sketch *w, const char *what, int64_t count)
{
    enum { MOST_ONES = 1 << 20 }; /* a tiny file may ask for an axis of a thousand million */
    if (count > MOST_ONES && !w->status)
        w->status = error_set(w->error, MIEN_ELIMIT, "node %.80s: more than %d scales would have to be written",
                              w->at->name, MOST_ONES);
    if (w->status)
        return;
    const char *name = sketch_join(w, w->at->name, what);
    float *ones = sketch_take(w, count > 0 ? (size_t)count : 1, sizeof *ones);
    onnx_tensor *tensor = add_tensor(w, name);
    if (!tensor || !ones)
        return;
    for (int64_t i = 0; i < count; i++)
        ones[i] = 1;
    tensor->rank = 1;
    tensor->dim[0] = count;
    tensor->count = (size_t)count;
    tensor->floats = ones;
    sketch_add_input(w, name);
}
