/* Figures per group of people or pictures, and whether the gap between groups is more than chance. */
#ifndef TRAIN_GROUPS_H
#define TRAIN_GROUPS_H

#include "train/evaluate.h"

enum { GROUPS_MOST = 64 };

/** The group of each row of a data set. */
typedef struct groups {
    char *names[GROUPS_MOST];
    size_t name_count;
    uint8_t *of_row; /* [count]; GROUPS_MOST = none given */
    size_t count;
} groups;

typedef struct groups_figure {
    const char *name; /* borrowed from the groups */
    metrics figures;
} groups_figure;

typedef struct groups_result {
    groups_figure list[GROUPS_MOST]; /* those that occur */
    size_t count;
    double gap; /* best top-1 less the worst */
    double p;   /* chance of such a gap if groups did not matter: permutation test */
} groups_result;

/** A CSV with a header and one line for each row of the data set in its order; the column `group` says which. An empty
 *  group leaves the row out. Free with groups_done. */
mien_status groups_read(const char *path, size_t rows, groups *out, mien_error *error);
void groups_done(groups *g);

mien_status groups_compute(const groups *g, const evaluation *e, size_t permutations, uint64_t seed, groups_result *out,
                           mien_error *error);
/** {"groups":{name:{count, top1, macro_f1, balanced_accuracy}}, "gap", "p"} */
json_t *groups_to_json(const groups_result *result);

#endif
