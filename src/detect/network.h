/* A face network as a detector: what opening one and searching with one share. */
#ifndef DETECT_NETWORK_H
#define DETECT_NETWORK_H

#include "detect/detector_class.h"
#include "detect/network_decode.h"
#include "model/model.h"
#include "nn/plan.h"

enum { NETWORK_CHANNELS = 3 };

typedef struct network_detector {
    detector base;
    model model;
    network_style style;
    model_input input; /* how pixels become numbers */
    int width, height; /* of the input; 0 = any */
    float min_score;   /* detector.min_score: what counts as a face unless the caller says otherwise */
    float least_face;  /* detector.least_face: the smallest side in pixels of the input that it finds well */
    model_crop crop;   /* from its box to the square that a frontal cascade would have drawn */
    nn_precision precision;
} network_detector;

/** By the shapes of its outputs alone. */
network_style network_style_of(const nn_graph *graph);

/** Searching, and the end of the detector: network.c. */
extern const detector_class network_class;

#endif
