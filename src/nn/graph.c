/* A network as data: containers, building with a sticky failure, copying, fixing open sizes, counting.
 *
 * Building fails once and then does nothing, so that an architecture or a reader is a straight list of calls with one
 * look at graph->failed at the end, and the first error, which names its node, is the one that is reported. */
#include "nn/graph.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/graph_shape.h"

#include <string.h>

const char *nn_op_name(nn_op op)
{
    static const char *const names[NN_OP_COUNT] = {
        [NN_INPUT] = "Input",
        [NN_CONV] = "Conv",
        [NN_CONV_TRANSPOSE] = "ConvTranspose",
        [NN_DENSE] = "Gemm",
        [NN_BATCH_NORM] = "BatchNormalization",
        [NN_LAYER_NORM] = "LayerNormalization",
        [NN_SCALE_SHIFT] = "ScaleShift",
        [NN_RELU] = "Relu",
        [NN_CLIP] = "Clip",
        [NN_LEAKY_RELU] = "LeakyRelu",
        [NN_ELU] = "Elu",
        [NN_SIGMOID] = "Sigmoid",
        [NN_TANH] = "Tanh",
        [NN_SWISH] = "Swish",
        [NN_HARD_SIGMOID] = "HardSigmoid",
        [NN_HARD_SWISH] = "HardSwish",
        [NN_GELU] = "Gelu",
        [NN_GELU_TANH] = "Gelu",
        [NN_SOFTPLUS] = "Softplus",
        [NN_EXP] = "Exp",
        [NN_ERF] = "Erf",
        [NN_PRELU] = "PRelu",
        [NN_MAX_POOL] = "MaxPool",
        [NN_AVG_POOL] = "AveragePool",
        [NN_GLOBAL_AVG_POOL] = "GlobalAveragePool",
        [NN_GLOBAL_MAX_POOL] = "GlobalMaxPool",
        [NN_CHANNEL_MEAN] = "ReduceMean",
        [NN_CHANNEL_MAX] = "ReduceMax",
        [NN_ADD] = "Add",
        [NN_SUB] = "Sub",
        [NN_MUL] = "Mul",
        [NN_DIV] = "Div",
        [NN_CONCAT] = "Concat",
        [NN_FLATTEN] = "Flatten",
        [NN_RESHAPE] = "Reshape",
        [NN_TRANSPOSE] = "Transpose",
        [NN_SLICE] = "Slice",
        [NN_PAD] = "Pad",
        [NN_UPSAMPLE] = "Resize",
        [NN_SOFTMAX] = "Softmax",
        [NN_DROPOUT] = "Dropout",
        [NN_IDENTITY] = "Identity",
    };
    return (unsigned)op < NN_OP_COUNT ? names[op] : "unknown";
}

bool nn_op_has_kernel(nn_op op)
{
    return op == NN_CONV || op == NN_CONV_TRANSPOSE || op == NN_DENSE;
}

size_t nn_shape_count(const nn_shape *shape)
{
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (i == 0 && shape->dim[i] == NN_BATCH)
            continue;
        if (shape->dim[i] < 0 || !memory_multiply(count, (size_t)shape->dim[i], &count))
            return 0;
    }
    return count;
}

bool nn_shape_equal(const nn_shape *a, const nn_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

static int graph_fail(nn_graph *graph, mien_status status)
{
    graph->failed = status;
    graph->error.code = status;
    return -1;
}

/* Room for one more element in an array that doubles. */
static bool grow(void **array, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    int wanted = *capacity ? *capacity * 2 : 16;
    void *larger = memory_resize(*array, (size_t)wanted, size);
    if (!larger)
        return false;
    *array = larger;
    *capacity = wanted;
    return true;
}

void nn_graph_done(nn_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++)
        memory_free(graph->nodes[i].name);
    for (int i = 0; i < graph->weight_count; i++) {
        memory_free(graph->weights[i].name);
        memory_free(graph->weights[i].data);
    }
    memory_free(graph->nodes);
    memory_free(graph->weights);
    memory_free(graph->outputs);
    *graph = (nn_graph){0};
}

static mien_status weight_check(const nn_graph *graph, const char *name, const nn_shape *shape, size_t *count,
                                mien_error *error)
{
    if (!name || !*name)
        return error_set(error, MIEN_EINVAL, "a weight has no name");
    if (graph->weight_count >= NN_MAX_NODES)
        return error_set(error, MIEN_ELIMIT, "more than %d weights", NN_MAX_NODES);
    for (int i = 0; i < graph->weight_count; i++)
        if (!strcmp(graph->weights[i].name, name))
            return error_set(error, MIEN_EINVAL, "weight %s exists already", name);
    if (shape->rank < 1 || shape->rank > NN_MAX_RANK)
        return error_set(error, MIEN_EINVAL, "weight %s: rank %d is outside 1..%d", name, shape->rank, NN_MAX_RANK);
    *count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1)
            return error_set(error, MIEN_EINVAL, "weight %s: dimension %d is %lld", name, i, (long long)shape->dim[i]);
        if (!memory_multiply(*count, (size_t)shape->dim[i], count) || *count > NN_MAX_WEIGHT)
            return error_set(error, MIEN_ELIMIT, "weight %s: more than %d numbers", name, NN_MAX_WEIGHT);
    }
    return MIEN_OK;
}

/* Append a weight with the given values, NULL = zeros; takes nothing over on failure. */
static mien_status weight_append(nn_graph *graph, const char *name, const nn_shape *shape, size_t count, unsigned flags,
                                 const float *values, mien_error *error)
{
    if (!grow((void **)&graph->weights, graph->weight_count, &graph->weight_capacity, sizeof(nn_weight)))
        return error_no_memory(error, sizeof(nn_weight));
    nn_weight weight = {.name = memory_text(name), .shape = *shape, .count = count, .flags = flags};
    weight.data = memory_aligned(count, sizeof(float));
    if (!weight.name || !weight.data) {
        memory_free(weight.name);
        memory_free(weight.data);
        return error_no_memory(error, count * sizeof(float));
    }
    if (values)
        memcpy(weight.data, values, count * sizeof(float));
    else
        memset(weight.data, 0, count * sizeof(float));
    graph->weights[graph->weight_count++] = weight;
    return MIEN_OK;
}

int nn_graph_weight(nn_graph *graph, const char *name, nn_shape shape, unsigned flags)
{
    if (graph->failed)
        return -1;
    size_t count = 0;
    mien_status status = weight_check(graph, name, &shape, &count, &graph->error);
    if (!status)
        status = weight_append(graph, name, &shape, count, flags, NULL, &graph->error);
    if (status)
        return graph_fail(graph, status);
    return graph->weight_count - 1;
}

static bool name_taken(const nn_graph *graph, const char *name)
{
    for (int i = 0; i < graph->node_count; i++)
        if (!strcmp(graph->nodes[i].name, name))
            return true;
    return false;
}

static mien_status node_check(const nn_graph *graph, const nn_node *node, nn_shape *inputs, mien_error *error)
{
    if (!node->name || !*node->name)
        return error_set(error, MIEN_EINVAL, "a node has no name");
    if (graph->node_count >= NN_MAX_NODES)
        return error_set(error, MIEN_ELIMIT, "more than %d nodes", NN_MAX_NODES);
    if (name_taken(graph, node->name))
        return error_set(error, MIEN_EINVAL, "the name is taken");
    if (node->input_count < 0 || node->input_count > NN_MAX_INPUTS)
        return error_set(error, MIEN_EINVAL, "%d inputs, at most %d", node->input_count, NN_MAX_INPUTS);
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] < 0 || node->inputs[i] >= graph->node_count)
            return error_set(error, MIEN_EINVAL, "input %d is not an earlier node", i);
        inputs[i] = graph->nodes[node->inputs[i]].shape;
    }
    return MIEN_OK;
}

static mien_status node_append(nn_graph *graph, const nn_node *node, mien_error *error)
{
    if (!grow((void **)&graph->nodes, graph->node_count, &graph->node_capacity, sizeof(nn_node)))
        return error_no_memory(error, sizeof(nn_node));
    nn_node copy = *node;
    copy.name = memory_text(node->name);
    if (!copy.name)
        return error_no_memory(error, strlen(node->name) + 1);
    graph->nodes[graph->node_count++] = copy;
    return MIEN_OK;
}

int nn_graph_add(nn_graph *graph, const nn_node *node)
{
    if (graph->failed)
        return -1;
    nn_shape inputs[NN_MAX_INPUTS];
    nn_node filled = *node;
    mien_status status = node_check(graph, node, inputs, &graph->error);
    if (!status) {
        graph_fill_defaults(graph, &filled, inputs);
        status = graph_infer_shape(graph, &filled, inputs, &filled.shape, &graph->error);
    }
    if (!status)
        status = node_append(graph, &filled, &graph->error);
    if (status) {
        error_prefix(&graph->error, status, "node %.100s (%s)", node->name ? node->name : "?", nn_op_name(node->op));
        return graph_fail(graph, status);
    }
    return graph->node_count - 1;
}

mien_status nn_graph_rename(nn_graph *graph, int node, const char *name)
{
    if (graph->failed)
        return graph->failed;
    mien_status status = MIEN_OK;
    char *copy = NULL;
    if (node < 0 || node >= graph->node_count || !name || !*name || name_taken(graph, name))
        status = error_set(&graph->error, MIEN_EINVAL, "node %d cannot have that name", node);
    else if (!(copy = memory_text(name)))
        status = error_no_memory(&graph->error, strlen(name) + 1);
    if (status) {
        graph_fail(graph, status);
        return status;
    }
    memory_free(graph->nodes[node].name);
    graph->nodes[node].name = copy;
    return MIEN_OK;
}

mien_status nn_graph_set_output(nn_graph *graph, int node)
{
    if (graph->failed)
        return graph->failed;
    mien_status status = MIEN_OK;
    if (node < 0 || node >= graph->node_count)
        status = error_set(&graph->error, MIEN_EINVAL, "output %d is not a node", node);
    else if (graph->output_count >= NN_MAX_NODES)
        status = error_set(&graph->error, MIEN_ELIMIT, "more than %d outputs", NN_MAX_NODES);
    else if (!grow((void **)&graph->outputs, graph->output_count, &graph->output_capacity, sizeof(int)))
        status = error_no_memory(&graph->error, sizeof(int));
    if (status) {
        graph_fail(graph, status);
        return status;
    }
    graph->outputs[graph->output_count++] = node;
    return MIEN_OK;
}

static mien_status copy_parts(const nn_graph *from, nn_graph *copy, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (int i = 0; i < from->weight_count && !status; i++) {
        const nn_weight *weight = &from->weights[i];
        status = weight_append(copy, weight->name, &weight->shape, weight->count, weight->flags, weight->data, error);
    }
    for (int i = 0; i < from->node_count && !status; i++)
        status = node_append(copy, &from->nodes[i], error);
    for (int i = 0; i < from->output_count && !status; i++)
        status = nn_graph_set_output(copy, from->outputs[i]);
    if (!status)
        return MIEN_OK;
    return copy->failed ? error_set(error, copy->failed, "%s", copy->error.message) : status;
}

mien_status nn_graph_copy(const nn_graph *from, nn_graph *to, mien_error *error)
{
    if (from->failed)
        return error_set(error, from->failed, "%s", from->error.message);
    nn_graph copy = {0};
    mien_status status = copy_parts(from, &copy, error);
    if (status)
        nn_graph_done(&copy);
    else
        *to = copy;
    return status;
}

int nn_graph_input(const nn_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == NN_INPUT)
            return i;
    return -1;
}

/* An input's shape with numbers in it; other nodes keep theirs (a reshape reads its own as the wish). */
static mien_status fix_input(nn_node *node, int64_t batch, int64_t height, int64_t width, mien_error *error)
{
    node->shape.dim[0] = batch;
    for (int d = 2; d < node->shape.rank; d++) {
        if (node->shape.dim[d] != NN_DYNAMIC)
            continue;
        node->shape.dim[d] = d == 2 ? height : width;
        if (node->shape.dim[d] < 1 || node->shape.dim[d] > NN_MAX_ATTRIBUTE)
            return error_set(error, MIEN_EINVAL, "height and width must be given for this network, 1..%d",
                             NN_MAX_ATTRIBUTE);
    }
    return MIEN_OK;
}

mien_status nn_graph_shapes(const nn_graph *graph, int64_t batch, int64_t height, int64_t width, nn_shape *shapes,
                            mien_error *error)
{
    if (graph->failed)
        return error_set(error, graph->failed, "%s", graph->error.message);
    if (batch < 1 || batch > NN_MAX_ATTRIBUTE)
        return error_set(error, MIEN_EINVAL, "a batch of %lld is outside 1..%d", (long long)batch, NN_MAX_ATTRIBUTE);
    for (int i = 0; i < graph->node_count; i++) {
        nn_node node = graph->nodes[i];
        nn_shape inputs[NN_MAX_INPUTS];
        for (int k = 0; k < node.input_count; k++)
            inputs[k] = shapes[node.inputs[k]];
        mien_status status = MIEN_OK;
        if (node.op == NN_INPUT)
            status = fix_input(&node, batch, height, width, error);
        if (!status)
            status = graph_infer_shape(graph, &node, inputs, &shapes[i], error);
        if (status)
            return error_prefix(error, status, "node %.100s (%s)", node.name, nn_op_name(node.op));
    }
    return MIEN_OK;
}

static uint64_t saturating_product(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t nn_graph_multiply_adds(const nn_graph *graph)
{
    uint64_t total = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const nn_node *node = &graph->nodes[i];
        if (!nn_op_has_kernel(node->op))
            continue;
        uint64_t count = graph->weights[node->weights[0]].count;
        /* a transposed convolution's kernel falls on each pixel of the input */
        const nn_shape *places = node->op == NN_CONV_TRANSPOSE ? &graph->nodes[node->inputs[0]].shape : &node->shape;
        for (int d = 2; d < places->rank; d++)
            if (places->dim[d] > 0)
                count = saturating_product(count, (uint64_t)places->dim[d]);
        if (__builtin_add_overflow(total, count, &total))
            return UINT64_MAX;
    }
    return total;
}

uint64_t nn_graph_parameters(const nn_graph *graph)
{
    uint64_t total = 0; /* at most NN_MAX_NODES × NN_MAX_WEIGHT */
    for (int i = 0; i < graph->weight_count; i++)
        if (graph->weights[i].flags & NN_WEIGHT_TRAINABLE)
            total += graph->weights[i].count;
    return total;
}
