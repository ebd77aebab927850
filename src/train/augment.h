/* One training picture from one or two stored ones: geometry, light, blur, noise, erasing and mixing.
 *
 * Every choice is drawn from the random stream of (seed, epoch, row), so a picture is the same whichever thread makes
 * it and however the run was interrupted.
 */
#ifndef TRAIN_AUGMENT_H
#define TRAIN_AUGMENT_H

#include "base/random.h"
#include "train/config.h"

#include <stdbool.h>

enum { AUGMENT_MOST_SIDE = 256, AUGMENT_MOST_CHANNELS = 3 };

/** What the network wants: value = pixel · scale + shift. */
typedef struct augment_target {
    int channels, height, width; /* grey is repeated over the channels */
    float scale, shift;
} augment_target;

/** Scratch memory of one thread; no picture's result depends on what it held before. */
typedef struct augment_scratch {
    float *source; /* the stored picture after the table of light */
    float *mixed;  /* the second picture of a mix, as the network wants it */
} augment_scratch;

mien_status augment_scratch_init(augment_scratch *scratch, mien_error *error);
void augment_scratch_done(augment_scratch *scratch);

/** The stream of a row in an epoch. */
void augment_stream(random_state *stream, uint64_t seed, uint32_t epoch, uint32_t row);

/**
 * Make one picture: a random crop of config->crop (0 = all) of the stored one, distorted, as the network wants it.
 * @param pixels  [height, width], 8-bit grey; sides 1..AUGMENT_MOST_SIDE, the target's as well.
 * @param out     [out] [channels, target height, target width] f32.
 */
void augment_picture(const train_config *config, const augment_target *target, const uint8_t *pixels, int height,
                     int width, random_state *stream, augment_scratch *scratch, float *out);

/** The picture as it is, its centre cropped or the whole resized: for validation. `flip`: its mirror image. */
void augment_plain(const augment_target *target, int crop, bool flip, const uint8_t *pixels, int height, int width,
                   float *out);
/** The same from a crop whose upper left corner is (top, left), in pixels of the stored picture: for ten-crop. */
void augment_crop(const augment_target *target, float top, float left, float crop_height, float crop_width, bool flip,
                  const uint8_t *pixels, int height, int width, float *out);

typedef enum augment_mix { AUGMENT_ALONE = 0, AUGMENT_MIXUP, AUGMENT_CUTMIX } augment_mix;

/** Whether and how a picture is mixed, and the share of the first one (0..1). */
augment_mix augment_draw_mix(const train_config *config, bool allowed, random_state *stream, float *share);
/** Mix `second` into `first`, both as the network wants them. A pasted rectangle is cut at the border, so *share is
 *  set to what is really left of the first. */
void augment_apply_mix(augment_mix mix, const augment_target *target, random_state *stream, const float *second,
                       float *first, float *share);

#endif
