/* Which steps compute in eight bits and which values are stored so. Convolutions and dense layers do, except the last
 * (logits), grouped ones that are not depthwise, tiny ones on vectors (a squeeze's: the change of type costs more than
 * it gains), and the first when its input is signed: a picture's 8-bit pixels survive as unsigned numbers only. A value
 * is stored in eight bits when its maker can do so and a step that computes in eight bits will read it. */
#include "nn/plan_program.h"

enum { FEW_CHANNELS = 4, SMALL_VECTOR_WORK = 1 << 16 };

static bool is_output(const plan_program *program, int value)
{
    for (int o = 0; o < program->output_count; o++)
        if (program->outputs[o] == value)
            return true;
    return false;
}

bool plan_step_is_eight(const plan_program *program, const plan_step *step)
{
    const nn_node *node = &step->node;
    if (step->dead || (node->op != NN_CONV && node->op != NN_DENSE))
        return false;
    const plan_value *in = &program->values[node->inputs[0]];
    if (!(in->scale > 0) || !(program->values[step->output].scale > 0) || is_output(program, step->output))
        return false;
    if (node->op == NN_DENSE)
        return program->values[step->output].shape.dim[1] > 16;
    const nn_shape *out = &program->values[step->output].shape;
    if (out->dim[2] * out->dim[3] == 1 && in->shape.dim[1] * out->dim[1] < SMALL_VECTOR_WORK)
        return false;
    if (in->shape.dim[1] < FEW_CHANNELS && in->negative)
        return false;
    return node->groups == 1 || (node->groups == in->shape.dim[1] && node->groups == out->dim[1]);
}

static bool passes_on(nn_op op)
{
    return op == NN_MAX_POOL || op == NN_UPSAMPLE || op == NN_CONCAT;
}

/* Steps that can store eight bits whatever their readers are. */
static bool can_store(const plan_program *program, const plan_step *step)
{
    if (plan_step_is_eight(program, step) || plan_is_arithmetic(step->node.op))
        return true;
    if (!passes_on(step->node.op))
        return false;
    for (int i = 0; i < step->node.input_count; i++)
        if (!program->values[step->node.inputs[i]].eight)
            return false;
    return true;
}

/* From the end: values that somebody would like to read in eight bits (plan_value.eight as a wish). */
static void wish(plan_program *program)
{
    for (int s = program->step_count - 1; s >= 0; s--) {
        const plan_step *step = &program->steps[s];
        if (step->dead)
            continue;
        bool eight = plan_step_is_eight(program, step);
        bool arithmetic = plan_is_arithmetic(step->node.op) && program->values[step->output].eight;
        bool passes = passes_on(step->node.op) && program->values[step->output].eight;
        for (int i = 0; i < step->node.input_count && (eight || passes || arithmetic); i++)
            program->values[step->node.inputs[i]].eight = true;
        for (int p = 0; p < step->post_count && (eight || arithmetic); p++)
            if (step->posts[p].value >= 0 && step->posts[p].op == NN_ADD)
                program->values[step->posts[p].value].eight = true;
    }
}

void plan_quantise(plan_program *program)
{
    for (int v = 0; v < program->value_count; v++)
        program->values[v].eight = false;
    wish(program);
    for (int s = 0; s < program->step_count; s++) {
        const plan_step *step = &program->steps[s];
        plan_value *made = &program->values[step->output];
        if (step->dead)
            continue;
        made->eight = made->eight && made->scale > 0 && can_store(program, step);
        if (made->eight && (step->node.op == NN_MAX_POOL || step->node.op == NN_UPSAMPLE)) {
            made->scale = program->values[step->node.inputs[0]].scale;
            made->negative = program->values[step->node.inputs[0]].negative;
        }
    }
}
