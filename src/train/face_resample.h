/* A rectangle of a picture at another size, in eight bits: what cuts samples out of the pyramid of a picture. */
#ifndef TRAIN_FACE_RESAMPLE_H
#define TRAIN_FACE_RESAMPLE_H

#include <mien/image.h>

#include <stdbool.h>

/** Working memory of one thread. */
typedef struct face_resampler {
    uint16_t *row;
    uint16_t *across, *down; /* weights */
    int *first;
    size_t source_side, target_side; /* largest it serves */
} face_resampler;

mien_status face_resampler_init(face_resampler *r, size_t source_side, size_t target_side, mien_error *error);
void face_resampler_done(face_resampler *r);

/** Target pixel (i, j) shows the source around (x + (i + ½) · step_x, y + (j + ½) · step_y). */
typedef struct face_map {
    float x, y, step_x, step_y; /* pixels of the source; steps > 0 */
    bool flip;                  /* the target is the mirror image of that */
    bool coarse; /* two pixels each way, however much it shrinks: with aliasing, as quick programs resize */
} face_map;

/**
 * Triangle-weighted means over a step's footprint, at least two pixels wide (bilinear when enlarging); weights of eight
 * bits. Pixels whose place lies beyond the source become `fill`.
 * @param source  GREY8 or RGB8, sides up to r->source_side.
 * @param target  of the same format, sides up to r->target_side.
 */
void face_resample(face_resampler *r, const mien_image_view *source, const face_map *map, uint8_t fill,
                   mien_image *target);

#endif
