/* The presets of the older systems: what each of them does before, with and after the cascade. It is searched in the
 * grey picture that the preset prepares. */
#include "pipeline/finder_internal.h"

#include "detect/filter.h"
#include "image/convert.h"
#include "prep/prep.h"

mien_status finder_search_cascade(finder_session *s, const mien_image *grey, double scale_factor, int min_neighbors,
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

int32_t finder_min_side(const mien_analyze_options *options, int32_t preset)
{
    return options->min_face > 0 ? options->min_face : preset;
}

static mien_status find_neo(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                            mien_error *error)
{
    const mien_image *grey = &s->grey.image;
    mien_image *prepared = &s->prepared.image;
    mien_image_view view = mien_image_as_view(grey);
    mien_status status = kept_image_reshape(&s->prepared, grey->width, grey->height, error);
    if (!status)
        status = prep_gaussian(&view, prepared, 3, 0, error);
    view = mien_image_as_view(prepared);
    if (!status)
        status = prep_equalise(&view, prepared, error); /* in place */
    if (!status)
        status = finder_search_cascade(s, prepared, 1.1, 4, finder_min_side(options, 30), 0, options, error);
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
    mien_status status =
        finder_search_cascade(s, &s->grey.image, 1.1, 5, finder_min_side(options, 30), 0, options, error);
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
    int32_t side = finder_min_side(options, history_min_side(grey));
    mien_status status = kept_image_reshape(&s->prepared, grey->width, grey->height, error);
    if (!status)
        status = prep_clahe(&view, prepared, 2.0, 8, 8, error);
    for (int pass = 0; pass < 3 && !status; pass++) {
        const mien_image *searched = prepared;
        if (pass == 1) { /* only the second pass looks at a brightened copy */
            view = mien_image_as_view(prepared);
            status = kept_image_reshape(&s->changed, grey->width, grey->height, error);
            if (!status)
                status = prep_brighten(&view, &s->changed.image, 1.1f, 5, error);
            searched = &s->changed.image;
        }
        if (!status)
            status = finder_search_cascade(s, searched, passes[pass].scale_factor, passes[pass].min_neighbors, side, 0,
                                           options, error);
        if (!status && s->faces.count) {
            found->stage = pass + 1;
            break;
        }
    }
    found->raw_count = s->faces.count;
    found->exact_crop = true;
    return status ? status : filter_history(&s->faces, (int32_t)grey->width, (int32_t)grey->height, error);
}

mien_status finder_run_preset(finder_session *s, const mien_analyze_options *options, finder_faces *found,
                              mien_error *error)
{
    switch (options->preset) {
    case MIEN_PRESET_NEO:
        return find_neo(s, options, found, error);
    case MIEN_PRESET_FACEML:
        return find_faceml(s, options, found, error);
    default:
        return find_history(s, options, found, error);
    }
}
