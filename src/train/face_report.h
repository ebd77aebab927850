/* Evaluations of face detectors as one self-contained HTML page. */
#ifndef TRAIN_FACE_REPORT_H
#define TRAIN_FACE_REPORT_H

#include <mien/image.h>

#include "base/buffer.h"
#include "train/face_metrics.h"

enum { FACE_GALLERY_MOST = 24 };

/** What a detector made of one picture. `missed` per truth, `hits` per answer: face_metrics_add_telling. */
typedef struct face_verdict {
    const char *file;
    const face_truth *truths;
    const bool *missed;
    size_t truth_count;
    const face_answer *answers;
    const int8_t *hits;
    size_t answer_count;
} face_verdict;

/** Missed faces and false alarms together. */
size_t face_verdict_mistakes(const face_verdict *verdict);
/** A copy of the picture with missed faces yellow, false alarms red and found ones green, encoded.
 *  @param most  longest side of the copy; 0 = the picture's. */
mien_status face_verdict_draw(const face_verdict *verdict, const mien_image *picture, size_t most, buffer *jpeg,
                              mien_error *error);

/** The pictures that a detector erred on most. Zero-initialised means empty. */
typedef struct face_gallery {
    struct face_gallery_picture {
        char *file;
        size_t missed, wrong;
        buffer jpeg;
    } pictures[FACE_GALLERY_MOST]; /* by falling number of mistakes */
    size_t count;
} face_gallery;

mien_status face_gallery_add(face_gallery *gallery, const face_verdict *verdict, const mien_image *picture,
                             mien_error *error);
void face_gallery_done(face_gallery *gallery);

typedef struct face_report_entry {
    const char *name;
    const face_metrics *metrics;
    const face_gallery *gallery;
    double mean_ms, median_ms; /* per picture */
} face_report_entry;

/** Append the page: a comparison, precision-recall curves, figures by size, and each detector's worst pictures. */
mien_status face_report_html(const face_report_entry *entries, size_t count, const char *data, buffer *out,
                             mien_error *error);

#endif
