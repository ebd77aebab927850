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

/** The figures that are compared between groups. */
typedef enum groups_compared {
    GROUPS_TOP1 = 0,
    GROUPS_MACRO_F1,
    GROUPS_BALANCED,
    GROUPS_LOSS,
    GROUPS_BRIER,
    GROUPS_ECE,
    GROUPS_COMPARED
} groups_compared;

typedef struct groups_gap {
    double gap; /* the largest less the smallest */
    double p;   /* chance of such a gap if groups did not matter: permutation test */
} groups_gap;

typedef struct groups_result {
    groups_figure list[GROUPS_MOST]; /* those that occur, by name */
    size_t count;
    groups_gap gaps[GROUPS_COMPARED];
} groups_result;

/** A CSV with a header and one line for each row of the data set in its order; the column `group` says which. An empty
 *  group leaves the row out. Free with groups_done. */
mien_status groups_read(const char *path, size_t rows, groups *out, mien_error *error);
void groups_done(groups *g);

mien_status groups_compute(const groups *g, const evaluation *e, size_t permutations, uint64_t seed, groups_result *out,
                           mien_error *error);
/** As in JSON: "macro_f1". */
const char *groups_compared_name(groups_compared which);
double groups_value(const metrics *m, groups_compared which);
/** {"groups":{name:{count, top1, macro_f1, …}}, "gap", "p" (of top-1), "gaps":{"macro_f1":{gap, p}, …}} */
json_t *groups_to_json(const groups_result *result);

#endif
