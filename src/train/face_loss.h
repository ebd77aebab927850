/* The loss of a face network on one sample, and its gradient. */
#ifndef TRAIN_FACE_LOSS_H
#define TRAIN_FACE_LOSS_H

#include "train/face_assign.h"

/** How the cells that answered for faces did. */
typedef struct face_loss_sum {
    double loss;
    double answers; /* cells that answered for a face */
    double overlap; /* of their boxes with the faces, together */
} face_loss_sum;

/**
 * Quality focal loss of every score (Li et al. 2020: the target of a cell that answers for a face is its box's overlap
 * with it, of others 0) and generalised IoU loss of the boxes (Rezatofighi et al. 2019). Targets do not pass gradients.
 * @param owners      of face_assign.
 * @param scale       multiplies loss and gradient.
 * @param box_weight  of the boxes' part.
 * @param sum         added to. Gradients are added as well.
 */
void face_loss(const face_grid *maps, const face_target *targets, const int16_t *owners, float scale, float box_weight,
               face_loss_sum *sum);

/** |σ(logit) − quality|² · cross-entropy; *slope [out]. */
float face_loss_score(float logit, float quality, float *slope);
/** 1 − GIoU; slope[4] [out] by left, top, right, bottom of `box`. */
float face_loss_box(const face_edges *box, const face_edges *face, float slope[4]);

#endif
