/* Losses of one sample and their gradients with respect to the logits. */
#ifndef TRAIN_LOSS_H
#define TRAIN_LOSS_H

#include <stddef.h>

enum { LOSS_MOST_CLASSES = 64 };

/** Probabilities softmax(logits / temperature). May be in place. */
void loss_softmax(const float *logits, int classes, float temperature, float *probabilities);

/**
 * Cross-entropy of softmax(logits) against a soft target whose entries sum to 1.
 * @param weight    multiplies loss and gradient.
 * @param gradient  [classes] the loss's gradient is added.
 * @return weight · loss.
 */
float loss_cross_entropy(const float *logits, const float *target, int classes, float weight, float *gradient);

/**
 * Distillation (Hinton et al. 2015): temperature² · KL(teacher ‖ softmax(logits / temperature)); the square keeps the
 * gradient's size independent of the temperature.
 * @param teacher  probabilities at the same temperature.
 */
float loss_distill(const float *logits, const float *teacher, int classes, float temperature, float weight,
                   float *gradient);

/** target = (1 - smoothing) · target + smoothing / classes. */
void loss_smooth(float *target, int classes, float smoothing);

#endif
