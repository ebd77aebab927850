/* At which sizes a face network looks at a picture, and in which tiles: geometry alone, no pixels. */
#ifndef DETECT_NETWORK_TILES_H
#define DETECT_NETWORK_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/network_decode.h"

/** What a network offers and what is asked of it. */
typedef struct network_reach {
    int width, height;    /* of the network's input; 0 = any */
    double least_face;    /* the smallest side that it finds well, pixels of the input */
    int32_t least_wanted; /* the smallest side that is asked for, pixels of the picture */
} network_reach;

/** One size that the picture is seen at. */
typedef struct network_level {
    double scale;      /* input pixels per picture pixel, at most 1 */
    int width, height; /* of the input that each tile is put into */
    int across, down;  /* tiles */
} network_level;

/** A rectangle of the picture and the size it is seen at. */
typedef struct network_view {
    double x, y, width, height;     /* picture pixels, whole */
    size_t seen_width, seen_height; /* input pixels, at its top left corner */
} network_view;

enum { NETWORK_MAX_LEVELS = 32 };

/**
 * The rule: the smallest face wanted becomes the smallest that the network sees well, so
 *     scale = least_face / least_wanted,
 * but nothing is enlarged, and a network of a fixed size looks as closely as the whole picture allows, for that costs
 * nothing. What does not fit into one input is seen in tiles that overlap, and again at half the scale, until the whole
 * picture is one tile: a face that lies across tiles is whole in one of the coarser looks.
 * @return how many levels, finest first.
 */
size_t network_levels(const network_reach *reach, size_t picture_width, size_t picture_height,
                      network_level levels[NETWORK_MAX_LEVELS]);

/** Tile `index` of across × down. */
network_view network_tile(const network_level *level, size_t picture_width, size_t picture_height, int index);

/**
 * Whether a box found in a tile counts. Of several tiles each answers for what it shows whole: a box at an inner edge
 * is a part of a face that the neighbour sees better, and one larger than the overlap is better seen a level coarser.
 * @param box  in picture pixels.
 */
bool network_tile_owns(const network_level *level, const network_view *view, size_t picture_width,
                       size_t picture_height, const network_box *box);

#endif
