/* From a picture to a face network's input. */
#ifndef DETECT_NETWORK_INPUT_H
#define DETECT_NETWORK_INPUT_H

#include "detect/network.h"
#include "detect/network_tiles.h"

/** Zero-initialised means empty; its memory is reused. */
typedef struct network_small {
    mien_image image;
    size_t bytes;
} network_small;

/**
 * The part of the picture that a tile shows, at the size it is seen at, as numbers.
 * @param planes  [out] [3, height, width]; what the tile does not cover is the mean, which the network knows as
 * nothing.
 */
mien_status network_see(const network_detector *detector, const mien_image_view *picture, const network_view *view,
                        int width, int height, network_small *small, float *planes, mien_error *error);
void network_small_done(network_small *small);

#endif
