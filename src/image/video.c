/* The door to the video module: finds mien-video.so beside the program or library, or where it was installed to
 * ($MIEN_VIDEO_MODULE goes first), loads it once and keeps it. */
#include "image/video.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/video_backend.h"

enum { VIDEO_PATH_BYTES = 4096 };

struct video {
    const video_backend *backend;
    void *state;
    video_info info;
};

static const video_backend *video_loaded;
static pthread_once_t video_once = PTHREAD_ONCE_INIT;

static bool video_try(const char *path)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return false;
    const video_backend *found = dlsym(module, VIDEO_BACKEND_SYMBOL);
    if (found && found->version == VIDEO_BACKEND_VERSION) {
        video_loaded = found;
        return true;
    }
    dlclose(module);
    return false;
}

/* Look around the folder of `file`, an absolute path. */
static bool video_try_beside(const char *file)
{
    static const char *const beside[] = {"mien-video.so", "mien/mien-video.so", "../lib/mien/mien-video.so"};
    const char *slash = strrchr(file, '/');
    if (file[0] != '/')
        return false;
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        char path[VIDEO_PATH_BYTES];
        int length = snprintf(path, sizeof path, "%.*s%s", (int)(slash - file + 1), file, beside[i]);
        if (length > 0 && (size_t)length < sizeof path && video_try(path))
            return true;
    }
    return false;
}

static void video_load(void)
{
    const char *set = getenv("MIEN_VIDEO_MODULE");
    char program[VIDEO_PATH_BYTES];
    Dl_info library;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    if ((set && video_try(set)) || (dladdr(&video_once, &library) && video_try_beside(library.dli_fname)) ||
        video_try_beside(program))
        return;
    video_try(MIEN_MODULE_FOLDER "/mien-video.so");
}

video_options video_default_options(void)
{
    mien_decode_options picture;
    mien_decode_default_options(&picture);
    return (video_options){.limits = picture.limits, .format = picture.format};
}

static video_options video_filled_in(const video_options *wanted)
{
    video_options options = video_default_options();
    mien_image_limits limits = options.limits;
    if (!wanted)
        return options;
    options = *wanted;
    if (!options.limits.max_pixels)
        options.limits.max_pixels = limits.max_pixels;
    if (!options.limits.max_side)
        options.limits.max_side = limits.max_side;
    return options;
}

mien_status video_open(const char *path, const video_options *options, video **opened, mien_error *error)
{
    video_options filled = video_filled_in(options);
    size_t pixel = mien_pixel_bytes(filled.format);
    if (!path || !opened || !pixel || pixel > 3 || !(filled.interval >= 0))
        return error_set(error, MIEN_EINVAL, "video: no path, or frames of a format or interval that there is not");
    pthread_once(&video_once, video_load);
    if (!video_loaded)
        return error_set(error, MIEN_EUNSUPPORTED,
                         "%s: mien was built without video (FFmpeg's development packages were not there)", path);
    video *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->backend = video_loaded;
    mien_status status = made->backend->open(path, &filled, &made->state, &made->info, error);
    if (status)
        memory_free(made);
    else
        *opened = made;
    return status;
}

void video_close(video **opened)
{
    if (!opened || !*opened)
        return;
    (*opened)->backend->close((*opened)->state);
    memory_free(*opened);
    *opened = NULL;
}

video_info video_describe(const video *opened)
{
    return opened->info;
}

mien_status video_next(video *opened, mien_image *frame, double *seconds, bool *more, mien_error *error)
{
    return opened->backend->next(opened->state, frame, seconds, more, error);
}
