/* mien-face: finds faces in pictures of any size. A backbone of plain 3 x 3 convolutions, which run nearest to the
 * machine's peak, narrow where the maps are large; residual blocks at strides 8, 16 and 32; what the coarse maps know
 * is added to the finer ones (Lin et al. 2017), and each of the three has a small head: a logit and the logarithms of
 * the distances to the four edges (Tian et al. 2019). */
#include "train/architecture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FACE_ROAD = 32, FACE_OUTPUTS = 5 };

/* Few cells show a face: the score begins low (Lin et al. 2018), a box as wide as three strides. */
static const float FACE_PRIOR = 0.01f, FACE_FIRST_DISTANCE = 1.5f, FACE_FIRST_KERNEL = 0.1f;

static int face_conv(nn_graph *graph, const char *part, int input, int filters, int kernel, int stride, bool active)
{
    char name[96];
    int x = nn_conv(graph, part, input, filters, kernel, stride, kernel / 2, 1, false);
    snprintf(name, sizeof(name), "%s.norm", part);
    x = nn_batch_norm(graph, name, x);
    snprintf(name, sizeof(name), "%s.relu", part);
    return active ? nn_unary(graph, NN_RELU, name, x) : x;
}

/* Halves the sides, then a residual block that is narrower within. */
static int face_stage(nn_graph *graph, const char *stage, int input, int filters, int within)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.down", stage);
    int x = face_conv(graph, name, input, filters, 3, 2, true);
    snprintf(name, sizeof(name), "%s.conv1", stage);
    int y = face_conv(graph, name, x, within, 3, 1, true);
    snprintf(name, sizeof(name), "%s.conv2", stage);
    y = face_conv(graph, name, y, filters, 3, 1, false);
    snprintf(name, sizeof(name), "%s.add", stage);
    y = nn_binary(graph, NN_ADD, name, y, x);
    snprintf(name, sizeof(name), "%s.relu", stage);
    return nn_unary(graph, NN_RELU, name, y);
}

/* A map of the road down: the backbone's, and the coarser one enlarged. */
static int face_join(nn_graph *graph, const char *name, int map, int coarser)
{
    char part[64];
    snprintf(part, sizeof(part), "%s.side", name);
    int side = face_conv(graph, part, map, FACE_ROAD, 1, 1, true);
    snprintf(part, sizeof(part), "%s.up", name);
    nn_node up = {.op = NN_UPSAMPLE, .name = part, .input_count = 1, .inputs = {coarser}, .stride_h = 2, .stride_w = 2};
    int enlarged = nn_graph_add(graph, &up);
    snprintf(part, sizeof(part), "%s.add", name);
    return nn_binary(graph, NN_ADD, part, side, enlarged);
}

static void face_head(nn_graph *graph, const char *name, int map)
{
    char part[64];
    snprintf(part, sizeof(part), "%s.out", name);
    nn_graph_set_output(graph, nn_conv(graph, part, map, FACE_OUTPUTS, 1, 1, 0, 1, true));
}

void architecture_detector_mien_face(nn_graph *graph, int input)
{
    int x = face_conv(graph, "stem.conv1", input, 16, 3, 2, true);
    x = face_conv(graph, "stem.conv2", x, 32, 3, 2, true);
    int fine = face_stage(graph, "stage8", x, 48, 32);
    int middle = face_stage(graph, "stage16", fine, 64, 48);
    int coarse = face_stage(graph, "stage32", middle, 96, 64);
    int road32 = face_conv(graph, "road32.side", coarse, FACE_ROAD, 1, 1, true);
    int road16 = face_join(graph, "road16", middle, road32);
    int road8 = face_join(graph, "road8", fine, road16);
    face_head(graph, "head8", face_conv(graph, "head8.conv", road8, 32, 3, 1, true));
    x = face_conv(graph, "head16.conv1", road16, 32, 3, 1, true);
    face_head(graph, "head16", face_conv(graph, "head16.conv2", x, 48, 3, 1, true));
    face_head(graph, "head32", face_conv(graph, "head32.conv", road32, 64, 3, 1, true));
}

/* After the usual initialisation: the outputs' layers begin almost the same for every cell. */
void architecture_detector_begin(nn_graph *graph)
{
    for (int o = 0; o < graph->output_count; o++) {
        const nn_node *node = &graph->nodes[graph->outputs[o]];
        nn_weight *kernel = &graph->weights[node->weights[0]], *bias = &graph->weights[node->weights[1]];
        for (size_t i = 0; i < kernel->count; i++)
            kernel->data[i] *= FACE_FIRST_KERNEL;
        for (size_t i = 0; i < bias->count; i++)
            bias->data[i] = i ? logf(FACE_FIRST_DISTANCE) : -logf((1 - FACE_PRIOR) / FACE_PRIOR);
    }
}
