/* Shapes. Every operator's output is computed from its inputs when the node is added, and again when a plan or a tape
 * fixes the sizes that a fully convolutional network leaves open. Sizes may come from a hostile file, so each is
 * bounded before it enters arithmetic: attributes by NN_MAX_ATTRIBUTE, tensors by NN_MAX_ELEMENTS, all in 64 bits.
 *
 * NN_DYNAMIC spreads: an operator along an open axis gives an open axis. Two open sizes count as equal while building;
 * nn_graph_shapes looks again with numbers. */
#include "nn/graph_shape.h"

#include "base/error.h"

#include <math.h>

typedef struct inference {
    const nn_graph *graph;
    const nn_node *node;
    const nn_shape *in;
    nn_shape out;
    mien_error *error;
} inference;

#define REFUSE(run, ...) error_set((run)->error, MIEN_EINVAL, __VA_ARGS__)

mien_status graph_check_shape(const nn_shape *shape, mien_error *error)
{
    if (shape->rank < 2 || shape->rank > NN_MAX_RANK)
        return error_set(error, MIEN_EINVAL, "rank %d is outside 2..%d", shape->rank, NN_MAX_RANK);
    if (shape->dim[0] != NN_BATCH && shape->dim[0] < 1)
        return error_set(error, MIEN_EINVAL, "the first dimension is not the batch");
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        int64_t dim = shape->dim[i];
        if ((i == 0 && dim == NN_BATCH) || (i > 0 && dim == NN_DYNAMIC))
            continue;
        if (dim < 1)
            return error_set(error, MIEN_EINVAL, "dimension %d would be %lld", i, (long long)dim);
        if (__builtin_mul_overflow(count, dim, &count) || count > NN_MAX_ELEMENTS)
            return error_set(error, MIEN_ELIMIT, "more than %d elements", NN_MAX_ELEMENTS);
    }
    return MIEN_OK;
}

static mien_status need_rank(inference *run, int rank)
{
    if (run->in[0].rank != rank)
        return REFUSE(run, "input has rank %d, not %d", run->in[0].rank, rank);
    return MIEN_OK;
}

/* A per-channel weight: [C], or [1] where `single` allows it. */
static mien_status check_channel_weight(inference *run, int slot, bool optional, bool single)
{
    int index = run->node->weights[slot];
    if (index < 0 && optional)
        return MIEN_OK;
    if (index < 0 || index >= run->graph->weight_count)
        return REFUSE(run, "weight %d is missing", slot);
    int64_t count = (int64_t)run->graph->weights[index].count;
    if (count != run->in[0].dim[1] && !(single && count == 1))
        return REFUSE(run, "weight %s has %lld values for %lld channels", run->graph->weights[index].name,
                      (long long)count, (long long)run->in[0].dim[1]);
    return MIEN_OK;
}

static mien_status check_bias(inference *run, int64_t outputs)
{
    int index = run->node->weights[1];
    if (index < 0)
        return MIEN_OK;
    if (index >= run->graph->weight_count || (int64_t)run->graph->weights[index].count != outputs)
        return REFUSE(run, "the bias does not have %lld values", (long long)outputs);
    return MIEN_OK;
}

static bool attribute_in(int value, int low)
{
    return value >= low && value <= NN_MAX_ATTRIBUTE;
}

static mien_status check_window(inference *run)
{
    const nn_node *n = run->node;
    if (!attribute_in(n->kernel_h, 1) || !attribute_in(n->kernel_w, 1) || !attribute_in(n->stride_h, 1) ||
        !attribute_in(n->stride_w, 1) || !attribute_in(n->dilation_h, 1) || !attribute_in(n->dilation_w, 1))
        return REFUSE(run, "kernel, stride or dilation outside 1..%d", NN_MAX_ATTRIBUTE);
    if (!attribute_in(n->pad_top, 0) || !attribute_in(n->pad_left, 0) || !attribute_in(n->pad_bottom, 0) ||
        !attribute_in(n->pad_right, 0))
        return REFUSE(run, "padding outside 0..%d", NN_MAX_ATTRIBUTE);
    return MIEN_OK;
}

static mien_status window_size(inference *run, int64_t size, int kernel, int stride, int dilation, int64_t pads,
                               int64_t *out)
{
    if (size == NN_DYNAMIC) {
        *out = NN_DYNAMIC;
        return MIEN_OK;
    }
    int64_t extent = (int64_t)dilation * (kernel - 1) + 1;
    int64_t free_steps = size + pads - extent;
    if (free_steps < 0)
        return REFUSE(run, "the window of %lld is larger than the padded input of %lld", (long long)extent,
                      (long long)(size + pads));
    *out = free_steps / stride + 1;
    return MIEN_OK;
}

static mien_status window_shape(inference *run)
{
    const nn_node *n = run->node;
    run->out = run->in[0];
    mien_status status = window_size(run, run->in[0].dim[2], n->kernel_h, n->stride_h, n->dilation_h,
                                     (int64_t)n->pad_top + n->pad_bottom, &run->out.dim[2]);
    if (status)
        return status;
    return window_size(run, run->in[0].dim[3], n->kernel_w, n->stride_w, n->dilation_w,
                       (int64_t)n->pad_left + n->pad_right, &run->out.dim[3]);
}

static const nn_weight *kernel_weight(const nn_graph *graph, const nn_node *node)
{
    int index = node->weights[0];
    return index >= 0 && index < graph->weight_count ? &graph->weights[index] : NULL;
}

/* Window, kernel and bias of a convolution or a transposed one; *outputs is how many channels it makes. */
static mien_status check_kernel(inference *run, int64_t *outputs)
{
    const nn_node *n = run->node;
    mien_status status = need_rank(run, 4);
    if (status || (status = check_window(run)))
        return status;
    const nn_weight *kernel = kernel_weight(run->graph, n);
    if (!kernel || kernel->shape.rank != 4)
        return REFUSE(run, "the kernel is missing or not [O, I/groups, kh, kw]");
    const int64_t *k = kernel->shape.dim;
    if (!attribute_in(n->groups, 1) || run->in[0].dim[1] % n->groups || k[0] % n->groups)
        return REFUSE(run, "%d groups do not divide the channels", n->groups);
    if (k[1] != run->in[0].dim[1] / n->groups)
        return REFUSE(run, "the kernel takes %lld channels a group, the input has %lld", (long long)k[1],
                      (long long)(run->in[0].dim[1] / n->groups));
    if (k[2] != n->kernel_h || k[3] != n->kernel_w)
        return REFUSE(run, "kernel size %d×%d is not the weight's", n->kernel_h, n->kernel_w);
    *outputs = k[0];
    return check_bias(run, k[0]);
}

static mien_status infer_conv(inference *run)
{
    int64_t outputs = 0;
    mien_status status = check_kernel(run, &outputs);
    if (!status)
        status = window_shape(run);
    run->out.dim[1] = outputs;
    return status;
}

/* Where the last pixel's window ends. Each factor is bounded, so that 64 bits hold it; what is below 1 is refused with
 * the shape. */
static int64_t transposed_size(int64_t size, int kernel, int stride, int dilation, int64_t pads, int extra)
{
    if (size == NN_DYNAMIC)
        return NN_DYNAMIC;
    int64_t end = (size - 1) * stride + (int64_t)dilation * (kernel - 1) + 1 - pads + extra;
    return end < 1 ? 0 : end;
}

static mien_status infer_conv_transpose(inference *run)
{
    const nn_node *n = run->node;
    int64_t outputs = 0;
    mien_status status = check_kernel(run, &outputs);
    if (status)
        return status;
    if (!attribute_in(n->extra_h, 0) || !attribute_in(n->extra_w, 0) || n->extra_h >= n->stride_h ||
        n->extra_w >= n->stride_w)
        return REFUSE(run, "%d more rows and %d more columns are not within the stride", n->extra_h, n->extra_w);
    run->out = run->in[0];
    run->out.dim[1] = outputs;
    run->out.dim[2] = transposed_size(run->in[0].dim[2], n->kernel_h, n->stride_h, n->dilation_h,
                                      (int64_t)n->pad_top + n->pad_bottom, n->extra_h);
    run->out.dim[3] = transposed_size(run->in[0].dim[3], n->kernel_w, n->stride_w, n->dilation_w,
                                      (int64_t)n->pad_left + n->pad_right, n->extra_w);
    return MIEN_OK;
}

static mien_status infer_dense(inference *run)
{
    mien_status status = need_rank(run, 2);
    if (status)
        return status;
    const nn_weight *kernel = kernel_weight(run->graph, run->node);
    if (!kernel || kernel->shape.rank != 2)
        return REFUSE(run, "the kernel is missing or not [O, I]");
    if (run->in[0].dim[1] == NN_DYNAMIC)
        return REFUSE(run, "the number of inputs depends on the picture's size");
    if (kernel->shape.dim[1] != run->in[0].dim[1])
        return REFUSE(run, "the kernel takes %lld inputs, there are %lld", (long long)kernel->shape.dim[1],
                      (long long)run->in[0].dim[1]);
    run->out = run->in[0];
    run->out.dim[1] = kernel->shape.dim[0];
    return check_bias(run, kernel->shape.dim[0]);
}

static mien_status infer_channelwise(inference *run)
{
    nn_op op = run->node->op;
    int slots = op == NN_BATCH_NORM ? 4 : op == NN_SCALE_SHIFT ? 2 : 1;
    for (int slot = 0; slot < slots; slot++) {
        mien_status status = check_channel_weight(run, slot, op == NN_SCALE_SHIFT, op == NN_PRELU);
        if (status)
            return status;
    }
    if (op == NN_BATCH_NORM && !(run->node->epsilon >= 0 && run->node->epsilon < 1))
        return REFUSE(run, "epsilon %g is outside 0..1", (double)run->node->epsilon);
    if (op == NN_BATCH_NORM && !(run->node->momentum >= 0 && run->node->momentum <= 1))
        return REFUSE(run, "momentum %g is outside 0..1", (double)run->node->momentum);
    run->out = run->in[0];
    return MIEN_OK;
}

static mien_status infer_layer_norm(inference *run)
{
    const nn_node *n = run->node;
    run->out = run->in[0];
    if (n->axis < 1 || n->axis >= run->out.rank)
        return REFUSE(run, "axis %d is outside 1..%d", n->axis, run->out.rank - 1);
    if (!(n->epsilon >= 0 && n->epsilon < 1))
        return REFUSE(run, "epsilon %g is outside 0..1", (double)n->epsilon);
    for (int slot = 0; slot < 2; slot++) {
        int index = n->weights[slot];
        if (index >= 0 &&
            (index >= run->graph->weight_count || (int64_t)run->graph->weights[index].count != run->out.dim[n->axis]))
            return REFUSE(run, "weight %d does not have the %lld values of axis %d", slot,
                          (long long)run->out.dim[n->axis], n->axis);
    }
    return MIEN_OK;
}

static mien_status infer_activation(inference *run)
{
    const nn_node *n = run->node;
    if (isnan(n->alpha) || isnan(n->beta))
        return REFUSE(run, "an attribute is not a number");
    if (n->op == NN_CLIP && n->alpha > n->beta)
        return REFUSE(run, "minimum %g is above maximum %g", (double)n->alpha, (double)n->beta);
    if (n->op == NN_DROPOUT && !(n->alpha >= 0 && n->alpha < 1))
        return REFUSE(run, "probability %g is outside [0, 1)", (double)n->alpha);
    run->out = run->in[0];
    return MIEN_OK;
}

static mien_status infer_pool(inference *run)
{
    const nn_node *n = run->node;
    mien_status status = need_rank(run, 4);
    if (status || (status = check_window(run)))
        return status;
    int64_t extent_h = (int64_t)n->dilation_h * (n->kernel_h - 1) + 1;
    int64_t extent_w = (int64_t)n->dilation_w * (n->kernel_w - 1) + 1;
    /* A window that sees only padding has no maximum and no mean. */
    if (n->pad_top >= extent_h || n->pad_bottom >= extent_h || n->pad_left >= extent_w || n->pad_right >= extent_w)
        return REFUSE(run, "padding is not smaller than the window");
    return window_shape(run);
}

static mien_status infer_global_pool(inference *run)
{
    mien_status status = need_rank(run, 4);
    run->out = run->in[0];
    run->out.dim[2] = run->out.dim[3] = 1;
    return status;
}

static mien_status infer_channel_pool(inference *run)
{
    mien_status status = need_rank(run, 4);
    run->out = run->in[0];
    run->out.dim[1] = 1;
    return status;
}

static bool is_channel_vector(const nn_shape *shape, const nn_shape *like)
{
    return like->rank == 4 && shape->rank == 4 && shape->dim[1] == like->dim[1] && shape->dim[2] == 1 &&
           shape->dim[3] == 1;
}

static bool is_plane(const nn_shape *shape, const nn_shape *like)
{
    return like->rank == 4 && shape->rank == 4 && shape->dim[1] == 1 && shape->dim[2] == like->dim[2] &&
           shape->dim[3] == like->dim[3];
}

static mien_status infer_binary(inference *run)
{
    const nn_shape *first = &run->in[0], *second = &run->in[1];
    if (!nn_shape_equal(first, second) && !is_channel_vector(second, first) && !is_plane(second, first))
        return REFUSE(run, "the inputs' shapes differ and the second is neither [N,C,1,1] nor [N,1,H,W]");
    run->out = run->in[0];
    return MIEN_OK;
}

static mien_status infer_concat(inference *run)
{
    int axis = run->node->axis;
    run->out = run->in[0];
    if (axis < 1 || axis >= run->out.rank)
        return REFUSE(run, "axis %d is outside 1..%d", axis, run->out.rank - 1);
    for (int i = 1; i < run->node->input_count; i++) {
        const nn_shape *next = &run->in[i];
        for (int d = 0; d < run->out.rank; d++)
            if (next->rank != run->out.rank || (d != axis && next->dim[d] != run->out.dim[d]))
                return REFUSE(run, "input %d differs beside the axis", i);
        if (next->dim[axis] == NN_DYNAMIC || run->out.dim[axis] == NN_DYNAMIC)
            run->out.dim[axis] = NN_DYNAMIC;
        else
            run->out.dim[axis] += next->dim[axis]; /* both at most NN_MAX_ELEMENTS, 16 of them */
    }
    return MIEN_OK;
}

static mien_status infer_flatten(inference *run)
{
    int64_t count = 1; /* in bounds: the input was checked */
    for (int i = 1; i < run->in[0].rank; i++)
        count = count == NN_DYNAMIC || run->in[0].dim[i] == NN_DYNAMIC ? NN_DYNAMIC : count * run->in[0].dim[i];
    run->out = (nn_shape){2, {run->in[0].dim[0], count}};
    return MIEN_OK;
}

/* Product of all but the batch and the open sizes; `open` counts the latter. */
static mien_status known_product(inference *run, const nn_shape *shape, int64_t *product, int *open)
{
    *product = 1;
    *open = 0;
    for (int i = 1; i < shape->rank; i++) {
        if (shape->dim[i] == -1 || shape->dim[i] == NN_DYNAMIC)
            ++*open;
        else if (shape->dim[i] < 1 || __builtin_mul_overflow(*product, shape->dim[i], product))
            return REFUSE(run, "dimension %d cannot be %lld", i, (long long)shape->dim[i]);
    }
    return MIEN_OK;
}

static mien_status infer_reshape(inference *run)
{
    run->out = run->node->shape;
    if (run->out.rank < 2 || run->out.rank > NN_MAX_RANK)
        return REFUSE(run, "rank %d is outside 2..%d", run->out.rank, NN_MAX_RANK);
    run->out.dim[0] = run->in[0].dim[0];
    int64_t have, want;
    int have_open, want_open;
    mien_status status = known_product(run, &run->in[0], &have, &have_open);
    if (status || (status = known_product(run, &run->out, &want, &want_open)))
        return status;
    if (want_open > 1)
        return REFUSE(run, "two dimensions are left open");
    if (!have_open && have % want == 0 && (want_open || have == want)) {
        for (int i = 1; i < run->out.rank; i++)
            if (run->out.dim[i] < 0)
                run->out.dim[i] = have / want;
        return MIEN_OK;
    }
    if (!have_open || !want_open)
        return REFUSE(run, "%lld elements do not fit the new shape of %lld", (long long)have, (long long)want);
    for (int i = 1; i < run->out.rank; i++)
        if (run->out.dim[i] < 0)
            run->out.dim[i] = NN_DYNAMIC;
    return MIEN_OK;
}

static mien_status infer_transpose(inference *run)
{
    unsigned seen = 0;
    run->out = run->in[0];
    for (int i = 0; i < run->out.rank; i++) {
        int from = run->node->permutation[i];
        if (from < 0 || from >= run->out.rank || (seen & (1u << from)))
            return REFUSE(run, "not a permutation of %d axes", run->out.rank);
        seen |= 1u << from;
        run->out.dim[i] = run->in[0].dim[from];
    }
    if (run->node->permutation[0] != 0)
        return REFUSE(run, "the batch cannot be moved");
    return MIEN_OK;
}

static mien_status infer_slice(inference *run)
{
    const nn_node *n = run->node;
    run->out = run->in[0];
    if (n->axis < 1 || n->axis >= run->out.rank)
        return REFUSE(run, "axis %d is outside 1..%d", n->axis, run->out.rank - 1);
    int64_t size = run->out.dim[n->axis];
    if (n->begin < 0 || n->end <= n->begin || (size != NN_DYNAMIC && n->end > size))
        return REFUSE(run, "%d..%d is not inside 0..%lld", n->begin, n->end, (long long)size);
    run->out.dim[n->axis] = (int64_t)n->end - n->begin;
    return MIEN_OK;
}

static mien_status infer_pad(inference *run)
{
    const nn_node *n = run->node;
    mien_status status = need_rank(run, 4);
    if (status)
        return status;
    if (!attribute_in(n->pad_top, 0) || !attribute_in(n->pad_left, 0) || !attribute_in(n->pad_bottom, 0) ||
        !attribute_in(n->pad_right, 0))
        return REFUSE(run, "padding outside 0..%d", NN_MAX_ATTRIBUTE);
    run->out = run->in[0];
    if (run->out.dim[2] != NN_DYNAMIC)
        run->out.dim[2] += (int64_t)n->pad_top + n->pad_bottom;
    if (run->out.dim[3] != NN_DYNAMIC)
        run->out.dim[3] += (int64_t)n->pad_left + n->pad_right;
    return MIEN_OK;
}

static mien_status infer_upsample(inference *run)
{
    const nn_node *n = run->node;
    mien_status status = need_rank(run, 4);
    if (status)
        return status;
    if (!attribute_in(n->stride_h, 1) || !attribute_in(n->stride_w, 1))
        return REFUSE(run, "factor outside 1..%d", NN_MAX_ATTRIBUTE);
    run->out = run->in[0];
    if (run->out.dim[2] != NN_DYNAMIC)
        run->out.dim[2] *= n->stride_h;
    if (run->out.dim[3] != NN_DYNAMIC)
        run->out.dim[3] *= n->stride_w;
    return MIEN_OK;
}

static mien_status infer_softmax(inference *run)
{
    run->out = run->in[0];
    if (run->node->axis < 1 || run->node->axis >= run->out.rank)
        return REFUSE(run, "axis %d is outside 1..%d", run->node->axis, run->out.rank - 1);
    return MIEN_OK;
}

static mien_status infer_input(inference *run)
{
    run->out = run->node->shape;
    for (int i = 0; i < run->out.rank && i < NN_MAX_RANK; i++)
        if (run->out.dim[i] == NN_DYNAMIC && (i < 2 || run->out.rank != 4))
            return REFUSE(run, "dimension %d cannot be open", i);
    return MIEN_OK;
}

/* The number of inputs an operator takes; 0 in `most` means any. */
static void input_bounds(nn_op op, int *least, int *most)
{
    *least = *most = op == NN_INPUT ? 0 : 1;
    if (op == NN_ADD || op == NN_SUB || op == NN_MUL || op == NN_DIV)
        *least = *most = 2;
    if (op == NN_CONCAT)
        *most = NN_MAX_INPUTS;
}

static mien_status infer(inference *run)
{
    switch (run->node->op) {
    case NN_INPUT:
        return infer_input(run);
    case NN_CONV:
        return infer_conv(run);
    case NN_CONV_TRANSPOSE:
        return infer_conv_transpose(run);
    case NN_DENSE:
        return infer_dense(run);
    case NN_LAYER_NORM:
        return infer_layer_norm(run);
    case NN_BATCH_NORM:
    case NN_SCALE_SHIFT:
    case NN_PRELU:
        return infer_channelwise(run);
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        return infer_pool(run);
    case NN_GLOBAL_AVG_POOL:
    case NN_GLOBAL_MAX_POOL:
        return infer_global_pool(run);
    case NN_CHANNEL_MEAN:
    case NN_CHANNEL_MAX:
        return infer_channel_pool(run);
    case NN_ADD:
    case NN_SUB:
    case NN_MUL:
    case NN_DIV:
        return infer_binary(run);
    case NN_CONCAT:
        return infer_concat(run);
    case NN_FLATTEN:
        return infer_flatten(run);
    case NN_RESHAPE:
        return infer_reshape(run);
    case NN_TRANSPOSE:
        return infer_transpose(run);
    case NN_SLICE:
        return infer_slice(run);
    case NN_PAD:
        return infer_pad(run);
    case NN_UPSAMPLE:
        return infer_upsample(run);
    case NN_SOFTMAX:
        return infer_softmax(run);
    case NN_OP_COUNT:
        break;
    default:
        return infer_activation(run);
    }
    return REFUSE(run, "no such operator");
}

mien_status graph_infer_shape(const nn_graph *graph, const nn_node *node, const nn_shape *inputs, nn_shape *shape,
                              mien_error *error)
{
    if ((unsigned)node->op >= NN_OP_COUNT)
        return error_set(error, MIEN_EINVAL, "no such operator: %d", (int)node->op);
    int least, most;
    input_bounds(node->op, &least, &most);
    if (node->input_count < least || node->input_count > most)
        return error_set(error, MIEN_EINVAL, "%d inputs where %d..%d are taken", node->input_count, least, most);
    inference run = {.graph = graph, .node = node, .in = inputs, .error = error};
    mien_status status = infer(&run);
    if (!status)
        status = graph_check_shape(&run.out, error);
    if (!status)
        *shape = run.out;
    return status;
}

void graph_fill_defaults(const nn_graph *graph, nn_node *node, const nn_shape *inputs)
{
    int *ones[] = {&node->groups, &node->stride_h, &node->stride_w, &node->dilation_h, &node->dilation_w};
    nn_op op = node->op;
    bool convolves = op == NN_CONV || op == NN_CONV_TRANSPOSE;
    if (convolves || op == NN_MAX_POOL || op == NN_AVG_POOL)
        for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++)
            if (*ones[i] == 0)
                *ones[i] = 1;
    const nn_weight *kernel = convolves ? kernel_weight(graph, node) : NULL;
    if (kernel && kernel->shape.rank == 4 && !node->kernel_h && !node->kernel_w) {
        node->kernel_h = (int)kernel->shape.dim[2]; /* NN_MAX_WEIGHT fits an int */
        node->kernel_w = (int)kernel->shape.dim[3];
    }
    if (op == NN_SOFTMAX && node->axis == 0 && node->input_count == 1)
        node->axis = inputs[0].rank - 1;
    static const int used[NN_OP_COUNT] = {
        [NN_CONV] = 2,       [NN_CONV_TRANSPOSE] = 2, [NN_DENSE] = 2, [NN_BATCH_NORM] = 4,
        [NN_LAYER_NORM] = 2, [NN_SCALE_SHIFT] = 2,    [NN_PRELU] = 1};
    for (int i = (unsigned)op < NN_OP_COUNT ? used[op] : 0; i < 4; i++)
        node->weights[i] = -1;
}
