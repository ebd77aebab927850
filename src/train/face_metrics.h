/* How well a detector finds annotated faces: precision, recall, F1 and average precision by overlap and by size. */
#ifndef TRAIN_FACE_METRICS_H
#define TRAIN_FACE_METRICS_H

#include <mien/base.h>

#include <stdbool.h>

typedef struct face_box {
    float x, y, width, height; /* pixels */
} face_box;

/** An annotated face. `ignore`: finding it is neither right nor wrong. */
typedef struct face_truth {
    face_box box;
    bool ignore;
} face_truth;

/** A found face. */
typedef struct face_answer {
    face_box box;
    float score;
} face_answer;

/** Sizes are the square root of the box's area; each range begins at its number. */
typedef enum face_size {
    FACE_SIZE_FROM_32 = 0, /* what counts first */
    FACE_SIZE_16,
    FACE_SIZE_32,
    FACE_SIZE_64,
    FACE_SIZE_FROM_128,
    FACE_SIZE_ALL,
    FACE_SIZE_COUNT
} face_size;

enum { FACE_OVERLAP_40 = 0, FACE_OVERLAP_50, FACE_OVERLAP_COUNT };

typedef struct face_figures {
    size_t truths, answers, hits; /* without what is ignored */
    double recall, precision, f1; /* of the answers that reach the threshold; 0 without any */
    double average_precision;     /* of all answers: area under the precision-recall curve, precision made falling */
} face_figures;

/** Zero-initialised means empty and no threshold. */
typedef struct face_metrics {
    float
        threshold; /* an answer of a lower score is not given, but stands in the curve; set before anything is added */
    struct face_mark *marks;
    size_t count, capacity;
    size_t truths[FACE_OVERLAP_COUNT][FACE_SIZE_COUNT];
    size_t pictures;
} face_metrics;

/** "32+", "16-32", "32-64", "64-128", "128+", "all". */
const char *face_size_name(face_size size);
/** 0.4 and 0.5. */
float face_overlap_value(int overlap);
/** Intersection over union. */
float face_overlap_of(const face_box *a, const face_box *b);

/**
 * Add one picture. Answers are taken by falling score; each takes the unmatched face in the range that it overlaps
 * most, if enough. Else it is left out where it finds an ignored face (overlapping enough, or lying half inside) or one
 * outside the range, or is itself of a size outside the range; else it is wrong. So a second answer for one face is
 * wrong.
 * @param hits  NULL, or [out] per answer: 1 right, -1 wrong, 0 left out or below the threshold, for FACE_OVERLAP_40 and
 *              FACE_SIZE_FROM_32.
 */
mien_status face_metrics_add(face_metrics *metrics, const face_truth *truths, size_t truth_count,
                             const face_answer *answers, size_t answer_count, int8_t *hits, mien_error *error);
/** The same, and also [out] `missed` per truth (may be NULL): asked for, and found by no answer at the threshold. */
mien_status face_metrics_add_telling(face_metrics *metrics, const face_truth *truths, size_t truth_count,
                                     const face_answer *answers, size_t answer_count, int8_t *hits, bool *missed,
                                     mien_error *error);
void face_metrics_compute(const face_metrics *metrics, int overlap, face_size size, face_figures *out);
/** The largest recall at which all answers of at least some score have this precision; 0 where there is none.
 *  @param score  [out] that score, the lowest there is; 1 where there is none. */
double face_metrics_recall_at(const face_metrics *metrics, int overlap, face_size size, double precision, float *score);
/** A point of the precision-recall curve: what a threshold of `score` would give. */
typedef struct face_point {
    double recall, precision;
    float score;
} face_point;

/**
 * Up to `capacity` points of the curve, evenly spaced in answers, from the surest on; the last one is that of all.
 * @param best  NULL, or [out] the point of the greatest F1; untouched without answers.
 * @return how many points.
 */
size_t face_metrics_curve(const face_metrics *metrics, int overlap, face_size size, face_point *points, size_t capacity,
                          face_point *best);
void face_metrics_done(face_metrics *metrics);

#endif
