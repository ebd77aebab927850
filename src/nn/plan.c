/* The public face of inference: options, shapes, what of a session lies where, and the two ways to run: primitives
 * (onednn_plan.h) image by image, or the plain-C operators node by node. */
#include "nn/plan.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "nn/onednn_plan.h"
#include "nn/plan_calibrate.h"
#include "nn/plan_program.h"
#include "nn/plan_reference.h"
#include "nn/workspace.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BATCH = 4096, MOST_THREADS = 256, WORKSPACE_ALIGNMENT = 64 };

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

nn_precision nn_precision_here(nn_precision wanted)
{
    if (wanted == NN_INT8 && (cpu_flags() & CPU_AVX512_VNNI))
        return NN_INT8;
    return wanted != NN_F32 && (cpu_flags() & CPU_AVX512_BF16) ? NN_BF16 : NN_F32;
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
    nn_workspace *workspace, *own; /* own: nobody else's */
    size_t bytes;                  /* of the workspace: inputs, then the block of the activations */
    size_t *input_at;              /* where in it each input begins, [batch, …] */
    size_t block_at;
    float **outputs;                 /* [batch, …] */
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
static mien_status make_outputs(const nn_plan *plan, float ***arrays, mien_error *error)
{
    const plan_program *program = &plan->program;
    *arrays = memory_zeroed((size_t)program->output_count, sizeof(float *));
    for (int i = 0; *arrays && i < program->output_count; i++) {
        size_t numbers = nn_shape_count(&program->values[program->outputs[i]].shape), total;
        if (!memory_multiply(numbers, (size_t)plan->batch, &total) ||
            !((*arrays)[i] = memory_zeroed(total, sizeof(float))))
            return error_no_memory(error, numbers * sizeof(float));
    }
    return *arrays ? MIEN_OK : error_no_memory(error, (size_t)program->output_count * sizeof(float *));
}

/* Room for so many bytes more, and the beginning of what follows at a cache line. */
static bool append_room(size_t *end, size_t bytes)
{
    size_t sum;
    if (!memory_sum(*end, bytes, &sum) || !memory_sum(sum, WORKSPACE_ALIGNMENT - 1, &sum))
        return false;
    *end = sum & ~(size_t)(WORKSPACE_ALIGNMENT - 1);
    return true;
}

/* What lies where in the workspace. */
static mien_status lay_out(nn_session *session, mien_error *error)
{
    const nn_plan *plan = session->plan;
    const plan_program *program = &plan->program;
    bool fits = true;
    session->input_at = memory_array((size_t)program->input_count, sizeof *session->input_at);
    if (!session->input_at)
        return error_no_memory(error, sizeof *session->input_at);
    for (int i = 0; i < program->input_count && fits; i++) {
        size_t bytes = nn_shape_count(&program->values[program->inputs[i]].shape);
        session->input_at[i] = session->bytes;
        fits =
            memory_multiply(bytes, (size_t)plan->batch * sizeof(float), &bytes) && append_room(&session->bytes, bytes);
    }
    session->block_at = session->bytes;
    fits = fits && (!plan->onednn || append_room(&session->bytes, onednn_plan_block(plan->onednn)));
    return fits ? MIEN_OK : error_no_memory(error, SIZE_MAX);
}

/* A session of its own has its memory from the beginning, so that only making it can fail for want of it. */
static mien_status make_workspace(nn_session *session, mien_error *error)
{
    mien_status status = nn_workspace_create(&session->own, error);
    session->workspace = session->own;
    if (!status && !nn_workspace_take(session->own, session->bytes))
        status = error_no_memory(error, session->bytes);
    return status;
}

mien_status nn_session_create_in(const nn_plan *plan, nn_workspace *workspace, nn_session **session, mien_error *error)
{
    const plan_program *program = &plan->program;
    nn_session *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->plan = plan;
    made->workspace = workspace;
    mien_status status = lay_out(made, error);
    if (!status && !workspace)
        status = make_workspace(made, error);
    if (!status)
        status = make_outputs(plan, &made->outputs, error);
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

mien_status nn_session_create(const nn_plan *plan, nn_session **session, mien_error *error)
{
    return nn_session_create_in(plan, NULL, session, error);
}

void nn_session_destroy(nn_session **session)
{
    nn_session *s = session ? *session : NULL;
    if (!s)
        return;
    onednn_session_destroy(&s->onednn);
    plan_reference_destroy(&s->reference);
    nn_workspace_destroy(&s->own);
    for (int i = 0; s->outputs && i < s->plan->program.output_count; i++)
        memory_free(s->outputs[i]);
    memory_free(s->outputs);
    memory_free(s->input_at);
    memory_free(s->input_now);
    memory_free(s->output_now);
    memory_free(s);
    *session = NULL;
}

float *nn_session_input(nn_session *session, size_t index)
{
    unsigned char *base = nn_workspace_take(session->workspace, session->bytes);
    return base ? (float *)(void *)(base + session->input_at[index]) : NULL;
}

const float *nn_session_output(const nn_session *session, size_t index)
{
    return session->outputs[index];
}

/* Numbers from the beginning of an array to that of image number `image`. */
static size_t image_offset(const plan_program *program, int value, int image)
{
    return (size_t)image * nn_shape_count(&program->values[value].shape);
}

static mien_status run_image(nn_session *session, unsigned char *base, int image, mien_error *error)
{
    const plan_program *program = &session->plan->program;
    for (int i = 0; i < program->input_count; i++)
        session->input_now[i] =
            (float *)(void *)(base + session->input_at[i]) + image_offset(program, program->inputs[i], image);
    for (int i = 0; i < program->output_count; i++)
        session->output_now[i] = session->outputs[i] + image_offset(program, program->outputs[i], image);
    if (session->onednn)
        return onednn_session_run(session->onednn, base + session->block_at, session->input_now, session->output_now,
                                  error);
    plan_reference_run(session->reference, session->input_now, session->output_now);
    return MIEN_OK;
}

mien_status nn_session_run(nn_session *session, mien_error *error)
{
    unsigned char *base = nn_workspace_take(session->workspace, session->bytes);
    mien_status status = base ? MIEN_OK : error_no_memory(error, session->bytes);
    for (int image = 0; image < session->plan->batch && !status; image++)
        status = run_image(session, base, image, error);
    return status;
}
