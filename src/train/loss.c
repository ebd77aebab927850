/* Cross-entropy with soft targets serves hard labels, smoothing, FER+ votes and mixed pictures alike; all of them only
 * change the target. Everything goes through log-softmax with the largest logit taken off, so that nothing overflows.
 */
#include "train/loss.h"

#include <math.h>

static void loss_log_softmax(const float *logits, int classes, float temperature, float *logs)
{
    float most = logits[0];
    for (int c = 1; c < classes; c++)
        most = fmaxf(most, logits[c]);
    float sum = 0;
    for (int c = 0; c < classes; c++) {
        logs[c] = (logits[c] - most) / temperature;
        sum += expf(logs[c]);
    }
    float log_sum = logf(sum);
    for (int c = 0; c < classes; c++)
        logs[c] -= log_sum;
}

void loss_softmax(const float *logits, int classes, float temperature, float *probabilities)
{
    loss_log_softmax(logits, classes, temperature, probabilities);
    for (int c = 0; c < classes; c++)
        probabilities[c] = expf(probabilities[c]);
}

float loss_cross_entropy(const float *logits, const float *target, int classes, float weight, float *gradient)
{
    float logs[LOSS_MOST_CLASSES], loss = 0;
    loss_log_softmax(logits, classes, 1, logs);
    for (int c = 0; c < classes; c++) {
        loss -= target[c] * logs[c];
        gradient[c] += weight * (expf(logs[c]) - target[c]);
    }
    return weight * loss;
}

float loss_distill(const float *logits, const float *teacher, int classes, float temperature, float weight,
                   float *gradient)
{
    float logs[LOSS_MOST_CLASSES], loss = 0;
    loss_log_softmax(logits, classes, temperature, logs);
    for (int c = 0; c < classes; c++) {
        if (teacher[c] > 0)
            loss += teacher[c] * (logf(teacher[c]) - logs[c]);
        gradient[c] += weight * temperature * (expf(logs[c]) - teacher[c]);
    }
    return weight * temperature * temperature * loss;
}

void loss_smooth(float *target, int classes, float smoothing)
{
    for (int c = 0; c < classes; c++)
        target[c] = (1 - smoothing) * target[c] + smoothing / (float)classes;
}
