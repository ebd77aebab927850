/* One interface for everything that finds faces: the cascade of the sources' presets and face networks.
 *
 * A detector is immutable and shared between threads. What a search changes is in a detect_scratch, one per thread that
 * searches; after the first searches it allocates nothing more.
 */
#ifndef DETECT_DETECTOR_H
#define DETECT_DETECTOR_H

#include <mien/analyzer.h>

#include "model/model.h"
#include "nn/plan.h"

typedef struct detector detector;
typedef struct detect_scratch detect_scratch;

/** Lengths in pixels of the picture. */
typedef struct detect_options {
    double scale_factor;           /* cascade: step of the pyramid, > 1; default 1.1 */
    int min_neighbors;             /* cascade: a face is a group of more than this many windows; 0: every window;
                                      default 5 */
    int32_t min_width, min_height; /* smaller faces are not looked for; default 30 × 30 */
    int32_t max_width, max_height; /* nor larger ones; 0 = the picture's; default 0 */
    int32_t least_reported;        /* network: faces found beyond what was looked for are kept down to this side;
                                      0 = min_width × min_height; default 0 */
    float min_score;               /* network: least probability of a face; default 0 = the network's own */
    float overlap;                 /* network: boxes that overlap more (IoU) are one face; default 0.4 */
    int threads;                   /* 1..64; default 1 */
} detect_options;

typedef struct detect_face {
    mien_rect box;
    float score; /* cascade: windows in the group; network: probability */
} detect_face;

/** Zero-initialised means empty; its memory grows and is reused. */
typedef struct detect_faces {
    detect_face *data;
    size_t count, capacity;
} detect_faces;

void detect_default_options(detect_options *options);

/** Read a cascade from the bytes of its XML file. */
mien_status detector_open_cascade(const void *bytes, size_t length, detector **detector, mien_error *error);
/**
 * Read a face network from the bytes of its model file. How its outputs are read (network_decode.h) stands in its
 * metadata as detector.style, else their shapes tell; how pixels become numbers and boxes crops stands there too when
 * its task is face-detector, else its family tells. detector.min_score, .least_face and .precision may stand there.
 * @return as model_load_bytes; MIEN_EUNSUPPORTED also when neither tells.
 */
mien_status detector_open_network(const void *bytes, size_t length, detector **detector, mien_error *error);
/** The same from a file, beside which a `path.json` may state what the model does not. */
mien_status detector_open_network_file(const char *path, detector **detector, mien_error *error);
/** Whether the model looks like a face network: it says so, or its outputs have a known family's shapes. */
bool detector_knows(const model *m);
/** How its box becomes the square that a frontal cascade would have drawn, which is what emotion models start from. */
model_crop detector_crop(const detector *detector);
/** What a network counts as a face by itself; 0 for a cascade. */
float detector_min_score(const detector *detector);
/** Of a network's arithmetic, before its first scratch; detector.precision of the model, else the family's, is the
 * default. A cascade has none. */
void detector_use_precision(detector *detector, nn_precision precision);
/** The one that its scratches are made with; f32 for a cascade. */
nn_precision detector_precision(const detector *detector);
/** Write a network's model as `path` with the ranges that int8 needs, found on the pictures, and with all that is known
 *  of it. MIEN_EINVAL: it is a cascade. */
mien_status detector_calibrate(const detector *detector, const mien_image_view *pictures, size_t count,
                               const char *path, mien_error *error);
/** Accepts a pointer to NULL. Its scratches must be gone. */
void detector_destroy(detector **detector);
/** "cascade" or "network". */
const char *detector_kind(const detector *detector);

/** `detector` must outlive the scratch. */
mien_status detect_scratch_create(const detector *detector, detect_scratch **scratch, mien_error *error);
void detect_scratch_destroy(detect_scratch **scratch);
/** The memory in which a network's searches run, for other networks of that thread to run in between them; NULL for a
 *  cascade. Lives as long as the scratch. */
nn_workspace *detect_scratch_workspace(detect_scratch *scratch);

/**
 * Find faces.
 * @param view     any format; a cascade looks at its luma (GREY8 saves the conversion). Borrowed for the call.
 * @param options  NULL = defaults.
 * @param faces    [out] replaced. Cascade: in the order in which OpenCV reports them on one thread, with score = number
 *                 of windows. Network: by descending score. The same for any number of threads.
 * @return MIEN_OK (no face is count 0), MIEN_EINVAL, MIEN_ELIMIT (absurdly wide), MIEN_ENOMEM; then `faces` is
 * untouched.
 */
mien_status detector_find(const detector *detector, detect_scratch *scratch, const mien_image_view *view,
                          const detect_options *options, detect_faces *faces, mien_error *error);

/** What a search of a picture of that size would cost, in numbers that the same detector's searches can be compared by;
 *  0 for a cascade, whose cost depends on what it sees. */
double detector_cost(const detector *detector, size_t width, size_t height, int32_t least_side);

/** Bytes that a search of a picture of that size takes beyond what a scratch keeps. */
uint64_t detector_search_bytes(const detector *detector, size_t width, size_t height, int32_t least_side);
/** Give back what only large pictures need. */
void detect_scratch_trim(detect_scratch *scratch);

mien_status detect_faces_add(detect_faces *faces, const detect_face *face, mien_error *error);
void detect_faces_done(detect_faces *faces);

#endif
