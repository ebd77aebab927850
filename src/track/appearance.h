/* What a face looks like, as a small grey picture: enough to tell two faces of one scene apart, not to recognise
 * anyone. */
#ifndef TRACK_APPEARANCE_H
#define TRACK_APPEARANCE_H

#include <mien/analyzer.h>

#include <stdbool.h>

enum { APPEARANCE_SIDE = 16, APPEARANCE_VALUES = APPEARANCE_SIDE * APPEARANCE_SIDE };

/** Mean 0 and length 1; `known` false = nothing to compare. */
typedef struct appearance {
    float value[APPEARANCE_VALUES];
    bool known;
} appearance;

/** Of the inner part of the box. Unknown where the crop is empty or flat. */
void appearance_of(const mien_image_view *grey, const mien_rect *box, appearance *a);
/** Normalised correlation, -1..1. Both must be known. */
float appearance_likeness(const appearance *a, const appearance *b);
/** Move `a` towards `seen` by `rate` 0..1. */
void appearance_learn(appearance *a, const appearance *seen, float rate);

#endif
