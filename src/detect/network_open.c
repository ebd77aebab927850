/* Opening a face network: which family it belongs to, how pixels become its numbers, what sizes it takes. A model that
 * was made for mien says all that itself; others are known by the shapes of their outputs, or by a JSON file beside
 * them. */
#include "detect/network.h"

#include <float.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"
#include "model/ranges.h"

static bool network_computes_boxes(const nn_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == NN_EXP)
            return true;
    return false;
}

/* What a family's networks are fed with, and how they are used, where a model does not say so itself. Thresholds and
 * smallest faces: docs/detector.md says how they were measured (RFB), else they are their makers'. The crop turns a box
 * into the square that a frontal cascade would have drawn, which is what FER-2013 and with it emotion networks know. */
typedef struct network_family {
    float mean, std, min_score, least_face;
    model_pixels pixels;
    nn_precision precision; /* of a model without ranges: bf16 where it was measured to cost nothing */
    model_crop crop;
} network_family;

static const network_family families[] = {
    [NETWORK_MIEN] = {127, 128, 0.5f, 10, MODEL_PIXELS_RGB, NN_BF16, {1, 0, 0, true}},
    [NETWORK_RFB] = {127, 128, 0.5f, 10, MODEL_PIXELS_RGB, NN_BF16, {1, 0, 0, true}},
    [NETWORK_RFB_PRIORS] = {127, 128, 0.5f, 10, MODEL_PIXELS_RGB, NN_BF16, {1, 0, 0, true}},
    [NETWORK_YUNET] = {0, 1, 0.7f, 10, MODEL_PIXELS_BGR, NN_F32, {1, 0, 0, true}},
    [NETWORK_BLAZEFACE] = {127.5f, 127.5f, 0.5f, 20, MODEL_PIXELS_RGB, NN_F32, {1, 0, 0, true}},
};

network_style network_style_of(const nn_graph *graph)
{
    nn_shape shapes[NETWORK_MAX_OUTPUTS];
    if (graph->output_count > NETWORK_MAX_OUTPUTS)
        return NETWORK_UNKNOWN;
    for (int i = 0; i < graph->output_count; i++)
        shapes[i] = graph->nodes[graph->outputs[i]].shape;
    return network_recognise(shapes, (size_t)graph->output_count, network_computes_boxes(graph));
}

bool detector_knows(const model *m)
{
    return m->info.task == MODEL_TASK_FACE_DETECTOR || network_style_of(&m->graph) != NETWORK_UNKNOWN;
}

/* What the model says of itself, else what the shapes of its outputs say. */
static mien_status network_choose_style(network_detector *detector, mien_error *error)
{
    const model_info *info = &detector->model.info;
    const char *said = model_info_property(info, "detector.style");
    int outputs = detector->model.graph.output_count;
    if (info->task == MODEL_TASK_EMOTION || (info->task != MODEL_TASK_FACE_DETECTOR && info->label_count))
        return error_set(error, MIEN_EINVAL, "this model reads emotions; a face network is wanted");
    detector->style = said ? network_style_from_name(said) : network_style_of(&detector->model.graph);
    if (detector->style != NETWORK_UNKNOWN && outputs <= NETWORK_MAX_OUTPUTS)
        return MIEN_OK;
    if (said)
        return error_set(error, MIEN_EUNSUPPORTED, "face network: detector.style \"%.40s\" is none of %s", said,
                         network_style_names);
    return error_set(error, MIEN_EUNSUPPORTED,
                     "not a known face network: its %d output%s no family's shapes. MODEL.onnx.json may state "
                     "{\"detector.style\": one of %s}",
                     outputs, outputs == 1 ? " has" : "s have", network_style_names);
}

/* A property that is a number within low..high; `value` is left as it is where there is none. */
static mien_status network_read_number(const model_info *info, const char *key, float low, float high, float *value,
                                       mien_error *error)
{
    const char *text = model_info_property(info, key);
    double number = (double)*value;
    if (text && (!number_parse(text, -FLT_MAX, FLT_MAX, &number) || (float)number < low || (float)number > high))
        return error_set(error, MIEN_EFORMAT, "face network: %s \"%.40s\" is not a number within %g..%g", key, text,
                         (double)low, (double)high);
    *value = (float)number;
    return MIEN_OK;
}

static mien_status network_choose_precision(network_detector *detector, mien_error *error)
{
    const char *said = model_info_property(&detector->model.info, "detector.precision");
    if (!said && model_has_ranges(&detector->model))
        detector->precision = NN_INT8; /* ranges are there because somebody wants it */
    if (!said || nn_precision_from_name(said, &detector->precision))
        return MIEN_OK;
    return error_set(error, MIEN_EFORMAT, "face network: detector.precision \"%.40s\" is none of f32, bf16, int8",
                     said);
}

/* A model that calls itself a face detector states its input and its crop; others are used as their families are. */
static mien_status network_choose_manners(network_detector *detector, mien_error *error)
{
    const network_family *family = &families[detector->style];
    const model_info *info = &detector->model.info;
    model_input *input = &detector->input;
    *input = info->input;
    detector->crop = info->crop;
    detector->min_score = family->min_score;
    detector->least_face = family->least_face;
    detector->precision = family->precision;
    if (info->task != MODEL_TASK_FACE_DETECTOR) {
        detector->crop = family->crop;
        input->scale = 1;
        input->pixels = family->pixels;
        for (int c = 0; c < MODEL_MAX_CHANNELS; c++) {
            input->mean[c] = family->mean;
            input->std[c] = family->std;
        }
    }
    mien_status status = network_read_number(info, "detector.min_score", 0.001f, 1, &detector->min_score, error);
    if (!status)
        status = network_read_number(info, "detector.least_face", 1, 1000, &detector->least_face, error);
    return status ? status : network_choose_precision(detector, error);
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
    if (!status)
        status = network_choose_manners(detector, error);
    if (status) {
        network_class.destroy(&detector->base);
        return status;
    }
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

void detector_use_precision(detector *base, nn_precision precision)
{
    if (base->type == &network_class)
        ((network_detector *)base)->precision = precision;
}

nn_precision detector_precision(const detector *base)
{
    return base->type == &network_class ? ((const network_detector *)base)->precision : NN_F32;
}

model_crop detector_crop(const detector *base)
{
    return base->type == &network_class ? ((const network_detector *)base)->crop
                                        : (model_crop){.scale = 1, .square = true};
}

float detector_min_score(const detector *base)
{
    return base->type == &network_class ? ((const network_detector *)base)->min_score : 0;
}
