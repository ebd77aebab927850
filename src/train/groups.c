/* The gap between the best and the worst group is always positive, so its size alone says nothing: the groups' names
 * are shuffled over the pictures many times, and p is how often chance alone makes a gap as large (Good 2005). */
#include "train/groups.h"

#include <math.h>
#include <stdlib.h>
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
    for (int i = 0; i < count && i < GROUPS_FIELDS; i++) {
        fields[i] += strspn(fields[i], " ");
        fields[i][strcspn(fields[i], " ")] = '\0';
        if (!strcasecmp(fields[i], "group"))
            return i;
    }
    return -1;
}

static mien_status groups_read_lines(groups *g, dataset_lines *lines, mien_error *error)
{
    char *line = NULL, *fields[GROUPS_FIELDS];
    size_t length = 0, row = 0;
    mien_status status = dataset_lines_next(lines, &line, &length, error);
    int column = status ? -1 : groups_find_column(line);
    if (!status && column < 0)
        return error_set(error, MIEN_EFORMAT, "line 1: no column is called 'group'");
    while (!status) {
        status = dataset_lines_next(lines, &line, &length, error);
        if (status || !line)
            break;
        if (row == g->count && !length) /* an empty line is a picture of no group, but not behind the last one */
            continue;
        int count = dataset_split_fields(line, fields, GROUPS_FIELDS);
        if (row == g->count)
            status = error_set(error, MIEN_EFORMAT, "more lines than the %zu pictures", g->count);
        else if (column >= count && length)
            status = error_set(error, MIEN_EFORMAT, "%d fields are too few", count);
        else
            status = groups_index(g, column < count ? fields[column] : "", &g->of_row[row++], error);
        if (status)
            error_prefix(error, status, "line %zu", dataset_lines_number(lines));
    }
    if (!status && row != g->count)
        return error_set(error, MIEN_EFORMAT, "%zu lines for %zu pictures", row, g->count);
    if (!status && !g->name_count)
        return error_set(error, MIEN_EFORMAT, "no picture belongs to any group");
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

const char *groups_compared_name(groups_compared which)
{
    static const char *const names[GROUPS_COMPARED] = {"top1", "macro_f1", "balanced_accuracy", "loss", "brier", "ece"};
    return names[which];
}

double groups_value(const metrics *m, groups_compared which)
{
    const double values[GROUPS_COMPARED] = {m->top1, m->macro_f1, m->balanced, m->loss, m->brier, m->ece};
    return values[which];
}

/* The pictures that belong to a group, and room to gather those of one. */
typedef struct groups_work {
    const evaluation *e;
    size_t *place;  /* [count] in the evaluation */
    uint8_t *group; /* [count] */
    size_t count;
    float *probabilities;
    uint8_t *truth;
} groups_work;

static void groups_measure(groups_work *work, size_t group, metrics *out)
{
    size_t count = 0;
    for (size_t i = 0; i < work->count; i++) {
        if (work->group[i] != group)
            continue;
        memcpy(work->probabilities + count * DATASET_CLASSES, work->e->probabilities + work->place[i] * DATASET_CLASSES,
               DATASET_CLASSES * sizeof(float));
        work->truth[count++] = work->e->truth[work->place[i]];
    }
    *out = (metrics){0};
    if (count)
        metrics_compute(work->probabilities, work->truth, count, out);
}

static void groups_find_gaps(const metrics *figures, size_t count, double gaps[GROUPS_COMPARED])
{
    for (int f = 0; f < GROUPS_COMPARED; f++) {
        double least = INFINITY, most = -INFINITY;
        for (size_t k = 0; k < count; k++)
            if (figures[k].count) {
                double value = groups_value(&figures[k], (groups_compared)f);
                least = fmin(least, value);
                most = fmax(most, value);
            }
        gaps[f] = most > least ? most - least : 0;
    }
}

static void groups_shuffle(groups_work *work, random_state *stream)
{
    for (size_t i = work->count; i > 1; i--) {
        size_t k = random_below(stream, (uint32_t)i);
        uint8_t kept = work->group[i - 1];
        work->group[i - 1] = work->group[k];
        work->group[k] = kept;
    }
}

static void groups_test(groups_work *work, size_t names, size_t permutations, uint64_t seed, groups_result *out)
{
    size_t as_large[GROUPS_COMPARED] = {0};
    metrics figures[GROUPS_MOST];
    double gaps[GROUPS_COMPARED];
    random_state stream;
    random_seed(&stream, seed, 0);
    for (size_t n = 0; n < permutations; n++) {
        groups_shuffle(work, &stream);
        for (size_t k = 0; k < names; k++)
            groups_measure(work, k, &figures[k]);
        groups_find_gaps(figures, names, gaps);
        for (int f = 0; f < GROUPS_COMPARED; f++)
            as_large[f] += gaps[f] >= out->gaps[f].gap - 1e-12;
    }
    for (int f = 0; f < GROUPS_COMPARED; f++)
        out->gaps[f].p = (double)(as_large[f] + 1) / (double)(permutations + 1);
}

static mien_status groups_work_init(groups_work *work, const groups *g, const evaluation *e, mien_error *error)
{
    *work = (groups_work){.e = e};
    work->place = memory_array(e->count, sizeof(*work->place));
    work->group = memory_array(e->count, 1);
    work->truth = memory_array(e->count, 1);
    work->probabilities = memory_array(e->count * DATASET_CLASSES, sizeof(float));
    if (!work->place || !work->group || !work->truth || !work->probabilities)
        return error_no_memory(error, e->count * DATASET_CLASSES * sizeof(float));
    for (size_t i = 0; i < e->count; i++)
        if (g->of_row[e->rows[i]] < GROUPS_MOST) {
            work->place[work->count] = i;
            work->group[work->count++] = g->of_row[e->rows[i]];
        }
    return MIEN_OK;
}

static void groups_work_done(groups_work *work)
{
    memory_free(work->place);
    memory_free(work->group);
    memory_free(work->truth);
    memory_free(work->probabilities);
}

static int groups_by_name(const void *a, const void *b)
{
    return strcmp(((const groups_figure *)a)->name, ((const groups_figure *)b)->name);
}

mien_status groups_compute(const groups *g, const evaluation *e, size_t permutations, uint64_t seed, groups_result *out,
                           mien_error *error)
{
    groups_result result = {0};
    groups_work work;
    metrics figures[GROUPS_MOST];
    double gaps[GROUPS_COMPARED];
    mien_status status = groups_work_init(&work, g, e, error);
    if (!status) {
        for (size_t k = 0; k < g->name_count; k++) {
            groups_measure(&work, k, &figures[k]);
            if (figures[k].count)
                result.list[result.count++] = (groups_figure){g->names[k], figures[k]};
        }
        groups_find_gaps(figures, g->name_count, gaps);
        for (int f = 0; f < GROUPS_COMPARED; f++)
            result.gaps[f].gap = gaps[f];
        groups_test(&work, g->name_count, permutations, seed, &result);
        qsort(result.list, result.count, sizeof(*result.list), groups_by_name);
        *out = result;
    }
    groups_work_done(&work);
    return status;
}

json_t *groups_to_json(const groups_result *result)
{
    json_t *list = json_object(), *gaps = json_object();
    for (size_t i = 0; i < result->count; i++) {
        const metrics *m = &result->list[i].figures;
        json_t *one = json_pack("{s:I}", "count", (json_int_t)m->count);
        for (int f = 0; f < GROUPS_COMPARED; f++)
            json_object_set_new(one, groups_compared_name((groups_compared)f),
                                json_real(groups_value(m, (groups_compared)f)));
        json_object_set_new(list, result->list[i].name, one);
    }
    for (int f = 0; f < GROUPS_COMPARED; f++)
        json_object_set_new(gaps, groups_compared_name((groups_compared)f),
                            json_pack("{s:f, s:f}", "gap", result->gaps[f].gap, "p", result->gaps[f].p));
    return json_pack("{s:o, s:f, s:f, s:o}", "groups", list, "gap", result->gaps[GROUPS_TOP1].gap, "p",
                     result->gaps[GROUPS_TOP1].p, "gaps", gaps);
}
