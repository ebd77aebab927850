/* Many overlapping windows into one box a face, as OpenCV's groupRectangles does it. */
#ifndef DETECT_GROUP_H
#define DETECT_GROUP_H

#include "base/buffer.h"
#include "detect/detector.h"

/**
 * Windows whose edges are within eps × their mean side of each other (directly or through others) form a group; a group
 * of more than `threshold` windows becomes their mean box, unless it lies inside a group with more windows.
 * @param rects    in any order; the order of first members is the order of the result.
 * @param threshold 0: every window is a result of its own, nothing is grouped.
 * @param scratch  memory that is reused from call to call.
 * @param faces    appended to; score = windows in the group.
 */
mien_status group_rects(const mien_rect *rects, size_t count, int threshold, double eps, buffer *scratch,
                        detect_faces *faces, mien_error *error);

#endif
