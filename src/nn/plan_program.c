/* From graph to program: fixed shapes, copied weights, and the bookkeeping that the rewriting passes share (who makes a
 * value, who reads it). A program always describes one image: batches run image by image, which keeps activations in
 * the cache and was measured to lose nothing in throughput, and it makes every layout along the first axes contiguous.
 */
#include "nn/plan_program.h"

#include "base/error.h"

#include <string.h>

bool plan_is_pointwise(nn_op op)
{
    return op >= NN_RELU && op <= NN_EXP;
}

bool plan_is_arithmetic(nn_op op)
{
    return op >= NN_ADD && op <= NN_DIV;
}

void plan_program_drop_weights(plan_program *program)
{
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        step->kernel = step->bias = step->scale = step->shift = NULL;
        for (int p = 0; p < step->post_count; p++)
            step->posts[p].scale = step->posts[p].shift = NULL;
    }
    memory_arena_done(&program->weights);
}

void plan_program_done(plan_program *program)
{
    memory_arena_done(&program->weights);
    memory_arena_done(&program->arena);
    *program = (plan_program){0};
}

/* A copy of one of the graph's weights in the program's arena; NULL when there is none or no memory (*failed is set).
 */
static float *copy_weight(plan_program *program, const nn_graph *graph, int index, bool *failed)
{
    if (index < 0)
        return NULL;
    const nn_weight *weight = &graph->weights[index];
    float *copy = memory_arena_take(&program->weights, weight->count, sizeof(float));
    if (copy)
        memcpy(copy, weight->data, weight->count * sizeof(float));
    else
        *failed = true;
    return copy;
}

static bool import_weights(plan_program *program, const nn_graph *graph, plan_step *step)
{
    bool failed = false;
    const int *weights = step->node.weights;
    switch (step->node.op) {
    case NN_CONV:
    case NN_CONV_TRANSPOSE:
    case NN_DENSE:
        step->kernel = copy_weight(program, graph, weights[0], &failed);
        step->bias = copy_weight(program, graph, weights[1], &failed);
        break;
    case NN_SCALE_SHIFT:
    case NN_LAYER_NORM:
        step->scale = copy_weight(program, graph, weights[0], &failed);
        step->shift = copy_weight(program, graph, weights[1], &failed);
        break;
    case NN_BATCH_NORM: /* taken as it is; plan_fold turns it into an affine map */
        step->scale = copy_weight(program, graph, weights[0], &failed);
        step->shift = copy_weight(program, graph, weights[1], &failed);
        step->kernel = copy_weight(program, graph, weights[2], &failed);
        step->bias = copy_weight(program, graph, weights[3], &failed);
        break;
    case NN_PRELU:
        step->scale = copy_weight(program, graph, weights[0], &failed);
        step->slopes = graph->weights[weights[0]].count;
        break;
    default:
        break;
    }
    return !failed;
}

static bool import_step(plan_program *program, const nn_graph *graph, int index)
{
    plan_step *step = &program->steps[index];
    step->node = graph->nodes[index];
    step->output = index;
    program->values[index].maker = index;
    size_t length = strlen(step->node.name) + 1;
    char *name = memory_arena_take(&program->arena, length, 1);
    if (!name)
        return false;
    step->node.name = memcpy(name, step->node.name, length);
    return import_weights(program, graph, step);
}

static bool import_ends(plan_program *program, const nn_graph *graph)
{
    program->inputs = memory_arena_take(&program->arena, (size_t)graph->node_count, sizeof(int));
    program->outputs = memory_arena_take(&program->arena, (size_t)graph->output_count, sizeof(int));
    if (!program->inputs || !program->outputs)
        return false;
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == NN_INPUT)
            program->inputs[program->input_count++] = i;
    program->output_count = graph->output_count;
    memcpy(program->outputs, graph->outputs, (size_t)graph->output_count * sizeof(int));
    return true;
}

mien_status plan_program_import(const nn_graph *graph, int height, int width, plan_program *program, mien_error *error)
{
    size_t count = (size_t)graph->node_count;
    nn_shape *shapes = memory_array(count, sizeof *shapes);
    if (!shapes)
        return error_no_memory(error, count * sizeof *shapes);
    mien_status status = nn_graph_shapes(graph, 1, height, width, shapes, error);
    if (status)
        goto out;
    program->steps = memory_arena_take(&program->arena, count, sizeof *program->steps);
    program->values = memory_arena_take(&program->arena, count, sizeof *program->values);
    bool taken = program->steps && program->values && import_ends(program, graph);
    program->step_count = program->value_count = taken ? graph->node_count : 0;
    for (int i = 0; i < program->step_count && taken; i++) {
        program->values[i].shape = shapes[i];
        taken = import_step(program, graph, i);
    }
    if (!taken)
        status = error_set(error, MIEN_ENOMEM, "out of memory while copying the network's weights");
out:
    memory_free(shapes);
    return status;
}

void plan_program_replace(plan_program *program, int from, int to)
{
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        for (int i = 0; i < step->node.input_count; i++)
            if (step->node.inputs[i] == from)
                step->node.inputs[i] = to;
        for (int p = 0; p < step->post_count; p++)
            if (step->posts[p].value == from)
                step->posts[p].value = to;
    }
    for (int o = 0; o < program->output_count; o++)
        if (program->outputs[o] == from)
            program->outputs[o] = to;
}

static void count_step(plan_program *program, const plan_step *step)
{
    for (int i = 0; i < step->node.input_count; i++)
        program->values[step->node.inputs[i]].uses++;
    for (int p = 0; p < step->post_count; p++)
        if (step->posts[p].value >= 0)
            program->values[step->posts[p].value].uses++;
}

void plan_program_count(plan_program *program)
{
    for (int v = 0; v < program->value_count; v++)
        program->values[v].uses = 0;
    for (int o = 0; o < program->output_count; o++)
        program->values[program->outputs[o]].uses++;
    for (int s = program->step_count - 1; s >= 0; s--) {
        plan_step *step = &program->steps[s];
        if (step->node.op != NN_INPUT && program->values[step->output].uses == 0)
            step->dead = true;
        if (!step->dead)
            count_step(program, step);
    }
}

/* Dropout and identity are their input. */
static void remove_copies(plan_program *program)
{
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        if (step->node.op != NN_DROPOUT && step->node.op != NN_IDENTITY)
            continue;
        step->dead = true;
        plan_program_replace(program, step->output, step->node.inputs[0]);
    }
}

/* A dense layer reads the picture behind a flatten directly: oneDNN then chooses the layout of its weights by the
 * picture's blocked layout and nothing is moved. */
static void skip_flattens(plan_program *program)
{
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        if (step->dead || step->node.op != NN_DENSE)
            continue;
        const plan_step *before = &program->steps[program->values[step->node.inputs[0]].maker];
        bool flat = before->node.op == NN_FLATTEN || before->node.op == NN_RESHAPE;
        if (flat && program->values[before->node.inputs[0]].shape.rank <= 4)
            step->node.inputs[0] = before->node.inputs[0];
    }
}

/* What comes after the last layer with weights is little work and is what the caller sees: logits, scores, boxes. */
static void mark_precise(plan_program *program)
{
    for (int v = 0; v < program->value_count; v++)
        program->values[v].precise = true;
    for (int s = program->step_count - 1; s >= 0; s--) {
        const plan_step *step = &program->steps[s];
        if (step->dead || (!nn_op_has_kernel(step->node.op) && program->values[step->output].precise))
            continue;
        for (int i = 0; i < step->node.input_count; i++)
            program->values[step->node.inputs[i]].precise = false;
        for (int p = 0; p < step->post_count; p++)
            if (step->posts[p].value >= 0)
                program->values[step->posts[p].value].precise = false;
    }
}

mien_status plan_program_rewrite(plan_program *program, mien_error *error)
{
    remove_copies(program);
    skip_flattens(program);
    plan_program_count(program);
    mien_status status = plan_fold(program, error);
    if (status)
        return status;
    plan_program_count(program);
    plan_fuse(program);
    plan_program_count(program);
    mark_precise(program);
    return MIEN_OK;
}
