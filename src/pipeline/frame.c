/* Frames of a stream: the tracker says where to look, the analyser looks, the tracker says who was seen. Where known
 * faces are, a small region at a small scale is searched instead of the frame, so most frames cost a fraction; a
 * network that sees the whole frame for no more than the regions cost sees the whole frame. */
#include <mien/tracker.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "pipeline/session.h"

void mien_frame_result_done(mien_frame_result *result)
{
    if (!result)
        return;
    mien_result_done(&result->result);
    memory_free(result->tracks);
    *result = (mien_frame_result){0};
}

/** Hand the faces to the tracker; `made` holds the result so far and gets the tracks. */
static mien_status follow(mien_session *session, mien_tracker *tracker, const mien_image_view *view,
                          double timestamp_ms, mien_frame_result *made, mien_error *error)
{
    size_t count = made->result.face_count;
    mien_image_view grey;
    mien_status status = session_grey(session, view, &grey, error);
    if (status)
        return status;
    made->tracks = memory_zeroed(count, sizeof *made->tracks);
    if (!made->tracks)
        return error_no_memory(error, count * sizeof *made->tracks);
    return mien_tracker_update(tracker, made->result.faces, count, timestamp_ms, &grey, made->tracks, error);
}

mien_status mien_analyze_frame_view(mien_session *session, mien_tracker *tracker, const mien_image_view *view,
                                    double timestamp_ms, const mien_analyze_options *options, mien_frame_result *result,
                                    mien_error *error)
{
    mien_analyze_options wanted;
    mien_search search;
    mien_frame_result made = {0};
    mien_analyze_default_options(&wanted);
    if (options)
        wanted = *options;
    mien_status status = session_check_call(session, tracker ? result : NULL, error);
    if (!status)
        status = session_check_options(session, &wanted, error);
    if (!status)
        status = session_check_view(view, error);
    if (status)
        return status;
    wanted.face_boxes = NULL;
    mien_tracker_search(tracker, timestamp_ms, view->width, view->height, &search);
    wanted.regions = search.regions;
    wanted.region_count = search.count;
    made.full_search = search.full || wanted.preset != MIEN_PRESET_DEFAULT ||
                       session_prefers_whole(session, view->width, view->height, &wanted);
    if (made.full_search) {
        wanted.regions = NULL;
        wanted.region_count = 0;
    }
    status = mien_analyze_view(session, view, &wanted, &made.result, error);
    if (!status)
        status = follow(session, tracker, view, timestamp_ms, &made, error);
    if (status) {
        mien_frame_result_done(&made);
        return status;
    }
    mien_frame_result_done(result);
    *result = made;
    return MIEN_OK;
}

mien_status mien_analyze_frame(mien_session *session, mien_tracker *tracker, const void *bytes, size_t length,
                               double timestamp_ms, const mien_analyze_options *options, mien_frame_result *result,
                               mien_error *error)
{
    double started = clock_monotonic_ms();
    mien_analyze_options defaults;
    mien_image picture = {0};
    mien_analyze_default_options(&defaults);
    if (!options)
        options = &defaults;
    mien_status status = session_check_call(session, tracker ? result : NULL, error);
    if (!status)
        status = session_check_options(session, options, error);
    if (!status)
        status = session_decode(session, bytes, length, options, false, &picture, NULL, error);
    if (status)
        return status;
    double decoded = clock_monotonic_ms();
    mien_image_view view = mien_image_as_view(&picture);
    status = mien_analyze_frame_view(session, tracker, &view, timestamp_ms, options, result, error);
    mien_image_done(&picture);
    if (status)
        return status;
    result->result.timing.decode = decoded - started;
    result->result.timing.total += decoded - started;
    return MIEN_OK;
}
