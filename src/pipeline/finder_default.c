/* The default preset: mien's own way. A face network looks at the picture itself, or at the regions where the tracker
 * expects faces; where there is none, the cascade takes its place, in the session's grey picture. */
#include "pipeline/finder_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "detect/filter.h"
#include "image/convert.h"
#include "prep/prep.h"

enum { WORK_SIDE = 1024, NETWORK_FACE_SIDE = 32, REGION_FACE_SIDE = 30, REGION_CLOSER = 2 };

/* Unless the caller says what the smallest face is, one that comes out this much smaller is not thrown away: the limit
 * is about time, boxes vary by a tenth, and what was found is as often right (docs/detector.md). */
static const double REPORTED_SHARE = 0.8;

/* Pixels of the picture: the smallest face looked for, the smallest kept, the largest (0 = no limit). */
typedef struct face_sides {
    int32_t least, reported, most;
} face_sides;

static void scale_back(detect_faces *faces, double factor, size_t width, size_t height)
{
    for (size_t i = 0; i < faces->count; i++) {
        mien_rect *box = &faces->data[i].box;
        double right = (box->x + box->width) * factor, bottom = (box->y + box->height) * factor;
        box->x = (int32_t)(box->x * factor + 0.5);
        box->y = (int32_t)(box->y * factor + 0.5);
        right = right > (double)width ? (double)width : right;
        bottom = bottom > (double)height ? (double)height : bottom;
        box->width = (int32_t)(right + 0.5) - box->x;
        box->height = (int32_t)(bottom + 0.5) - box->y;
    }
}

static int compare_scores(const void *a, const void *b)
{
    float left = ((const detect_face *)a)->score, right = ((const detect_face *)b)->score;
    return (left < right) - (left > right);
}

/* Faces of sides as asked for in `view`, in any format. */
static mien_status find_network(finder_session *s, const mien_image_view *view, const face_sides *sides,
                                float min_score, mien_error *error)
{
    detect_options wanted;
    detect_default_options(&wanted);
    wanted.min_width = wanted.min_height = sides->least;
    wanted.max_width = wanted.max_height = sides->most;
    wanted.least_reported = sides->reported;
    wanted.min_score = min_score;
    wanted.threads = s->finder->threads;
    return detector_find(s->finder->network, s->network, view, &wanted, &s->faces, error);
}

/* The rule of the default preset: the smallest face is NETWORK_FACE_SIDE pixels of a picture fitted into WORK_SIDE,
 * unless the caller says otherwise. How closely that makes the network look: detect/network_tiles.h. */
int32_t finder_default_min_face(size_t width, size_t height, const mien_analyze_options *options)
{
    size_t longer = width > height ? width : height;
    double factor = longer > WORK_SIDE ? (double)longer / WORK_SIDE : 1;
    return finder_min_side(options, (int32_t)(NETWORK_FACE_SIDE * factor + 0.5));
}

static mien_status find_network_in_picture(finder_session *s, const mien_image_view *picture,
                                           const mien_analyze_options *options, finder_faces *found, mien_error *error)
{
    int32_t least = finder_default_min_face(picture->width, picture->height, options);
    face_sides sides = {.least = least, .reported = options->min_face > 0 ? least : (int32_t)(least * REPORTED_SHARE)};
    mien_status status = find_network(s, picture, &sides, options->min_score, error);
    found->raw_count = s->faces.count;
    return status;
}

/* Around a known face a network may look closer than the whole picture allows: its boxes jitter less there. */
static int32_t region_least(const mien_search_region *region)
{
    return region->min_side / REGION_CLOSER > 1 ? region->min_side / REGION_CLOSER : 1;
}

bool finder_prefers_whole(const finder_session *session, size_t width, size_t height,
                          const mien_analyze_options *options)
{
    const detector *network = session->finder->network;
    double regions = 0;
    if (!network)
        return false;
    for (size_t i = 0; i < options->region_count; i++) {
        const mien_search_region *region = &options->regions[i];
        if (region->box.width > 0 && region->box.height > 0)
            regions +=
                detector_cost(network, (size_t)region->box.width, (size_t)region->box.height, region_least(region));
    }
    return regions >= detector_cost(network, width, height, finder_default_min_face(width, height, options));
}

/* Pictures larger than WORK_SIDE are searched at that size: a face worth reading is not smaller there than in FER-2013.
 */
static mien_status find_cascade_in_picture(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                                           mien_error *error)
{
    const mien_image *grey = &s->grey.image;
    size_t longer = grey->width > grey->height ? grey->width : grey->height;
    double factor = longer > WORK_SIDE ? (double)longer / WORK_SIDE : 1;
    mien_status status = MIEN_OK;
    if (factor > 1) {
        size_t width = (size_t)((double)grey->width / factor + 0.5),
               height = (size_t)((double)grey->height / factor + 0.5);
        mien_image_view view = mien_image_as_view(grey);
        status = kept_image_reshape(&s->changed, width ? width : 1, height ? height : 1, error);
        if (!status)
            status = prep_resize_linear(&view, &s->changed.image, error);
        grey = &s->changed.image;
    }
    int32_t side = options->min_face > 0 ? (int32_t)(options->min_face / factor + 0.5) : 30;
    if (!status)
        status = finder_search_cascade(s, grey, 1.1, 5, side > 1 ? side : 1, 0, options, error);
    if (status)
        return status;
    scale_back(&s->faces, factor, s->grey.image.width, s->grey.image.height);
    qsort(s->faces.data, s->faces.count, sizeof *s->faces.data, compare_scores);
    found->raw_count = s->faces.count;
    return MIEN_OK;
}

/* A part of the grey picture, shrunk until the smallest face wanted in it is REGION_FACE_SIDE. */
static mien_status find_cascade_in_region(finder_session *s, const mien_search_region *region,
                                          const mien_analyze_options *options, mien_error *error)
{
    const mien_image *grey = &s->grey.image;
    const mien_rect *box = &region->box;
    double factor = fmax((double)region->min_side / REGION_FACE_SIDE, 1);
    size_t width = (size_t)fmax(box->width / factor + 0.5, 1), height = (size_t)fmax(box->height / factor + 0.5, 1);
    mien_image_view part = {grey->data + (size_t)box->y * grey->stride + (size_t)box->x, (size_t)box->width,
                            (size_t)box->height, grey->stride, MIEN_PIXEL_GREY8};
    mien_status status = kept_image_reshape(&s->changed, width, height, error);
    if (!status)
        status = prep_resize_linear(&part, &s->changed.image, error);
    if (!status)
        status = finder_search_cascade(s, &s->changed.image, 1.1, 5, (int32_t)fmax(region->min_side / factor, 1),
                                       (int32_t)ceil(region->max_side / factor), options, error);
    if (!status)
        scale_back(&s->faces, factor, (size_t)box->width, (size_t)box->height);
    return status;
}

static mien_status find_in_region(finder_session *s, const mien_image_view *picture, const mien_search_region *region,
                                  const mien_analyze_options *options, mien_error *error)
{
    const mien_rect *box = &region->box;
    if (box->x < 0 || box->y < 0 || box->width < 1 || box->height < 1 || (size_t)box->x + box->width > picture->width ||
        (size_t)box->y + box->height > picture->height || region->min_side < 1)
        return error_set(error, MIEN_EINVAL, "a search region lies outside the picture");
    mien_image_view part = image_crop(picture, box->x, box->y, box->width, box->height);
    face_sides sides = {region_least(region), region->min_side, region->max_side};
    mien_status status = s->network ? find_network(s, &part, &sides, options->min_score, error)
                                    : find_cascade_in_region(s, region, options, error);
    for (size_t i = 0; i < s->faces.count && !status; i++) {
        detect_face face = s->faces.data[i];
        face.box.x += box->x;
        face.box.y += box->y;
        status = detect_faces_add(&s->gathered, &face, error);
    }
    return status;
}

static mien_status find_regions(finder_session *s, const mien_image_view *picture, const mien_analyze_options *options,
                                finder_faces *found, mien_error *error)
{
    s->gathered.count = 0;
    for (size_t i = 0; i < options->region_count; i++) {
        mien_status status = find_in_region(s, picture, &options->regions[i], options, error);
        if (status)
            return status;
    }
    detect_faces swap = s->faces;
    s->faces = s->gathered;
    s->gathered = swap;
    found->raw_count = s->faces.count;
    filter_suppress_by_score(&s->faces, 0.3f); /* regions may share a face */
    return MIEN_OK;
}

mien_status finder_run_default(finder_session *s, const mien_image_view *picture, const mien_analyze_options *options,
                               finder_faces *found, mien_error *error)
{
    if (options->regions)
        return find_regions(s, picture, options, found, error);
    return s->network ? find_network_in_picture(s, picture, options, found, error)
                      : find_cascade_in_picture(s, options, found, error);
}

double finder_least_share(void)
{
    return REPORTED_SHARE * NETWORK_FACE_SIDE / WORK_SIDE;
}
