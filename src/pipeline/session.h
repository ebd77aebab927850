/* What a session and an analyser offer to the rest of the pipeline. */
#ifndef PIPELINE_SESSION_H
#define PIPELINE_SESSION_H

#include <mien/analyzer.h>

#include "emotion/classifier.h"
#include "image/decode.h"
#include "pipeline/finder.h"

/** An analyser that finds faces with a finder that others use too and that must outlive it: the options' cascade,
 *  detector and threads are the finder's. NULL = as mien_analyzer_create(). */
mien_status analyzer_create_with(const mien_analyzer_options *options, const finder *shared, mien_analyzer **analyzer,
                                 mien_error *error);
/** A session that searches with the finder's session of its thread, and runs in that one's memory. It must outlive the
 *  session's use, but not the session. NULL = as mien_session_create(). */
mien_status session_create_with(mien_analyzer *analyzer, finder_session *shared, mien_session **session,
                                mien_error *error);

/** MIEN_EINVAL where either is NULL. */
mien_status session_check_call(const mien_session *session, const void *result, mien_error *error);
/** MIEN_EINVAL or MIEN_ELIMIT where they are outside what mien/analyzer.h allows, MIEN_ENOTFOUND where the options need
 * a cascade that is missing: first of all, before anything of them is used. */
mien_status session_check_options(const mien_session *session, const mien_analyze_options *options, mien_error *error);
mien_status session_check_view(const mien_image_view *view, mien_error *error);

/** The picture just analysed, in grey. Valid until the session's next run. */
mien_status session_grey(mien_session *session, const mien_image_view *picture, mien_image_view *grey,
                         mien_error *error);

/** Decode under the options' limits and with their leave (`reserve`).
 *  @param shrink  a picture far larger than what is looked at may be decoded smaller; `full` is the size sent. */
mien_status session_decode(const mien_session *session, const void *bytes, size_t length,
                           const mien_analyze_options *options, bool shrink, mien_image *picture, image_full_size *full,
                           mien_error *error);

/** Whether searching the whole picture costs no more than the regions of `options` do. */
bool session_prefers_whole(const mien_session *session, size_t width, size_t height,
                           const mien_analyze_options *options);

/** What it finds faces with; valid as long as the analyser. */
const finder *analyzer_finder(const mien_analyzer *analyzer);
/** The analyser's emotion model; valid as long as the analyser. */
const classifier *analyzer_classifier(const mien_analyzer *analyzer);
/** The arithmetic chosen for it: what the options name, or what MIEN_PRECISION_AUTO came to; nn_precision_here() says
 *  what becomes of it on this processor. */
nn_precision analyzer_precision(const mien_analyzer *analyzer);
/** Numbers that training set in that model. */
uint64_t analyzer_parameters(const mien_analyzer *analyzer);

#endif
