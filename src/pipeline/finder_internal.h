/* What the files of the finder share: finder.c (loading, sessions, which way is taken), finder_presets.c (the older
 * systems' presets on the cascade), finder_default.c (mien's own). Nobody else includes this. */
#ifndef PIPELINE_FINDER_INTERNAL_H
#define PIPELINE_FINDER_INTERNAL_H

#include "pipeline/finder.h"

struct finder {
    detector *cascade; /* NULL: the default one is missing, and there is a network */
    detector *network; /* of the default preset; NULL: it uses the cascade */
    int threads;
};

/* An image whose memory is kept from picture to picture. */
typedef struct kept_image {
    mien_image image;
    size_t capacity; /* bytes */
} kept_image;

struct finder_session {
    const finder *finder;
    detect_scratch *cascade, *network;
    kept_image grey, prepared, changed; /* changed: brightened, or made smaller */
    detect_faces faces, gathered;       /* gathered: from several regions */
    bool has_grey;                      /* of the picture now looked at */
};

/** Give the kept image that size; its memory is kept too. */
mien_status kept_image_reshape(kept_image *kept, size_t width, size_t height, mien_error *error);

/** What the caller wants as the smallest face, else the preset's. */
int32_t finder_min_side(const mien_analyze_options *options, int32_t preset);
/** Search `grey` with the cascade into the session's faces: the options' scale factor and neighbours, where they say
 *  something, else the preset's. A `max_side` of 0 is no limit. */
mien_status finder_search_cascade(finder_session *s, const mien_image *grey, double scale_factor, int min_neighbors,
                                  int32_t min_side, int32_t max_side, const mien_analyze_options *options,
                                  mien_error *error);
/** An older system's preset, in the session's grey picture. */
mien_status finder_run_preset(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                              mien_error *error);

/** Mien's own way: in the options' regions, where there are some, else in the whole picture. Without a network it
 *  searches the session's grey picture. */
mien_status finder_run_default(finder_session *s, const mien_image_view *picture, const mien_analyze_options *options,
                               finder_faces *found, mien_error *error);
/** The smallest face that the default preset looks for in a picture of that size. */
int32_t finder_default_min_face(size_t width, size_t height, const mien_analyze_options *options);

#endif
