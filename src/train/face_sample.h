/* What the steps of making one face sample share: the canvas in eight bits and the faces on it so far. */
#ifndef TRAIN_FACE_SAMPLE_H
#define TRAIN_FACE_SAMPLE_H

#include "train/face_augment.h"

typedef struct face_sample {
    const train_config *config;
    const face_dataset *data;
    random_state *stream;
    face_augment_scratch *scratch;
    mien_image canvas; /* RGB8, square, memory of the scratch */
    face_target *targets;
    size_t capacity, count;
} face_sample;

/** Between low and high, each factor equally likely. */
float face_sample_factor(random_state *stream, float low, float high);
/** Uniform in -most..most; draws nothing where most is 0. */
float face_sample_either_way(random_state *stream, float most);
/** True with that probability; draws nothing where it is 0. */
bool face_sample_chance(random_state *stream, float probability);

/** Fill the canvas from picture `index`, or from it and three more, or from a place without faces. */
void face_cut_compose(face_sample *sample, size_t index);
/** Paste crops of faces on places without faces. */
void face_paste_faces(face_sample *sample);
/** Cover a part of one face. */
void face_paste_cover(face_sample *sample);
/** Blur and compression, in eight bits. */
void face_light_spoil(face_sample *sample);
/** Light, colour and noise, into the network's planes. */
void face_light_finish(const face_sample *sample, float *input);

#endif
