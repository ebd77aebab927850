/* Which of the found boxes are kept, and how they are widened. All work in place on a list of faces. */
#ifndef DETECT_FILTER_H
#define DETECT_FILTER_H

#include "detect/detector.h"

/** The false-positive filter of neo. */
typedef struct filter_options {
    float min_aspect, max_aspect; /* width / height; default 0.6 … 1.4 */
    int32_t min_side, max_side;   /* each side, pixels; 0 = no upper limit; default 30 … 300 */
    double min_variance;          /* of the pixels in the box; default 100 */
    float overlap;                /* a later box whose overlap covers more of an earlier one goes; default 0.3 */
    size_t most;                  /* keep that many, the first ones; 0 = all; default 3 */
} filter_options;

/** What the system neo does; its limit of 300 pixels and of three faces is part of it. */
void filter_default_options(filter_options *options);

/** Keep the boxes that pass, in their order. `grey` is the picture that the boxes were found in, GREY8. */
void filter_false_positives(const mien_image_view *grey, const filter_options *options, detect_faces *faces);

/** The same with the default options, after checking that the picture is GREY8 (MIEN_EINVAL). */
mien_status filter_neo(const mien_image_view *grey, detect_faces *faces, mien_error *error);

/** What history-api does: suppression by bottom edge at IoU 0.3, then padding within a width × height picture. */
mien_status filter_history(detect_faces *faces, int32_t width, int32_t height, mien_error *error);

/** Non-maximum suppression by bottom edge, lowest first (as history-api does it): a box whose IoU with a kept one is
 *  above `overlap` goes. Leaves them in that order. */
void filter_suppress_by_bottom(detect_faces *faces, float overlap);

/** Non-maximum suppression by score, highest first; leaves them in that order. Ties: by position. */
void filter_suppress_by_score(detect_faces *faces, float overlap);

/** Intersection over union, 0..1. */
float filter_overlap(const mien_rect *a, const mien_rect *b);

/** Shares of a box's width (left, right) and height (top, bottom), each rounded down to whole pixels. */
typedef struct filter_padding {
    float left, right, top, bottom;
} filter_padding;

/** history-api's: .18 .12 .18 .15 */
extern const filter_padding FILTER_PADDING_HISTORY;

/** The box widened, its corner kept inside a width × height picture, its far sides too. What the near sides lose to the
 *  picture's edge is not taken off its size: as history-api does it. */
mien_rect filter_pad(const mien_rect *box, const filter_padding *padding, size_t width, size_t height);

#endif
