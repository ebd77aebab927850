/* ONNX as protobuf: the only file that sees the generated schema (onnx.proto: ModelProto > GraphProto > NodeProto >
 * AttributeProto, TensorProto; ValueInfoProto > TypeProto > TensorShapeProto).
 *
 * Reading goes in three steps: onnx_scan refuses what is too deep or too large, protobuf-c parses with an allocator
 * that has a budget, and the message is unfolded into the plain structures of onnx_document.h, which point into it.
 */
#include "model/onnx_document.h"

#include "base/error.h"
#include "model/onnx_scan.h"
#include "model/onnx_tensor.h"

#include <stdlib.h>
#include <string.h>

#include <onnx/onnx.pb-c.h>

/* ---- reading ---- */

typedef struct budget {
    size_t left;
    mien_status refused; /* why the last request was, MIEN_OK: none was */
} budget;

static void *budget_take(void *context, size_t size)
{
    budget *b = context;
    void *block = size > b->left ? NULL : malloc(size ? size : 1);
    if (block)
        b->left -= size;
    else
        b->refused = size > b->left ? MIEN_ELIMIT : MIEN_ENOMEM;
    return block;
}

static void budget_give_back(void *context, void *block)
{
    (void)context;
    free(block);
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

typedef struct unfolding {
    onnx_document *document;
    memory_arena *arena;
    mien_error *error;
    mien_status status;
} unfolding;

static void unfolding_exhausted(unfolding *u)
{
    u->status = u->arena->limited
                    ? error_set(u->error, MIEN_ELIMIT, "its tensors need more memory than the limit allows")
                    : error_no_memory(u->error, 0);
}

static void *take(unfolding *u, size_t count, size_t size)
{
    void *block = memory_arena_take(u->arena, count, size);
    if (!block && !u->status)
        unfolding_exhausted(u);
    return block;
}

static void unfold_tensor(unfolding *u, const Onnx__TensorProto *from, onnx_tensor *to)
{
    to->name = text_or_empty(from->name);
    if (!onnx_tensor_shape(to, from->dims, from->n_dims)) {
        to->unusable = "has an absurd shape";
        to->why = MIEN_EFORMAT;
        return;
    }
    if (from->n_external_data ||
        (from->has_data_location && from->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)) {
        to->unusable = "is stored in another file; save the model as one file";
        to->why = MIEN_EUNSUPPORTED;
        return;
    }
    onnx_storage storage = {
        .raw = from->has_raw_data && from->raw_data.len ? from->raw_data.data : NULL,
        .raw_length = from->raw_data.len,
        .floats = from->float_data,
        .float_count = from->n_float_data,
        .doubles = from->double_data,
        .double_count = from->n_double_data,
        .narrow = from->int32_data,
        .narrow_count = from->n_int32_data,
        .wide = from->int64_data,
        .wide_count = from->n_int64_data,
    };
    if (!onnx_tensor_load(to, from->data_type, &storage, u->arena) && !u->status)
        unfolding_exhausted(u);
}

static void unfold_attribute(unfolding *u, const Onnx__AttributeProto *from, onnx_attribute *to)
{
    *to = (onnx_attribute){.name = text_or_empty(from->name),
                           .f = from->f,
                           .i = from->i,
                           .type = (int)from->type,
                           .text = "",
                           .int_count = from->n_ints,
                           .float_count = from->n_floats,
                           .ints = from->ints,
                           .floats = from->floats};
    if (from->has_s) {
        char *text = take(u, from->s.len + 1, 1);
        if (text && from->s.len)
            memcpy(text, from->s.data, from->s.len);
        to->text = text ? text : "";
    }
    if (from->t) {
        onnx_tensor *tensor = take(u, 1, sizeof *tensor);
        if (tensor)
            unfold_tensor(u, from->t, tensor);
        to->tensor = tensor;
    }
}

static void unfold_node(unfolding *u, const Onnx__NodeProto *from, onnx_node *to)
{
    *to = (onnx_node){
        .name = text_or_empty(from->name), .op = text_or_empty(from->op_type), .domain = text_or_empty(from->domain)};
    to->inputs = take(u, from->n_input, sizeof *to->inputs);
    to->outputs = take(u, from->n_output, sizeof *to->outputs);
    to->attributes = take(u, from->n_attribute, sizeof *to->attributes);
    if (u->status)
        return;
    to->input_count = from->n_input;
    to->output_count = from->n_output;
    to->attribute_count = from->n_attribute;
    for (size_t i = 0; i < from->n_input; i++)
        to->inputs[i] = text_or_empty(from->input[i]);
    for (size_t i = 0; i < from->n_output; i++)
        to->outputs[i] = text_or_empty(from->output[i]);
    for (size_t i = 0; i < from->n_attribute && !u->status; i++)
        unfold_attribute(u, from->attribute[i], &to->attributes[i]);
}

static void unfold_port(const Onnx__ValueInfoProto *from, onnx_port *to)
{
    *to = (onnx_port){.name = text_or_empty(from->name), .rank = -1};
    if (!from->type || from->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !from->type->tensor_type)
        return;
    const Onnx__TypeProto__Tensor *type = from->type->tensor_type;
    to->type = type->elem_type;
    if (!type->shape || type->shape->n_dim > ONNX_MAX_RANK)
        return;
    to->rank = (int)type->shape->n_dim;
    for (int i = 0; i < to->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[i];
        bool known = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0;
        to->dim[i] = known ? dim->dim_value : -1;
    }
}

static void unfold_graph(unfolding *u, const Onnx__GraphProto *graph)
{
    onnx_document *d = u->document;
    d->name = text_or_empty(graph->name);
    d->nodes = take(u, graph->n_node, sizeof *d->nodes);
    d->tensors = take(u, graph->n_initializer, sizeof *d->tensors);
    d->inputs = take(u, graph->n_input, sizeof *d->inputs);
    d->outputs = take(u, graph->n_output, sizeof *d->outputs);
    if (u->status)
        return;
    for (size_t i = 0; i < graph->n_node && !u->status; i++)
        unfold_node(u, graph->node[i], &d->nodes[i]);
    for (size_t i = 0; i < graph->n_initializer && !u->status; i++)
        unfold_tensor(u, graph->initializer[i], &d->tensors[i]);
    for (size_t i = 0; i < graph->n_input; i++)
        unfold_port(graph->input[i], &d->inputs[i]);
    for (size_t i = 0; i < graph->n_output; i++)
        unfold_port(graph->output[i], &d->outputs[i]);
    d->node_count = graph->n_node;
    d->tensor_count = graph->n_initializer;
    d->input_count = graph->n_input;
    d->output_count = graph->n_output;
    if (graph->n_sparse_initializer && !u->status)
        u->status = error_set(u->error, MIEN_EUNSUPPORTED, "sparse tensors");
}

static void unfold_model(unfolding *u, const Onnx__ModelProto *model)
{
    onnx_document *d = u->document;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const char *domain = text_or_empty(model->opset_import[i]->domain);
        if (!*domain || !strcmp(domain, "ai.onnx"))
            d->opset = model->opset_import[i]->version;
    }
    d->description = text_or_empty(model->doc_string);
    if (!model->graph || !d->opset) {
        u->status = error_set(u->error, MIEN_EFORMAT, "not an ONNX model: no graph or no operator set");
        return;
    }
    d->entries = take(u, model->n_metadata_props, sizeof *d->entries);
    for (size_t i = 0; d->entries && i < model->n_metadata_props; i++)
        d->entries[d->entry_count++] =
            (onnx_entry){text_or_empty(model->metadata_props[i]->key), text_or_empty(model->metadata_props[i]->value)};
    if (!u->status)
        unfold_graph(u, model->graph);
}

mien_status onnx_document_parse(const uint8_t *bytes, size_t length, const model_limits *limits,
                                onnx_document *document, mien_error *error)
{
    *document = (onnx_document){0};
    mien_status status = onnx_scan(&onnx__model_proto__descriptor, bytes, length, limits->max_items, error);
    if (status == MIEN_EFORMAT)
        return error_prefix(error, status, "not an ONNX model, or a damaged one");
    if (status)
        return status;
    budget b = {0};
    if (!memory_multiply(length, 3, &b.left) || !memory_sum(b.left, limits->max_items * 256, &b.left))
        return error_no_memory(error, length);
    ProtobufCAllocator allocator = {budget_take, budget_give_back, &b};
    Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, length, bytes);
    if (!model && b.refused == MIEN_ENOMEM)
        return error_no_memory(error, length);
    if (!model)
        return error_set(error, MIEN_EFORMAT, "not an ONNX model");
    document->message = model;
    document->arena.limit = limits->max_weight_bytes;
    unfolding u = {document, &document->arena, error, MIEN_OK};
    unfold_model(&u, model);
    if (u.status)
        onnx_document_done(document);
    return u.status;
}

void onnx_document_done(onnx_document *document)
{
    if (document->message)
        onnx__model_proto__free_unpacked(document->message, NULL);
    memory_arena_done(&document->arena);
    *document = (onnx_document){0};
}

/* ---- writing: the same structures the other way, in one arena ---- */

typedef struct folding {
    memory_arena arena;
    bool failed;
} folding;

static void *fold_take(folding *f, size_t count, size_t size)
{
    void *block = memory_arena_take(&f->arena, count, size);
    f->failed = f->failed || !block;
    return block;
}

/* An array of pointers to `count` fresh structures of `size` bytes. */
static void *fold_list(folding *f, size_t count, size_t size)
{
    void **list = fold_take(f, count, sizeof *list);
    char *items = fold_take(f, count, size);
    for (size_t i = 0; i < count && !f->failed; i++)
        list[i] = items + i * size;
    return list;
}

/* protobuf-c's fields are not const, but packing only reads. */
static char *unconst(const char *text)
{
    return (char *)text;
}

static void fold_tensor(const onnx_tensor *from, Onnx__TensorProto *to)
{
    onnx__tensor_proto__init(to);
    to->name = *from->name ? unconst(from->name) : NULL;
    to->n_dims = (size_t)from->rank;
    to->dims = (int64_t *)from->dim;
    to->has_data_type = 1;
    to->data_type = from->whole ? ONNX_INT64 : ONNX_FLOAT;
    to->has_raw_data = 1;
    to->raw_data.len = from->count * (from->whole ? sizeof *from->ints : sizeof *from->floats);
    to->raw_data.data = from->whole ? (uint8_t *)from->ints : (uint8_t *)from->floats;
}

static void fold_attribute(folding *f, const onnx_attribute *from, Onnx__AttributeProto *to)
{
    onnx__attribute_proto__init(to);
    to->name = unconst(from->name);
    to->has_type = 1;
    to->type = (Onnx__AttributeProto__AttributeType)from->type;
    to->has_f = from->type == ONNX_ATTRIBUTE_FLOAT;
    to->f = from->f;
    to->has_i = from->type == ONNX_ATTRIBUTE_INT;
    to->i = from->i;
    if (from->type == ONNX_ATTRIBUTE_TEXT) {
        to->has_s = 1;
        to->s.data = (uint8_t *)unconst(from->text);
        to->s.len = strlen(from->text);
    }
    if (from->type == ONNX_ATTRIBUTE_TENSOR) {
        to->t = fold_take(f, 1, sizeof *to->t);
        if (to->t)
            fold_tensor(from->tensor, to->t);
    }
    to->n_ints = from->int_count;
    to->ints = (int64_t *)from->ints;
    to->n_floats = from->float_count;
    to->floats = (float *)from->floats;
}

static void fold_node(folding *f, const onnx_node *from, Onnx__NodeProto *to)
{
    onnx__node_proto__init(to);
    to->name = unconst(from->name);
    to->op_type = unconst(from->op);
    to->input = fold_take(f, from->input_count, sizeof *to->input);
    to->output = fold_take(f, from->output_count, sizeof *to->output);
    to->attribute = fold_list(f, from->attribute_count, sizeof **to->attribute);
    if (f->failed)
        return;
    to->n_input = from->input_count;
    to->n_output = from->output_count;
    to->n_attribute = from->attribute_count;
    for (size_t i = 0; i < from->input_count; i++)
        to->input[i] = unconst(from->inputs[i]);
    for (size_t i = 0; i < from->output_count; i++)
        to->output[i] = unconst(from->outputs[i]);
    for (size_t i = 0; i < from->attribute_count; i++)
        fold_attribute(f, &from->attributes[i], to->attribute[i]);
}

static void fold_dimension(int64_t dim, int axis, Onnx__TensorShapeProto__Dimension *to)
{
    static const char *const names[] = {"N", "C", "H", "W"};
    onnx__tensor_shape_proto__dimension__init(to);
    if (dim == ONNX_DIM_UNNAMED)
        return;
    to->value_case = dim > 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                             : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    if (dim > 0)
        to->dim_value = dim;
    else
        to->dim_param = unconst(axis < 4 ? names[axis] : "X");
}

static void fold_port(folding *f, const onnx_port *from, Onnx__ValueInfoProto *to)
{
    onnx__value_info_proto__init(to);
    to->name = unconst(from->name);
    to->type = fold_take(f, 1, sizeof *to->type);
    Onnx__TypeProto__Tensor *tensor = fold_take(f, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = fold_take(f, 1, sizeof *shape);
    Onnx__TensorShapeProto__Dimension **dim = fold_list(f, (size_t)from->rank, sizeof **dim);
    if (f->failed)
        return;
    onnx__type_proto__init(to->type);
    to->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    to->type->tensor_type = tensor;
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = 1;
    tensor->elem_type = from->type;
    tensor->shape = shape;
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = (size_t)from->rank;
    shape->dim = dim;
    for (int i = 0; i < from->rank; i++)
        fold_dimension(from->dim[i], i, dim[i]);
}

static void fold_graph(folding *f, const onnx_document *d, Onnx__GraphProto *graph)
{
    onnx__graph_proto__init(graph);
    graph->name = unconst(*d->name ? d->name : "mien");
    graph->node = fold_list(f, d->node_count, sizeof **graph->node);
    graph->initializer = fold_list(f, d->tensor_count, sizeof **graph->initializer);
    graph->input = fold_list(f, d->input_count, sizeof **graph->input);
    graph->output = fold_list(f, d->output_count, sizeof **graph->output);
    if (f->failed)
        return;
    graph->n_node = d->node_count;
    graph->n_initializer = d->tensor_count;
    graph->n_input = d->input_count;
    graph->n_output = d->output_count;
    for (size_t i = 0; i < d->node_count && !f->failed; i++)
        fold_node(f, &d->nodes[i], graph->node[i]);
    for (size_t i = 0; i < d->tensor_count; i++)
        fold_tensor(&d->tensors[i], graph->initializer[i]);
    for (size_t i = 0; i < d->input_count && !f->failed; i++)
        fold_port(f, &d->inputs[i], graph->input[i]);
    for (size_t i = 0; i < d->output_count && !f->failed; i++)
        fold_port(f, &d->outputs[i], graph->output[i]);
}

static void fold_entries(folding *f, const onnx_document *d, Onnx__ModelProto *model)
{
    model->metadata_props = fold_list(f, d->entry_count, sizeof **model->metadata_props);
    for (size_t i = 0; i < d->entry_count && !f->failed; i++) {
        onnx__string_string_entry_proto__init(model->metadata_props[i]);
        model->metadata_props[i]->key = unconst(d->entries[i].key);
        model->metadata_props[i]->value = unconst(d->entries[i].value);
    }
    model->n_metadata_props = f->failed ? 0 : d->entry_count;
}

mien_status onnx_document_write(const onnx_document *document, buffer *out, mien_error *error)
{
    folding f = {0};
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    Onnx__GraphProto graph;
    model.has_ir_version = 1;
    model.ir_version = document->opset < 15 ? 7 : document->opset < 19 ? 8 : 9; /* that came with the operator set */
    model.producer_name = unconst("mien");
    opset.domain = unconst("");
    opset.has_version = 1;
    opset.version = document->opset;
    model.n_opset_import = 1;
    model.opset_import = opsets;
    model.graph = &graph;
    fold_graph(&f, document, &graph);
    fold_entries(&f, document, &model);

    mien_status status = MIEN_OK;
    size_t length = f.failed ? 0 : onnx__model_proto__get_packed_size(&model);
    if (f.failed || buffer_reserve(out, length + 1)) {
        status = error_no_memory(error, length);
        goto out;
    }
    onnx__model_proto__pack(&model, out->data + out->length);
    out->length += length;
    out->data[out->length] = '\0';
out:
    memory_arena_done(&f.arena);
    return status;
}
