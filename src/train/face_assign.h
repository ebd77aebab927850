/* Which cell of a face network's maps answers for which face.
 *
 * A network looks at its input with three maps, one value a cell of 8, 16 and 32 pixels; each cell has a logit and the
 * logarithms of the distances, in strides, from its centre to the four edges (detect/network_decode.h, "mien").
 */
#ifndef TRAIN_FACE_ASSIGN_H
#define TRAIN_FACE_ASSIGN_H

#include "train/face_dataset.h"

enum { FACE_GRIDS = 3, FACE_CHANNELS = 5, FACE_NOBODY = -1, FACE_EITHER = -2 };

/** One map of one sample. */
typedef struct face_grid {
    const float *values; /* [FACE_CHANNELS, rows, columns] */
    float *gradient;     /* the same shape */
    int columns, rows, stride;
} face_grid;

typedef struct face_edges {
    float left, top, right, bottom;
} face_edges;

/** The box that a cell (index in its map) gives, in pixels of the input. */
face_edges face_grid_box(const face_grid *map, int cell);
/** Centre of a cell. */
void face_grid_centre(const face_grid *map, int cell, float *x, float *y);
/** Intersection over union. */
float face_edges_overlap(const face_edges *a, const face_edges *b);

/**
 * Choose for every face the cells that answer for it: of those near its centre, on the maps that suit its size, the
 * ones that find it best already; the better they find it, the more of them (Ge et al. 2021). A face that is not
 * ignored gets at least one cell unless other faces want the same.
 * @param maps     FACE_GRIDS of them.
 * @param owners   [out] per cell of all maps in order: the face's index, FACE_NOBODY (nothing is there), or FACE_EITHER
 *                 (inside an ignored face: whatever it answers is right).
 * @param costs    scratch, as many.
 */
void face_assign(const face_grid *maps, const face_target *targets, size_t count, int16_t *owners, float *costs);

#endif
