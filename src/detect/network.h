/* A face network as a detector: what opening one and searching with one share. */
#ifndef DETECT_NETWORK_H
#define DETECT_NETWORK_H

#include "detect/detector_class.h"
#include "detect/network_decode.h"
#include "model/model.h"

enum { NETWORK_CHANNELS = 3 };

typedef struct network_detector {
    detector base;
    model model;
    network_style style;
    model_input input; /* how pixels become numbers */
    int width, height; /* of the input; 0 = any */
} network_detector;

/** Searching, and the end of the detector: network.c. */
extern const detector_class network_class;

#endif
