/* Where a face is, how it moves, how sure that is: a constant-velocity Kalman filter for each of centre x, centre y and
 * size. */
#ifndef TRACK_MOTION_H
#define TRACK_MOTION_H

#include <mien/analyzer.h>

/** Position and velocity of one quantity with their covariance. */
typedef struct motion_axis {
    double position, velocity;
    double pp, pv, vv;
} motion_axis;

/** Lengths in pixels, times in seconds. */
typedef struct motion {
    motion_axis x, y, size; /* centre; size = square root of the area */
    double aspect;          /* width / height, averaged */
} motion;

void motion_start(motion *m, const mien_rect *box);
/** Let `seconds` pass. `seen`: the face was there at the last look; one out of sight is expected to slow down. */
void motion_predict(motion *m, double seconds, int seen);
void motion_correct(motion *m, const mien_rect *box);
/** The box as it stands, rounded; at least 1×1. */
mien_rect motion_box(const motion *m);
/** Standard deviation of the centre, in pixels. */
double motion_spread(const motion *m);

#endif
