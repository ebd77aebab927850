/* What the video module offers: one const structure of functions, found by its name. */
#ifndef IMAGE_VIDEO_BACKEND_H
#define IMAGE_VIDEO_BACKEND_H

#include "image/video.h"

enum { VIDEO_BACKEND_VERSION = 1 };
#define VIDEO_BACKEND_SYMBOL "mien_video_backend"

typedef struct video_backend {
    int version;
    mien_status (*open)(const char *path, const video_options *options, void **state, video_info *info,
                        mien_error *error);
    mien_status (*next)(void *state, mien_image *frame, double *seconds, bool *more, mien_error *error);
    void (*close)(void *state);
} video_backend;

#endif
