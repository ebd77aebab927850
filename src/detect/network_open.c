/* Opening a face network: which family it belongs to, how pixels become its numbers, what sizes it takes. A model that
 * was made for mien says all that itself; others are known by the shapes of their outputs, or by a JSON file beside
 * them. */
#include "detect/network.h"

#include "base/error.h"
#include "base/memory.h"

static bool network_computes_boxes(const nn_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == NN_EXP)
            return true;
    return false;
}

/* What the model says of itself, else what the shapes of its outputs say. */
static mien_status network_choose_style(network_detector *detector, mien_error *error)
{
    const nn_graph *graph = &detector->model.graph;
    const char *said = model_info_property(&detector->model.info, "detector.style");
    nn_shape shapes[NETWORK_MAX_OUTPUTS];
    if (graph->output_count > NETWORK_MAX_OUTPUTS)
        return error_set(error, MIEN_EUNSUPPORTED, "face network: %d outputs", graph->output_count);
    for (int i = 0; i < graph->output_count; i++)
        shapes[i] = graph->nodes[graph->outputs[i]].shape;
    if (said)
        detector->style = network_style_from_name(said);
    else
        detector->style = network_recognise(shapes, (size_t)graph->output_count, network_computes_boxes(graph));
    if (detector->style == NETWORK_UNKNOWN)
        return error_set(error, MIEN_EUNSUPPORTED,
                         "face network: neither detector.style nor the shapes of its %d outputs say how to read them",
                         graph->output_count);
    return MIEN_OK;
}

/* A model that calls itself a face detector states its input; others are fed as their families are. */
static void network_choose_input(network_detector *detector)
{
    model_input *input = &detector->input;
    *input = detector->model.info.input;
    if (detector->model.info.task == MODEL_TASK_FACE_DETECTOR)
        return;
    float mean = 0, std = 1;
    input->scale = 1;
    input->pixels = MODEL_PIXELS_RGB;
    if (detector->style == NETWORK_YUNET)
        input->pixels = MODEL_PIXELS_BGR;
    else if (detector->style == NETWORK_BLAZEFACE)
        mean = std = 127.5f;
    else
        mean = 127, std = 128;
    for (int c = 0; c < MODEL_MAX_CHANNELS; c++) {
        input->mean[c] = mean;
        input->std[c] = std;
    }
}

static mien_status network_choose_size(network_detector *detector, mien_error *error)
{
    const nn_graph *graph = &detector->model.graph;
    int input = nn_graph_input(graph);
    if (input < 0)
        return error_set(error, MIEN_EFORMAT, "face network: no input");
    const nn_shape *shape = &graph->nodes[input].shape;
    if (shape->rank != 4 || shape->dim[1] != NETWORK_CHANNELS)
        return error_set(error, MIEN_EUNSUPPORTED, "face network: its input is not [N,3,H,W]");
    detector->height = shape->dim[2] == NN_DYNAMIC ? 0 : (int)shape->dim[2];
    detector->width = shape->dim[3] == NN_DYNAMIC ? 0 : (int)shape->dim[3];
    if (!detector->width != !detector->height)
        return error_set(error, MIEN_EUNSUPPORTED, "face network: one side of its input is open and one is not");
    return MIEN_OK;
}

/* Takes over the model. */
static mien_status network_create(model *loaded, detector **made, mien_error *error)
{
    network_detector *detector = memory_zeroed(1, sizeof *detector);
    if (!detector) {
        model_done(loaded);
        return error_no_memory(error, sizeof *detector);
    }
    detector->base.type = &network_class;
    detector->model = *loaded;
    mien_status status = network_choose_style(detector, error);
    if (!status)
        status = network_choose_size(detector, error);
    if (status) {
        network_class.destroy(&detector->base);
        return status;
    }
    network_choose_input(detector);
    *made = &detector->base;
    return MIEN_OK;
}

mien_status detector_open_network(const void *bytes, size_t length, detector **detector, mien_error *error)
{
    model loaded = {0};
    mien_status status = model_load_bytes(bytes, length, NULL, &loaded, error);
    return status ? status : network_create(&loaded, detector, error);
}

mien_status detector_open_network_file(const char *path, detector **detector, mien_error *error)
{
    model loaded = {0};
    mien_status status = model_load(path, NULL, &loaded, error);
    return status ? status : network_create(&loaded, detector, error);
}
