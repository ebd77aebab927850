/* The presets: what each of the older systems does before, with and after the cascade, and mien's own way. The cascade
 * is searched in the grey picture that the preset prepares; boxes come back in the picture's own pixels. */
#include "pipeline/finder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "detect/filter.h"
#include "image/convert.h"
#include "pipeline/shipped.h"
#include "prep/prep.h"

enum {
    CASCADE_MOST_BYTES = 64 << 20,
    WORK_SIDE = 1024,
    NETWORK_FACE_SIDE = 32,
    REGION_FACE_SIDE = 30,
    REGION_CLOSER = 2
};

/* Unless the caller says what the smallest face is, one that comes out this much smaller is not thrown away: the limit
 * is about time, boxes vary by a tenth, and what was found is as often right (docs/detector.md). */
static const double REPORTED_SHARE = 0.8;

/* Pixels of the picture: the smallest face looked for, the smallest kept, the largest (0 = no limit). */
typedef struct face_sides {
    int32_t least, reported, most;
} face_sides;

static const char *const cascade_places[] = {
    "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
    "/usr/local/share/opencv4/haarcascades/haarcascade_frontalface_default.xml",
    "/usr/share/opencv/haarcascades/haarcascade_frontalface_default.xml",
};

struct finder {
    detector *cascade;
    detector *network; /* of the default preset; NULL: it uses the cascade */
    int threads;
};

enum { KEPT_MOST_BYTES = 4 << 20 }; /* what a large picture needed is given back after it */

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

static mien_status finder_load_default_cascade(detector **out, mien_error *error)
{
    mien_status status = MIEN_ENOTFOUND;
    for (size_t i = 0; i < sizeof cascade_places / sizeof cascade_places[0] && status == MIEN_ENOTFOUND; i++)
        status = finder_load_cascade(cascade_places[i], out, error);
    if (status == MIEN_ENOTFOUND)
        return error_set(error, status, "%s is missing: install opencv-data, or name a cascade file",
                         cascade_places[0]);
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
    mien_status status = detect_scratch_create(f->cascade, &s->cascade, error);
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

/* Give the kept image that size; its memory is kept too. */
static mien_status kept_reshape(kept_image *kept, size_t width, size_t height, mien_error *error)
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

static mien_status find_cascade(finder_session *s, const mien_image *grey, double scale_factor, int min_neighbors,
                                int32_t min_side, int32_t max_side, const mien_analyze_options *options,
                                mien_error *error)
{
    detect_options wanted;
    detect_default_options(&wanted);
    wanted.scale_factor = options->scale_factor != 0 ? options->scale_factor : scale_factor;
    wanted.min_neighbors = options->min_neighbors >= 0 ? options->min_neighbors : min_neighbors;
    wanted.min_width = wanted.min_height = min_side;
    wanted.max_width = wanted.max_height = max_side;
    wanted.threads = s->finder->threads;
    mien_image_view view = mien_image_as_view(grey);
    return detector_find(s->finder->cascade, s->cascade, &view, &wanted, &s->faces, error);
}

static int32_t min_side_of(const mien_analyze_options *options, int32_t preset)
{
    return options->min_face > 0 ? options->min_face : preset;
}

static mien_status find_neo(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                            mien_error *error)
{
    const mien_image *grey = &s->grey.image;
    mien_image *prepared = &s->prepared.image;
    mien_image_view view = mien_image_as_view(grey);
    mien_status status = kept_reshape(&s->prepared, grey->width, grey->height, error);
    if (!status)
        status = prep_gaussian(&view, prepared, 3, 0, error);
    view = mien_image_as_view(prepared);
    if (!status)
        status = prep_equalise(&view, prepared, error); /* in place */
    if (!status)
        status = find_cascade(s, prepared, 1.1, 4, min_side_of(options, 30), 0, options, error);
    if (status)
        return status;
    found->raw_count = s->faces.count;
    found->exact_crop = true;
    /* The system's server also dropped faces above 300 pixels and all but the first three; neither stands in its
     * document, and which three come first depends on the timing of its threads. */
    filter_options filter;
    filter_default_options(&filter);
    filter.max_side = 0;
    filter.most = 0;
    view = mien_image_as_view(prepared);
    filter_false_positives(&view, &filter, &s->faces);
    return MIEN_OK;
}

static mien_status find_faceml(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                               mien_error *error)
{
    found->exact_crop = true;
    mien_status status = find_cascade(s, &s->grey.image, 1.1, 5, min_side_of(options, 30), 0, options, error);
    found->raw_count = s->faces.count;
    return status;
}

/* 7.5 % of the shorter side, but 64 at the least; the fraction is cut off as the system does it. */
static int32_t history_min_side(const mien_image *grey)
{
    size_t shorter = grey->width < grey->height ? grey->width : grey->height;
    int32_t side = (int32_t)((double)shorter * 0.075);
    return side > 64 ? side : 64;
}

static mien_status find_history(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                                mien_error *error)
{
    static const struct {
        double scale_factor;
        int min_neighbors;
    } passes[] = {{1.15, 10}, {1.1, 5}, {1.08, 4}};
    const mien_image *grey = &s->grey.image;
    mien_image *prepared = &s->prepared.image;
    mien_image_view view = mien_image_as_view(grey);
    int32_t side = min_side_of(options, history_min_side(grey));
    mien_status status = kept_reshape(&s->prepared, grey->width, grey->height, error);
    if (!status)
        status = prep_clahe(&view, prepared, 2.0, 8, 8, error);
    for (int pass = 0; pass < 3 && !status; pass++) {
        const mien_image *searched = prepared;
        if (pass == 1) { /* only the second pass looks at a brightened copy */
            view = mien_image_as_view(prepared);
            status = kept_reshape(&s->changed, grey->width, grey->height, error);
            if (!status)
                status = prep_brighten(&view, &s->changed.image, 1.1f, 5, error);
            searched = &s->changed.image;
        }
        if (!status)
            status = find_cascade(s, searched, passes[pass].scale_factor, passes[pass].min_neighbors, side, 0, options,
                                  error);
        if (!status && s->faces.count) {
            found->stage = pass + 1;
            break;
        }
    }
    found->raw_count = s->faces.count;
    found->exact_crop = true;
    return status ? status : filter_history(&s->faces, (int32_t)grey->width, (int32_t)grey->height, error);
}

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
static int32_t default_min_face(size_t width, size_t height, const mien_analyze_options *options)
{
    size_t longer = width > height ? width : height;
    double factor = longer > WORK_SIDE ? (double)longer / WORK_SIDE : 1;
    return min_side_of(options, (int32_t)(NETWORK_FACE_SIDE * factor + 0.5));
}

static mien_status find_default_network(finder_session *s, const mien_image_view *picture,
                                        const mien_analyze_options *options, finder_faces *found, mien_error *error)
{
    int32_t least = default_min_face(picture->width, picture->height, options);
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
    return regions >= detector_cost(network, width, height, default_min_face(width, height, options));
}

/* Pictures larger than WORK_SIDE are searched at that size: a face worth reading is not smaller there than in FER-2013.
 */
static mien_status find_default(finder_session *s, const mien_analyze_options *options, finder_faces *found,
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
        status = kept_reshape(&s->changed, width ? width : 1, height ? height : 1, error);
        if (!status)
            status = prep_resize_linear(&view, &s->changed.image, error);
        grey = &s->changed.image;
    }
    int32_t side = options->min_face > 0 ? (int32_t)(options->min_face / factor + 0.5) : 30;
    if (!status)
        status = find_cascade(s, grey, 1.1, 5, side > 1 ? side : 1, 0, options, error);
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
    mien_status status = kept_reshape(&s->changed, width, height, error);
    if (!status)
        status = prep_resize_linear(&part, &s->changed.image, error);
    if (!status)
        status = find_cascade(s, &s->changed.image, 1.1, 5, (int32_t)fmax(region->min_side / factor, 1),
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
    mien_status status = kept_reshape(&s->grey, picture->width, picture->height, error);
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

mien_status finder_run(finder_session *session, const mien_image_view *picture, const mien_analyze_options *options,
                       finder_faces *found, mien_error *error)
{
    finder_faces f = {.crop = detector_crop(finder_detector(session->finder))};
    mien_status status = MIEN_OK;
    session->has_grey = false;
    if (!options->face_boxes && finder_needs_grey(session, options))
        status = make_grey(session, picture, error);
    if (status)
        return status;
    if (options->face_boxes) {
        status = take_boxes(session, picture, options, &f, error);
    } else {
        switch (options->preset) {
        case MIEN_PRESET_NEO:
            status = find_neo(session, options, &f, error);
            break;
        case MIEN_PRESET_FACEML:
            status = find_faceml(session, options, &f, error);
            break;
        case MIEN_PRESET_HISTORY_API:
            status = find_history(session, options, &f, error);
            break;
        default:
            if (options->regions)
                status = find_regions(session, picture, options, &f, error);
            else if (session->network)
                status = find_default_network(session, picture, options, &f, error);
            else
                status = find_default(session, options, &f, error);
        }
    }
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
    int32_t least = default_min_face(width, height, options);
    return copies[options->preset] * (uint64_t)width * height +
           detector_search_bytes(finder_needs_grey(session, options) ? f->cascade : f->network, width, height, least);
}

double finder_least_share(void)
{
    return REPORTED_SHARE * NETWORK_FACE_SIDE / WORK_SIDE;
}

static void kept_trim(kept_image *kept)
{
    if (kept->capacity <= KEPT_MOST_BYTES)
        return;
    mien_image_done(&kept->image);
    kept->capacity = 0;
}

void finder_trim(finder_session *session)
{
    kept_trim(&session->grey);
    kept_trim(&session->prepared);
    kept_trim(&session->changed);
    session->has_grey = false;
    detect_scratch_trim(session->cascade);
    if (session->network)
        detect_scratch_trim(session->network);
}
