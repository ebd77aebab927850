/* From a box of the picture to a network's input, and how good that crop is. */
#ifndef EMOTION_CROP_H
#define EMOTION_CROP_H

#include <mien/image.h>

#include "emotion/classifier.h"

/**
 * @param box      may lie partly outside the picture: the edge is repeated there.
 * @param shrunk   times that the picture is smaller than the one sent, which quality speaks of.
 * @param nchw     [out] [1, channels, height, width] as `input` says.
 * @param quality  [out] 0..1.
 * @return MIEN_OK, MIEN_EINVAL (nothing of the box lies in the picture), MIEN_ENOMEM.
 */
mien_status crop_to_input(const mien_image_view *picture, const classifier_box *box, float shrunk,
                          const model_input *input, float *nchw, float *quality, mien_error *error);

#endif
