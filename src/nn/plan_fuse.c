/* Activations and arithmetic are hung on the step that makes their operand, so that a number is changed while it is
 * still in a register instead of being stored and loaded again. A fusion needs the operand to have no other reader, and
 * a second operand to exist before the step runs. What a primitive cannot take is undone later by the backend, one post
 * at a time, so this pass may be generous. */
#include "nn/plan_program.h"

static plan_step *maker_of(plan_program *program, int value)
{
    return &program->steps[program->values[value].maker];
}

/* x·sigmoid(x) is swish, x·hard_sigmoid(x) with slope 1/6 is hard swish: exporters write them as two nodes. */
static void find_gates(plan_program *program)
{
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        if (step->dead || step->node.op != NN_MUL)
            continue;
        for (int i = 0; i < 2; i++) {
            plan_step *gate = maker_of(program, step->node.inputs[i]);
            int x = step->node.inputs[1 - i];
            bool sigmoid = gate->node.op == NN_SIGMOID, hard = gate->node.op == NN_HARD_SIGMOID;
            bool sixth = gate->node.alpha > 0.16666f && gate->node.alpha < 0.16667f && gate->node.beta == 0.5f;
            if (gate->post_count || gate->node.inputs[0] != x || !(sigmoid || (hard && sixth)))
                continue;
            step->node.op = sigmoid ? NN_SWISH : NN_HARD_SWISH;
            step->node.input_count = 1;
            step->node.inputs[0] = x;
            break;
        }
    }
    plan_program_count(program);
}

static bool takes_posts(nn_op op)
{
    return nn_op_has_kernel(op) || plan_is_arithmetic(op);
}

/* Append a post to the maker of `operand`, which then makes the step's output itself. */
static void hang(plan_program *program, plan_step *step, int operand, plan_post post)
{
    plan_step *maker = maker_of(program, operand);
    maker->posts[maker->post_count++] = post;
    maker->output = step->output;
    program->values[step->output].maker = (int)(maker - program->steps);
    step->dead = true;
}

static bool can_hang(plan_program *program, int operand)
{
    const plan_step *maker = maker_of(program, operand);
    return takes_posts(maker->node.op) && program->values[operand].uses == 1 && maker->post_count < PLAN_MAX_POSTS;
}

static bool fuse_unary(plan_program *program, plan_step *step)
{
    int operand = step->node.inputs[0];
    bool affine = step->node.op == NN_SCALE_SHIFT;
    if ((!plan_is_pointwise(step->node.op) && !affine) || !can_hang(program, operand))
        return false;
    plan_post post = {step->node.op, step->node.alpha, step->node.beta, -1, step->scale, step->shift};
    hang(program, step, operand, post);
    return true;
}

static bool same_or_vector(const plan_program *program, int operand, int whole)
{
    const nn_shape *shape = &program->values[operand].shape;
    return shape->dim[1] == program->values[whole].shape.dim[1];
}

static bool fuse_arithmetic(plan_program *program, plan_step *step)
{
    if (!plan_is_arithmetic(step->node.op))
        return false;
    bool commutes = step->node.op == NN_ADD || step->node.op == NN_MUL;
    for (int i = 0; i < 2; i++) {
        int operand = step->node.inputs[i], other = step->node.inputs[1 - i];
        bool same = nn_shape_equal(&program->values[operand].shape, &program->values[step->output].shape);
        bool plane =
            !same_or_vector(program, other, step->output); /* no primitive takes [N,1,H,W] behind a convolution */
        bool early = program->values[other].maker < program->values[operand].maker;
        if ((i == 1 && !commutes) || !same || plane || !early || !can_hang(program, operand))
            continue;
        plan_post post = {.op = step->node.op, .value = other};
        hang(program, step, operand, post);
        return true;
    }
    return false;
}

void plan_fuse(plan_program *program)
{
    find_gates(program);
    for (int s = 0; s < program->step_count; s++) {
        plan_step *step = &program->steps[s];
        if (!step->dead && (fuse_unary(program, step) || fuse_arithmetic(program, step)))
            plan_program_count(program);
    }
}
