/* The tracker's own memory, shared by tracker.c, matching.c and search.c. */
#ifndef TRACK_TRACKER_H
#define TRACK_TRACKER_H

#include <mien/tracker.h>

#include "track/appearance.h"
#include "track/motion.h"

typedef struct tracked {
    uint64_t id;
    motion motion;
    appearance looks;
    size_t frames;
    double first_ms, seen_ms; /* on the tracker's own time */
    int missed;               /* updates since it was last seen */
    float smoothed[MIEN_EMOTION_COUNT];
    float baseline[MIEN_EMOTION_COUNT];
    double baseline_sum[MIEN_EMOTION_COUNT]; /* of the raw ones, while it is being learnt */
    int has_baseline;
} tracked;

struct mien_tracker {
    mien_tracker_options options;
    tracked *tracks; /* grows as faces come, up to options.max_tracks: most streams show one or two */
    size_t count, room;
    uint64_t next_id;
    double now_ms;      /* own time: never runs back */
    double clock_ms;    /* the caller's time of the last update */
    double interval_ms; /* the last ordinary one */
    double full_ms;     /* own time of the last full search */
    int started, searched;
};

/** Cost of taking a face for a track, 0..1; INFINITY when it cannot be. */
double matching_cost(const tracked *t, const mien_face *face, const appearance *looks, double gap_ms);
/** The cost above which two are rather strangers. */
extern const double matching_most;
double matching_overlap(const mien_rect *a, const mien_rect *b);

#endif
