/* Our graph as ONNX, weights as they lie in memory, in the oldest operator set from 13 on that has its operators.
 *
 * A value has the name of the node that computes it. Where ONNX has no operator of ours, two do it: Swish is
 * Sigmoid and Mul, HardSwish is HardSigmoid and Mul (HardSwish itself came with set 14), ScaleShift is Mul and Add; the
 * reader joins them again. Shapes, bounds and ratios are small constant tensors named "<node>.<what>".
 */
#include "model/model.h"

#include "base/error.h"
#include "base/file.h"
#include "model/onnx_sketch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPSET = 13, AXES_ARE_INPUTS = 18 };

static int64_t opset_of(const nn_graph *graph)
{
    int64_t opset = OPSET;
    for (int i = 0; i < graph->node_count; i++) {
        nn_op op = graph->nodes[i].op;
        int64_t came = op == NN_GELU || op == NN_GELU_TANH ? 20 : op == NN_LAYER_NORM ? 17 : OPSET;
        opset = came > opset ? came : opset;
    }
    return opset;
}

static const nn_node *source(const onnx_sketch *w, int input)
{
    return &w->graph->nodes[w->at->inputs[input]];
}

/* ---- operators ---- */

/* One ONNX node of that operator with the node's own inputs. */
static void plain(onnx_sketch *w, const char *op)
{
    sketch_add_node(w, op, w->at->name);
    for (int i = 0; i < w->at->input_count; i++)
        sketch_add_input(w, source(w, i)->name);
}

static void window(onnx_sketch *w)
{
    const nn_node *n = w->at;
    sketch_add_ints(w, "kernel_shape", (const int[]){n->kernel_h, n->kernel_w}, 2);
    sketch_add_ints(w, "strides", (const int[]){n->stride_h, n->stride_w}, 2);
    sketch_add_ints(w, "pads", (const int[]){n->pad_top, n->pad_left, n->pad_bottom, n->pad_right}, 4);
}

static void write_conv(onnx_sketch *w)
{
    plain(w, "Conv");
    sketch_input_weight(w, 0, 0);
    if (w->at->weights[1] >= 0)
        sketch_input_weight(w, 1, 0);
    window(w);
    sketch_add_ints(w, "dilations", (const int[]){w->at->dilation_h, w->at->dilation_w}, 2);
    sketch_add_int(w, "group", w->at->groups);
}

/* ONNX has this kernel as [I, O/groups, h, w]. */
static void write_conv_transpose(onnx_sketch *w)
{
    const nn_node *n = w->at;
    const nn_weight *kernel = &w->graph->weights[n->weights[0]];
    const int64_t *k = kernel->shape.dim;
    size_t groups = (size_t)n->groups, inputs = (size_t)k[1], outputs = (size_t)k[0] / groups;
    size_t places = (size_t)(k[2] * k[3]);
    plain(w, "ConvTranspose");
    float *turned = sketch_input_copy(w, 0, (nn_shape){4, {k[1] * n->groups, k[0] / n->groups, k[2], k[3]}});
    for (size_t g = 0; turned && g < groups; g++)
        for (size_t i = 0; i < inputs; i++)
            for (size_t o = 0; o < outputs; o++)
                memcpy(turned + ((g * inputs + i) * outputs + o) * places,
                       kernel->data + ((g * outputs + o) * inputs + i) * places, places * sizeof *turned);
    if (n->weights[1] >= 0)
        sketch_input_weight(w, 1, 0);
    window(w);
    sketch_add_ints(w, "dilations", (const int[]){n->dilation_h, n->dilation_w}, 2);
    sketch_add_ints(w, "output_padding", (const int[]){n->extra_h, n->extra_w}, 2);
    sketch_add_int(w, "group", n->groups);
}

static void write_dense(onnx_sketch *w)
{
    plain(w, "Gemm");
    sketch_input_weight(w, 0, 0);
    if (w->at->weights[1] >= 0)
        sketch_input_weight(w, 1, 0);
    sketch_add_int(w, "transB", 1);
}

static void write_batch_norm(onnx_sketch *w)
{
    plain(w, "BatchNormalization");
    for (int slot = 0; slot < 4; slot++)
        sketch_input_weight(w, slot, 0);
    sketch_add_float(w, "epsilon", w->at->epsilon);
    sketch_add_float(w, "momentum", w->at->momentum);
}

static void turn(onnx_sketch *w, const char *from, const char *to, const int *order)
{
    sketch_add_node(w, "Transpose", to);
    sketch_add_input(w, from);
    sketch_add_ints(w, "perm", order, 4);
}

/* ONNX normalises the last axis: around that of a picture's channels there are transpositions, which the reader takes
 * away again. */
static void write_layer_norm(onnx_sketch *w)
{
    const nn_node *n = w->at;
    bool picture = n->axis == 1 && n->shape.rank == 4;
    const char *from = source(w, 0)->name, *turned = picture ? sketch_join(w, n->name, ".turned") : from;
    const char *normed = picture ? sketch_join(w, n->name, ".normed") : n->name;
    if (!picture && n->axis != n->shape.rank - 1 && !w->status)
        w->status = error_set(w->error, MIEN_EUNSUPPORTED, "node %.80s: axis %d cannot be written", n->name, n->axis);
    if (picture)
        turn(w, from, turned, (const int[]){0, 2, 3, 1});
    sketch_add_node(w, "LayerNormalization", normed);
    sketch_add_input(w, turned);
    if (n->weights[0] >= 0)
        sketch_input_weight(w, 0, 0);
    else /* obligatory there */
        sketch_input_ones(w, ".scale", n->shape.dim[n->axis]);
    if (n->weights[1] >= 0)
        sketch_input_weight(w, 1, 0);
    sketch_add_int(w, "axis", -1);
    sketch_add_float(w, "epsilon", n->epsilon);
    if (picture)
        turn(w, normed, n->name, (const int[]){0, 3, 1, 2});
}

static void write_channel_pool(onnx_sketch *w)
{
    plain(w, nn_op_name(w->at->op));
    if (w->document.opset >= AXES_ARE_INPUTS)
        sketch_input_ints(w, ".axes", (const int64_t[]){1}, 1);
    else
        sketch_add_ints(w, "axes", (const int[]){1}, 1);
    sketch_add_int(w, "keepdims", 1);
}

static void write_scale_shift(onnx_sketch *w)
{
    const nn_node *n = w->at;
    const char *from = source(w, 0)->name;
    int ones = n->shape.rank - 2;
    bool scale = n->weights[0] >= 0, shift = n->weights[1] >= 0;
    if (scale) {
        const char *to = shift ? sketch_join(w, n->name, ".scaled") : n->name;
        sketch_add_node(w, "Mul", to);
        sketch_add_input(w, from);
        sketch_input_weight(w, 0, ones);
        from = to;
    }
    if (shift) {
        sketch_add_node(w, "Add", n->name);
        sketch_add_input(w, from);
        sketch_input_weight(w, 1, ones);
    }
    if (!scale && !shift)
        plain(w, "Identity");
}

/* x · gate(x) */
static void write_gated(onnx_sketch *w)
{
    bool hard = w->at->op == NN_HARD_SWISH;
    const char *gate = sketch_join(w, w->at->name, ".gate"), *from = source(w, 0)->name;
    sketch_add_node(w, hard ? "HardSigmoid" : "Sigmoid", gate);
    sketch_add_input(w, from);
    if (hard) {
        sketch_add_float(w, "alpha", 1.0f / 6);
        sketch_add_float(w, "beta", 0.5f);
    }
    sketch_add_node(w, "Mul", w->at->name);
    sketch_add_input(w, from);
    sketch_add_input(w, gate);
}

static void write_clip(onnx_sketch *w)
{
    plain(w, "Clip");
    sketch_input_floats(w, ".min", &w->at->alpha, 1, 0);
    sketch_input_floats(w, ".max", &w->at->beta, 1, 0);
}

static void write_prelu(onnx_sketch *w)
{
    plain(w, "PRelu");
    sketch_input_weight(w, 0, w->at->shape.rank - 2);
}

static void write_pool(onnx_sketch *w)
{
    plain(w, nn_op_name(w->at->op));
    window(w);
    if (w->at->op == NN_AVG_POOL)
        sketch_add_int(w, "count_include_pad", w->at->count_include_pad);
    if ((w->at->dilation_h != 1 || w->at->dilation_w != 1) && !w->status)
        w->status =
            error_set(w->error, MIEN_EUNSUPPORTED, "node %.80s: dilated pooling cannot be written", w->at->name);
}

/* 0 keeps the batch. */
static void write_reshape(onnx_sketch *w)
{
    int64_t dim[NN_MAX_RANK] = {0};
    int open = 0;
    for (int i = 1; i < w->at->shape.rank; i++) {
        open += w->at->shape.dim[i] < 0;
        dim[i] = w->at->shape.dim[i] < 0 ? -1 : w->at->shape.dim[i];
    }
    plain(w, "Reshape");
    sketch_input_ints(w, ".shape", dim, (size_t)w->at->shape.rank);
    if (open > 1 && !w->status)
        w->status = error_set(w->error, MIEN_EUNSUPPORTED, "node %.80s: two sizes are open", w->at->name);
}

static void write_slice(onnx_sketch *w)
{
    plain(w, "Slice");
    sketch_input_ints(w, ".starts", (const int64_t[]){w->at->begin}, 1);
    sketch_input_ints(w, ".ends", (const int64_t[]){w->at->end}, 1);
    sketch_input_ints(w, ".axes", (const int64_t[]){w->at->axis}, 1);
}

static void write_pad(onnx_sketch *w)
{
    const nn_node *n = w->at;
    plain(w, "Pad");
    sketch_input_ints(w, ".pads", (const int64_t[]){0, 0, n->pad_top, n->pad_left, 0, 0, n->pad_bottom, n->pad_right},
                      8);
    sketch_add_text(w, "mode", "constant");
}

static void write_upsample(onnx_sketch *w)
{
    plain(w, "Resize");
    sketch_add_input(w, ""); /* the region of interest, for another mode */
    sketch_input_floats(w, ".scales", (const float[]){1, 1, (float)w->at->stride_h, (float)w->at->stride_w}, 4, 1);
    sketch_add_text(w, "mode", "nearest");
    sketch_add_text(w, "coordinate_transformation_mode", "asymmetric");
    sketch_add_text(w, "nearest_mode", "floor");
}

static void write_node(onnx_sketch *w)
{
    const nn_node *n = w->at;
    switch (n->op) {
    case NN_INPUT:
        return;
    case NN_CONV:
        write_conv(w);
        return;
    case NN_CONV_TRANSPOSE:
        write_conv_transpose(w);
        return;
    case NN_DENSE:
        write_dense(w);
        return;
    case NN_LAYER_NORM:
        write_layer_norm(w);
        return;
    case NN_CHANNEL_MEAN:
    case NN_CHANNEL_MAX:
        write_channel_pool(w);
        return;
    case NN_BATCH_NORM:
        write_batch_norm(w);
        return;
    case NN_SCALE_SHIFT:
        write_scale_shift(w);
        return;
    case NN_SWISH:
    case NN_HARD_SWISH:
        write_gated(w);
        return;
    case NN_CLIP:
        write_clip(w);
        return;
    case NN_PRELU:
        write_prelu(w);
        return;
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        write_pool(w);
        return;
    case NN_RESHAPE:
        write_reshape(w);
        return;
    case NN_SLICE:
        write_slice(w);
        return;
    case NN_PAD:
        write_pad(w);
        return;
    case NN_UPSAMPLE:
        write_upsample(w);
        return;
    default:
        break;
    }
    plain(w, nn_op_name(n->op));
    if (n->op == NN_LEAKY_RELU || n->op == NN_ELU || n->op == NN_HARD_SIGMOID)
        sketch_add_float(w, "alpha", n->alpha);
    if (n->op == NN_GELU_TANH)
        sketch_add_text(w, "approximate", "tanh");
    if (n->op == NN_HARD_SIGMOID)
        sketch_add_float(w, "beta", n->beta);
    if (n->op == NN_CONCAT || n->op == NN_SOFTMAX)
        sketch_add_int(w, "axis", n->axis);
    if (n->op == NN_TRANSPOSE)
        sketch_add_ints(w, "perm", n->permutation, (size_t)n->shape.rank);
    if (n->op == NN_DROPOUT)
        sketch_input_floats(w, ".ratio", &n->alpha, 1, 0);
}

/* ---- the whole ---- */

/* Only the inputs' open sizes have symbols: an output's height is another one than the input's. */
static void describe_port(const nn_node *node, const char *name, onnx_port *port)
{
    int64_t open = node->op == NN_INPUT ? -1 : ONNX_DIM_UNNAMED;
    *port = (onnx_port){.name = name, .type = ONNX_FLOAT, .rank = node->shape.rank};
    for (int i = 0; i < node->shape.rank; i++)
        port->dim[i] = node->shape.dim[i] > 0 ? node->shape.dim[i] : i ? open : -1;
}

static bool listed_before(const nn_graph *graph, int index)
{
    for (int i = 0; i < index; i++) {
        if (graph->outputs[i] == graph->outputs[index])
            return true;
    }
    return false;
}

/* An ONNX output must be computed and listed once: an input, or a value that is listed twice, goes through Identity. */
static void write_output(onnx_sketch *w, int index)
{
    const nn_node *node = &w->graph->nodes[w->graph->outputs[index]];
    const char *name = node->name;
    if (node->op == NN_INPUT || listed_before(w->graph, index)) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, ".output%d", index);
        name = sketch_join(w, node->name, suffix);
        sketch_add_node(w, "Identity", name);
        sketch_add_input(w, node->name);
    }
    describe_port(node, name, &w->document.outputs[w->document.output_count++]);
}

static void reserve(onnx_sketch *w)
{
    size_t nodes = (size_t)w->graph->node_count, outputs = (size_t)w->graph->output_count;
    w->document.nodes = sketch_take(w, nodes * ONNX_SKETCH_NODES + outputs, sizeof *w->document.nodes);
    w->document.tensors = sketch_take(w, nodes * ONNX_SKETCH_TENSORS, sizeof *w->document.tensors);
    w->document.inputs = sketch_take(w, nodes, sizeof *w->document.inputs);
    w->document.outputs = sketch_take(w, outputs, sizeof *w->document.outputs);
}

static void write_graph(onnx_sketch *w)
{
    reserve(w);
    for (int i = 0; i < w->graph->node_count && !w->status; i++) {
        w->at = &w->graph->nodes[i];
        if (w->at->op == NN_INPUT)
            describe_port(w->at, w->at->name, &w->document.inputs[w->document.input_count++]);
        else
            write_node(w);
    }
    for (int i = 0; i < w->graph->output_count && !w->status; i++)
        write_output(w, i);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ONNX has one name space for values and weights. */
static void check_names(onnx_sketch *w)
{
    const onnx_document *d = &w->document;
    size_t count = 0;
    const char **names = sketch_take(w, d->node_count + d->tensor_count + d->input_count, sizeof *names);
    if (!names)
        return;
    for (size_t i = 0; i < d->node_count; i++)
        names[count++] = d->nodes[i].outputs[0];
    for (size_t i = 0; i < d->tensor_count; i++)
        names[count++] = d->tensors[i].name;
    for (size_t i = 0; i < d->input_count; i++)
        names[count++] = d->inputs[i].name;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count && !w->status; i++) {
        if (!strcmp(names[i - 1], names[i]))
            w->status = error_set(w->error, MIEN_EINVAL, "the name \"%.80s\" stands for two things", names[i]);
    }
}

static mien_status write_entry(void *context, const char *key, const char *value, mien_error *error)
{
    (void)error;
    onnx_sketch *w = context;
    onnx_entry *entry = &w->document.entries[w->document.entry_count];
    entry->key = sketch_join(w, "mien.", key);
    entry->value = sketch_join(w, value, "");
    if (!w->status)
        w->document.entry_count++;
    return w->status;
}

static void write_info(onnx_sketch *w, const model_info *info)
{
    enum { FIXED_ENTRIES = 32 };
    w->document.name = info->name && *info->name ? info->name : "mien";
    w->document.entries =
        sketch_take(w, FIXED_ENTRIES + info->figure_count + info->property_count, sizeof *w->document.entries);
    if (!w->status)
        w->status = model_info_visit(info, write_entry, w, w->error);
}

mien_status model_save_onnx_buffer(const model *m, buffer *out, mien_error *error)
{
    if (m->graph.failed)
        return error_set(error, m->graph.failed, "%s", m->graph.error.message);
    if (!m->graph.node_count || !m->graph.output_count)
        return error_set(error, MIEN_EINVAL, "the network has no output");
    onnx_sketch w = {.graph = &m->graph, .document = {.opset = opset_of(&m->graph)}, .error = error};
    write_graph(&w);
    if (!w.status)
        check_names(&w);
    if (!w.status)
        write_info(&w, &m->info);
    if (!w.status)
        w.status = onnx_document_write(&w.document, out, error);
    onnx_document_done(&w.document);
    return w.status;
}

mien_status model_save_onnx(const model *m, const char *path, mien_error *error)
{
    buffer bytes = {0};
    mien_status status = model_save_onnx_buffer(m, &bytes, error);
    if (!status)
        status = file_write(path, bytes.data, bytes.length, error);
    buffer_done(&bytes);
    return status;
}
