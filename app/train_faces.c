/* Looks for the face of a training picture just as `mien detect` would, so that a network is trained on the crops that
 * it will be asked about. */
#include "train_faces.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "emotion/classifier.h"
#include "pipeline/finder.h"

struct train_faces {
    finder *finder;
    finder_session *session;
    mien_analyze_options options;
};

mien_status train_faces_create(train_faces **out, mien_error *error)
{
    train_faces *faces = memory_zeroed(1, sizeof(*faces));
    if (!faces)
        return error_no_memory(error, sizeof(*faces));
    mien_analyzer_options options;
    mien_analyzer_default_options(&options);
    mien_analyze_default_options(&faces->options);
    mien_status status = finder_create(&options, &faces->finder, error);
    if (!status)
        status = finder_session_create(faces->finder, &faces->session, error);
    if (status)
        train_faces_destroy(&faces);
    else
        *out = faces;
    return status;
}

void train_faces_destroy(train_faces **faces)
{
    if (!faces || !*faces)
        return;
    finder_session_destroy(&(*faces)->session);
    finder_destroy(&(*faces)->finder);
    memory_free(*faces);
    *faces = NULL;
}

/* The square that an emotion model is asked about, cut at the picture's edges. */
static mien_rect train_faces_crop(const model_crop *crop, const detect_face *face, const mien_image_view *picture)
{
    const mien_rect *box = &face->box;
    classifier_box found = {(float)box->x, (float)box->y, (float)box->width, (float)box->height};
    classifier_box square = classifier_crop_box(crop, &found);
    float left = fmaxf(rintf(square.x), 0), top = fmaxf(rintf(square.y), 0);
    float right = fminf(rintf(square.x + square.width), (float)picture->width);
    float bottom = fminf(rintf(square.y + square.height), (float)picture->height);
    return (mien_rect){(int32_t)left, (int32_t)top, (int32_t)(right - left), (int32_t)(bottom - top)};
}

mien_status train_faces_locate(void *context, const mien_image_view *picture, mien_rect *box, mien_error *error)
{
    train_faces *faces = context;
    finder_faces found;
    mien_status status = finder_run(faces->session, picture, &faces->options, &found, error);
    if (status)
        return status;
    const detect_face *best = NULL;
    for (size_t i = 0; i < found.count; i++)
        if (!best || found.faces[i].score > best->score)
            best = &found.faces[i];
    if (!best)
        return error_set(error, MIEN_ENOTFOUND, "no face was found");
    *box = train_faces_crop(&found.crop, best, picture);
    return MIEN_OK;
}
