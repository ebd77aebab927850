/* One training sample of a face detector: a square cut out of a picture at a random scale, or a mosaic of four, with
 * pasted faces, other light, blur, noise and compression, and where the faces lie in it.
 *
 * Every choice is drawn from the stream given, so a sample is the same whichever thread makes it.
 */
#ifndef TRAIN_FACE_AUGMENT_H
#define TRAIN_FACE_AUGMENT_H

#include "base/random.h"
#include "train/config.h"
#include "train/face_dataset.h"
#include "train/face_resample.h"

enum {
    FACE_AUGMENT_SIDE = 320, /* where config->crop asks for none */
    FACE_AUGMENT_LEAST_SIDE = 32,
    FACE_AUGMENT_MOST_SIDE = 1024,
    FACE_AUGMENT_MOST_TARGETS = 1024, /* room for the faces of the fullest sample */
    FACE_AUGMENT_PATCH = 160,         /* largest side of a pasted face */
    FACE_AUGMENT_FILL = 127           /* value beyond a picture's edge */
};

/** Scratch memory of one thread; no sample's result depends on what it held before. */
typedef struct face_augment_scratch {
    face_resampler resampler;
    uint8_t *canvas; /* RGB8, side × side */
    uint8_t *patch;  /* a pasted face */
    int side;
} face_augment_scratch;

/** @param side  of the largest sample. @return MIEN_OK, MIEN_EINVAL, MIEN_ENOMEM. */
mien_status face_augment_scratch_init(face_augment_scratch *scratch, int side, mien_error *error);
void face_augment_scratch_done(face_augment_scratch *scratch);

/**
 * Make one sample. Draw the stream with augment_stream(stream, seed, epoch, number of the sample in the epoch), so that
 * a picture that is used more than once in an epoch gives different samples.
 * @param config   flip, brightness, contrast, gamma, blur, noise, erasing, mosaic, paste, negatives, jpeg, saturation,
 *                 grey, tint, face_min, face_most, face_small, enlarge.
 * @param index    of the picture that the sample begins with; mosaics add others of the same side of the split.
 * @param side     of the sample, at most scratch->side.
 * @param input    [out] [3, side, side], red first, f32 (value - 127.5) / 127.5; beyond the picture about 0.
 * @param targets  [out] faces in pixels of the sample, cut at its border. Ignored: annotated so, smaller than
 *                 config->face_min, or mostly outside. Faces beyond `capacity` are left out.
 */
void face_augment_sample(const train_config *config, const face_dataset *data, size_t index, random_state *stream,
                         face_augment_scratch *scratch, int side, float *input, face_target *targets, size_t capacity,
                         size_t *count);

#endif
