/* Plain-C gradients of convolution, pooling and of everything that only moves numbers.
 *
 * A window's gradient walks the output as the forward pass does and hands each value to the taps that made it. A move's
 * gradient needs no code per operator: the positions of the inputs are moved forward like values, and what arrives says
 * where each gradient belongs. */
#include "nn/reference_backward.h"

#include <string.h>

/* One output position of a window operator. */
typedef struct place {
    int64_t n, c, y, x;
    double gradient;
} place;

/* Offset of a tap inside its plane, or -1 outside the picture. */
static int64_t tap(const nn_reference_call *call, const place *at, int ky, int kx)
{
    const nn_node *node = call->node;
    int64_t y = at->y * node->stride_h - node->pad_top + (int64_t)ky * node->dilation_h;
    int64_t x = at->x * node->stride_w - node->pad_left + (int64_t)kx * node->dilation_w;
    bool inside = y >= 0 && x >= 0 && y < call->from[0]->dim[2] && x < call->from[0]->dim[3];
    return inside ? y * call->from[0]->dim[3] + x : -1;
}

static int64_t plane(const nn_reference_call *call, int64_t n, int64_t c)
{
    const nn_shape *from = call->from[0];
    return (n * from->dim[1] + c) * from->dim[2] * from->dim[3];
}

static void convolution(const nn_reference_gradients *g, const place *at)
{
    const nn_reference_call *call = g->call;
    const nn_node *node = call->node;
    const float *kernel = call->weights[node->weights[0]].data;
    int64_t inputs = call->from[0]->dim[1] / node->groups, outputs = call->to->dim[1] / node->groups;
    int64_t area = (int64_t)node->kernel_h * node->kernel_w;
    if (g->weights[1])
        g->weights[1][at->c] += (float)at->gradient;
    for (int64_t i = 0; i < inputs; i++) {
        int64_t base = plane(call, at->n, at->c / outputs * inputs + i);
        for (int64_t k = 0; k < area; k++) {
            int64_t offset = tap(call, at, (int)(k / node->kernel_w), (int)(k % node->kernel_w));
            int64_t w = (at->c * inputs + i) * area + k;
            if (offset < 0)
                continue;
            if (g->weights[0])
                g->weights[0][w] += (float)(at->gradient * call->inputs[0][base + offset]);
            if (g->inputs[0])
                g->inputs[0][base + offset] += (float)(at->gradient * kernel[w]);
        }
    }
}

static void pooling(const nn_reference_gradients *g, const place *at)
{
    const nn_node *node = g->call->node;
    int64_t base = plane(g->call, at->n, at->c), winner = -1;
    int area = node->kernel_h * node->kernel_w, inside = 0;
    for (int k = 0; k < area; k++) {
        int64_t offset = tap(g->call, at, k / node->kernel_w, k % node->kernel_w);
        inside += offset >= 0;
        if (offset >= 0 && (winner < 0 || g->call->inputs[0][base + offset] > g->call->inputs[0][base + winner]))
            winner = offset;
    }
    if (node->op == NN_MAX_POOL && winner >= 0)
        g->inputs[0][base + winner] += (float)at->gradient;
    double share = at->gradient / (node->count_include_pad ? area : inside > 0 ? inside : 1);
    for (int k = 0; k < area && node->op == NN_AVG_POOL; k++) {
        int64_t offset = tap(g->call, at, k / node->kernel_w, k % node->kernel_w);
        if (offset >= 0)
            g->inputs[0][base + offset] += (float)share;
    }
}

void nn_reference_window_backward(const nn_reference_gradients *g)
{
    const nn_shape *to = g->call->to;
    const float *gradient = g->output;
    place at;
    if (g->call->node->op != NN_CONV && !g->inputs[0])
        return;
    for (at.n = 0; at.n < to->dim[0]; at.n++)
        for (at.c = 0; at.c < to->dim[1]; at.c++)
            for (at.y = 0; at.y < to->dim[2]; at.y++)
                for (at.x = 0; at.x < to->dim[3]; at.x++) {
                    at.gradient = *gradient++;
                    if (g->call->node->op == NN_CONV)
                        convolution(g, &at);
                    else
                        pooling(g, &at);
                }
}

/* Position 0 stands for what came from nowhere (padding). */
void nn_reference_move_backward(const nn_reference_gradients *g)
{
    nn_reference_call moved = *g->call;
    size_t start[NN_MAX_INPUTS + 1] = {0};
    int inputs = moved.node->input_count;
    for (int k = 0; k < inputs; k++) {
        size_t count = nn_reference_span(moved.from[k], 0, moved.from[k]->rank);
        for (size_t i = 0; i < count; i++)
            g->positions[start[k] + i] = (float)(start[k] + i + 1);
        moved.inputs[k] = g->positions + start[k];
        start[k + 1] = start[k] + count;
    }
    moved.output = g->positions + start[inputs];
    nn_reference_apply(&moved);
    for (size_t i = 0; i < nn_reference_span(moved.to, 0, moved.to->rank); i++) {
        size_t position = (size_t)moved.output[i];
        for (int k = 0; k < inputs && position; k++)
            if (g->inputs[k] && position > start[k] && position <= start[k + 1])
                g->inputs[k][position - 1 - start[k]] += g->output[i];
    }
}
