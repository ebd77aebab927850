/* What a session offers to the rest of the pipeline. */
#ifndef PIPELINE_SESSION_H
#define PIPELINE_SESSION_H

#include <mien/analyzer.h>

/** The last picture in grey; empty (no data) where there is none. Valid until the session's next run. */
mien_image_view session_grey(const mien_session *session);

#endif
