/* Checks that all detectors share, and the growing list of faces. A search fills the scratch's own list and swaps it
 * with the caller's at the end, so that a failure leaves the caller's as it was. */
#include "detect/detector.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "detect/detector_class.h"

enum { DETECT_MAX_THREADS = 64 };

void detect_default_options(detect_options *options)
{
    *options = (detect_options){
        .scale_factor = 1.1, .min_neighbors = 5, .min_width = 30, .min_height = 30, .overlap = 0.4f, .threads = 1};
}

void detector_destroy(detector **detector)
{
    if (!detector || !*detector)
        return;
    (*detector)->type->destroy(*detector);
    *detector = NULL;
}

const char *detector_kind(const detector *detector)
{
    return detector->type->kind;
}

mien_status detect_scratch_create(const detector *detector, detect_scratch **scratch, mien_error *error)
{
    detect_scratch *made;
    mien_status status = detector->type->scratch_create(detector, &made, error);
    if (status)
        return status;
    made->owner = detector;
    *scratch = made;
    return MIEN_OK;
}

void detect_scratch_destroy(detect_scratch **scratch)
{
    if (!scratch || !*scratch)
        return;
    detect_faces_done(&(*scratch)->found);
    (*scratch)->owner->type->scratch_destroy(*scratch);
    *scratch = NULL;
}

static mien_status detect_check(const mien_image_view *view, const detect_options *options, mien_error *error)
{
    size_t bytes = mien_pixel_bytes(view->format);
    if (!view->data || !view->width || !view->height || !bytes || view->stride / bytes < view->width)
        return error_set(error, MIEN_EINVAL, "detect: the picture is empty or its stride does not hold its rows");
    if (!(options->scale_factor > 1) || options->scale_factor > 100)
        return error_set(error, MIEN_EINVAL, "detect: scale factor %g is not within 1..100", options->scale_factor);
    if (options->min_neighbors < 0 || options->min_width < 0 || options->min_height < 0 || options->max_width < 0 ||
        options->max_height < 0 || options->least_reported < 0)
        return error_set(error, MIEN_EINVAL, "detect: an option is negative");
    if (!(options->min_score >= 0 && options->min_score <= 1) || !(options->overlap >= 0 && options->overlap <= 1))
        return error_set(error, MIEN_EINVAL, "detect: score or overlap is not within 0..1");
    if (options->threads < 1 || options->threads > DETECT_MAX_THREADS)
        return error_set(error, MIEN_EINVAL, "detect: threads: %d is not within 1..%d", options->threads,
                         DETECT_MAX_THREADS);
    return MIEN_OK;
}

mien_status detector_find(const detector *detector, detect_scratch *scratch, const mien_image_view *view,
                          const detect_options *options, detect_faces *faces, mien_error *error)
{
    detect_options defaults;
    if (!options) {
        detect_default_options(&defaults);
        options = &defaults;
    }
    mien_status status = detect_check(view, options, error);
    if (!status && scratch->owner != detector)
        status = error_set(error, MIEN_EINVAL, "detect: the scratch belongs to another detector");
    scratch->found.count = 0;
    if (!status)
        status = detector->type->find(detector, scratch, view, options, &scratch->found, error);
    if (status)
        return status;
    detect_faces found = scratch->found;
    scratch->found = *faces;
    *faces = found;
    return MIEN_OK;
}

uint64_t detector_search_bytes(const detector *detector, size_t width, size_t height, int32_t least_side)
{
    return detector->type->search_bytes(detector, width, height, least_side);
}

void detect_scratch_trim(detect_scratch *scratch)
{
    scratch->owner->type->scratch_trim(scratch);
}

mien_status detect_faces_add(detect_faces *faces, const detect_face *face, mien_error *error)
{
    if (faces->count == faces->capacity) {
        size_t capacity = faces->capacity ? 2 * faces->capacity : 16;
        detect_face *data = memory_resize(faces->data, capacity, sizeof *data);
        if (!data)
            return error_no_memory(error, capacity * sizeof *data);
        faces->data = data;
        faces->capacity = capacity;
    }
    faces->data[faces->count++] = *face;
    return MIEN_OK;
}

void detect_faces_done(detect_faces *faces)
{
    if (!faces)
        return;
    memory_free(faces->data);
    memset(faces, 0, sizeof *faces);
}
