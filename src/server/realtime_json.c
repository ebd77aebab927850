/* Field names and types are those of the original server, as captured on the wire; what mien adds stands beside them:
 * face_id and tracking_id, the raw scores next to the smoothed ones, the number of dropped frames. */
#include "server/realtime_json.h"

#include <stdlib.h>

#include "base/clock.h"
#include "server/dialects.h"

enum { REALTIME_MOST_RATE = 10, REALTIME_WIDTH = 640, REALTIME_HEIGHT = 480 };

json_t *realtime_initialized(const char *session_id)
{
    return json_pack("{s:s,s:f,s:{s:i,s:[i,i],s:[s,s,s]}}", "session_id", session_id, "timestamp", dialect_now(),
                     "config", "max_frame_rate", REALTIME_MOST_RATE, "max_resolution", REALTIME_WIDTH, REALTIME_HEIGHT,
                     "supported_actions", "start", "stop", "configure");
}

json_t *realtime_status(int code, const char *message)
{
    return json_pack("{s:i,s:s,s:f}", "code", code, "message", message, "timestamp", dialect_now());
}

static double frames_a_second(const realtime_times *times)
{
    return times->recent > 0 ? 1 / times->recent : 0;
}

json_t *realtime_metrics(const realtime_outcome *outcome)
{
    const realtime_times *times = outcome->times;
    return json_pack("{s:i,s:s,s:f,s:{s:I,s:f,s:f,s:f,s:I,s:I}}", "code", 200, "message", "Processing metrics",
                     "timestamp", dialect_now(), "metrics", "processed_frames", (json_int_t)times->frames,
                     "current_fps", frames_a_second(times), "average_processing_time", times->recent,
                     "last_detection_time", times->last, "tracking_faces",
                     (json_int_t)outcome->found->result.face_count, "dropped_frames", (json_int_t)times->dropped);
}

/** [{emotion, score, percentage}, …], the likeliest first. */
static json_t *emotions_by_score(const float probabilities[MIEN_EMOTION_COUNT])
{
    int order[MIEN_EMOTION_COUNT];
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++) {
        int at = i;
        for (; at > 0 && probabilities[order[at - 1]] < probabilities[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    json_t *list = json_array();
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++) {
        double score = probabilities[order[i]];
        json_array_append_new(list,
                              json_pack("{s:s,s:f,s:f}", "emotion", mien_emotion_name((mien_emotion)order[i]), "score",
                                        dialect_round(score, 6), "percentage", dialect_round(score * 100, 4)));
    }
    return list;
}

static json_t *scores(const float probabilities[MIEN_EMOTION_COUNT])
{
    json_t *object = json_object();
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        json_object_set_new(object, mien_emotion_name((mien_emotion)i), json_real(dialect_round(probabilities[i], 6)));
    return object;
}

static json_t *face_json(const mien_face *face, const mien_track *track)
{
    json_t *object =
        json_pack("{s:[i,i,i,i],s:o,s:I,s:I,s:o,s:f}", "box", (int)face->box.x, (int)face->box.y, (int)face->box.width,
                  (int)face->box.height, "emotions", emotions_by_score(track->smoothed), "face_id",
                  (json_int_t)track->id, "tracking_id", (json_int_t)track->id, "raw_scores",
                  scores(face->probabilities), "quality", dialect_round(face->quality, 3));
    if (track->has_baseline)
        json_object_set_new(object, "relative_scores", scores(track->relative));
    return object;
}

json_t *realtime_detection(const realtime_outcome *outcome)
{
    const realtime_frame *frame = outcome->frame;
    const mien_result *result = &outcome->found->result;
    json_t *faces = json_array();
    for (size_t i = 0; i < result->face_count; i++)
        json_array_append_new(faces, face_json(&result->faces[i], &outcome->found->tracks[i]));
    double now = dialect_now(), latency = (clock_monotonic_ms() - frame->arrived_ms) / 1000;
    if (frame->sent > 0 && frame->sent <= now)
        latency = now - frame->sent;
    return json_pack("{s:O,s:f,s:f,s:f,s:f,s:o,s:b,s:b,s:I}", "frame_id", frame->id, "timestamp", now,
                     "processing_time", outcome->seconds, "latency", latency, "fps", frames_a_second(outcome->times),
                     "faces", faces, "face_detected", result->face_count > 0, "detection_used",
                     outcome->found->full_search, "dropped_frames", (json_int_t)outcome->dropped);
}

json_t *realtime_suggestion(const realtime_outcome *outcome, unsigned long dropped, unsigned long frames)
{
    double able = frames_a_second(outcome->times);
    int rate = able < 1 ? 1 : able > REALTIME_MOST_RATE ? REALTIME_MOST_RATE : (int)able;
    const mien_result *result = &outcome->found->result;
    bool large = result->width > REALTIME_WIDTH || result->height > REALTIME_HEIGHT;
    return json_pack("{s:s,s:s,s:f,s:{s:i,s:[i,i]},s:{s:I,s:I,s:f}}", "type", large ? "resolution" : "frame_rate",
                     "message",
                     large ? "Frames come faster than they are processed: send smaller ones"
                           : "Frames come faster than they are processed: send fewer",
                     "timestamp", dialect_now(), "suggestion", "max_frame_rate", rate, "max_resolution", REALTIME_WIDTH,
                     REALTIME_HEIGHT, "observed", "dropped_frames", (json_int_t)dropped, "processed_frames",
                     (json_int_t)frames, "average_processing_time", outcome->times->recent);
}
