/* Which boxes of a picture are faces: loads what finds them, keeps what a search needs from picture to picture, and
 * goes the way that the preset or the caller's boxes ask for. Boxes come back in the picture's own pixels. */
#include "pipeline/finder.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/convert.h"
#include "pipeline/finder_internal.h"
#include "pipeline/shipped.h"

enum {
    CASCADE_MOST_BYTES = 64 << 20,
    KEPT_MOST_BYTES = 4 << 20 /* what a large picture needed is given back after it */
};

static const char *const cascade_places[] = {
    "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
    "/usr/local/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
    "/usr/share/opencv/haarcascades/haarcascade_frontalface_default.xml",
};

static mien_status finder_load_cascade(const char *path, detector **out, mien_error *error)
{
    buffer xml;
    buffer_init(&xml, 0);
    mien_status status = file_read(path, CASCADE_MOST_BYTES, &xml, error);
    if (!status) {
        status = detector_open_cascade(xml.data, xml.length, out, error);
        if (status)
            error_prefix(error, status, "%s", path);
    }
    buffer_done(&xml);
    return status;
}

/* Only the older systems' presets ask for it, so that it may be missing. */
static mien_status finder_load_default_cascade(detector **out, mien_error *error)
{
    mien_error why = {0};
    mien_status status = MIEN_ENOTFOUND;
    for (size_t i = 0; i < sizeof cascade_places / sizeof cascade_places[0] && status == MIEN_ENOTFOUND; i++)
        status = finder_load_cascade(cascade_places[i], out, &why);
    if (status == MIEN_ENOTFOUND)
        return MIEN_OK;
    if (status && error)
        *error = why;
    return status;
}

/* The face network that is named, else the one that ships, else none. */
static mien_status finder_load_network(const char *path, detector **out, mien_error *error)
{
    if (path) {
        mien_status status = detector_open_network_file(path, out, error);
        if (status && error && !strstr(error->message, path))
            error_prefix(error, status, "%s", path);
        return status;
    }
    shipped_model face = shipped_face();
    return face.length ? detector_open_network(face.bytes, face.length, out, error) : MIEN_OK;
}

mien_status finder_create(const mien_analyzer_options *options, finder **out, mien_error *error)
{
    finder *f = memory_zeroed(1, sizeof *f);
    if (!f)
        return error_no_memory(error, sizeof *f);
    f->threads = options->threads;
    mien_status status = options->cascade_path ? finder_load_cascade(options->cascade_path, &f->cascade, error)
                                               : finder_load_default_cascade(&f->cascade, error);
    if (!status)
        status = finder_load_network(options->detector_path, &f->network, error);
    if (!status && !f->network)
        status = finder_check_cascade(f, error);
    if (status) {
        finder_destroy(&f);
        return status;
    }
    *out = f;
    return MIEN_OK;
}

void finder_destroy(finder **f)
{
    if (!f || !*f)
        return;
    detector_destroy(&(*f)->cascade);
    detector_destroy(&(*f)->network);
    memory_free(*f);
    *f = NULL;
}

mien_status finder_check_cascade(const finder *f, mien_error *error)
{
    if (f->cascade)
        return MIEN_OK;
    return error_set(error, MIEN_ENOTFOUND, "%s is missing: install opencv-data, or name a cascade file",
                     cascade_places[0]);
}

const detector *finder_detector(const finder *f)
{
    return f->network ? f->network : f->cascade;
}

void finder_use_precision(finder *f, nn_precision precision)
{
    if (f->network)
        detector_use_precision(f->network, precision);
}

mien_status finder_session_create(const finder *f, finder_session **out, mien_error *error)
{
    finder_session *s = memory_zeroed(1, sizeof *s);
    if (!s)
        return error_no_memory(error, sizeof *s);
    s->finder = f;
    mien_status status = f->cascade ? detect_scratch_create(f->cascade, &s->cascade, error) : MIEN_OK;
    if (!status && f->network)
        status = detect_scratch_create(f->network, &s->network, error);
    if (status) {
        finder_session_destroy(&s);
        return status;
    }
    *out = s;
    return MIEN_OK;
}

void finder_session_destroy(finder_session **session)
{
    if (!session || !*session)
        return;
    finder_session *s = *session;
    detect_scratch_destroy(&s->cascade);
    detect_scratch_destroy(&s->network);
    mien_image_done(&s->grey.image);
    mien_image_done(&s->prepared.image);
    mien_image_done(&s->changed.image);
    detect_faces_done(&s->faces);
    detect_faces_done(&s->gathered);
    memory_free(s);
    *session = NULL;
}

nn_workspace *finder_workspace(finder_session *session)
{
    return session->network ? detect_scratch_workspace(session->network) : NULL;
}

mien_status kept_image_reshape(kept_image *kept, size_t width, size_t height, mien_error *error)
{
    size_t bytes;
    if (!memory_multiply(width, height, &bytes))
        return error_set(error, MIEN_ELIMIT, "%zu × %zu pixels are too many", width, height);
    if (kept->image.data && bytes <= kept->capacity) {
        kept->image = (mien_image){kept->image.data, width, height, width, MIEN_PIXEL_GREY8};
        return MIEN_OK;
    }
    mien_image made = {0};
    mien_status status = mien_image_init(&made, width, height, MIEN_PIXEL_GREY8, error);
    if (status)
        return status;
    mien_image_done(&kept->image);
    *kept = (kept_image){made, made.stride * height};
    return MIEN_OK;
}

/* Boxes from the caller: clipped, and classified in their order. */
static mien_status take_boxes(finder_session *s, const mien_image_view *picture, const mien_analyze_options *options,
                              finder_faces *found, mien_error *error)
{
    s->faces.count = 0;
    for (size_t i = 0; i < options->face_box_count; i++) {
        const mien_rect *given = &options->face_boxes[i];
        int64_t left = given->x > 0 ? given->x : 0, top = given->y > 0 ? given->y : 0;
        int64_t right = (int64_t)given->x + given->width, bottom = (int64_t)given->y + given->height;
        right = right < (int64_t)picture->width ? right : (int64_t)picture->width;
        bottom = bottom < (int64_t)picture->height ? bottom : (int64_t)picture->height;
        if (right <= left || bottom <= top)
            return error_set(error, MIEN_EINVAL, "face box %zu lies outside the picture", i + 1);
        detect_face face = {{(int32_t)left, (int32_t)top, (int32_t)(right - left), (int32_t)(bottom - top)}, 1};
        mien_status status = detect_faces_add(&s->faces, &face, error);
        if (status)
            return status;
    }
    found->raw_count = s->faces.count;
    found->exact_crop = true;
    return MIEN_OK;
}

static mien_status make_grey(finder_session *s, const mien_image_view *picture, mien_error *error)
{
    mien_status status = kept_image_reshape(&s->grey, picture->width, picture->height, error);
    if (!status)
        status = image_convert(picture, &s->grey.image, error);
    s->has_grey = !status;
    return status;
}

/* A cascade looks at a grey copy, a network at the picture itself. */
static bool finder_needs_grey(const finder_session *s, const mien_analyze_options *options)
{
    return options->preset != MIEN_PRESET_DEFAULT || !s->network;
}

mien_status finder_check(const finder_session *session, const mien_analyze_options *options, mien_error *error)
{
    bool searches = !options->face_boxes && finder_needs_grey(session, options);
    return searches ? finder_check_cascade(session->finder, error) : MIEN_OK;
}

mien_status finder_run(finder_session *session, const mien_image_view *picture, const mien_analyze_options *options,
                       finder_faces *found, mien_error *error)
{
    finder_faces f = {.crop = detector_crop(finder_detector(session->finder))};
    mien_status status = finder_check(session, options, error);
    session->has_grey = false;
    if (!status && !options->face_boxes && finder_needs_grey(session, options))
        status = make_grey(session, picture, error);
    if (status)
        return status;
    if (options->face_boxes)
        status = take_boxes(session, picture, options, &f, error);
    else if (options->preset == MIEN_PRESET_DEFAULT)
        status = finder_run_default(session, picture, options, &f, error);
    else
        status = finder_run_preset(session, options, &f, error);
    if (status)
        return status;
    f.faces = session->faces.data;
    f.count = session->faces.count;
    if (options->max_faces && f.count > options->max_faces)
        f.count = options->max_faces;
    if (f.count && !f.stage)
        f.stage = 1;
    *found = f;
    return MIEN_OK;
}

mien_status finder_grey(finder_session *session, const mien_image_view *picture, mien_image_view *grey,
                        mien_error *error)
{
    mien_status status = session->has_grey ? MIEN_OK : make_grey(session, picture, error);
    if (!status)
        *grey = mien_image_as_view(&session->grey.image);
    return status;
}

uint64_t finder_search_bytes(const finder_session *session, size_t width, size_t height,
                             const mien_analyze_options *options)
{
    /* grey; prepared; brightened. Streams want a grey picture of any preset. */
    static const uint64_t copies[MIEN_PRESET_COUNT] = {1, 2, 1, 3};
    const finder *f = session->finder;
    int32_t least = finder_default_min_face(width, height, options);
    const detector *searching = finder_needs_grey(session, options) ? f->cascade : f->network;
    return copies[options->preset] * (uint64_t)width * height +
           (searching ? detector_search_bytes(searching, width, height, least) : 0);
}

static void kept_image_trim(kept_image *kept)
{
    if (kept->capacity <= KEPT_MOST_BYTES)
        return;
    mien_image_done(&kept->image);
    kept->capacity = 0;
}

void finder_trim(finder_session *session)
{
    kept_image_trim(&session->grey);
    kept_image_trim(&session->prepared);
    kept_image_trim(&session->changed);
    session->has_grey = false;
    if (session->cascade)
        detect_scratch_trim(session->cascade);
    if (session->network)
        detect_scratch_trim(session->network);
}
