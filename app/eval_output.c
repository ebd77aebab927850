/* Printing for `mien eval`; nothing is computed here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval_output.h"

enum { EVAL_SHOWN_PAIRS = 20 };

static void eval_print_groups(const groups_result *result)
{
    printf("  %-16s %9s %9s %9s %9s %9s %9s %9s\n", "group", "pictures", "top-1", "macro F1", "balanced", "loss",
           "Brier", "ECE");
    for (size_t i = 0; i < result->count; i++) {
        printf("  %-16s %9zu", result->list[i].name, result->list[i].figures.count);
        for (int f = 0; f < GROUPS_COMPARED; f++)
            printf(" %9.4f", groups_value(&result->list[i].figures, (groups_compared)f));
        printf("\n");
    }
    printf("  %-26s", "gap");
    for (int f = 0; f < GROUPS_COMPARED; f++)
        printf(" %9.4f", result->gaps[f].gap);
    printf("\n  %-26s", "by chance alone with p =");
    for (int f = 0; f < GROUPS_COMPARED; f++)
        printf(" %9.4f", result->gaps[f].p);
    printf("\n\n");
}

/* A share of nothing is no number. */
static void eval_print_share(double share, size_t of)
{
    if (of)
        printf(" %9.4f", share);
    else
        printf(" %9s", "-");
}

static void eval_print_classes(const metrics *m)
{
    printf("  %-10s %9s %9s %9s %9s\n", "", "precision", "recall", "F1", "support");
    for (int c = 0; c < DATASET_CLASSES; c++) {
        printf("  %-10s", mien_emotion_name((mien_emotion)c));
        eval_print_share(m->classes[c].precision, m->classes[c].said);
        eval_print_share(m->classes[c].recall, m->classes[c].support);
        eval_print_share(m->classes[c].f1, m->classes[c].support);
        printf(" %9zu\n", m->classes[c].support);
    }
    printf("\n  %-11s", "true \\ said");
    for (int c = 0; c < DATASET_CLASSES; c++)
        printf(" %8s", mien_emotion_name((mien_emotion)c));
    for (int c = 0; c < DATASET_CLASSES; c++) {
        printf("\n  %-11s", mien_emotion_name((mien_emotion)c));
        for (int k = 0; k < DATASET_CLASSES; k++)
            printf(" %8zu", m->confusion[c][k]);
    }
    printf("\n\n");
}

static void eval_print_one(const evaluation *e)
{
    const metrics *m = &e->figures;
    printf("%s on %s, %s: %zu pictures; %s\n", e->model, e->data, e->split, e->count, e->manner);
    printf("  top-1 %.4f", m->top1);
    if (e->resampled)
        printf(" (95 %%: %.4f to %.4f)", e->low, e->high);
    printf("   macro F1 %.4f   balanced %.4f\n", m->macro_f1, m->balanced);
    printf("  loss %.4f   Brier %.4f   ECE %.4f", m->loss, m->brier, m->ece);
    if (e->soft_loss >= 0)
        printf("   loss against the votes %.4f", e->soft_loss);
    printf("\n  %.2f M parameters   %.1f M multiply-adds   %.3f ms a picture\n\n", (double)e->parameters / 1e6,
           (double)e->multiply_adds / 1e6, e->milliseconds);
    eval_print_classes(m);
}

static void eval_print_comparison(const eval_results *results)
{
    int width = 0;
    for (size_t i = 0; i < results->count; i++)
        width = (int)strlen(results->list[i].model) > width ? (int)strlen(results->list[i].model) : width;
    printf("%-*s %8s %8s %8s %8s %8s %8s\n", width, "model", "top-1", "macro F1", "balanced", "Brier", "ECE", "ms");
    for (size_t i = 0; i < results->count; i++) {
        const evaluation *e = &results->list[i];
        const metrics *m = &e->figures;
        printf("%-*s %8.4f %8.4f %8.4f %8.4f %8.4f %8.3f   %s\n", width, e->model, m->top1, m->macro_f1, m->balanced,
               m->brier, m->ece, e->milliseconds, results->data_count > 1 ? e->data : "");
    }
}

void eval_print_tables(const eval_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        eval_print_one(&results->list[i]);
        if (results->groups[i])
            eval_print_groups(results->groups[i]);
    }
    if (results->count > 1)
        eval_print_comparison(results);
}

static json_t *eval_json_one(const eval_results *results, size_t index)
{
    json_t *one = evaluation_to_json(&results->list[index]);
    if (one && results->groups[index])
        json_object_set_new(one, "by_group", groups_to_json(results->groups[index]));
    return one;
}

int eval_print_json(const eval_results *results)
{
    /* always a list; the figures of a single model stand at the top as well, where a script for one looks for them */
    json_t *models = json_array();
    for (size_t i = 0; i < results->count; i++)
        json_array_append_new(models, eval_json_one(results, i));
    json_t *out = results->count == 1 ? json_copy(json_array_get(models, 0)) : json_object();
    json_object_set_new(out, "models", models);
    if (results->duplicates)
        json_object_set(out, "duplicates", results->duplicates);
    char *text = out ? json_dumps(out, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(out);
    if (!text) {
        fprintf(stderr, "mien eval: no memory for the result\n");
        return EXIT_FAILURE;
    }
    puts(text);
    free(text);
    return EXIT_SUCCESS;
}

/* What a row is called: its file, where it has one. */
static void eval_print_row(const dataset *data, size_t row)
{
    if (data->paths && data->paths[row])
        printf("%s", data->paths[row]);
    else
        printf("row %zu", row);
    printf(" (%s, %s)", dataset_split_name((dataset_split)data->splits[row]),
           mien_emotion_name((mien_emotion)data->labels[row]));
}

void eval_print_duplicates(const dataset *data, const duplicates_pair *pairs, size_t count)
{
    size_t across = 0, differ = 0, shown = 0;
    for (size_t i = 0; i < count; i++) {
        across += pairs[i].across;
        differ += !pairs[i].same_label;
    }
    printf("%zu pairs of nearly equal pictures: %zu across splits, %zu with different labels\n", count, across, differ);
    for (size_t i = 0; i < count && shown < EVAL_SHOWN_PAIRS; i++) {
        if (!pairs[i].across)
            continue;
        shown++;
        printf("  ");
        eval_print_row(data, pairs[i].a);
        printf(" and ");
        eval_print_row(data, pairs[i].b);
        printf(": %.4f\n", (double)pairs[i].correlation);
    }
    if (shown < count)
        printf("  %zu more across splits, %zu within one; --json lists them all\n", across - shown, count - across);
    printf("\n");
}

static json_t *eval_json_row(const dataset *data, size_t row)
{
    json_t *one = json_pack("{s:I, s:s, s:s}", "row", (json_int_t)row, "split",
                            dataset_split_name((dataset_split)data->splits[row]), "label",
                            mien_emotion_name((mien_emotion)data->labels[row]));
    if (data->paths && data->paths[row])
        json_object_set_new(one, "file", evaluate_json_name(data->paths[row]));
    return one;
}

void eval_keep_duplicates(eval_results *results, const char *name, const duplicates_pair *pairs, size_t count)
{
    const dataset *data = &results->data[results->data_count - 1];
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:f, s:b, s:b, s:[o, o]}", "correlation", (double)pairs[i].correlation,
                                        "across_splits", pairs[i].across, "same_label", pairs[i].same_label, "pictures",
                                        eval_json_row(data, pairs[i].a), eval_json_row(data, pairs[i].b)));
    if (!results->duplicates)
        results->duplicates = json_array();
    json_array_append_new(results->duplicates,
                          json_pack("{s:o, s:o}", "data", evaluate_json_name(name), "pairs", list));
}
