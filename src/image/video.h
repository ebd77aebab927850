/* Frames of a video file, upright, with their times. FFmpeg does the work from a module of its own
 * (ffmpeg/video_ffmpeg.c built as mien-video.so), which is loaded when the first video is opened: its hundred libraries
 * would otherwise slow every start of the program, and a machine without them still reads pictures. */
#ifndef IMAGE_VIDEO_H
#define IMAGE_VIDEO_H

#include <mien/image.h>

#include <stdbool.h>

typedef struct video_options {
    mien_image_limits limits; /* of one frame; max_bytes is not looked at; 0 = the defaults of pictures */
    mien_pixel_format format; /* of the frames: GREY8, RGB8 or BGR8 */
    double interval;          /* seconds that lie between two frames given out at least; 0 = every frame */
} video_options;

typedef struct video_info {
    size_t width, height; /* of the upright frames, as the file announces them */
    double frame_rate;    /* per second; 0 = not known */
    double duration;      /* seconds; 0 = not known */
} video_info;

typedef struct video video; /* used by one thread at a time */

/** RGB8, every frame, the limits of pictures. */
video_options video_default_options(void);

/**
 * @param path     a file, never a URL.
 * @param options  NULL = video_default_options().
 * @param opened   [out] close with video_close().
 * @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EFORMAT (no video in it), MIEN_ELIMIT, MIEN_EUNSUPPORTED (mien was installed
 *         without video, or the codec is not known), MIEN_ENOMEM.
 */
mien_status video_open(const char *path, const video_options *options, video **opened, mien_error *error);
void video_close(video **opened);
video_info video_describe(const video *opened);

/**
 * The next frame.
 * @param frame    [in, out] empty or of an earlier call: its memory is used again where the size fits.
 * @param seconds  [out] time of the frame from the beginning.
 * @param more     [out] false after the last frame; `frame` and `seconds` are then untouched.
 * @return MIEN_OK, MIEN_EFORMAT (damaged: frames before it were given out), MIEN_ELIMIT, MIEN_ENOMEM.
 */
mien_status video_next(video *opened, mien_image *frame, double *seconds, bool *more, mien_error *error);

#endif
