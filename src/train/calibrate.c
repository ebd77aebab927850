/* Temperature scaling changes no answer, only how sure it claims to be; the loss is convex in the inverse temperature,
 * so a golden-section search finds its minimum. The threshold of doubt is read off the risk/coverage curve (El-Yaniv &
 * Wiener 2010): pictures are sorted by confidence and answered from the surest on. */
#include "train/calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/loss.h"
#include "train/metrics.h"

typedef struct calibrate_answer {
    double confidence;
    bool right;
} calibrate_answer;

static void calibrate_logits(const float *probabilities, float *logits)
{
    for (int c = 0; c < DATASET_CLASSES; c++)
        logits[c] = logf(fmaxf(probabilities[c], 1e-12f));
}

static double calibrate_loss(const float *probabilities, const uint8_t *truth, size_t count, double temperature)
{
    double loss = 0;
    for (size_t i = 0; i < count; i++) {
        float logits[DATASET_CLASSES];
        calibrate_logits(probabilities + i * DATASET_CLASSES, logits);
        loss_softmax(logits, DATASET_CLASSES, (float)temperature, logits);
        loss -= log(fmax((double)logits[truth[i]], 1e-12));
    }
    return loss;
}

float calibrate_temperature(const float *probabilities, const uint8_t *truth, size_t count)
{
    const double ratio = 0.6180339887498949;
    double low = log(0.1), high = log(10);
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double at_a = calibrate_loss(probabilities, truth, count, exp(a));
    double at_b = calibrate_loss(probabilities, truth, count, exp(b));
    while (high - low > 1e-3) {
        if (at_a < at_b) {
            high = b;
            b = a;
            at_b = at_a;
            a = high - ratio * (high - low);
            at_a = calibrate_loss(probabilities, truth, count, exp(a));
        } else {
            low = a;
            a = b;
            at_a = at_b;
            b = low + ratio * (high - low);
            at_b = calibrate_loss(probabilities, truth, count, exp(b));
        }
    }
    return (float)exp(0.5 * (low + high));
}

void calibrate_apply(const float *probabilities, size_t count, float temperature, float *out)
{
    for (size_t i = 0; i < count * DATASET_CLASSES; i += DATASET_CLASSES) {
        float logits[DATASET_CLASSES];
        calibrate_logits(probabilities + i, logits);
        loss_softmax(logits, DATASET_CLASSES, temperature, out + i);
    }
}

static int calibrate_compare(const void *a, const void *b)
{
    double x = ((const calibrate_answer *)a)->confidence, y = ((const calibrate_answer *)b)->confidence;
    return (x < y) - (x > y);
}

static calibrate_answer *calibrate_sort(const float *probabilities, const uint8_t *truth, size_t count,
                                        mien_error *error)
{
    calibrate_answer *answers = memory_array(count, sizeof(*answers));
    if (!answers) {
        error_no_memory(error, count * sizeof(*answers));
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const float *p = probabilities + i * DATASET_CLASSES;
        int best = metrics_argmax(p, DATASET_CLASSES);
        answers[i] = (calibrate_answer){(double)p[best], best == truth[i]};
    }
    qsort(answers, count, sizeof(*answers), calibrate_compare);
    return answers;
}

mien_status calibrate_curve(const float *probabilities, const uint8_t *truth, size_t count,
                            calibrate_point curve[CALIBRATE_POINTS], mien_error *error)
{
    calibrate_answer *answers = calibrate_sort(probabilities, truth, count, error);
    if (!answers)
        return MIEN_ENOMEM;
    size_t wrong = 0, at = 0;
    for (size_t p = 0; p < CALIBRATE_POINTS; p++) {
        size_t end = count * (p + 1) / CALIBRATE_POINTS;
        for (; at < end; at++)
            wrong += !answers[at].right;
        curve[p].coverage = count ? (double)end / (double)count : 0;
        curve[p].risk = end ? (double)wrong / (double)end : 0;
        curve[p].threshold = end ? answers[end - 1].confidence : 1;
    }
    memory_free(answers);
    return MIEN_OK;
}

mien_status calibrate_threshold(const float *probabilities, const uint8_t *truth, size_t count, double risk,
                                calibrate_point *point, mien_error *error)
{
    calibrate_answer *answers = calibrate_sort(probabilities, truth, count, error);
    if (!answers)
        return MIEN_ENOMEM;
    calibrate_point best = {.coverage = 0, .risk = 0, .threshold = 1};
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += !answers[i].right;
        /* equal confidences are answered together or not at all */
        bool last_of_equals = i + 1 == count || answers[i + 1].confidence < answers[i].confidence;
        double here = (double)wrong / (double)(i + 1);
        if (last_of_equals && here <= risk)
            best = (calibrate_point){(double)(i + 1) / (double)count, here, answers[i].confidence};
    }
    memory_free(answers);
    *point = best;
    return MIEN_OK;
}
