/* Identities across frames: predict every known face's place, match this frame's faces to them at least total cost,
 * correct the matched, start the unmatched, forget those unseen for too long. The tracker keeps its own time, which
 * never runs back: a clock that does is taken to have moved one ordinary frame on. */
#include "track/tracker.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "track/assignment.h"
#include "track/smoothing.h"

static const double tracker_first_interval = 1000.0 / 30;

void mien_tracker_default_options(mien_tracker_options *options)
{
    if (options)
        *options = (mien_tracker_options){
            .forget_ms = 2000, .smoothing_ms = 300, .full_search_ms = 400, .baseline_ms = 0, .max_tracks = 64};
}

static mien_status check_options(const mien_tracker_options *o, mien_error *error)
{
    if (!(o->forget_ms >= 0 && o->forget_ms <= 60000))
        return error_set(error, MIEN_EINVAL, "forget_ms is 0..60000, not %g", o->forget_ms);
    if (!(o->smoothing_ms >= 0 && o->full_search_ms >= 0 && o->baseline_ms >= 0))
        return error_set(error, MIEN_EINVAL, "smoothing_ms, full_search_ms and baseline_ms cannot be negative");
    if (o->max_tracks < 1 || o->max_tracks > 256)
        return error_set(error, MIEN_EINVAL, "max_tracks is 1..256, not %zu", o->max_tracks);
    return MIEN_OK;
}

mien_status mien_tracker_create(const mien_tracker_options *options, mien_tracker **tracker, mien_error *error)
{
    mien_tracker_options o;
    mien_tracker_default_options(&o);
    if (options)
        o = *options;
    mien_status status =
        tracker ? check_options(&o, error) : error_set(error, MIEN_EINVAL, "there is nowhere to put the tracker");
    if (status)
        return status;
    mien_tracker *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->options = o;
    made->next_id = 1;
    made->interval_ms = tracker_first_interval;
    *tracker = made;
    return MIEN_OK;
}

void mien_tracker_destroy(mien_tracker **tracker)
{
    if (!tracker || !*tracker)
        return;
    memory_free((*tracker)->tracks);
    memory_free(*tracker);
    *tracker = NULL;
}

size_t mien_tracker_count(const mien_tracker *tracker)
{
    return tracker ? tracker->count : 0;
}

void mien_tracker_reset(mien_tracker *tracker)
{
    if (!tracker)
        return;
    tracker->count = 0;
    tracker->searched = 0;
}

/** Let time pass on all tracks; @return how many milliseconds it was. */
static double advance(mien_tracker *tracker, double timestamp_ms)
{
    double passed = tracker->started ? timestamp_ms - tracker->clock_ms : 0;
    if (passed < 0)
        passed = tracker->interval_ms;
    else if (passed > 0 && passed < 1000)
        tracker->interval_ms = passed;
    tracker->started = 1;
    tracker->clock_ms = timestamp_ms;
    tracker->now_ms += passed;
    for (size_t i = 0; i < tracker->count; i++) {
        tracked *t = &tracker->tracks[i];
        motion_predict(&t->motion, fmin(passed / 1000, 60), !t->missed);
    }
    return passed;
}

static void forget_old(mien_tracker *tracker)
{
    for (size_t i = 0; i < tracker->count;) {
        if (tracker->now_ms - tracker->tracks[i].seen_ms > tracker->options.forget_ms)
            tracker->tracks[i] = tracker->tracks[--tracker->count];
        else
            i++;
    }
}

static void learn_baseline(tracked *t, const mien_face *face, double baseline_ms, double now)
{
    if (t->has_baseline || baseline_ms <= 0)
        return;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        t->baseline_sum[i] += face->probabilities[i];
    if (now - t->first_ms < baseline_ms)
        return;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        t->baseline[i] = (float)(t->baseline_sum[i] / (double)t->frames);
    t->has_baseline = 1;
}

/** Faces that overlap hide parts of each other, so what they look like then is not learnt. */
static int is_crowded(const mien_face *faces, size_t count, size_t which)
{
    for (size_t i = 0; i < count; i++) {
        if (i != which && matching_overlap(&faces[i].box, &faces[which].box) > 0.05)
            return 1;
    }
    return 0;
}

static void track_begin(tracked *t, uint64_t id, const mien_face *face, double now)
{
    memset(t, 0, sizeof *t);
    t->id = id;
    t->first_ms = now;
    motion_start(&t->motion, &face->box);
    memcpy(t->smoothed, face->probabilities, sizeof t->smoothed);
}

static void track_describe(const tracked *t, double now, mien_track *out)
{
    *out = (mien_track){.id = t->id,
                        .frames = t->frames,
                        .age_ms = now - t->first_ms,
                        .steady_box = motion_box(&t->motion),
                        .velocity_x = (float)t->motion.x.velocity,
                        .velocity_y = (float)t->motion.y.velocity,
                        .emotion = smoothing_top(t->smoothed),
                        .has_baseline = t->has_baseline};
    memcpy(out->smoothed, t->smoothed, sizeof out->smoothed);
    out->confidence = t->smoothed[out->emotion];
    if (t->has_baseline)
        smoothing_relative(t->smoothed, t->baseline, out->relative);
}

static void track_see(mien_tracker *tracker, tracked *t, const mien_face *face, const appearance *looks, int crowded)
{
    double now = tracker->now_ms;
    if (t->frames) {
        motion_correct(&t->motion, &face->box);
        smoothing_step(t->smoothed, face->probabilities, now - t->seen_ms, tracker->options.smoothing_ms);
    }
    if (!crowded || !t->frames)
        appearance_learn(&t->looks, looks, 0.2f);
    t->frames++;
    t->missed = 0;
    t->seen_ms = now;
    learn_baseline(t, face, tracker->options.baseline_ms, now);
}

static bool grow(mien_tracker *tracker)
{
    size_t room = tracker->room ? tracker->room * 2 : 4;
    room = room < tracker->options.max_tracks ? room : tracker->options.max_tracks;
    tracked *larger = memory_resize(tracker->tracks, room, sizeof *larger);
    if (!larger)
        return false;
    tracker->tracks = larger;
    tracker->room = room;
    return true;
}

/** Room for one more: a free place, or that of whoever has been out of sight longest; NULL when all are in sight. */
static tracked *track_place(mien_tracker *tracker)
{
    bool full = tracker->count == tracker->options.max_tracks;
    if (!full && (tracker->count < tracker->room || grow(tracker)))
        return &tracker->tracks[tracker->count++];
    tracked *oldest = NULL;
    if (!tracker->count)
        return NULL;
    for (tracked *t = tracker->tracks, *end = t + tracker->count; t < end; t++) {
        if (t->missed && (!oldest || t->seen_ms < oldest->seen_ms))
            oldest = t;
    }
    return oldest;
}

static mien_status check_input(const mien_face *faces, size_t count, double timestamp_ms, const mien_image_view *grey,
                               mien_error *error)
{
    if (!faces && count)
        return error_set(error, MIEN_EINVAL, "there are said to be %zu faces, but none is given", count);
    if (!isfinite(timestamp_ms))
        return error_set(error, MIEN_EINVAL, "the time of the frame is not a number");
    if (grey && grey->format != MIEN_PIXEL_GREY8)
        return error_set(error, MIEN_EINVAL, "the tracker wants a grey picture");
    if (grey && grey->width && grey->height &&
        (!grey->data || grey->stride < grey->width || grey->stride > SIZE_MAX / grey->height))
        return error_set(error, MIEN_EINVAL, "the grey picture has no pixels, or a stride that cannot be");
    for (size_t i = 0; i < count; i++) {
        if (faces[i].box.width < 1 || faces[i].box.height < 1)
            return error_set(error, MIEN_EINVAL, "face %zu has a box without area", i);
    }
    return MIEN_OK;
}

/** Costs of all pairs, the least total, and for each face its track or ASSIGNMENT_NONE in `owner`. */
static mien_status match_faces(const mien_tracker *tracker, const mien_face *faces, size_t count,
                               const appearance *looks, int *owner)
{
    size_t rows = tracker->count, cells;
    for (size_t i = 0; i < count; i++)
        owner[i] = ASSIGNMENT_NONE;
    if (!rows || !count)
        return MIEN_OK;
    double *costs = memory_multiply(rows, count, &cells) ? memory_array(cells, sizeof *costs) : NULL;
    int *match = memory_array(rows, sizeof *match);
    mien_status status = costs && match ? MIEN_OK : MIEN_ENOMEM;
    for (size_t r = 0; !status && r < rows; r++) {
        const tracked *t = &tracker->tracks[r];
        for (size_t c = 0; c < count; c++)
            costs[r * count + c] = matching_cost(t, &faces[c], &looks[c], tracker->now_ms - t->seen_ms);
    }
    if (!status)
        status = assignment_solve(costs, rows, count, matching_most, match);
    for (size_t r = 0; !status && r < rows; r++) {
        if (match[r] != ASSIGNMENT_NONE)
            owner[match[r]] = (int)r;
    }
    memory_free(costs);
    memory_free(match);
    return status;
}

static void apply(mien_tracker *tracker, const mien_face *faces, size_t count, const appearance *looks,
                  const int *owner, mien_track *tracks)
{
    for (size_t i = 0; i < tracker->count; i++)
        tracker->tracks[i].missed++;
    for (size_t i = 0; i < count; i++) { /* those who stay first, so that nobody in sight gives up their place */
        if (owner[i] == ASSIGNMENT_NONE)
            continue;
        tracked *t = &tracker->tracks[owner[i]];
        track_see(tracker, t, &faces[i], &looks[i], is_crowded(faces, count, i));
        track_describe(t, tracker->now_ms, &tracks[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (owner[i] != ASSIGNMENT_NONE)
            continue;
        tracked passing, *place = track_place(tracker), *t = place ? place : &passing;
        track_begin(t, tracker->next_id++, &faces[i], tracker->now_ms);
        track_see(tracker, t, &faces[i], &looks[i], 0);
        track_describe(t, tracker->now_ms, &tracks[i]);
    }
}

mien_status mien_tracker_update(mien_tracker *tracker, const mien_face *faces, size_t count, double timestamp_ms,
                                const mien_image_view *grey, mien_track *tracks, mien_error *error)
{
    if (!tracker || (count && !tracks))
        return error_set(error, MIEN_EINVAL, "faces are followed by a tracker, into somewhere to put their tracks");
    mien_status status = check_input(faces, count, timestamp_ms, grey, error);
    if (status)
        return status;
    appearance *looks = memory_array(count, sizeof *looks);
    int *owner = memory_array(count, sizeof *owner);
    if (!looks || !owner) {
        status = error_no_memory(error, count);
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        appearance_of(grey, &faces[i].box, &looks[i]);
    advance(tracker, timestamp_ms);
    forget_old(tracker);
    status = match_faces(tracker, faces, count, looks, owner);
    if (status) {
        error_no_memory(error, count);
        goto out;
    }
    apply(tracker, faces, count, looks, owner, tracks);
out:
    memory_free(looks);
    memory_free(owner);
    return status;
}

mien_status mien_tracker_mark_neutral(mien_tracker *tracker, uint64_t id, mien_error *error)
{
    if (!tracker)
        return error_set(error, MIEN_EINVAL, "there is no tracker that could know a face");
    for (size_t i = 0; i < tracker->count; i++) {
        tracked *t = &tracker->tracks[i];
        if (t->id != id)
            continue;
        memcpy(t->baseline, t->smoothed, sizeof t->baseline);
        t->has_baseline = 1;
        return MIEN_OK;
    }
    return error_set(error, MIEN_ENOTFOUND, "no face has the id %llu", (unsigned long long)id);
}
