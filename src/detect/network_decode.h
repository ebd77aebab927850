/* From a face network's outputs to boxes. Four families are known; which one a network belongs to is told by the shapes
 * of its outputs (K = number of places, [..] without the batch):
 *   mien      three outputs [5,H,W] at strides 8, 16, 32: a logit and the logarithms of the distances, in strides, from
 *             the cell's centre to the left, top, right and bottom edge (anchor-free as FCOS, Tian et al. 2019)
 *   rfb       [K,2] background and face, [K,4] boxes: corners as shares of the input, or (when the network does not
 *             decode them itself) offsets from the priors of Ultra-Light-Fast-Generic-Face-Detector
 *   yunet     per stride 8, 16, 32 a class [K,1], an objectness [K,1] and a box [K,4] (Wu et al. 2023)
 *   blazeface [K,1] logits and [K,16] boxes and points: K = 896 at 128 × 128 or 256 × 256 (short range), 2304 at
 *             192 × 192 (full range) (Bazarevsky et al. 2019)
 */
#ifndef DETECT_NETWORK_DECODE_H
#define DETECT_NETWORK_DECODE_H

#include <stdbool.h>

#include "nn/graph.h"

typedef enum network_style {
    NETWORK_UNKNOWN = 0,
    NETWORK_MIEN,
    NETWORK_RFB,        /* boxes decoded */
    NETWORK_RFB_PRIORS, /* boxes as offsets from priors */
    NETWORK_YUNET,
    NETWORK_BLAZEFACE
} network_style;

enum { NETWORK_MAX_OUTPUTS = 12 };

typedef struct network_output {
    const float *data;
    nn_shape shape;   /* with the batch, which is 1 */
    bool probability; /* scores are probabilities already, not logits */
} network_output;

/** A box in pixels of the network's input, edges as fractions of pixels. */
typedef struct network_box {
    float left, top, right, bottom, score;
} network_box;

typedef struct network_boxes {
    network_box *data;
    size_t count, capacity;
} network_boxes;

/** All the names below, for messages. */
extern const char network_style_names[];
/** "mien", "rfb", "rfb-priors", "yunet", "blazeface"; NULL outside the range. */
const char *network_style_name(network_style style);
/** NETWORK_UNKNOWN for a name that is none of them. */
network_style network_style_from_name(const char *name);

/** The family by the shapes alone; sizes may be NN_DYNAMIC. `decodes`: the network computes exponentials, so boxes come
 *  out of it decoded. */
network_style network_recognise(const nn_shape *shapes, size_t count, bool decodes);

/**
 * Append every box of at least `min_score`.
 * @param outputs  as network_recognise saw them, sizes filled in.
 * @return MIEN_OK, MIEN_EFORMAT (numbers of places that do not go with the input's size), MIEN_ENOMEM.
 */
mien_status network_decode(network_style style, const network_output *outputs, size_t count, int width, int height,
                           float min_score, network_boxes *boxes, mien_error *error);

/** Non-maximum suppression by score, highest first, by IoU; leaves them in that order. */
void network_suppress(network_boxes *boxes, float overlap);

void network_boxes_done(network_boxes *boxes);

#endif
