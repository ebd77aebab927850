/* From a box of the picture to a network's input, and how good that crop is. */
#ifndef EMOTION_CROP_H
#define EMOTION_CROP_H

#include <mien/image.h>

#include "emotion/classifier.h"

/** An image whose memory is kept and grows to the largest that was needed. */
typedef struct crop_buffer {
    mien_image image;
    size_t capacity; /* bytes */
} crop_buffer;

/** Scratch memory of a session; zero-initialised means empty. */
typedef struct crop_buffers {
    crop_buffer region; /* the crop in the network's colours, at the picture's scale */
    crop_buffer sized;  /* the same at the network's size */
    crop_buffer grey;   /* of `sized`, for the quality when the network sees colours */
} crop_buffers;

void crop_buffers_done(crop_buffers *buffers);

/**
 * @param box      may lie partly outside the picture; that part is left out.
 * @param nchw     [out] [1, channels, height, width] as `input` says.
 * @param quality  [out] 0..1.
 * @return MIEN_OK, MIEN_EINVAL (nothing of the box lies in the picture), MIEN_ENOMEM.
 */
mien_status crop_to_input(crop_buffers *buffers, const mien_image_view *picture, const classifier_box *box,
                          const model_input *input, float *nchw, float *quality, mien_error *error);

#endif
