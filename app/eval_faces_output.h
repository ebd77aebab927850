/* What `mien eval --faces` shows: tables for people, JSON for programs, a page. */
#ifndef APP_EVAL_FACES_OUTPUT_H
#define APP_EVAL_FACES_OUTPUT_H

#include "train/face_report.h"

/** What was measured of one detector. Zero-initialised means nothing yet. */
typedef struct faces_result {
    const char *name; /* as the user said it */
    const char *data; /* the annotations */
    face_metrics metrics;
    face_gallery gallery;
    double *milliseconds; /* one for each of metrics.pictures */
    size_t capacity;
} faces_result;

mien_status faces_result_time(faces_result *result, double milliseconds, mien_error *error);
void faces_result_done(faces_result *result);

/** Sorts the times. */
void faces_print_table(faces_result *result);
/** Returns an exit status. */
int faces_print_json(faces_result *result);
mien_status faces_write_report(faces_result *results, size_t count, const char *path, mien_error *error);

#endif
