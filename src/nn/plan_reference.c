/* The program's steps in order, each into an array of its own, through nn/reference.h. No fusion, no reuse of memory:
 * every intermediate value stays readable, which is what a reference is for. */
#include "nn/plan_reference.h"

#include "base/error.h"
#include "nn/reference.h"

#include <stdio.h>
#include <string.h>

struct plan_reference {
    const plan_program *program;
    float **values;
};

mien_status plan_reference_create(const plan_program *program, plan_reference **reference, mien_error *error)
{
    plan_reference *made = memory_zeroed(1, sizeof *made);
    size_t count = (size_t)program->value_count;
    if (!made || !(made->values = memory_zeroed(count, sizeof(float *)))) {
        memory_free(made);
        return error_no_memory(error, count * sizeof(float *));
    }
    made->program = program;
    for (size_t v = 0; v < count; v++) {
        size_t numbers = nn_shape_count(&program->values[v].shape);
        made->values[v] = memory_aligned(numbers, sizeof(float));
        if (!made->values[v]) {
            plan_reference_destroy(&made);
            return error_no_memory(error, numbers * sizeof(float));
        }
    }
    *reference = made;
    return MIEN_OK;
}

void plan_reference_destroy(plan_reference **reference)
{
    if (!reference || !*reference)
        return;
    for (int v = 0; v < (*reference)->program->value_count; v++)
        memory_free((*reference)->values[v]);
    memory_free((*reference)->values);
    memory_free(*reference);
    *reference = NULL;
}

/* The step's weights in the order in which its node counts them. */
static void run_step(const plan_reference *reference, const plan_step *step)
{
    const plan_program *program = reference->program;
    bool linear = nn_op_has_kernel(step->node.op);
    nn_weight weights[4] = {{.data = linear ? step->kernel : step->scale, .count = step->slopes},
                            {.data = linear ? step->bias : step->shift},
                            {.data = step->kernel},
                            {.data = step->bias}};
    nn_node node = step->node;
    for (int i = 0; i < 4; i++)
        node.weights[i] = weights[i].data ? i : -1;
    nn_reference_call call = {.node = &node,
                              .weights = weights,
                              .to = &program->values[step->output].shape,
                              .output = reference->values[step->output]};
    for (int i = 0; i < node.input_count; i++) {
        call.from[i] = &program->values[node.inputs[i]].shape;
        call.inputs[i] = reference->values[node.inputs[i]];
    }
    nn_reference_apply(&call);
}

void plan_reference_run(plan_reference *reference, float *const *inputs, float *const *outputs)
{
    const plan_program *program = reference->program;
    for (int i = 0; i < program->input_count; i++)
        memcpy(reference->values[program->inputs[i]], inputs[i],
               nn_shape_count(&program->values[program->inputs[i]].shape) * sizeof(float));
    for (int s = 0; s < program->step_count; s++)
        run_step(reference, &program->steps[s]);
    for (int o = 0; o < program->output_count; o++)
        memcpy(outputs[o], reference->values[program->outputs[o]],
               nn_shape_count(&program->values[program->outputs[o]].shape) * sizeof(float));
}

mien_status plan_reference_names(const plan_program *program, char (**names)[96], mien_error *error)
{
    size_t count = (size_t)program->step_count;
    *names = memory_array(count, sizeof **names);
    if (!*names)
        return error_no_memory(error, count * sizeof **names);
    for (size_t s = 0; s < count; s++)
        snprintf((*names)[s], sizeof **names, "%.80s: plain C", program->steps[s].node.name);
    return MIEN_OK;
}
