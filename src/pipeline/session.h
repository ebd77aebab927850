/* What a session and an analyser offer to the rest of the pipeline. */
#ifndef PIPELINE_SESSION_H
#define PIPELINE_SESSION_H

#include <mien/analyzer.h>

#include "emotion/classifier.h"

/** The last picture in grey; empty (no data) where there is none. Valid until the session's next run. */
mien_image_view session_grey(const mien_session *session);

/** Whether searching the whole picture costs no more than the regions of `options` do. */
bool session_prefers_whole(const mien_session *session, size_t width, size_t height,
                           const mien_analyze_options *options);

/** The analyser's emotion model; valid as long as the analyser. */
const classifier *analyzer_classifier(const mien_analyzer *analyzer);
/** Numbers that training set in that model. */
uint64_t analyzer_parameters(const mien_analyzer *analyzer);

#endif
