/* The usual definitions (those of scikit-learn's classification report, but a class without rows takes no part in macro
 * F1 even where it was said), from one confusion matrix; calibration as in Guo et al. 2017 with equal-width bins. */
#include "train/metrics.h"

#include <math.h>

int metrics_argmax(const float *values, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

static void metrics_from_confusion(metrics *m)
{
    size_t correct = 0;
    double f1 = 0, recall = 0;
    int present = 0;
    for (int c = 0; c < DATASET_CLASSES; c++) {
        size_t predicted = 0, support = 0, hit = m->confusion[c][c];
        for (int k = 0; k < DATASET_CLASSES; k++) {
            predicted += m->confusion[k][c];
            support += m->confusion[c][k];
        }
        metrics_class *out = &m->classes[c];
        out->support = support;
        out->said = predicted;
        out->precision = predicted ? (double)hit / (double)predicted : 0;
        out->recall = support ? (double)hit / (double)support : 0;
        out->f1 = predicted + support ? 2 * (double)hit / (double)(predicted + support) : 0;
        correct += hit;
        if (!support)
            continue;
        present++;
        f1 += out->f1;
        recall += out->recall;
    }
    m->top1 = m->count ? (double)correct / (double)m->count : 0;
    m->macro_f1 = present ? f1 / present : 0;
    m->balanced = present ? recall / present : 0;
}

void metrics_compute(const float *probabilities, const uint8_t *labels, size_t count, metrics *out)
{
    metrics m = {.count = count};
    for (size_t i = 0; i < count; i++) {
        const float *p = probabilities + i * DATASET_CLASSES;
        m.confusion[labels[i]][metrics_argmax(p, DATASET_CLASSES)]++;
        m.loss -= log(fmax((double)p[labels[i]], 1e-12));
        for (int c = 0; c < DATASET_CLASSES; c++) {
            double off = (double)p[c] - (c == labels[i]);
            m.brier += off * off;
        }
    }
    if (count) {
        m.loss /= (double)count;
        m.brier /= (double)count;
    }
    metrics_from_confusion(&m);
    metrics_bin bins[METRICS_BINS];
    metrics_reliability(probabilities, labels, count, bins);
    for (int b = 0; b < METRICS_BINS; b++)
        if (bins[b].count)
            m.ece += fabs(bins[b].accuracy - bins[b].confidence) * (double)bins[b].count / (double)count;
    *out = m;
}

void metrics_reliability(const float *probabilities, const uint8_t *labels, size_t count,
                         metrics_bin bins[METRICS_BINS])
{
    for (int b = 0; b < METRICS_BINS; b++)
        bins[b] = (metrics_bin){0};
    for (size_t i = 0; i < count; i++) {
        const float *p = probabilities + i * DATASET_CLASSES;
        int best = metrics_argmax(p, DATASET_CLASSES);
        int b = (int)(p[best] * METRICS_BINS);
        b = b < 0 ? 0 : b >= METRICS_BINS ? METRICS_BINS - 1 : b;
        bins[b].count++;
        bins[b].confidence += (double)p[best];
        bins[b].accuracy += best == labels[i];
    }
    for (int b = 0; b < METRICS_BINS; b++)
        if (bins[b].count) {
            bins[b].confidence /= (double)bins[b].count;
            bins[b].accuracy /= (double)bins[b].count;
        }
}
