/* How a kind of detector plugs into detector.h; for the files that implement one. */
#ifndef DETECT_DETECTOR_CLASS_H
#define DETECT_DETECTOR_CLASS_H

#include "detect/detector.h"

typedef struct detector_class {
    const char *kind;
    void (*destroy)(detector *detector);
    mien_status (*scratch_create)(const detector *detector, detect_scratch **scratch, mien_error *error);
    void (*scratch_destroy)(detect_scratch *scratch);
    /** `view` is not empty and `options` are in range. Appends to `faces`, which is empty. */
    mien_status (*find)(const detector *detector, detect_scratch *scratch, const mien_image_view *view,
                        const detect_options *options, detect_faces *faces, mien_error *error);
    uint64_t (*search_bytes)(const detector *detector, size_t width, size_t height, int32_t least_side);
    void (*scratch_trim)(detect_scratch *scratch);
} detector_class;

/** First members of every kind's own structures. `found` is the list that a search fills before it hands it over. */
struct detector {
    const detector_class *type;
};

struct detect_scratch {
    const detector *owner;
    detect_faces found;
};

#endif
