/* A cascade made ready to run: every feature as reads at fixed distances from the window's corner in the integral
 * planes. Two evaluations of one meaning stand side by side:
 *   exact  every tree in its order, float features and double sums, as the format defines them (and OpenCV computes)
 *   fast   features merged to 6, 8 or 9 integer reads (or LBP), leaves as fixed-point numbers; a stage's sum is then
 *          known to within `slack`, and the few windows nearer to the threshold than that are left to exact
 */
#ifndef DETECT_CASCADE_PROGRAM_H
#define DETECT_CASCADE_PROGRAM_H

#include "detect/cascade.h"
#include "detect/integral.h"

/** Sums of corners, by their shape:
 *    6  (p0 - p1) + 2 (p2 - p3) + (p4 - p5)                        two halves
 *    8  factor (p0 - p1 + p2 - p3) + (p4 - p5 + p6 - p7)           a part in a whole
 *    9  factor (p0 + p1 + p2 + p3 - 2 (p4 + p5 + p6 + p7) + 4 p8)  a 2 × 2 board, factor ±1 */
typedef enum cascade_form { CASCADE_FORM_6 = 0, CASCADE_FORM_8, CASCADE_FORM_9, CASCADE_FORM_COUNT } cascade_form;

enum { CASCADE_CORNERS = 9, CASCADE_FEATURE_READS = 16, CASCADE_GROUP = 16 };

typedef struct cascade_step {
    int32_t at[CASCADE_CORNERS]; /* distances from the window's corner, in numbers */
    int32_t factor;
    float threshold;
    int32_t gain; /* (left - right) in the stage's fixed point, added when value × scale < threshold */
} cascade_step;

typedef struct cascade_fast_stage {
    int32_t first_step;
    int32_t count[CASCADE_FORM_COUNT]; /* steps, sorted by form */
    int32_t base;                      /* sum of all right leaves minus the threshold */
    int32_t slack;                     /* |fixed sum - exact sum| is below this */
} cascade_fast_stage;

/** The feature's sum at the corner `p`. Planes wrap around, so their numbers are added without a sign and the sum takes
 *  its sign at the end. Inline with a constant form: the innermost loop. */
static inline int32_t cascade_step_value(const cascade_step *step, cascade_form form, const uint32_t *p)
{
    const int32_t *at = step->at;
    uint32_t factor = (uint32_t)step->factor;
    if (form == CASCADE_FORM_6)
        return (int32_t)((p[at[0]] - p[at[1]]) + 2 * (p[at[2]] - p[at[3]]) + (p[at[4]] - p[at[5]]));
    if (form == CASCADE_FORM_8)
        return (int32_t)(factor * ((p[at[0]] - p[at[1]]) + (p[at[2]] - p[at[3]])) +
                         ((p[at[4]] - p[at[5]]) + (p[at[6]] - p[at[7]])));
    return (int32_t)(factor * (((p[at[0]] + p[at[1]]) + (p[at[2]] + p[at[3]])) -
                               2 * ((p[at[4]] + p[at[5]]) + (p[at[6]] + p[at[7]])) + 4 * p[at[8]]));
}

/** Which fast evaluation a cascade has. */
typedef enum cascade_path {
    CASCADE_PATH_EXACT = 0, /* none */
    CASCADE_PATH_STUMPS,    /* steps sorted by form */
    CASCADE_PATH_TREES,     /* steps in the order of the nodes, with branches */
    CASCADE_PATH_LBP,       /* stumps of LBP features, with branches for their gains */
    CASCADE_PATH_COUNT
} cascade_path;

enum { CASCADE_TREE_NODES = 4 }; /* of a tree in the fast path */

/** What follows a node's test. */
typedef struct cascade_branch {
    uint8_t form;
    uint8_t last;     /* of its tree */
    uint8_t child[2]; /* left and right: another node of the tree, or 0: a leaf */
    int32_t gain[2];  /* of the leaves. LBP: gain[0] is left - right, as in cascade_step */
} cascade_branch;

/** Independent of any layout; immutable. */
typedef struct cascade_program {
    const cascade *source; /* borrowed */
    cascade_path path;
    cascade_fast_stage *stages;
    cascade_step *steps;                     /* one a node; `at` holds corner numbers: plane << 20 | y << 10 | x */
    cascade_branch *branches;                /* one a node, but not for stumps */
    int32_t (*reads)[CASCADE_FEATURE_READS]; /* per feature, the same numbers; HAAR 3 × 4, LBP 4 × 4 */
} cascade_program;

mien_status cascade_program_create(const cascade *source, cascade_program *program, mien_error *error);
void cascade_program_done(cascade_program *program);

/** The program for one layout: corner numbers turned into distances. Reused for many pictures of one stride. */
typedef struct cascade_table {
    const cascade_program *program;
    integral_layout layout;
    size_t tilted; /* distance of the tilted plane from the sum plane */
    cascade_step *steps;
    int32_t (*reads)[CASCADE_FEATURE_READS];
    /* Variance: the inner rectangle of the window, one pixel in from each side. */
    int32_t inner[4];
    double area;
    float scale_limit; /* largest 1/nf with area/nf < 0.1: flatter windows are no faces */
} cascade_table;

/** Prepare (or find prepared already) for that layout. `table` zero-initialised before first use. */
mien_status cascade_table_prepare(cascade_table *table, const cascade_program *program, const integral_layout *layout,
                                  size_t tilted, mien_error *error);
void cascade_table_done(cascade_table *table);

/** Is the window at `corner` (in the sum plane) accepted by that stage? `scale` is 1/nf of the window; LBP ignores it.
 */
bool cascade_stage_exact(const cascade_table *table, int32_t stage, const int32_t *corner, float scale);

/** The same by the fast form of stumps; asks exact when in doubt. */
bool cascade_stage_fast(const cascade_table *table, int32_t stage, const int32_t *corner, float scale);

/** 1/nf of one window, 0 when it has no contrast or is flatter than the limit. */
float cascade_window_scale(const cascade_table *table, const int32_t *sum, const int32_t *square);

#endif
