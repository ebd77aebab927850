/* Where to look next. Known faces are looked for around their predicted places, which costs a fraction of a full
 * search; a full one is due at intervals for those who come in, and at once when somebody known was missed or nobody is
 * known. */
#include <math.h>

#include "track/tracker.h"

static int32_t clamp_side(double value, size_t most)
{
    return (int32_t)fmin(fmax(value, 0), (double)most);
}

/** The region around a predicted face: half its size beyond each edge, and more where its place is less certain. */
static mien_search_region region_around(const motion *m, size_t width, size_t height)
{
    mien_rect box = motion_box(m);
    double size = m->size.position, margin = 0.5 * size + fmin(2 * motion_spread(m), size);
    int32_t left = clamp_side(floor(box.x - margin), width), top = clamp_side(floor(box.y - margin), height);
    int32_t right = clamp_side(ceil(box.x + box.width + margin), width);
    int32_t bottom = clamp_side(ceil(box.y + box.height + margin), height);
    return (mien_search_region){.box = {left, top, right - left, bottom - top},
                                .min_side = (int32_t)fmax(fmin(size * 0.6, 1e6), 1),
                                .max_side = (int32_t)ceil(fmin(size * 1.5, 1e6))};
}

static mien_search_region region_join(const mien_search_region *a, const mien_search_region *b)
{
    int32_t left = a->box.x < b->box.x ? a->box.x : b->box.x, top = a->box.y < b->box.y ? a->box.y : b->box.y;
    int32_t right = (int32_t)fmax(a->box.x + a->box.width, b->box.x + b->box.width);
    int32_t bottom = (int32_t)fmax(a->box.y + a->box.height, b->box.y + b->box.height);
    return (mien_search_region){.box = {left, top, right - left, bottom - top},
                                .min_side = a->min_side < b->min_side ? a->min_side : b->min_side,
                                .max_side = a->max_side > b->max_side ? a->max_side : b->max_side};
}

/** Add a region; those that share much are joined, or their common part would be searched twice. False = no room. */
static int regions_add(mien_search *search, mien_search_region region)
{
    for (size_t i = 0; i < search->count;) {
        if (matching_overlap(&search->regions[i].box, &region.box) > 0.3) {
            region = region_join(&search->regions[i], &region);
            search->regions[i] = search->regions[--search->count];
            i = 0; /* it has grown: look at all again */
        } else {
            i++;
        }
    }
    if (search->count == MIEN_SEARCH_MAX_REGIONS)
        return 0;
    search->regions[search->count++] = region;
    return 1;
}

/** Time on the tracker's own scale at the caller's `timestamp_ms`, from the last update on. */
static double own_time(const mien_tracker *tracker, double timestamp_ms)
{
    double passed = timestamp_ms - tracker->clock_ms;
    if (!tracker->started)
        return tracker->now_ms;
    return tracker->now_ms + (passed >= 0 ? passed : tracker->interval_ms);
}

void mien_tracker_search(mien_tracker *tracker, double timestamp_ms, size_t width, size_t height, mien_search *search)
{
    if (!search)
        return;
    if (!tracker) { /* nobody is known */
        *search = (mien_search){.full = 1};
        return;
    }
    double now = own_time(tracker, timestamp_ms);
    int full = !tracker->count || !tracker->searched || !(now - tracker->full_ms < tracker->options.full_search_ms);
    search->count = 0;
    for (size_t i = 0; i < tracker->count; i++) {
        const tracked *t = &tracker->tracks[i];
        motion ahead = t->motion;
        motion_predict(&ahead, fmin((now - tracker->now_ms) / 1000, 60), !t->missed);
        mien_search_region region = region_around(&ahead, width, height);
        if (t->missed == 1)
            full = 1; /* it was there a moment ago */
        if (region.box.width > 0 && region.box.height > 0 && !regions_add(search, region))
            full = 1;
    }
    search->full = full || !search->count;
    if (search->full) {
        tracker->full_ms = now;
        tracker->searched = 1;
    }
}
