/* Copies the nodes that the feature map depends on, in order, with new indices. Names are kept, so that a model made on
 * a backbone can take its weights over again. */
#include "train/backbone.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

typedef struct backbone_copying {
    const nn_graph *from;
    nn_graph *to;
    int side;
    bool *needed;   /* [node] */
    int *node_of;   /* [node] index in `to` */
    int *weight_of; /* [weight] index in `to`, or -1 */
    int layers;
} backbone_copying;

static bool backbone_is_map(const nn_shape *shape)
{
    return shape->rank == 4 && (shape->dim[2] != 1 || shape->dim[3] != 1);
}

static int backbone_find_map(const nn_graph *graph)
{
    int at = graph->output_count ? graph->outputs[0] : -1;
    while (at >= 0 && !backbone_is_map(&graph->nodes[at].shape))
        at = graph->nodes[at].input_count ? graph->nodes[at].inputs[0] : -1;
    return at;
}

static void backbone_mark(backbone_copying *c, int map)
{
    c->needed[map] = true;
    for (int n = map; n >= 0; n--)
        for (int i = 0; c->needed[n] && i < c->from->nodes[n].input_count; i++)
            c->needed[c->from->nodes[n].inputs[i]] = true;
}

static int backbone_copy_weight(backbone_copying *c, int index)
{
    const nn_weight *weight = &c->from->weights[index];
    if (c->weight_of[index] < 0) {
        int made = nn_graph_weight(c->to, weight->name, weight->shape, weight->flags);
        if (made >= 0)
            memcpy(c->to->weights[made].data, weight->data, weight->count * sizeof(float));
        c->weight_of[index] = made;
    }
    return c->weight_of[index];
}

/* gamma · (x - mean) / sqrt(variance + epsilon) + beta as one scale and one shift per channel. */
static void backbone_fix_norm(backbone_copying *c, const nn_node *norm, nn_node *copy)
{
    const nn_weight *w = c->from->weights;
    const float *gamma = w[norm->weights[0]].data, *beta = w[norm->weights[1]].data;
    const float *mean = w[norm->weights[2]].data, *variance = w[norm->weights[3]].data;
    char name[256];
    copy->op = NN_SCALE_SHIFT;
    snprintf(name, sizeof(name), "%.240s.scale", norm->name);
    copy->weights[0] = nn_graph_weight(c->to, name, w[norm->weights[0]].shape, NN_WEIGHT_TRAINABLE);
    snprintf(name, sizeof(name), "%.240s.shift", norm->name);
    copy->weights[1] = nn_graph_weight(c->to, name, w[norm->weights[0]].shape, NN_WEIGHT_TRAINABLE);
    copy->weights[2] = copy->weights[3] = -1;
    if (c->to->failed)
        return;
    float *scale = c->to->weights[copy->weights[0]].data, *shift = c->to->weights[copy->weights[1]].data;
    for (size_t i = 0; i < w[norm->weights[0]].count; i++) {
        scale[i] = gamma[i] / sqrtf(variance[i] + norm->epsilon);
        shift[i] = beta[i] - mean[i] * scale[i];
    }
}

static void backbone_copy_node(backbone_copying *c, int index)
{
    const nn_node *node = &c->from->nodes[index];
    nn_node copy = *node;
    bool has_weights = false;
    for (int i = 0; i < node->input_count; i++)
        copy.inputs[i] = c->node_of[node->inputs[i]];
    for (int i = 0; i < 4; i++)
        has_weights = has_weights || node->weights[i] >= 0;
    if (node->op == NN_BATCH_NORM)
        backbone_fix_norm(c, node, &copy);
    else
        for (int i = 0; i < 4; i++)
            copy.weights[i] = node->weights[i] >= 0 ? backbone_copy_weight(c, node->weights[i]) : -1;
    if (node->op == NN_INPUT)
        for (int i = 2; i < copy.shape.rank; i++)
            if (copy.shape.dim[i] < 1)
                copy.shape.dim[i] = c->side;
    c->node_of[index] = nn_graph_add(c->to, &copy);
    c->layers += has_weights;
}

int backbone_copy(const model *from, int side, nn_graph *to, int *layers, mien_error *error)
{
    const nn_graph *graph = &from->graph;
    size_t nodes = (size_t)graph->node_count, weights = (size_t)graph->weight_count;
    int map = backbone_find_map(graph), found = -1;
    if (map < 0) {
        error_set(error, MIEN_EUNSUPPORTED, "the backbone has no feature map");
        return -1;
    }
    backbone_copying c = {.from = graph, .to = to, .side = side};
    c.needed = memory_zeroed(nodes, sizeof(bool));
    c.node_of = memory_zeroed(nodes, sizeof(int));
    c.weight_of = memory_array(weights + 1, sizeof(int));
    if (!c.needed || !c.node_of || !c.weight_of) {
        error_no_memory(error, nodes * 2 * sizeof(int));
        goto out;
    }
    for (size_t w = 0; w < weights; w++)
        c.weight_of[w] = -1;
    backbone_mark(&c, map);
    for (int n = 0; n <= map; n++)
        if (c.needed[n])
            backbone_copy_node(&c, n);
    if (to->failed) {
        error_set(error, to->failed, "the backbone: %s", to->error.message);
        goto out;
    }
    found = c.node_of[map];
    *layers = c.layers;
out:
    memory_free(c.needed);
    memory_free(c.node_of);
    memory_free(c.weight_of);
    return found;
}
