/* The table of architectures and what all of them share: the input, the head and the model's description. A recipe is
 * written in the language of the configuration file, so that what a name stands for can be read and overridden. */
#include "train/architecture.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/backbone.h"
#include "train/dataset.h"

#define RECIPE_NOTEBOOK                                                                                                \
    "optimizer = adam\nlr = 0.001\nepsilon = 1e-7\nbatch = 128\nepochs = 30\nseed = 2025\nrotation = 10\n"             \
    "shift = 0.1\nzoom = 0.1\nflip = 0.5\nschedule = plateau\nmin_lr = 0.01\nema = 0.99\nstatistics = 1024\n"

/* The notebook's MobileNetV2 without the backbone that its recipe is made for. */
#define RECIPE_NOTEBOOK_RANDOM "warmup = 1\nclip = 5\ndropout = 0.2\n"

#define RECIPE_MIEN                                                                                                    \
    "optimizer = sgd\nlr = 0.05\nmomentum = 0.9\nweight_decay = 0.0005\nbatch = 128\nepochs = 60\n"                    \
    "schedule = cosine\nwarmup = 1\nema = 0.999\nclip = 5\nprecision = bf16\nflip = 0.5\nrotation = 12\n"              \
    "shift = 0.08\nzoom = 0.1\nbrightness = 0.1\ncontrast = 0.2\nlabel_smoothing = 0.05\nerasing = 0.1\n"

#define RECIPE_FACE                                                                                                    \
    "optimizer = sgd\nlr = 0.04\nmomentum = 0.9\nweight_decay = 0.0005\nbatch = 32\nmicrobatch = 8\nepochs = 80\n"     \
    "schedule = cosine\nwarmup = 1\nmin_lr = 0.01\nema = 0.999\nclip = 10\nprecision = bf16\ncrop = 320\nsamples = "   \
    "4\n"                                                                                                              \
    "flip = 0.5\nbrightness = 0.2\ncontrast = 0.3\ngamma = 0.3\nsaturation = 0.4\ntint = 0.05\ngrey = 0.1\nblur = "    \
    "0.1\n"                                                                                                            \
    "noise = 0.02\njpeg = 0.2\nmosaic = 0.2\n"

static const architecture architecture_table[] = {
    {"baseline",
     "three convolutions of 32, 64 and 128 channels, dense 256: the baseline CNN of a Keras FER-2013 notebook", 1, 48,
     48, 0, 1, 0.3f, RECIPE_NOTEBOOK, NULL, architecture_trunk_baseline, NULL, NULL},
    {"atulapra",
     "four convolutions without normalisation, dense 1024: the CNN of github.com/atulapra/Emotion-detection", 1, 48, 48,
     0, 1, 0.5f, "optimizer = adam\nlr = 0.0001\nbatch = 64\nepochs = 50\n", NULL, architecture_trunk_atulapra, NULL,
     NULL},
    {"dcnn", "six convolutions of 64 to 256 channels with ELU: the DCNN of the service behind the preset neo", 1, 48,
     48, 0, 1, 0.6f,
     "optimizer = adam\nlr = 0.001\nbatch = 32\nmicrobatch = 16\nepochs = 100\nrotation = 15\nshift = 0.15\nzoom = "
     "0.15\nflip = 0.5\n"
     "schedule = plateau\nplateau_patience = 7\npatience = 11\nema = 0.99\nstatistics = 1024\n",
     NULL, architecture_trunk_dcnn, NULL, NULL},
    {"mobilenetv2", "MobileNetV2, convolution 128, dense 256: the transfer learning of a Keras FER-2013 notebook", 3,
     96, 96, 0.5f, 0.5f, 0.5f, RECIPE_NOTEBOOK, RECIPE_NOTEBOOK_RANDOM, architecture_trunk_mobilenetv2,
     architecture_head_mobilenetv2, NULL},
    {"mien-tiny", "6 convolutions of 16 to 128 channels, 19 M multiply-adds: the smallest", 1, 48, 48, 0.5f, 0.25f,
     0.2f, RECIPE_MIEN, NULL, architecture_trunk_mien_tiny, NULL, NULL},
    {"mien-small", "7 convolutions of 16 to 192 channels, 46 M multiply-adds: cameras and small machines", 1, 48, 48,
     0.5f, 0.25f, 0.3f, RECIPE_MIEN, NULL, architecture_trunk_mien_small, NULL, NULL},
    {"mien-se", "7 convolutions of 16 to 192 channels with squeeze and excitation, 46 M multiply-adds", 1, 48, 48, 0.5f,
     0.25f, 0.3f, RECIPE_MIEN, NULL, architecture_trunk_mien_se, NULL, NULL},
    {"mien-base", "8 convolutions of 32 to 256 channels, 118 M multiply-adds", 1, 48, 48, 0.5f, 0.25f, 0.4f,
     RECIPE_MIEN, NULL, architecture_trunk_mien_base, NULL, NULL},
    {"mien-large", "residual, 15 convolutions of 32 to 256 channels, 266 M multiply-adds", 1, 48, 48, 0.5f, 0.25f, 0.4f,
     RECIPE_MIEN, NULL, architecture_trunk_mien_large, NULL, NULL},
    {"mien-wide", "residual, 15 convolutions of 32 to 384 channels, 325 M multiply-adds", 1, 48, 48, 0.5f, 0.25f, 0.4f,
     RECIPE_MIEN, NULL, architecture_trunk_mien_wide, NULL, NULL},
    {"mien-face", "finds faces: 18 convolutions, three maps, any size", 3, 480, 640, 0.5f, 0.5f, 0, RECIPE_FACE, NULL,
     NULL, NULL, architecture_detector_mien_face},
};

const architecture *architecture_list(size_t *count)
{
    *count = sizeof(architecture_table) / sizeof(architecture_table[0]);
    return architecture_table;
}

mien_status architecture_find(const char *name, const architecture **out, mien_error *error)
{
    size_t count, used = 0;
    const architecture *list = architecture_list(&count);
    char names[192] = "";
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(list[i].name, name)) {
            *out = &list[i];
            return MIEN_OK;
        }
        int wrote = snprintf(names + used, sizeof(names) - used, " %s", list[i].name);
        used += wrote > 0 && (size_t)wrote < sizeof(names) - used ? (size_t)wrote : 0;
    }
    return error_set(error, MIEN_EINVAL, "no architecture '%.40s'; there are%s", name, names);
}

mien_status architecture_apply_recipe(const architecture *arch, bool backbone, train_config *config, mien_error *error)
{
    mien_status status = config_parse(config, arch->recipe, arch->name, error);
    if (!status && !backbone && arch->random_recipe)
        status = config_parse(config, arch->random_recipe, arch->name, error);
    return status;
}

static mien_status architecture_describe(const architecture *arch, model *m, mien_error *error)
{
    const char *labels[DATASET_CLASSES] = {"face"};
    const nn_shape *shape = &m->graph.nodes[nn_graph_input(&m->graph)].shape;
    for (int c = 0; !arch->detector && c < DATASET_CLASSES; c++)
        labels[c] = mien_emotion_name((mien_emotion)c);
    model_info_init(&m->info, &m->graph);
    m->info.task = arch->detector ? MODEL_TASK_FACE_DETECTOR : MODEL_TASK_EMOTION;
    m->info.input.height = shape->dim[2] > 0 ? (int)shape->dim[2] : 0;
    m->info.input.width = shape->dim[3] > 0 ? (int)shape->dim[3] : 0;
    m->info.input.channels = arch->channels;
    m->info.input.pixels = arch->detector ? MODEL_PIXELS_RGB : MODEL_PIXELS_GREY;
    m->info.input.scale = 1.0f / 255;
    for (int c = 0; c < MODEL_MAX_CHANNELS; c++) {
        m->info.input.mean[c] = arch->mean;
        m->info.input.std[c] = arch->std;
    }
    mien_status status = model_info_set(&m->info, "name", arch->name, error);
    if (!status)
        status = model_info_set(&m->info, "description", arch->summary, error);
    if (!status)
        status = model_info_set_labels(&m->info, labels, arch->detector ? 1 : DATASET_CLASSES, error);
    if (!status && arch->detector)
        status = model_info_set(&m->info, "detector.style", "mien", error);
    return status;
}

/* Below the head: the architecture's own layers, or another model's. */
static int architecture_base(const train_config *config, const architecture *arch, model *m, int *layers,
                             mien_error *error)
{
    float dropout = config->dropout < 0 ? arch->dropout : config->dropout;
    if (!*config->backbone) {
        int side_h = config->crop ? config->crop : arch->height, side_w = config->crop ? config->crop : arch->width;
        int input = nn_input(&m->graph, "input", arch->channels, side_h, side_w);
        return arch->trunk(&m->graph, arch, input, dropout);
    }
    if (!arch->head) {
        error_set(error, MIEN_EINVAL, "backbone: %s takes none", arch->name);
        return -1;
    }
    model backbone = {0};
    if (model_load(config->backbone, NULL, &backbone, error))
        return -1;
    int map = backbone_copy(&backbone, arch->height, &m->graph, layers, error);
    model_done(&backbone);
    return map < 0 ? -1 : arch->head(&m->graph, map, dropout);
}

/* The backbone's weights and what it says about its input outlast initialisation and description. */
static mien_status architecture_keep_backbone(const train_config *config, model *m, mien_error *error)
{
    model backbone = {0};
    mien_status status = model_load(config->backbone, NULL, &backbone, error);
    if (status)
        return status;
    int height = m->info.input.height, width = m->info.input.width;
    m->info.input = backbone.info.input;
    m->info.input.height = height;
    m->info.input.width = width;
    model_done(&backbone);
    return MIEN_OK;
}

/* nn_graph_initialise draws every weight anew; those of the backbone are put back. */
static mien_status architecture_initialise(const train_config *config, nn_graph *graph, int weights, mien_error *error)
{
    nn_graph drawn = {0};
    mien_status status = nn_graph_copy(graph, &drawn, error);
    if (status)
        return status;
    nn_graph_initialise(&drawn, (uint64_t)config->seed);
    for (int w = weights; w < graph->weight_count; w++)
        memcpy(graph->weights[w].data, drawn.weights[w].data, graph->weights[w].count * sizeof(float));
    nn_graph_done(&drawn);
    return MIEN_OK;
}

/* How many of the graph's weights are the backbone's: they were made first, and the head's are named so. */
static int architecture_backbone_weights(const train_config *config, const nn_graph *graph)
{
    int count = 0;
    while (*config->backbone && count < graph->weight_count && strncmp(graph->weights[count].name, "head.", 5) != 0)
        count++;
    return count;
}

static mien_status architecture_build_detector(const train_config *config, const architecture *arch, model *out,
                                               mien_error *error)
{
    if (*config->backbone)
        return error_set(error, MIEN_EINVAL, "backbone: %s takes none", arch->name);
    model m = {0};
    nn_graph *graph = &m.graph;
    arch->detector(graph, nn_input(graph, "input", arch->channels, NN_DYNAMIC, NN_DYNAMIC));
    mien_status status = graph->failed;
    if (status)
        error_set(error, status, "%s: %s", arch->name, graph->error.message);
    else
        status = architecture_describe(arch, &m, error);
    if (status) {
        model_done(&m);
        return status;
    }
    nn_graph_initialise(graph, (uint64_t)config->seed);
    architecture_detector_begin(graph);
    *out = m;
    return MIEN_OK;
}

mien_status architecture_build(const train_config *config, model *out, int *backbone_layers, mien_error *error)
{
    const architecture *arch = NULL;
    mien_status status = architecture_find(config->arch, &arch, error);
    if (status)
        return status;
    if (arch->detector) {
        if (backbone_layers)
            *backbone_layers = 0;
        return architecture_build_detector(config, arch, out, error);
    }
    model m = {0};
    mien_error why = {0};
    nn_graph *graph = &m.graph;
    int layers = 0, trunk = architecture_base(config, arch, &m, &layers, &why);
    nn_graph_set_output(graph, nn_dense(graph, "logits", trunk, DATASET_CLASSES, true));
    if (config->votes_head > 0)
        nn_graph_set_output(graph, nn_dense(graph, "votes", trunk, DATASET_CLASSES, true));
    status = why.code ? error_set(error, why.code, "%s", why.message) : graph->failed;
    if (status && !why.code)
        error_set(error, status, "%s: %s", arch->name, graph->error.message);
    if (!status)
        status = architecture_initialise(config, graph, architecture_backbone_weights(config, graph), error);
    if (!status)
        status = architecture_describe(arch, &m, error);
    if (!status && *config->backbone)
        status = architecture_keep_backbone(config, &m, error);
    if (status) {
        model_done(&m);
        return status;
    }
    if (backbone_layers)
        *backbone_layers = layers;
    *out = m;
    return MIEN_OK;
}

uint64_t architecture_multiply_adds(const architecture *arch, const nn_graph *graph)
{
    if (!arch->detector)
        return nn_graph_multiply_adds(graph);
    uint64_t sum = 0;
    nn_shape *shapes = memory_array((size_t)graph->node_count, sizeof(*shapes));
    if (shapes && !nn_graph_shapes(graph, 1, arch->height, arch->width, shapes, NULL))
        for (int n = 0; n < graph->node_count; n++)
            if (graph->nodes[n].op == NN_CONV)
                sum +=
                    graph->weights[graph->nodes[n].weights[0]].count * (uint64_t)(shapes[n].dim[2] * shapes[n].dim[3]);
    memory_free(shapes);
    return sum;
}
