/* From an ONNX graph to ours: one pass over the nodes in their stored order, which the format requires to be an order
 * of execution (so a cycle shows as a value that is used before it is computed).
 *
 * Each name gets an entry in one sorted table. A node is either evaluated on the spot (constants, shape arithmetic:
 * onnx_fold.c) or handed to its operator's handler (onnx_layers.c, onnx_norms.c, onnx_activations.c, onnx_arithmetic.c,
 * onnx_layout.c), which adds nodes to the graph. A node takes the name of its output, so that a graph's outputs keep
 * their names.
 */
#include "model/onnx_read.h"

#include "base/error.h"
#include "model/onnx_reader.h"

#include <stdlib.h>
#include <string.h>

enum { OLDEST_OPSET = 7, NEWEST_OPSET = 21 };

/* ---- the table of names ---- */

static int compare_values(const void *a, const void *b)
{
    const onnx_value *left = a, *right = b;
    return strcmp(left->name, right->name);
}

onnx_value *onnx_find(const onnx_reader *r, const char *name)
{
    onnx_value key = {.name = name};
    return r->value_count ? bsearch(&key, r->values, r->value_count, sizeof key, compare_values) : NULL;
}

/* Whether a graph input is only the declaration of an initializer, as files before 2019 have it. */
static bool is_initializer(const onnx_reader *r, const char *name)
{
    onnx_value *value = onnx_find(r, name);
    return value && value->kind == ONNX_VALUE_CONSTANT;
}

static mien_status check_unique(const onnx_reader *r)
{
    for (size_t i = 0; i < r->value_count; i++) {
        if (!*r->values[i].name)
            return error_set(r->error, MIEN_EFORMAT, "a value without a name");
        if (i && !strcmp(r->values[i - 1].name, r->values[i].name))
            return error_set(r->error, MIEN_EFORMAT, "the name \"%.80s\" is given twice", r->values[i].name);
    }
    return MIEN_OK;
}

static void sort_values(onnx_reader *r)
{
    qsort(r->values, r->value_count, sizeof *r->values, compare_values);
}

static mien_status collect_names(onnx_reader *r)
{
    const onnx_document *d = r->document;
    size_t most = d->tensor_count + d->input_count;
    for (size_t i = 0; i < d->node_count; i++)
        most += d->nodes[i].output_count; /* all bounded by the scan */
    r->values = memory_arena_take(&r->arena, most, sizeof *r->values);
    if (!r->values)
        return error_no_memory(r->error, most * sizeof *r->values);
    for (size_t i = 0; i < d->tensor_count; i++)
        r->values[i] =
            (onnx_value){.name = d->tensors[i].name, .kind = ONNX_VALUE_CONSTANT, .constant = &d->tensors[i]};
    r->value_count = d->tensor_count;
    sort_values(r);
    size_t count = r->value_count;
    for (size_t i = 0; i < d->input_count; i++)
        if (!is_initializer(r, d->inputs[i].name))
            r->values[count++] = (onnx_value){.name = d->inputs[i].name};
    for (size_t i = 0; i < d->node_count; i++)
        for (size_t o = 0; o < d->nodes[i].output_count; o++)
            if (*d->nodes[i].outputs[o])
                r->values[count++] = (onnx_value){.name = d->nodes[i].outputs[o], .maker = &d->nodes[i]};
    r->value_count = count;
    sort_values(r);
    return check_unique(r);
}

static mien_status count_uses(onnx_reader *r)
{
    const onnx_document *d = r->document;
    for (size_t i = 0; i < d->node_count; i++) {
        r->at = &d->nodes[i];
        for (size_t k = 0; k < r->at->input_count; k++) {
            if (!*r->at->inputs[k])
                continue;
            onnx_value *value = onnx_find(r, r->at->inputs[k]);
            if (!value)
                return onnx_fail(r, MIEN_EFORMAT, "nothing computes its input \"%.80s\"", r->at->inputs[k]);
            value->uses++;
        }
    }
    r->at = NULL;
    for (size_t i = 0; i < d->output_count; i++) {
        onnx_value *value = onnx_find(r, d->outputs[i].name);
        if (!value)
            return error_set(r->error, MIEN_EFORMAT, "nothing computes the output \"%.80s\"", d->outputs[i].name);
        value->uses++;
        value->is_output = true;
    }
    return d->output_count ? MIEN_OK : error_set(r->error, MIEN_EFORMAT, "the graph has no output");
}

/* ---- the walk ---- */

/* Models converted from TensorFlow take [N,H,W,C] and transpose it first: few channels at the end, not after the batch.
 */
static bool is_nhwc(const onnx_port *port)
{
    return port->rank == 4 && (port->dim[3] == 1 || port->dim[3] == 3) && port->dim[1] != 1 && port->dim[1] != 3;
}

static mien_status add_input(onnx_reader *r, const onnx_port *port)
{
    onnx_value *value = onnx_find(r, port->name);
    if (!value || value->kind != ONNX_VALUE_NONE)
        return MIEN_OK; /* declares an initializer */
    if (port->rank < 2 || port->rank > NN_MAX_RANK)
        return error_set(r->error, MIEN_EUNSUPPORTED, "input \"%.80s\" has no usable shape", port->name);
    if (port->type != ONNX_FLOAT && port->type != ONNX_FLOAT16 && port->type != ONNX_DOUBLE)
        return error_set(r->error, MIEN_EUNSUPPORTED, "input \"%.80s\" is not of a floating type", port->name);
    nn_node node = {.op = NN_INPUT, .name = (char *)port->name, .shape = {.rank = port->rank}};
    for (int i = 0; i < port->rank; i++)
        node.shape.dim[i] = port->dim[i] > 0 ? port->dim[i] : NN_DYNAMIC;
    if (nn_graph_input(r->graph) < 0)
        r->batch = port->dim[0];
    node.shape.dim[0] = NN_BATCH;
    value->kind = is_nhwc(port) ? ONNX_VALUE_NHWC : ONNX_VALUE_NODE;
    if (value->kind == ONNX_VALUE_NHWC) {
        int64_t height = node.shape.dim[1], width = node.shape.dim[2];
        node.shape = (nn_shape){4, {NN_BATCH, node.shape.dim[3], height, width}};
    }
    value->node = nn_graph_add(r->graph, &node);
    if (value->node < 0)
        return error_set(r->error, r->graph->failed == MIEN_EINVAL ? MIEN_EFORMAT : r->graph->failed, "%s",
                         r->graph->error.message);
    return MIEN_OK;
}

static bool is_dead(const onnx_reader *r, const onnx_node *node)
{
    for (size_t o = 0; o < node->output_count; o++) {
        onnx_value *value = *node->outputs[o] ? onnx_find(r, node->outputs[o]) : NULL;
        if (value && value->uses)
            return false;
    }
    return true;
}

static onnx_handler find_handler(const onnx_node *node)
{
    if (*node->domain && node->domain != onnx_fused && strcmp(node->domain, "ai.onnx"))
        return NULL;
    onnx_handler handler = onnx_layer_handler(node->op);
    if (!handler)
        handler = onnx_norm_handler(node->op);
    if (!handler)
        handler = onnx_activation_handler(node->op);
    if (!handler)
        handler = onnx_arithmetic_handler(node->op);
    return handler ? handler : onnx_layout_handler(node->op);
}

/* Every input must have been computed by an earlier node. */
static mien_status check_order(onnx_reader *r)
{
    for (size_t i = 0; i < r->at->input_count; i++) {
        onnx_value *value = onnx_input(r, i);
        if (value && value->kind == ONNX_VALUE_NONE)
            return onnx_fail(r, MIEN_EFORMAT,
                             "its input \"%.60s\" is not computed before it (a cycle, or a wrong order)", value->name);
    }
    return MIEN_OK;
}

static mien_status read_node(onnx_reader *r, const onnx_node *node)
{
    r->at = node;
    if (is_dead(r, node))
        return MIEN_OK;
    if (!*node->outputs[0])
        return onnx_fail(r, MIEN_EUNSUPPORTED, "its first output is left out");
    mien_status status = check_order(r);
    bool done = false;
    if (!status)
        status = onnx_fold(r, &done);
    if (status || done)
        return status;
    onnx_handler handler = find_handler(node);
    if (!handler)
        return onnx_fail(r, MIEN_EUNSUPPORTED, "mien has no such operator");
    if (!node->input_count)
        return onnx_fail(r, MIEN_EFORMAT, "it has no input");
    status = onnx_read_turned(r, handler, &done);
    return status || done ? status : handler(r);
}

static mien_status set_outputs(onnx_reader *r)
{
    r->at = NULL;
    for (size_t i = 0; i < r->document->output_count; i++) {
        onnx_value *value = onnx_find(r, r->document->outputs[i].name);
        int node = -1;
        if (value->kind == ONNX_VALUE_NONE)
            return error_set(r->error, MIEN_EFORMAT, "the output \"%.80s\" is never computed", value->name);
        mien_status status = onnx_realise(r, value, &node);
        if (!status && nn_graph_set_output(r->graph, node))
            status = error_set(r->error, r->graph->failed, "%s", r->graph->error.message);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status read_graph(onnx_reader *r)
{
    const onnx_document *d = r->document;
    if (d->opset < OLDEST_OPSET || d->opset > NEWEST_OPSET)
        return error_set(r->error, MIEN_EUNSUPPORTED, "ONNX operator set %lld; mien reads %d to %d",
                         (long long)d->opset, OLDEST_OPSET, NEWEST_OPSET);
    mien_status status = collect_names(r);
    if (!status)
        status = count_uses(r);
    if (!status)
        status = onnx_fuse(r);
    for (size_t i = 0; i < d->input_count && !status; i++)
        status = add_input(r, &d->inputs[i]);
    if (!status && nn_graph_input(r->graph) < 0)
        status = error_set(r->error, MIEN_EFORMAT, "the graph has no input");
    for (size_t i = 0; i < d->node_count && !status; i++)
        status = read_node(r, &d->nodes[i]);
    return status ? status : set_outputs(r);
}

/* ---- what stands beside the graph ---- */

static mien_status read_info(const onnx_document *d, model_info *info, mien_error *error)
{
    static const char prefix[] = "mien.";
    for (size_t i = 0; i < d->entry_count; i++) {
        if (strncmp(d->entries[i].key, prefix, sizeof prefix - 1))
            continue;
        mien_status status = model_info_set(info, d->entries[i].key + sizeof prefix - 1, d->entries[i].value, error);
        if (status)
            return error_prefix(error, status == MIEN_EINVAL ? MIEN_EFORMAT : status, "metadata");
    }
    return MIEN_OK;
}

mien_status onnx_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out, mien_error *error)
{
    onnx_document document;
    mien_status status = onnx_document_parse(bytes, length, limits, &document, error);
    if (status)
        return status;
    model read = {0};
    onnx_reader reader = {.document = &document,
                          .graph = &read.graph,
                          .max_weight_bytes = limits->max_weight_bytes,
                          .arena = {.limit = limits->max_weight_bytes},
                          .batch = -1,
                          .error = error};
    status = read_graph(&reader);
    if (!status) {
        model_info_init(&read.info, &read.graph);
        status = read_info(&document, &read.info, error);
    }
    memory_arena_done(&reader.arena);
    onnx_document_done(&document);
    if (status)
        model_done(&read);
    else
        *out = read;
    return status;
}
