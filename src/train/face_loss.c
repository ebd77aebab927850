/* Why these two: a score that learns the overlap lets suppression keep the best box, and counts easy background for
 * next to nothing; GIoU pulls boxes together even where they do not touch. */
#include "train/face_loss.h"

#include <math.h>

float face_loss_score(float logit, float quality, float *slope)
{
    float small = log1pf(expf(-fabsf(logit))); /* log(1 + e^-|x|) */
    float probability = logit >= 0 ? 1 / (1 + expf(-logit)) : expf(logit) / (1 + expf(logit));
    float entropy = (logit > 0 ? logit : 0) + small - quality * logit;
    float off = probability - quality;
    *slope = 2 * off * probability * (1 - probability) * entropy + off * off * off;
    return off * off * entropy;
}

float face_loss_box(const face_edges *box, const face_edges *face, float slope[4])
{
    float width = box->right - box->left, height = box->bottom - box->top;
    float face_area = (face->right - face->left) * (face->bottom - face->top);
    float common_w = fminf(box->right, face->right) - fmaxf(box->left, face->left);
    float common_h = fminf(box->bottom, face->bottom) - fmaxf(box->top, face->top);
    float hull_w = fmaxf(box->right, face->right) - fminf(box->left, face->left);
    float hull_h = fmaxf(box->bottom, face->bottom) - fminf(box->top, face->top);
    bool touch = common_w > 0 && common_h > 0;
    float both = touch ? common_w * common_h : 0;
    float either = width * height + face_area - both, hull = hull_w * hull_h;
    /* what each edge, moving outwards, adds to the area, to the common part and to the hull */
    const float area[4] = {height, width, height, width};
    const bool inside[4] = {box->left > face->left, box->top > face->top, box->right < face->right,
                            box->bottom < face->bottom};
    for (int i = 0; i < 4; i++) {
        float common = touch && inside[i] ? (i % 2 ? common_w : common_h) : 0;
        float around = inside[i] ? 0 : i % 2 ? hull_w : hull_h;
        float union_slope = area[i] - common;
        float outwards = -common / either + both * union_slope / (either * either) - union_slope / hull +
                         either * around / (hull * hull);
        slope[i] = i < 2 ? -outwards : outwards;
    }
    return 2 - both / either - either / hull;
}

/* Score and box of one cell that answers for a face. */
static void loss_answer(const face_grid *map, int cell, const face_edges *face, float scale, float box_weight,
                        face_loss_sum *sum)
{
    face_edges box = face_grid_box(map, cell);
    float slope[4], score_slope, overlap = face_edges_overlap(&box, face), x, y;
    float loss = face_loss_score(map->values[cell], overlap, &score_slope);
    loss += box_weight * face_loss_box(&box, face, slope);
    face_grid_centre(map, cell, &x, &y);
    const float by_logarithm[4] = {box.left - x, box.top - y, box.right - x, box.bottom - y};
    map->gradient[cell] += scale * score_slope;
    for (ptrdiff_t i = 0; i < 4; i++)
        map->gradient[(i + 1) * map->columns * map->rows + cell] += scale * box_weight * slope[i] * by_logarithm[i];
    sum->loss += (double)(scale * loss);
    sum->answers++;
    sum->overlap += (double)overlap;
}

void face_loss(const face_grid *maps, const face_target *targets, const int16_t *owners, float scale, float box_weight,
               face_loss_sum *sum)
{
    for (int m = 0; m < FACE_GRIDS; m++) {
        int cells = maps[m].columns * maps[m].rows;
        for (int cell = 0; cell < cells; cell++) {
            float slope;
            if (owners[cell] == FACE_NOBODY) {
                sum->loss += (double)(scale * face_loss_score(maps[m].values[cell], 0, &slope));
                maps[m].gradient[cell] += scale * slope;
            } else if (owners[cell] >= 0) {
                const face_target *t = &targets[owners[cell]];
                face_edges face = {t->left, t->top, t->right, t->bottom};
                loss_answer(&maps[m], cell, &face, scale, box_weight, sum);
            }
        }
        owners += cells;
    }
}
