/**
 * Faces across frames: who is who, calmer probabilities, and where to look next.
 *
 * A tracker belongs to one stream of frames and one thread. It knows nobody's name: an id only says "the same face as
 * before", within this stream, and is never given to another face.
 */
#ifndef MIEN_TRACKER_H
#define MIEN_TRACKER_H

#include <mien/analyzer.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MIEN_SEARCH_MAX_REGIONS = 16 };

typedef struct mien_tracker_options {
    double forget_ms;      /**< an unseen face is remembered this long, 0..60,000; default 2,000 */
    double smoothing_ms;   /**< time constant of the smoothed probabilities; 0 = none; default 300 */
    double full_search_ms; /**< a full search at least this often; default 400 */
    double baseline_ms;    /**< observe a person this long to learn their neutral face; 0 (default) = only when told */
    size_t max_tracks;     /**< faces remembered at once, 1..256; default 64 */
} mien_tracker_options;

/** What is known of one face of a frame. */
typedef struct mien_track {
    uint64_t id;                        /**< from 1 upwards, never used twice by one tracker */
    size_t frames;                      /**< frames it was seen in, this one included */
    double age_ms;                      /**< time since it was first seen */
    mien_rect steady_box;               /**< the box with the detector's jitter filtered out */
    float velocity_x, velocity_y;       /**< pixels a second */
    float smoothed[MIEN_EMOTION_COUNT]; /**< probabilities, sum 1; the raw ones stand in the mien_face */
    mien_emotion emotion;               /**< the class of the largest smoothed probability */
    float confidence;                   /**< that probability */
    int has_baseline;                   /**< non-zero: `relative` is meaningful */
    float relative[MIEN_EMOTION_COUNT]; /**< smoothed, seen against the person's own neutral face; sum 1 */
} mien_track;

typedef struct mien_search {
    int full; /**< non-zero: search the whole frame; the regions are information only */
    size_t count;
    mien_search_region regions[MIEN_SEARCH_MAX_REGIONS];
} mien_search;

typedef struct mien_tracker mien_tracker;

MIEN_API void mien_tracker_default_options(mien_tracker_options *options);
/** @param options NULL = defaults. @return MIEN_OK, MIEN_EINVAL (an option out of range), MIEN_ENOMEM. */
MIEN_API mien_status mien_tracker_create(const mien_tracker_options *options, mien_tracker **tracker,
                                         mien_error *error);
MIEN_API void mien_tracker_destroy(mien_tracker **tracker); /**< sets it to NULL; accepts NULL */

/**
 * Take the faces of one frame and say who they are.
 * @param faces         as an analysis gave them, in any order; boxes in pixels of the frame. NULL when count is 0.
 * @param timestamp_ms  when the frame was taken, on any clock. Frames may be missing and intervals may vary; a clock
 *                      that jumps back is taken as one ordinary interval.
 * @param grey          8-bit, 1 channel: the frame itself, for telling faces apart by their looks; NULL = by motion
 * only.
 * @param tracks        [out] tracks[i] tells of faces[i]; room for `count`.
 * @return MIEN_OK, MIEN_EINVAL (a box without area, a time that is no number, a picture that is not grey, NULL where
 * something is needed), MIEN_ENOMEM.
 */
MIEN_API mien_status mien_tracker_update(mien_tracker *tracker, const mien_face *faces, size_t count,
                                         double timestamp_ms, const mien_image_view *grey, mien_track *tracks,
                                         mien_error *error);

/**
 * Where to look in the frame about to be analysed. Calling it counts: when it asks for a full search, the next one is
 * due full_search_ms later, or earlier when a known face is missed. A tracker that is NULL knows nobody: the whole
 * frame is searched.
 */
MIEN_API void mien_tracker_search(mien_tracker *tracker, double timestamp_ms, size_t width, size_t height,
                                  mien_search *search);

/** The person looks neutral now: remember the smoothed probabilities as their baseline.
 *  @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EINVAL (NULL). */
MIEN_API mien_status mien_tracker_mark_neutral(mien_tracker *tracker, uint64_t id, mien_error *error);

/** Everything about one frame. Zero-initialise before first use; may be reused; free with mien_frame_result_done(). */
typedef struct mien_frame_result {
    mien_result result;
    mien_track *tracks; /**< tracks[i] tells of result.faces[i]; owned */
    int full_search;    /**< non-zero: the whole frame was searched, not only around known faces */
} mien_frame_result;

MIEN_API void mien_frame_result_done(mien_frame_result *result);

/**
 * Analyse one encoded frame of a stream: search it where the tracker expects faces, or wholly when that is due, say
 * what the faces show and who they are. Only the default preset searches in part; the others always search the whole
 * frame.
 * @param timestamp_ms  as for mien_tracker_update().
 * @param options       NULL = mien_analyze_default_options(); its regions and face boxes are not used.
 * @param result        overwritten; untouched on failure.
 */
MIEN_API mien_status mien_analyze_frame(mien_session *session, mien_tracker *tracker, const void *bytes, size_t length,
                                        double timestamp_ms, const mien_analyze_options *options,
                                        mien_frame_result *result, mien_error *error);
/** The same for raw pixels. */
MIEN_API mien_status mien_analyze_frame_view(mien_session *session, mien_tracker *tracker, const mien_image_view *view,
                                             double timestamp_ms, const mien_analyze_options *options,
                                             mien_frame_result *result, mien_error *error);

/** Faces remembered now, those out of sight included; 0 for NULL. */
MIEN_API size_t mien_tracker_count(const mien_tracker *tracker);
/** Forget every face; ids go on from where they were. Accepts NULL. */
MIEN_API void mien_tracker_reset(mien_tracker *tracker);

#ifdef __cplusplus
}
#endif
#endif
