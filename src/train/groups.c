/* The gap between the best and the worst group is always positive, so its size alone says nothing: the groups' names
 * are shuffled over the pictures many times, and p is how often chance alone makes a gap as large (Good 2005). */
#include "train/groups.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "train/dataset_builder.h"

enum { GROUPS_FIELDS = 32 };

void groups_done(groups *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->name_count; i++)
        memory_free(g->names[i]);
    memory_free(g->of_row);
    *g = (groups){0};
}

static mien_status groups_index(groups *g, const char *name, uint8_t *index, mien_error *error)
{
    if (!*name) {
        *index = GROUPS_MOST;
        return MIEN_OK;
    }
    for (size_t i = 0; i < g->name_count; i++)
        if (!strcmp(g->names[i], name)) {
            *index = (uint8_t)i;
            return MIEN_OK;
        }
    if (g->name_count == GROUPS_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d groups", GROUPS_MOST);
    char *copy = memory_text(name);
    if (!copy)
        return error_no_memory(error, strlen(name) + 1);
    *index = (uint8_t)g->name_count;
    g->names[g->name_count++] = copy;
    return MIEN_OK;
}

/* Which column is called `group`, or -1. */
static int groups_find_column(char *header)
{
    char *fields[GROUPS_FIELDS];
    int count = header ? dataset_split_fields(header, fields, GROUPS_FIELDS) : 0;
    for (int i = 0; i < count && i < GROUPS_FIELDS; i++)
        if (!strcasecmp(fields[i], "group"))
            return i;
    return -1;
}

static mien_status groups_read_lines(groups *g, dataset_lines *lines, mien_error *error)
{
    char *line = NULL, *fields[GROUPS_FIELDS];
    size_t length = 0, row = 0;
    mien_status status = dataset_lines_next(lines, &line, &length, error);
    int column = status ? -1 : groups_find_column(line);
    if (!status && column < 0)
        return error_set(error, MIEN_EFORMAT, "no column is called 'group'");
    while (!status) {
        status = dataset_lines_next(lines, &line, &length, error);
        if (status || !line)
            break;
        int count = dataset_split_fields(line, fields, GROUPS_FIELDS);
        if (row == g->count)
            return error_set(error, MIEN_EFORMAT, "more lines than the %zu pictures", g->count);
        status = groups_index(g, column < count ? fields[column] : "", &g->of_row[row++], error);
    }
    if (!status && row != g->count)
        return error_set(error, MIEN_EFORMAT, "%zu lines for %zu pictures", row, g->count);
    return status;
}

mien_status groups_read(const char *path, size_t rows, groups *out, mien_error *error)
{
    groups g = {.count = rows};
    dataset_lines *lines = NULL;
    g.of_row = memory_zeroed(rows, 1);
    mien_status status = g.of_row ? dataset_lines_open(path, &lines, error) : error_no_memory(error, rows);
    if (!status) {
        status = groups_read_lines(&g, lines, error);
        if (status)
            error_prefix(error, status, "%s", path);
    }
    dataset_lines_close(&lines);
    if (status)
        groups_done(&g);
    else
        *out = g;
    return status;
}

static double groups_gap(const uint8_t *group, const uint8_t *right, size_t count)
{
    size_t total[GROUPS_MOST] = {0}, hits[GROUPS_MOST] = {0};
    double best = 0, worst = 1;
    for (size_t i = 0; i < count; i++) {
        total[group[i]]++;
        hits[group[i]] += right[i];
    }
    for (int k = 0; k < GROUPS_MOST; k++)
        if (total[k]) {
            double share = (double)hits[k] / (double)total[k];
            best = share > best ? share : best;
            worst = share < worst ? share : worst;
        }
    return best > worst ? best - worst : 0;
}

static double groups_chance(uint8_t *group, const uint8_t *right, size_t count, double gap, size_t permutations,
                            uint64_t seed)
{
    size_t as_large = 0;
    random_state stream;
    random_seed(&stream, seed, 0);
    for (size_t n = 0; n < permutations; n++) {
        for (size_t i = count; i > 1; i--) {
            size_t k = random_below(&stream, (uint32_t)i);
            uint8_t kept = group[i - 1];
            group[i - 1] = group[k];
            group[k] = kept;
        }
        as_large += groups_gap(group, right, count) >= gap - 1e-12;
    }
    return (double)(as_large + 1) / (double)(permutations + 1);
}

/* Figures of one group, from its pictures gathered in front. */
static void groups_measure(const groups *g, const evaluation *e, size_t index, float *probabilities, uint8_t *truth,
                           groups_result *out)
{
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++) {
        if (g->of_row[e->rows[i]] != index)
            continue;
        memcpy(probabilities + count * DATASET_CLASSES, e->probabilities + i * DATASET_CLASSES,
               DATASET_CLASSES * sizeof(float));
        truth[count++] = e->truth[i];
    }
    if (!count)
        return;
    groups_figure *figure = &out->list[out->count++];
    figure->name = g->names[index];
    metrics_compute(probabilities, truth, count, &figure->figures);
}

mien_status groups_compute(const groups *g, const evaluation *e, size_t permutations, uint64_t seed, groups_result *out,
                           mien_error *error)
{
    groups_result result = {0};
    float *probabilities = memory_array(e->count * DATASET_CLASSES, sizeof(float));
    uint8_t *truth = memory_array(e->count, 1), *group = memory_array(e->count, 1), *right = memory_array(e->count, 1);
    mien_status status = MIEN_OK;
    if (!probabilities || !truth || !group || !right) {
        status = error_no_memory(error, e->count * DATASET_CLASSES * sizeof(float));
        goto out;
    }
    for (size_t k = 0; k < g->name_count; k++)
        groups_measure(g, e, k, probabilities, truth, &result);
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++) {
        if (g->of_row[e->rows[i]] >= GROUPS_MOST)
            continue;
        right[count] = metrics_argmax(e->probabilities + i * DATASET_CLASSES, DATASET_CLASSES) == e->truth[i];
        group[count++] = g->of_row[e->rows[i]];
    }
    result.gap = groups_gap(group, right, count);
    result.p = groups_chance(group, right, count, result.gap, permutations, seed);
    *out = result;
out:
    memory_free(probabilities);
    memory_free(truth);
    memory_free(group);
    memory_free(right);
    return status;
}

json_t *groups_to_json(const groups_result *result)
{
    json_t *list = json_object();
    for (size_t i = 0; i < result->count; i++) {
        const metrics *m = &result->list[i].figures;
        json_object_set_new(list, result->list[i].name,
                            json_pack("{s:I, s:f, s:f, s:f}", "count", (json_int_t)m->count, "top1", m->top1,
                                      "macro_f1", m->macro_f1, "balanced_accuracy", m->balanced));
    }
    return json_pack("{s:o, s:f, s:f}", "groups", list, "gap", result->gap, "p", result->p);
}
