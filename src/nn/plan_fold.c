/* Affine maps disappear into the weights beside them: y = s·(Wx + b) + t is a convolution with kernel sW and bias sb +
 * t (Jacob et al. 2018 call it batch-norm folding), and W(sx + t) + b is one with kernel Ws and bias b + ΣWt, exact
 * when no padded zero would have missed its shift. Explicit zero padding before a convolution becomes the convolution's
 * own. All products in double, stored once as f32. */
#include "nn/plan_program.h"

#include "base/error.h"

#include <math.h>

static int64_t channels_of(const plan_program *program, int value)
{
    return program->values[value].shape.dim[1];
}

/* Layers that can take in what comes before them; a transposed convolution's border sees only part of its kernel. */
static bool is_linear(const plan_step *step)
{
    return step->node.op == NN_CONV || step->node.op == NN_DENSE;
}

/* Numbers of one filter. */
static size_t filter_size(const plan_program *program, const plan_step *step)
{
    const nn_shape *in = &program->values[step->node.inputs[0]].shape;
    if (step->node.op != NN_DENSE)
        return (size_t)(in->dim[1] / step->node.groups) * (size_t)step->node.kernel_h * (size_t)step->node.kernel_w;
    return nn_shape_count(in);
}

static bool need(plan_program *program, float **array, size_t count, float fill)
{
    if (*array)
        return true;
    *array = memory_arena_take(&program->weights, count, sizeof(float));
    for (size_t i = 0; *array && i < count; i++)
        (*array)[i] = fill;
    return *array != NULL;
}

/* Batch normalisation becomes the affine map that it is at inference. */
static void norm_to_affine(plan_program *program, plan_step *step)
{
    size_t channels = (size_t)channels_of(program, step->output);
    for (size_t c = 0; c < channels; c++) {
        double scale = step->scale[c] / sqrt((double)step->bias[c] + step->node.epsilon);
        step->shift[c] = (float)(step->shift[c] - scale * step->kernel[c]);
        step->scale[c] = (float)scale;
    }
    step->node.op = NN_SCALE_SHIFT;
    step->kernel = step->bias = NULL;
}

static bool fold_into_maker(plan_program *program, plan_step *affine, plan_step *maker)
{
    size_t filters = (size_t)channels_of(program, maker->output), size = filter_size(program, maker);
    if (!need(program, &maker->bias, filters, 0))
        return false;
    for (size_t o = 0; o < filters; o++) {
        double scale = affine->scale ? affine->scale[o] : 1, shift = affine->shift ? affine->shift[o] : 0;
        for (size_t i = 0; i < size; i++)
            maker->kernel[o * size + i] = (float)(maker->kernel[o * size + i] * scale);
        maker->bias[o] = (float)(maker->bias[o] * scale + shift);
    }
    affine->dead = true;
    maker->output = affine->output;
    program->values[affine->output].maker = (int)(maker - program->steps);
    return true;
}

/* Two affine maps in a row are one. */
static bool merge_affine(plan_program *program, plan_step *second, plan_step *first)
{
    size_t channels = (size_t)channels_of(program, second->output);
    if (!need(program, &second->scale, channels, 1) || !need(program, &second->shift, channels, 0))
        return false;
    for (size_t c = 0; c < channels; c++) {
        double scale = second->scale[c];
        second->shift[c] = (float)(scale * (first->shift ? first->shift[c] : 0) + second->shift[c]);
        second->scale[c] = (float)(scale * (first->scale ? first->scale[c] : 1));
    }
    second->node.inputs[0] = first->node.inputs[0];
    first->dead = true;
    return true;
}

static bool shifts(const plan_program *program, const plan_step *affine)
{
    for (int64_t c = 0; affine->shift && c < channels_of(program, affine->output); c++)
        if (affine->shift[c] != 0)
            return true;
    return false;
}

static bool pads(const nn_node *node)
{
    return node->op == NN_CONV && (node->pad_top || node->pad_left || node->pad_bottom || node->pad_right);
}

/* Every reader of the affine map's output is a layer that can take it in, and nobody else wants it. */
static bool readers_take(const plan_program *program, const plan_step *affine)
{
    int found = 0;
    for (int s = 0; s < program->step_count; s++) {
        const plan_step *reader = &program->steps[s];
        if (reader->dead || !is_linear(reader) || reader->node.inputs[0] != affine->output)
            continue;
        if (pads(&reader->node) && shifts(program, affine))
            return false;
        found++;
    }
    return found && found == program->values[affine->output].uses;
}

/* The input channel that kernel number i of filter o multiplies. */
static size_t channel_at(const plan_program *program, const plan_step *step, size_t o, size_t i)
{
    const nn_shape *in = &program->values[step->node.inputs[0]].shape;
    if (step->node.op == NN_DENSE)
        return i / nn_shape_count(in) * (size_t)in->dim[1] + i / (nn_shape_count(in) / (size_t)in->dim[1]);
    size_t per_group = (size_t)(in->dim[1] / step->node.groups);
    size_t filters = (size_t)(channels_of(program, step->output) / step->node.groups);
    return o / filters * per_group + i / ((size_t)step->node.kernel_h * (size_t)step->node.kernel_w);
}

static bool fold_into_reader(plan_program *program, const plan_step *affine, plan_step *reader)
{
    size_t filters = (size_t)channels_of(program, reader->output), size = filter_size(program, reader);
    if (!need(program, &reader->bias, filters, 0))
        return false;
    for (size_t o = 0; o < filters; o++) {
        double sum = reader->bias[o];
        for (size_t i = 0; i < size; i++) {
            size_t c = channel_at(program, reader, o, i);
            float *weight = &reader->kernel[o * size + i];
            sum += (double)*weight * (affine->shift ? affine->shift[c] : 0);
            *weight = (float)((double)*weight * (affine->scale ? affine->scale[c] : 1));
        }
        reader->bias[o] = (float)sum;
    }
    reader->node.inputs[0] = affine->node.inputs[0];
    return true;
}

static bool fold_into_readers(plan_program *program, plan_step *affine)
{
    for (int s = 0; s < program->step_count; s++) {
        plan_step *reader = &program->steps[s];
        if (reader->dead || !is_linear(reader) || reader->node.inputs[0] != affine->output)
            continue;
        if (!fold_into_reader(program, affine, reader))
            return false;
    }
    affine->dead = true;
    return true;
}

/* A normalisation over the channels ends in such a map itself. */
static bool fold_into_norm(plan_program *program, plan_step *affine, plan_step *norm)
{
    plan_step first = *norm;
    if (!merge_affine(program, affine, &first))
        return false;
    norm->scale = affine->scale;
    norm->shift = affine->shift;
    affine->dead = true;
    norm->output = affine->output;
    program->values[affine->output].maker = (int)(norm - program->steps);
    return true;
}

static bool fold_affine(plan_program *program, plan_step *affine)
{
    plan_step *maker = &program->steps[program->values[affine->node.inputs[0]].maker];
    bool alone = program->values[affine->node.inputs[0]].uses == 1;
    if (alone && nn_op_has_kernel(maker->node.op))
        return fold_into_maker(program, affine, maker);
    if (alone && maker->node.op == NN_LAYER_NORM && maker->node.axis == 1)
        return fold_into_norm(program, affine, maker);
    if (alone && maker->node.op == NN_SCALE_SHIFT && !merge_affine(program, affine, maker))
        return false;
    if (readers_take(program, affine))
        return fold_into_readers(program, affine);
    return true;
}

/* Zeros around a picture that only convolutions read are theirs. */
static void fold_padding(plan_program *program, plan_step *pad)
{
    int readers = 0;
    for (int s = 0; s < program->step_count; s++)
        readers += !program->steps[s].dead && program->steps[s].node.op == NN_CONV &&
                   program->steps[s].node.inputs[0] == pad->output;
    if (readers != program->values[pad->output].uses)
        return;
    for (int s = 0; s < program->step_count; s++) {
        nn_node *node = &program->steps[s].node;
        if (program->steps[s].dead || node->op != NN_CONV || node->inputs[0] != pad->output)
            continue;
        node->inputs[0] = pad->node.inputs[0];
        node->pad_top += pad->node.pad_top;
        node->pad_left += pad->node.pad_left;
        node->pad_bottom += pad->node.pad_bottom;
        node->pad_right += pad->node.pad_right;
    }
    pad->dead = true;
}

mien_status plan_fold(plan_program *program, mien_error *error)
{
    for (int s = 0; s < program->step_count; s++)
        if (!program->steps[s].dead && program->steps[s].node.op == NN_PAD)
            fold_padding(program, &program->steps[s]);
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        if (!step->dead && step->node.op == NN_BATCH_NORM)
            norm_to_affine(program, step);
        if (step->dead || step->node.op != NN_SCALE_SHIFT)
            continue;
        plan_program_count(program);
        if (!fold_affine(program, step))
            return error_set(error, MIEN_ENOMEM, "node %.100s: out of memory while folding", step->node.name);
    }
    return MIEN_OK;
}
