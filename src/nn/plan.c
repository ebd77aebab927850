/* The public face of inference: options, shapes, sessions' input and output memory, and the two ways to run: primitives
 * (onednn_plan.h) image by image, or the plain-C operators node by node. */
#include "nn/plan.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/onednn_plan.h"
#include "nn/plan_calibrate.h"
#include "nn/plan_program.h"
#include "nn/plan_reference.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BATCH = 4096, MOST_THREADS = 256 };

static const char *const precision_names[] = {[NN_F32] = "f32", [NN_BF16] = "bf16", [NN_INT8] = "int8"};

enum { PRECISIONS = sizeof precision_names / sizeof *precision_names };

const char *nn_precision_name(nn_precision precision)
{
    return (size_t)precision < PRECISIONS ? precision_names[precision] : NULL;
}

bool nn_precision_from_name(const char *name, nn_precision *precision)
{
    for (int i = 0; i < PRECISIONS; i++)
        if (!strcmp(name, precision_names[i])) {
            *precision = (nn_precision)i;
            return true;
        }
    return false;
}

struct nn_plan {
    int batch;
    plan_program program;
    onednn_plan *onednn; /* NULL: the plain-C operators */
    char (*names)[96];   /* of the steps, plain C only */
};

struct nn_session {
    const nn_plan *plan;
    onednn_session *onednn;
    plan_reference *reference;
    float **inputs, **outputs;       /* [batch, …] */
    float **input_now, **output_now; /* of one image */
};

void nn_plan_default_options(nn_plan_options *options)
{
    *options = (nn_plan_options){.batch = 1, .threads = 1};
}

static mien_status check_options(const nn_graph *graph, const nn_plan_options *options, mien_error *error)
{
    if (options->batch < 1 || options->batch > MOST_BATCH)
        return error_set(error, MIEN_EINVAL, "batch: %d is not within 1..%d", options->batch, MOST_BATCH);
    if (options->threads < 1 || options->threads > MOST_THREADS)
        return error_set(error, MIEN_EINVAL, "threads: %d is not within 1..%d", options->threads, MOST_THREADS);
    if (options->precision < NN_F32 || options->precision > NN_INT8)
        return error_set(error, MIEN_EINVAL, "precision: %d is not one", (int)options->precision);
    if (graph->failed)
        return error_set(error, graph->failed, "%s", graph->error.message);
    if (!graph->output_count || nn_graph_input(graph) < 0)
        return error_set(error, MIEN_EINVAL, "the network has no input or no output");
    return MIEN_OK;
}

mien_status nn_plan_create(const nn_graph *graph, const nn_plan_options *options, nn_plan **plan, mien_error *error)
{
    nn_plan_options defaults;
    nn_plan_default_options(&defaults);
    if (!options)
        options = &defaults;
    mien_status status = check_options(graph, options, error);
    if (status)
        return status;
    nn_plan *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->batch = options->batch;
    status = plan_program_import(graph, options->height, options->width, &made->program, error);
    if (!status && !options->reference)
        status = plan_program_rewrite(&made->program, error);
    if (!status && !options->reference && options->precision == NN_INT8) {
        if (options->ranges)
            plan_apply_ranges(&made->program, options->ranges);
        else
            status = plan_calibrate(&made->program, options, error);
        if (!status)
            plan_quantise(&made->program);
    }
    if (!status && !options->reference)
        status = onednn_plan_create(&made->program, options, &made->onednn, error);
    if (!status && made->onednn && !onednn_plan_needs_weights(made->onednn))
        plan_program_drop_weights(&made->program);
    if (!status && options->reference)
        status = plan_reference_names(&made->program, &made->names, error);
    if (status)
        nn_plan_destroy(&made);
    else
        *plan = made;
    return status;
}

void nn_plan_destroy(nn_plan **plan)
{
    if (!plan || !*plan)
        return;
    onednn_plan_destroy(&(*plan)->onednn);
    plan_program_done(&(*plan)->program);
    memory_free((*plan)->names);
    memory_free(*plan);
    *plan = NULL;
}

size_t nn_plan_input_count(const nn_plan *plan)
{
    return (size_t)plan->program.input_count;
}

size_t nn_plan_output_count(const nn_plan *plan)
{
    return (size_t)plan->program.output_count;
}

static nn_shape batched(const nn_plan *plan, int value)
{
    nn_shape shape = plan->program.values[value].shape;
    shape.dim[0] = plan->batch;
    return shape;
}

nn_shape nn_plan_input_shape(const nn_plan *plan, size_t index)
{
    return batched(plan, plan->program.inputs[index]);
}

nn_shape nn_plan_output_shape(const nn_plan *plan, size_t index)
{
    return batched(plan, plan->program.outputs[index]);
}

const char *nn_plan_step_name(const nn_plan *plan, size_t step)
{
    if (plan->onednn)
        return onednn_plan_name(plan->onednn, step);
    return step < (size_t)plan->program.step_count ? plan->names[step] : NULL;
}

/* Zeroed arrays of the batched shapes; the pointers are freed by nn_session_destroy. */
static mien_status make_arrays(const nn_plan *plan, const int *values, int count, float ***arrays, mien_error *error)
{
    *arrays = memory_zeroed((size_t)count, sizeof(float *));
    for (int i = 0; *arrays && i < count; i++) {
        size_t numbers = nn_shape_count(&plan->program.values[values[i]].shape), total;
        if (!memory_multiply(numbers, (size_t)plan->batch, &total) ||
            !((*arrays)[i] = memory_aligned(total, sizeof(float))))
            return error_no_memory(error, numbers * sizeof(float));
        memset((*arrays)[i], 0, total * sizeof(float));
    }
    return *arrays ? MIEN_OK : error_no_memory(error, (size_t)count * sizeof(float *));
}

mien_status nn_session_create(const nn_plan *plan, nn_session **session, mien_error *error)
{
    const plan_program *program = &plan->program;
    nn_session *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->plan = plan;
    mien_status status = make_arrays(plan, program->inputs, program->input_count, &made->inputs, error);
    if (!status)
        status = make_arrays(plan, program->outputs, program->output_count, &made->outputs, error);
    made->input_now = memory_array((size_t)program->input_count, sizeof(float *));
    made->output_now = memory_array((size_t)program->output_count, sizeof(float *));
    if (!status && (!made->input_now || !made->output_now))
        status = error_no_memory(error, sizeof(float *));
    if (!status && plan->onednn)
        status = onednn_session_create(plan->onednn, &made->onednn, error);
    if (!status && !plan->onednn)
        status = plan_reference_create(program, &made->reference, error);
    if (status)
        nn_session_destroy(&made);
    else
        *session = made;
    return status;
}

static void free_arrays(float **arrays, int count)
{
    for (int i = 0; arrays && i < count; i++)
        memory_free(arrays[i]);
    memory_free(arrays);
}

void nn_session_destroy(nn_session **session)
{
    nn_session *s = session ? *session : NULL;
    if (!s)
        return;
    onednn_session_destroy(&s->onednn);
    plan_reference_destroy(&s->reference);
    free_arrays(s->inputs, s->plan->program.input_count);
    free_arrays(s->outputs, s->plan->program.output_count);
    memory_free(s->input_now);
    memory_free(s->output_now);
    memory_free(s);
    *session = NULL;
}

float *nn_session_input(nn_session *session, size_t index)
{
    return session->inputs[index];
}

const float *nn_session_output(const nn_session *session, size_t index)
{
    return session->outputs[index];
}

/* Where image number `image` begins in each array. */
static void point(const nn_session *session, const int *values, int count, float *const *arrays, int image, float **now)
{
    for (int i = 0; i < count; i++)
        now[i] = arrays[i] + (size_t)image * nn_shape_count(&session->plan->program.values[values[i]].shape);
}

mien_status nn_session_run(nn_session *session, mien_error *error)
{
    const plan_program *program = &session->plan->program;
    mien_status status = MIEN_OK;
    for (int image = 0; image < session->plan->batch && !status; image++) {
        point(session, program->inputs, program->input_count, session->inputs, image, session->input_now);
        point(session, program->outputs, program->output_count, session->outputs, image, session->output_now);
        if (session->onednn)
            status = onednn_session_run(session->onednn, session->input_now, session->output_now, error);
        else
            plan_reference_run(session->reference, session->input_now, session->output_now);
    }
    return status;
}
