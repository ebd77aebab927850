/* A graph rewritten for running: batch 1, concrete shapes, normalisation folded into weights, activations and sums hung
 * on the step that makes their operand. Knows nothing of oneDNN; onednn_plan.c turns each step into primitives.
 */
#ifndef NN_PLAN_PROGRAM_H
#define NN_PLAN_PROGRAM_H

#include "base/memory.h"
#include "nn/graph.h"

enum { PLAN_MAX_POSTS = 6, PLAN_MAX_READS = NN_MAX_INPUTS + PLAN_MAX_POSTS };

/** What is done to each number a step makes, before it is stored. */
typedef struct plan_post {
    nn_op op; /* pointwise, NN_SCALE_SHIFT, or NN_ADD, NN_SUB, NN_MUL, NN_DIV with `value` as the second operand */
    float alpha, beta;    /* as in nn_node */
    int value;            /* -1 where there is none */
    float *scale, *shift; /* NN_SCALE_SHIFT: [C], owned by the program */
} plan_post;

/** One operator. `node` holds its attributes; node.inputs are values; node.name is owned by the program. */
typedef struct plan_step {
    nn_node node;
    bool dead;
    int output;           /* value */
    float *kernel, *bias; /* convolutions and dense; bias may be NULL */
    float *scale, *shift; /* NN_SCALE_SHIFT, NN_LAYER_NORM; slopes of NN_PRELU in `scale` */
    size_t slopes;
    int post_count;
    plan_post posts[PLAN_MAX_POSTS];
} plan_step;

typedef struct plan_value {
    nn_shape shape;
    int uses;      /* by live steps, by their posts, by outputs */
    int maker;     /* step */
    float scale;   /* of its eight-bit form: value = scale · number; 0 = not calibrated */
    bool negative; /* the eight-bit form is signed */
    bool eight;    /* its maker stores it in eight bits */
    bool precise;  /* no convolution or dense layer reads it any more: kept in f32 in every plan */
} plan_value;

typedef struct plan_program {
    memory_arena arena;   /* everything but */
    memory_arena weights; /* kernels, biases, scales: given back once a plan holds them in its own layout */
    plan_step *steps;     /* in order of execution; inputs are steps too (NN_INPUT) */
    int step_count;
    plan_value *values;
    int value_count;
    int *inputs, *outputs; /* values */
    int input_count, output_count;
} plan_program;

/** Copy the graph with every shape fixed for one image. Zero-initialised `program` in; plan_program_done afterwards,
 *  also on failure. */
mien_status plan_program_import(const nn_graph *graph, int height, int width, plan_program *program, mien_error *error);
/** Fold and fuse: numerically the same function up to rounding. */
mien_status plan_program_rewrite(plan_program *program, mien_error *error);
void plan_program_done(plan_program *program);
/** Free the weights; the steps' pointers become NULL. */
void plan_program_drop_weights(plan_program *program);

/* Between the files of the rewriting. */

/** plan_fold.c: affine maps into neighbouring weights, padding into convolutions. */
mien_status plan_fold(plan_program *program, mien_error *error);
/** plan_fuse.c: x·sigmoid(x), activations and arithmetic onto the maker of their operand. */
void plan_fuse(plan_program *program);
/** Count uses anew, and mark steps dead whose value nobody wants. */
void plan_program_count(plan_program *program);
/** Every reader of value `from` reads `to` instead. */
void plan_program_replace(plan_program *program, int from, int to);

/** plan_quantise.c: which values are stored in eight bits, once their ranges are known. */
void plan_quantise(plan_program *program);
/** The step computes in eight bits in a quantised program. */
bool plan_step_is_eight(const plan_program *program, const plan_step *step);

bool plan_is_pointwise(nn_op op);
bool plan_is_arithmetic(nn_op op);

#endif
