/* Probabilities over time: calmer ones, and ones seen against a person's own neutral face. */
#ifndef TRACK_SMOOTHING_H
#define TRACK_SMOOTHING_H

#include <mien/analyzer.h>

/** Move `smoothed` towards `raw` as far as `milliseconds` allow with this time constant. */
void smoothing_step(float smoothed[MIEN_EMOTION_COUNT], const float raw[MIEN_EMOTION_COUNT], double milliseconds,
                    double constant);
/** What `now` means for somebody whose neutral face gives `baseline`. */
void smoothing_relative(const float now[MIEN_EMOTION_COUNT], const float baseline[MIEN_EMOTION_COUNT],
                        float relative[MIEN_EMOTION_COUNT]);
mien_emotion smoothing_top(const float probabilities[MIEN_EMOTION_COUNT]);

#endif
