/* A Keras file does not say whether pixels came as 0..255, 0..1 or -1..1, but its first normalisation remembers: it
 * holds the mean of each filter's answer over the training data, which for an input of mean u is u times the sum of the
 * filter's weights (border effects aside). A least-squares fit over the filters gives u: about 128, 0.5 or 0. */
#include "model/keras_range.h"

#include <math.h>

enum { RANGE_LEAST_FILTERS = 4 };

static const nn_node *range_only_consumer(const nn_graph *graph, int index)
{
    const nn_node *found = NULL;
    for (int i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++)
            if (graph->nodes[i].inputs[k] == index) {
                if (found)
                    return NULL;
                found = &graph->nodes[i];
            }
    return found;
}

/* The convolution that sees the pixels, over nodes that do not change their values. */
static const nn_node *range_first_convolution(const nn_graph *graph)
{
    int at = nn_graph_input(graph);
    while (at >= 0) {
        const nn_node *node = range_only_consumer(graph, at);
        if (!node)
            return NULL;
        if (node->op == NN_CONV)
            return node;
        bool harmless =
            node->op == NN_PAD || node->op == NN_IDENTITY || node->op == NN_TRANSPOSE || node->op == NN_DROPOUT;
        at = harmless ? (int)(node - graph->nodes) : -1;
    }
    return NULL;
}

/* Mean of the input that explains the normalisation's means best; NAN when it explains them badly. */
static double range_mean(const nn_graph *graph, const nn_node *convolution, const nn_node *norm)
{
    const nn_weight *kernel = &graph->weights[convolution->weights[0]];
    const float *bias = convolution->weights[1] >= 0 ? graph->weights[convolution->weights[1]].data : NULL;
    const float *means = graph->weights[norm->weights[2]].data;
    size_t filters = (size_t)kernel->shape.dim[0], size = filters ? kernel->count / filters : 0;
    double sm = 0, ss = 0, mm = 0;
    if (filters < RANGE_LEAST_FILTERS)
        return NAN;
    for (size_t o = 0; o < filters; o++) {
        double sum = 0, mean = (double)means[o] - (bias ? (double)bias[o] : 0);
        for (size_t i = 0; i < size; i++)
            sum += (double)kernel->data[o * size + i];
        sm += sum * mean;
        ss += sum * sum;
        mm += mean * mean;
    }
    double u = ss > 0 ? sm / ss : NAN;
    /* for an input about zero the means are noise, and small against what an input of one half would make */
    bool explained = mm > 0 && sm * sm / (ss * mm) > 0.8, about_zero = mm < 0.02 * ss;
    return explained || about_zero ? u : NAN;
}

void keras_guess_range(model *m)
{
    const nn_node *convolution = range_first_convolution(&m->graph);
    if (!convolution || convolution->groups != 1)
        return;
    const nn_node *norm = range_only_consumer(&m->graph, (int)(convolution - m->graph.nodes));
    if (!norm || norm->op != NN_BATCH_NORM)
        return;
    double u = range_mean(&m->graph, convolution, norm);
    if (!isfinite(u) || fabs(u) > 255)
        return;
    bool whole = u > 8, centred = fabs(u) < 0.25;
    m->info.input.scale = whole ? 1.0f : 1.0f / 255;
    for (int c = 0; c < MODEL_MAX_CHANNELS; c++) {
        m->info.input.mean[c] = centred ? 0.5f : 0.0f;
        m->info.input.std[c] = centred ? 0.5f : 1.0f;
    }
}
