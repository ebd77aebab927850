/* One client's stream of frames: the newest waits while one is being recognised, faces keep their identity, times are
 * kept. On the loop's thread, except for what says otherwise. */
#ifndef SERVER_REALTIME_STREAM_H
#define SERVER_REALTIME_STREAM_H

#include <jansson.h>

#include <mien/tracker.h>

#include "server/server.h"

/** What a client may set. */
typedef struct realtime_config {
    char model[VISION_NAME]; /* "" = the first of our own */
    mien_preset preset;
    int32_t min_face;
    double scale_factor;
    int min_neighbors;
    double smoothing_ms, baseline_ms;
    bool full_search; /* of every frame */
} realtime_config;

/** A frame on its way. */
typedef struct realtime_frame {
    json_t *id;   /* as the client gave it; owned */
    json_t *text; /* base64 or a data URL; owned; NULL when the bytes came as they are */
    buffer bytes;
    double sent;       /* the client's time stamp, seconds since 1970; 0 = none */
    double arrived_ms; /* on the monotonic clock */
} realtime_frame;

typedef struct realtime_times {
    unsigned long frames;  /* recognised */
    unsigned long dropped; /* replaced by newer ones before they were looked at */
    double recent;         /* seconds that the last frames took, averaged */
    double last;           /* when the last one was done, seconds since 1970 */
} realtime_times;

/** Everything known about a frame that was looked at. Borrowed for the call. */
typedef struct realtime_outcome {
    const realtime_frame *frame;
    mien_status status; /* what follows is only there when MIEN_OK */
    const mien_error *error;
    const mien_frame_result *found;
    double seconds; /* it took */
    const realtime_times *times;
    unsigned long dropped; /* since the frame before */
} realtime_outcome;

typedef void (*realtime_report)(void *context, const realtime_outcome *outcome);

typedef struct realtime_stream realtime_stream;

mien_status realtime_stream_create(server *server, realtime_report report, void *context, realtime_stream **out,
                                   mien_error *error);
/** No report comes afterwards; what a worker still uses is freed when it is done. Accepts a pointer to NULL. */
void realtime_stream_destroy(realtime_stream **stream);

/** From the next frame on. @return MIEN_OK, MIEN_EINVAL (a value out of range), MIEN_ENOMEM. */
mien_status realtime_stream_configure(realtime_stream *stream, const realtime_config *config, mien_error *error);
const realtime_config *realtime_stream_config(const realtime_stream *stream);
/** Take over the frame, which is left empty. @return MIEN_OK; MIEN_EBUSY when the workers' queue is full (dropped). */
mien_status realtime_stream_push(realtime_stream *stream, realtime_frame *frame);
/** Forget a frame that waits. */
void realtime_stream_clear(realtime_stream *stream);

void realtime_frame_done(realtime_frame *frame);

#endif
