/* Scales for eight-bit activations. The program runs in f32 on the calibration inputs twice: once for the largest
 * magnitude of each value, once for a histogram of magnitudes. The clipping threshold is the one with the least mean
 * squared error of rounding and clipping together (as TensorRT and ACIQ choose; Banner et al. 2019), which is kinder to
 * small nets than the plain maximum and needs no tuning as percentiles do. Zero is always exact: scales have no offset.
 */
#include "nn/plan_calibrate.h"

#include "base/error.h"
#include "nn/onednn_plan.h"

#include <math.h>
#include <string.h>

enum { BINS = 1024, LEAST_BIN = 32 };

typedef struct calibration {
    plan_program *program;
    plan_program variant; /* the same steps with every value as an output */
    onednn_plan *plan;
    onednn_session *session;
    unsigned char *block; /* in which it runs */
    float **outputs;
    float *largest;      /* per output */
    bool *negative;      /* per output */
    uint32_t *histogram; /* BINS per output */
} calibration;

/* The program's arrays are shared; outputs and counts of uses are copies. */
static mien_status make_variant(calibration *c, mien_error *error)
{
    plan_program *variant = &c->variant;
    size_t count = (size_t)c->program->value_count;
    *variant = *c->program;
    variant->values = memory_array(count, sizeof *variant->values);
    variant->outputs = memory_array(count, sizeof *variant->outputs);
    variant->output_count = 0;
    if (!variant->values || !variant->outputs)
        return error_no_memory(error, count * sizeof *variant->values);
    memcpy(variant->values, c->program->values, count * sizeof *variant->values);
    for (int s = 0; s < variant->step_count; s++) {
        if (variant->steps[s].dead)
            continue;
        int value = variant->steps[s].output;
        variant->outputs[variant->output_count++] = value;
        variant->values[value].uses++;
    }
    return MIEN_OK;
}

static mien_status make_arrays(calibration *c, mien_error *error)
{
    size_t count = (size_t)c->variant.output_count;
    c->outputs = memory_zeroed(count, sizeof(float *));
    c->largest = memory_zeroed(count, sizeof(float));
    c->negative = memory_zeroed(count, sizeof(bool));
    c->histogram = memory_zeroed(count * BINS, sizeof(uint32_t));
    c->block = memory_aligned(onednn_plan_block(c->plan), 1);
    bool made = c->outputs && c->largest && c->negative && c->histogram && c->block;
    for (size_t i = 0; made && i < count; i++) {
        c->outputs[i] = memory_aligned(nn_shape_count(&c->variant.values[c->variant.outputs[i]].shape), sizeof(float));
        made = c->outputs[i] != NULL;
    }
    return made ? MIEN_OK : error_no_memory(error, count * BINS * sizeof(uint32_t));
}

static void free_all(calibration *c)
{
    onednn_session_destroy(&c->session);
    onednn_plan_destroy(&c->plan);
    memory_free(c->block);
    for (int i = 0; c->outputs && i < c->variant.output_count; i++)
        memory_free(c->outputs[i]);
    memory_free(c->outputs);
    memory_free(c->largest);
    memory_free(c->negative);
    memory_free(c->histogram);
    memory_free(c->variant.outputs);
    memory_free(c->variant.values);
}

static void note_range(calibration *c, int output, size_t count)
{
    const float *data = c->outputs[output];
    float low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        low = data[i] < low ? data[i] : low;
        high = data[i] > high ? data[i] : high;
    }
    c->negative[output] = c->negative[output] || low < 0;
    c->largest[output] = fmaxf(c->largest[output], fmaxf(high, -low));
}

static void note_histogram(calibration *c, int output, size_t count)
{
    const float *data = c->outputs[output];
    uint32_t *bins = c->histogram + (size_t)output * BINS;
    float factor = c->largest[output] > 0 ? BINS / c->largest[output] : 0;
    for (size_t i = 0; i < count; i++) {
        float at = fabsf(data[i]) * factor;
        bins[at < BINS - 1 ? (int)at : BINS - 1]++;
    }
}

static mien_status run_images(calibration *c, const nn_plan_options *options, bool second, mien_error *error)
{
    size_t image = nn_shape_count(&c->program->values[c->program->inputs[0]].shape);
    mien_status status = MIEN_OK;
    for (int i = 0; i < options->calibration_count && !status; i++) {
        float *input = (float *)(uintptr_t)(options->calibration + (size_t)i * image); /* only read */
        status = onednn_session_run(c->session, c->block, &input, c->outputs, error);
        for (int o = 0; o < c->variant.output_count && !status; o++) {
            size_t count = nn_shape_count(&c->variant.values[c->variant.outputs[o]].shape);
            if (second)
                note_histogram(c, o, count);
            else
                note_range(c, o, count);
        }
    }
    return status;
}

/* Mean squared error when magnitudes above bin `cut` are clipped and those below are rounded to `levels` steps. */
static double clipping_error(const uint32_t *bins, int cut, int levels)
{
    double step = (double)cut / levels, error = 0;
    for (int b = 0; b < BINS; b++) {
        double centre = b + 0.5, round = fmin(centre * centre, step * step / 12);
        double clip = centre > cut ? (centre - cut) * (centre - cut) : 0;
        error += bins[b] * (clip + (centre > cut ? 0 : round));
    }
    return error;
}

static float choose_scale(const calibration *c, int output)
{
    int levels = c->negative[output] ? 127 : 255, best = BINS;
    double least = INFINITY;
    for (int cut = LEAST_BIN; cut <= BINS; cut += 4) {
        double error = clipping_error(c->histogram + (size_t)output * BINS, cut, levels);
        if (error < least) {
            least = error;
            best = cut;
        }
    }
    float threshold = c->largest[output] * (float)best / BINS;
    return threshold > 0 && isfinite(threshold) ? threshold / (float)levels : 0;
}

mien_status plan_calibrate(plan_program *program, const nn_plan_options *options, mien_error *error)
{
    if (!options->calibration || options->calibration_count < 1)
        return error_set(error, MIEN_EINVAL, "eight bits need calibration inputs");
    if (program->input_count != 1)
        return error_set(error, MIEN_EINVAL, "calibration of a network with %d inputs", program->input_count);
    calibration c = {.program = program};
    nn_plan_options plain = *options;
    plain.precision = NN_F32;
    mien_status status = make_variant(&c, error);
    if (!status)
        status = onednn_plan_create(&c.variant, &plain, &c.plan, error);
    if (!status)
        status = onednn_session_create(c.plan, &c.session, error);
    if (!status)
        status = make_arrays(&c, error);
    if (!status)
        status = run_images(&c, options, false, error);
    if (!status)
        status = run_images(&c, options, true, error);
    for (int o = 0; o < c.variant.output_count && !status; o++) {
        program->values[c.variant.outputs[o]].scale = choose_scale(&c, o);
        program->values[c.variant.outputs[o]].negative = c.negative[o];
    }
    free_all(&c);
    return status;
}
