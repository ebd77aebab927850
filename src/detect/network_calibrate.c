/* The ranges that eight-bit inference needs, found on pictures as the detector itself sees them and kept in the model
 * beside everything else that the detector knows of it, so that the file needs no other beside it. */
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"
#include "detect/network_input.h"
#include "model/ranges.h"

enum { CALIBRATE_WIDTH = 320, CALIBRATE_HEIGHT = 256 }; /* of networks of any size */

/* Each picture whole, as large as it fits in. */
static mien_status calibrate_inputs(const network_detector *detector, const mien_image_view *pictures, size_t count,
                                    int width, int height, float *inputs, mien_error *error)
{
    network_small small = {0};
    size_t area = NETWORK_CHANNELS * (size_t)width * (size_t)height;
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const mien_image_view *p = &pictures[i];
        double across = width / (double)p->width, down = height / (double)p->height,
               fit = across < down ? across : down;
        fit = fit < 1 ? fit : 1;
        network_view view = {0,
                             0,
                             (double)p->width,
                             (double)p->height,
                             (size_t)((double)p->width * fit),
                             (size_t)((double)p->height * fit)};
        view.seen_width += !view.seen_width;
        view.seen_height += !view.seen_height;
        status = network_see(detector, p, &view, width, height, &small, inputs + i * area, error);
    }
    network_small_done(&small);
    return status;
}

static mien_status calibrate_set(model_info *info, const char *key, double value, mien_error *error)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    return model_info_set(info, key, text, error);
}

/* What the detector knows, so that the new file states it itself. */
static mien_status calibrate_describe(const network_detector *detector, model *m, mien_error *error)
{
    m->info.input = detector->input;
    m->info.crop = detector->crop;
    m->info.task = MODEL_TASK_FACE_DETECTOR;
    mien_status status = model_info_set(&m->info, "detector.style", network_style_name(detector->style), error);
    if (!status)
        status = calibrate_set(&m->info, "detector.min_score", (double)detector->min_score, error);
    if (!status)
        status = calibrate_set(&m->info, "detector.least_face", (double)detector->least_face, error);
    return status;
}

mien_status detector_calibrate(const detector *base, const mien_image_view *pictures, size_t count, const char *path,
                               mien_error *error)
{
    if (base->type != &network_class)
        return error_set(error, MIEN_EINVAL, "only a face network can be calibrated");
    const network_detector *detector = (const network_detector *)base;
    nn_plan_options options;
    nn_plan_default_options(&options);
    int width = detector->width ? detector->width : CALIBRATE_WIDTH;
    int height = detector->height ? detector->height : CALIBRATE_HEIGHT;
    model copy = {0};
    size_t area = NETWORK_CHANNELS * (size_t)width * (size_t)height;
    float *inputs = memory_array(count * area, sizeof *inputs);
    mien_status status =
        inputs ? model_copy(&detector->model, &copy, error) : error_no_memory(error, count * area * sizeof *inputs);
    if (!status)
        status = calibrate_inputs(detector, pictures, count, width, height, inputs, error);
    options.width = width;
    options.height = height;
    options.calibration = inputs;
    options.calibration_count = (int)count;
    if (!status)
        status = model_calibrate(&copy, &options, error);
    if (!status)
        status = calibrate_describe(detector, &copy, error);
    if (!status)
        status = model_save_onnx(&copy, path, error);
    model_done(&copy);
    memory_free(inputs);
    return status;
}
