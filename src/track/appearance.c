/* The inner 70 % of the face box (less background), averaged into 16×16 cells, mean removed and length made 1: the dot
 * product of two such vectors is the normalised correlation, which does not mind brightness and contrast. */
#include "track/appearance.h"

#include <math.h>

enum { APPEARANCE_SAMPLES = 3 }; /* points in a cell, each way */

/** Sample the picture at a point given in box-relative cells; the nearest pixel, held inside the picture. */
static float sample(const mien_image_view *grey, double x, double y)
{
    double right = (double)grey->width - 1, bottom = (double)grey->height - 1;
    size_t column = (size_t)fmin(fmax(x, 0), right), row = (size_t)fmin(fmax(y, 0), bottom);
    return grey->data[row * grey->stride + column];
}

static float cell_mean(const mien_image_view *grey, double left, double top, double width, double height)
{
    float sum = 0;
    for (int v = 0; v < APPEARANCE_SAMPLES; v++) {
        for (int u = 0; u < APPEARANCE_SAMPLES; u++)
            sum += sample(grey, left + (u + 0.5) * width / APPEARANCE_SAMPLES,
                          top + (v + 0.5) * height / APPEARANCE_SAMPLES);
    }
    return sum / (APPEARANCE_SAMPLES * APPEARANCE_SAMPLES);
}

static void normalise(appearance *a)
{
    double mean = 0, length = 0;
    for (int i = 0; i < APPEARANCE_VALUES; i++)
        mean += a->value[i];
    mean /= APPEARANCE_VALUES;
    for (int i = 0; i < APPEARANCE_VALUES; i++) {
        a->value[i] -= (float)mean;
        length += (double)a->value[i] * a->value[i];
    }
    length = sqrt(length);
    a->known = length > 1e-3;
    for (int i = 0; i < APPEARANCE_VALUES && a->known; i++)
        a->value[i] /= (float)length;
}

void appearance_of(const mien_image_view *grey, const mien_rect *box, appearance *a)
{
    a->known = false;
    if (!grey || !grey->width || !grey->height)
        return;
    double width = box->width * 0.7 / APPEARANCE_SIDE, height = box->height * 0.7 / APPEARANCE_SIDE;
    double left = box->x + box->width * 0.15, top = box->y + box->height * 0.15;
    for (int v = 0; v < APPEARANCE_SIDE; v++) {
        for (int u = 0; u < APPEARANCE_SIDE; u++)
            a->value[v * APPEARANCE_SIDE + u] = cell_mean(grey, left + u * width, top + v * height, width, height);
    }
    normalise(a);
}

float appearance_likeness(const appearance *a, const appearance *b)
{
    float sum = 0;
    for (int i = 0; i < APPEARANCE_VALUES; i++)
        sum += a->value[i] * b->value[i];
    return sum;
}

void appearance_learn(appearance *a, const appearance *seen, float rate)
{
    if (!seen->known)
        return;
    if (!a->known) {
        *a = *seen;
        return;
    }
    for (int i = 0; i < APPEARANCE_VALUES; i++)
        a->value[i] += rate * (seen->value[i] - a->value[i]);
    normalise(a);
}
