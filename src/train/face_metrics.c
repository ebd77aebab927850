/* Greedy matching by score for every overlap and range of sizes, as COCO evaluates: what lies outside a range is
 * neither asked for nor held against a detector. Marks are kept per answer, so that average precision can be had at the
 * end. */
#include "train/face_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct face_mark {
    float score;
    int32_t found; /* which face of its picture, -1 = none: at FACE_OVERLAP_40 and FACE_SIZE_FROM_32 */
    int8_t outcome[FACE_OVERLAP_COUNT][FACE_SIZE_COUNT]; /* 1 right, -1 wrong, 0 left out */
};

static const float overlaps[FACE_OVERLAP_COUNT] = {0.4f, 0.5f};
static const float ignored_share = 0.5f; /* of an answer inside an ignored face */

static const struct {
    const char *name;
    float from, below;
} sizes[FACE_SIZE_COUNT] = {{"32+", 32, INFINITY}, {"16-32", 16, 32},       {"32-64", 32, 64},
                            {"64-128", 64, 128},   {"128+", 128, INFINITY}, {"all", 0, INFINITY}};

const char *face_size_name(face_size size)
{
    return sizes[size].name;
}

float face_overlap_value(int overlap)
{
    return overlaps[overlap];
}

static float face_shared(const face_box *a, const face_box *b)
{
    float width = fminf(a->x + a->width, b->x + b->width) - fmaxf(a->x, b->x);
    float height = fminf(a->y + a->height, b->y + b->height) - fmaxf(a->y, b->y);
    return width > 0 && height > 0 ? width * height : 0;
}

float face_overlap_of(const face_box *a, const face_box *b)
{
    float both = face_shared(a, b), all = a->width * a->height + b->width * b->height - both;
    return all > 0 ? both / all : 0;
}

static bool face_in_range(const face_box *box, face_size size)
{
    float side = sqrtf(fmaxf(box->width, 0) * fmaxf(box->height, 0));
    return side >= sizes[size].from && side < sizes[size].below;
}

/* What becomes of one answer; `used` marks the faces that earlier ones took, `taken` says which this one took, or -1.
 */
static int8_t face_judge(const face_truth *truths, size_t truth_count, const face_box *answer, float overlap,
                         face_size size, bool *used, int32_t *taken)
{
    size_t best = truth_count;
    float most = overlap;
    bool excused = !face_in_range(answer, size);
    for (size_t t = 0; t < truth_count; t++) {
        float found = face_overlap_of(&truths[t].box, answer);
        bool counts = !truths[t].ignore && face_in_range(&truths[t].box, size);
        if (counts && !used[t] && found >= most) {
            most = found;
            best = t;
        }
        if (!counts && found >= overlap)
            excused = true;
        if (truths[t].ignore && face_shared(&truths[t].box, answer) >= ignored_share * answer->width * answer->height)
            excused = true;
    }
    *taken = best < truth_count ? (int32_t)best : -1;
    if (best < truth_count) {
        used[best] = true;
        return 1;
    }
    return excused ? 0 : -1;
}

static int face_by_score(const void *a, const void *b)
{
    float first = (*(const face_answer *const *)a)->score, second = (*(const face_answer *const *)b)->score;
    return (first < second) - (first > second);
}

static mien_status face_metrics_reserve(face_metrics *metrics, size_t more, mien_error *error)
{
    size_t needed = metrics->count + more;
    if (needed <= metrics->capacity)
        return MIEN_OK;
    size_t capacity = 2 * metrics->capacity > needed ? 2 * metrics->capacity : needed;
    struct face_mark *marks = memory_resize(metrics->marks, capacity, sizeof *marks);
    if (!marks)
        return error_no_memory(error, capacity * sizeof *marks);
    metrics->marks = marks;
    metrics->capacity = capacity;
    return MIEN_OK;
}

static void face_metrics_match(face_metrics *metrics, const face_truth *truths, size_t truth_count,
                               const face_answer *const *order, size_t answer_count, int overlap, face_size size,
                               bool *used)
{
    memset(used, 0, truth_count * sizeof *used);
    for (size_t t = 0; t < truth_count; t++)
        metrics->truths[overlap][size] += !truths[t].ignore && face_in_range(&truths[t].box, size);
    for (size_t a = 0; a < answer_count; a++) {
        struct face_mark *mark = metrics->marks + metrics->count + a;
        mark->score = order[a]->score;
        int32_t taken;
        mark->outcome[overlap][size] =
            face_judge(truths, truth_count, &order[a]->box, overlaps[overlap], size, used, &taken);
        if (overlap == FACE_OVERLAP_40 && size == FACE_SIZE_FROM_32)
            mark->found = taken;
    }
}

/* Of the matching just done at the overlap and range of size that are told of. */
static void face_metrics_tell(const face_metrics *metrics, const face_answer *answers, const face_answer *const *order,
                              size_t answer_count, int8_t *hits)
{
    for (size_t a = 0; a < answer_count; a++) {
        int8_t outcome = metrics->marks[metrics->count + a].outcome[FACE_OVERLAP_40][FACE_SIZE_FROM_32];
        hits[order[a] - answers] = order[a]->score < metrics->threshold ? 0 : outcome;
    }
}

static void face_metrics_tell_missed(const face_metrics *metrics, const face_truth *truths, size_t truth_count,
                                     const face_answer *const *order, size_t answer_count, bool *missed)
{
    for (size_t t = 0; t < truth_count; t++)
        missed[t] = !truths[t].ignore && face_in_range(&truths[t].box, FACE_SIZE_FROM_32);
    for (size_t a = 0; a < answer_count && order[a]->score >= metrics->threshold; a++) {
        int32_t found = metrics->marks[metrics->count + a].found;
        if (found >= 0)
            missed[found] = false;
    }
}

mien_status face_metrics_add(face_metrics *metrics, const face_truth *truths, size_t truth_count,
                             const face_answer *answers, size_t answer_count, int8_t *hits, mien_error *error)
{
    return face_metrics_add_telling(metrics, truths, truth_count, answers, answer_count, hits, NULL, error);
}

mien_status face_metrics_add_telling(face_metrics *metrics, const face_truth *truths, size_t truth_count,
                                     const face_answer *answers, size_t answer_count, int8_t *hits, bool *missed,
                                     mien_error *error)
{
    bool *used = memory_zeroed(truth_count, sizeof *used);
    const face_answer **order = memory_array(answer_count, sizeof *order);
    mien_status status = used && order ? face_metrics_reserve(metrics, answer_count, error)
                                       : error_no_memory(error, truth_count + answer_count * sizeof *order);
    if (!status) {
        for (size_t a = 0; a < answer_count; a++)
            order[a] = answers + a;
        if (answer_count)
            qsort(order, answer_count, sizeof *order, face_by_score);
        for (int overlap = 0; overlap < FACE_OVERLAP_COUNT; overlap++)
            for (int size = 0; size < FACE_SIZE_COUNT; size++)
                face_metrics_match(metrics, truths, truth_count, order, answer_count, overlap, (face_size)size, used);
        if (hits)
            face_metrics_tell(metrics, answers, order, answer_count, hits);
        if (missed)
            face_metrics_tell_missed(metrics, truths, truth_count, order, answer_count, missed);
        metrics->count += answer_count;
        metrics->pictures++;
    }
    memory_free(used);
    memory_free(order);
    return status;
}

typedef struct face_judged {
    float score;
    bool hit;
} face_judged;

static int face_judged_by_score(const void *a, const void *b)
{
    const face_judged *first = a, *second = b;
    return (first->score < second->score) - (first->score > second->score);
}

/* From the least sure answer to the surest the best precision so far is the precision at that recall. */
static double face_average_precision(const face_judged *judged, size_t count, size_t hits, size_t truths)
{
    double area = 0, best = 0;
    for (size_t i = count; i-- > 0;) {
        double precision = (double)hits / (double)(i + 1);
        best = precision > best ? precision : best;
        if (judged[i].hit) {
            area += best;
            hits--;
        }
    }
    return truths ? area / (double)truths : 0;
}

/* The answers that count at an overlap and range of size, surest first; NULL without any, or without memory. */
static face_judged *face_metrics_judged(const face_metrics *metrics, int overlap, face_size size, size_t *count,
                                        size_t *hits)
{
    face_judged *judged = memory_array(metrics->count, sizeof *judged);
    *count = *hits = 0;
    for (size_t i = 0; judged && i < metrics->count; i++) {
        int8_t outcome = metrics->marks[i].outcome[overlap][size];
        if (!outcome)
            continue;
        judged[(*count)++] = (face_judged){metrics->marks[i].score, outcome > 0};
        *hits += outcome > 0;
    }
    if (*count)
        qsort(judged, *count, sizeof *judged, face_judged_by_score);
    return judged;
}

static double face_f1(double recall, double precision)
{
    return recall + precision > 0 ? 2 * recall * precision / (recall + precision) : 0;
}

void face_metrics_compute(const face_metrics *metrics, int overlap, face_size size, face_figures *out)
{
    face_figures f = {.truths = metrics->truths[overlap][size]};
    size_t count, hits;
    face_judged *judged = face_metrics_judged(metrics, overlap, size, &count, &hits);
    for (; f.answers < count && judged[f.answers].score >= metrics->threshold; f.answers++)
        f.hits += judged[f.answers].hit;
    f.recall = f.truths ? (double)f.hits / (double)f.truths : 0;
    f.precision = f.answers ? (double)f.hits / (double)f.answers : 0;
    f.f1 = face_f1(f.recall, f.precision);
    if (count)
        f.average_precision = face_average_precision(judged, count, hits, f.truths);
    memory_free(judged);
    *out = f;
}

double face_metrics_recall_at(const face_metrics *metrics, int overlap, face_size size, double precision, float *score)
{
    size_t count, all, hits = 0, best = 0, truths = metrics->truths[overlap][size];
    face_judged *judged = face_metrics_judged(metrics, overlap, size, &count, &all);
    *score = 1;
    for (size_t i = 0; judged && i < count; i++) {
        hits += judged[i].hit;
        bool last = i + 1 == count || judged[i + 1].score < judged[i].score;
        if (last && hits > best && (double)hits >= precision * (double)(i + 1)) {
            best = hits;
            *score = judged[i].score;
        }
    }
    memory_free(judged);
    return truths ? (double)best / (double)truths : 0;
}

size_t face_metrics_curve(const face_metrics *metrics, int overlap, face_size size, face_point *points, size_t capacity,
                          face_point *best)
{
    size_t count, all, hits = 0, made = 0, truths = metrics->truths[overlap][size];
    double most = -1;
    face_judged *judged = face_metrics_judged(metrics, overlap, size, &count, &all);
    for (size_t i = 0; i < count; i++) {
        hits += judged[i].hit;
        if (i + 1 < count && judged[i + 1].score == judged[i].score)
            continue; /* no threshold tells them apart */
        face_point point = {truths ? (double)hits / (double)truths : 0, (double)hits / (double)(i + 1),
                            judged[i].score};
        double f1 = face_f1(point.recall, point.precision);
        if (best && f1 > most)
            *best = point;
        most = f1 > most ? f1 : most;
        if (i + 1 == count || (made + 1 < capacity && i * capacity >= made * count))
            points[made++] = point;
    }
    memory_free(judged);
    return made;
}

void face_metrics_done(face_metrics *metrics)
{
    if (!metrics)
        return;
    memory_free(metrics->marks);
    memset(metrics, 0, sizeof *metrics);
}
