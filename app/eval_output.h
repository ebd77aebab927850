/* What `mien eval` shows: tables for people, JSON for programs. */
#ifndef APP_EVAL_OUTPUT_H
#define APP_EVAL_OUTPUT_H

#include "train/duplicates.h"
#include "train/evaluate.h"
#include "train/groups.h"

enum { EVAL_MOST = 32, EVAL_MOST_RESULTS = EVAL_MOST * 4 };

typedef struct eval_results {
    dataset data[EVAL_MOST];
    groups grouping[EVAL_MOST]; /* of each data set; empty without --groups */
    size_t data_count;
    evaluation list[EVAL_MOST_RESULTS];
    size_t data_of[EVAL_MOST_RESULTS];
    groups_result *groups[EVAL_MOST_RESULTS]; /* NULL = none */
    size_t count;
    json_t *duplicates; /* one object for each data set; NULL without --duplicates --json */
} eval_results;

void eval_print_tables(const eval_results *results);
/** {"models": […]}, a single model's figures beside it, and "duplicates". Returns an exit status. */
int eval_print_json(const eval_results *results);
void eval_print_duplicates(const dataset *data, const duplicates_pair *pairs, size_t count);
/** The same for eval_print_json: all of the last data set's pairs. */
void eval_keep_duplicates(eval_results *results, const char *name, const duplicates_pair *pairs, size_t count);

#endif
