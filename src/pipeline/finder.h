/* Which boxes of a picture are faces, by preset: grey and contrast as the preset wants, one or several detector passes,
 * false-positive filter, non-maximum suppression, padding. */
#ifndef PIPELINE_FINDER_H
#define PIPELINE_FINDER_H

#include <mien/analyzer.h>

#include <stdbool.h>

#include "detect/detector.h"

typedef struct finder finder;                 /* immutable; shared between threads */
typedef struct finder_session finder_session; /* one per thread */

/** What a search found; owned by the session and valid until its next run. */
typedef struct finder_faces {
    const detect_face *faces; /* in the order of mien_result; at most options->max_faces */
    size_t count;
    size_t raw_count; /* before the filters */
    int stage;        /* which pass found them, from 1; 0 = none */
    bool exact_crop;  /* the preset classifies exactly its boxes */
    model_crop crop;  /* otherwise: from a box to the square that emotion models start from */
} finder_faces;

/** Where the default cascade is missing, a finder with a network goes without; a named cascade must be there. */
mien_status finder_create(const mien_analyzer_options *options, finder **out, mien_error *error);
void finder_destroy(finder **f);
/** Of the face network, before the first session; none: nothing happens. */
void finder_use_precision(finder *f, nn_precision precision);
/** MIEN_ENOTFOUND, and what to install, where there is no cascade for the older systems' presets. */
mien_status finder_check_cascade(const finder *f, mien_error *error);
/** The detector that the default preset uses; valid as long as `f`. */
const detector *finder_detector(const finder *f);
mien_status finder_session_create(const finder *f, finder_session **out, mien_error *error);
void finder_session_destroy(finder_session **session);
/** The memory in which its network runs, for others of its thread to run in between searches; NULL: it has none. Lives
 *  as long as the session. */
nn_workspace *finder_workspace(finder_session *session);

/** MIEN_ENOTFOUND where the options ask for a search that the finder lacks the cascade for. */
mien_status finder_check(const finder_session *session, const mien_analyze_options *options, mien_error *error);
/** @param picture  upright, any format. */
mien_status finder_run(finder_session *session, const mien_image_view *picture, const mien_analyze_options *options,
                       finder_faces *found, mien_error *error);

/** Whether a face network would see the whole picture for no more than the options' regions cost it. */
bool finder_prefers_whole(const finder_session *session, size_t width, size_t height,
                          const mien_analyze_options *options);

/** The grey picture of the last run's, made now where the search needed none. Valid until the next run. */
mien_status finder_grey(finder_session *session, const mien_image_view *picture, mien_image_view *grey,
                        mien_error *error);

/** Bytes that a search of a picture of that size takes at the most, besides the picture and what sessions keep. */
uint64_t finder_search_bytes(const finder_session *session, size_t width, size_t height,
                             const mien_analyze_options *options);
/** The smallest side of a face that the default preset reports in a picture of that longer side. */
double finder_least_share(void);
/** Give back what only large pictures need. */
void finder_trim(finder_session *session);

#endif
