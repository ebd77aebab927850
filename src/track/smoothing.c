/* Exponential smoothing with a time constant instead of a factor per frame, so that the result does not depend on the
 * frame rate: after t the old value still counts exp(-t / constant).
 *
 * The baseline works by Bayes' rule: dividing by the distribution that a person's neutral face gets, and multiplying by
 * what a neutral face ought to get, leaves only what differs from how the person always looks. */
#include "track/smoothing.h"

#include <math.h>

void smoothing_step(float smoothed[MIEN_EMOTION_COUNT], const float raw[MIEN_EMOTION_COUNT], double milliseconds,
                    double constant)
{
    float share = constant > 0 ? (float)-expm1(-milliseconds / constant) : 1;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        smoothed[i] += share * (raw[i] - smoothed[i]);
}

void smoothing_relative(const float now[MIEN_EMOTION_COUNT], const float baseline[MIEN_EMOTION_COUNT],
                        float relative[MIEN_EMOTION_COUNT])
{
    static const float neutral_share = 0.88f, other_share = 0.02f, least = 0.01f;
    float sum = 0;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++) {
        float reference = i == MIEN_EMOTION_NEUTRAL ? neutral_share : other_share;
        relative[i] = now[i] * reference / fmaxf(baseline[i], least);
        sum += relative[i];
    }
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        relative[i] = sum > 0 ? relative[i] / sum : now[i];
}

mien_emotion smoothing_top(const float probabilities[MIEN_EMOTION_COUNT])
{
    int top = 0;
    for (int i = 1; i < MIEN_EMOTION_COUNT; i++) {
        if (probabilities[i] > probabilities[top])
            top = i;
    }
    return (mien_emotion)top;
}
