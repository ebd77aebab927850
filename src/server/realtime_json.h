/* What the realtime service says, as JSON in the fields of the original. Each returns a new reference, or NULL. */
#ifndef SERVER_REALTIME_JSON_H
#define SERVER_REALTIME_JSON_H

#include "server/realtime_stream.h"

/** initialized: what this server offers to the session. */
json_t *realtime_initialized(const char *session_id);
/** status and error_message: {code, message, timestamp}. */
json_t *realtime_status(int code, const char *message);
/** status with the metrics of the stream so far. */
json_t *realtime_metrics(const realtime_outcome *outcome);
/** detection_result of a frame that was recognised. */
json_t *realtime_detection(const realtime_outcome *outcome);
/** performance_suggestion: what the client might change to be served better. */
json_t *realtime_suggestion(const realtime_outcome *outcome, unsigned long dropped, unsigned long frames);

#endif
