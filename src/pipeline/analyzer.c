/* The analyser: decode, find, classify, and one result structure for every front door. */
#include <math.h>
#include <string.h>

#include <mien/analyzer.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "emotion/classifier.h"
#include "model/ranges.h"
#include "pipeline/finder.h"
#include "pipeline/session.h"
#include "pipeline/shipped.h"

enum { ANALYZER_MOST_THREADS = 64 };

struct mien_analyzer {
    const finder *finder;
    finder *own; /* nobody else's; NULL: it is somebody else's */
    classifier *classifier;
    uint64_t parameters; /* of the emotion model */
    nn_precision precision;
};

struct mien_session {
    mien_analyzer *analyzer;
    finder_session *finder, *own; /* as the analyser's */
    classifier_session *classifier;
};

void mien_analyzer_default_options(mien_analyzer_options *options)
{
    if (options)
        *options = (mien_analyzer_options){.threads = 1};
}

void mien_analyze_default_options(mien_analyze_options *options)
{
    if (options)
        *options = (mien_analyze_options){.preset = MIEN_PRESET_DEFAULT, .min_neighbors = -1};
}

void mien_result_done(mien_result *result)
{
    if (!result)
        return;
    memory_free(result->faces);
    *result = (mien_result){0};
}

/* A model carries ranges because somebody wants eight bits of it, and measured what they cost. */
static nn_precision choose_precision(mien_precision wanted, const model *m)
{
    switch (wanted) {
    case MIEN_PRECISION_F32:
        return NN_F32;
    case MIEN_PRECISION_BF16:
        return NN_BF16;
    case MIEN_PRECISION_INT8:
        return NN_INT8;
    default:
        return model_has_ranges(m) ? NN_INT8 : NN_F32;
    }
}

static mien_status load_classifier(const mien_analyzer_options *options, mien_analyzer *a, mien_error *error)
{
    const char *path = options->model_path;
    model m = {0};
    mien_status status = shipped_load(path, &m, error);
    if (status)
        return status;
    a->parameters = nn_graph_parameters(&m.graph);
    a->precision = choose_precision(options->precision, &m);
    if (detector_knows(&m))
        status = error_set(error, MIEN_EINVAL, "this model finds faces; an emotion model is wanted");
    if (!status)
        status = classifier_create(&m, a->precision, &a->classifier, error);
    if (status && path && !strstr(error ? error->message : path, path))
        error_prefix(error, status, "%s", path);
    model_done(&m);
    return status;
}

mien_status analyzer_create_with(const mien_analyzer_options *options, const finder *shared, mien_analyzer **analyzer,
                                 mien_error *error)
{
    mien_analyzer_options defaults;
    mien_analyzer_default_options(&defaults);
    if (!options)
        options = &defaults;
    if (options->threads < 1 || options->threads > ANALYZER_MOST_THREADS)
        return error_set(error, MIEN_EINVAL, "threads: %d is not within 1..%d", options->threads,
                         ANALYZER_MOST_THREADS);
    if (!mien_precision_name(options->precision))
        return error_set(error, MIEN_EINVAL, "precision: %d is none", (int)options->precision);
    mien_analyzer *a = memory_zeroed(1, sizeof *a);
    if (!a)
        return error_no_memory(error, sizeof *a);
    mien_status status = load_classifier(options, a, error);
    if (!status && !shared)
        status = finder_create(options, &a->own, error);
    if (status) {
        mien_analyzer_destroy(&a);
        return status;
    }
    a->finder = shared ? shared : a->own;
    *analyzer = a;
    return MIEN_OK;
}

mien_status mien_analyzer_create(const mien_analyzer_options *options, mien_analyzer **analyzer, mien_error *error)
{
    if (!analyzer)
        return error_set(error, MIEN_EINVAL, "there is nowhere to put the analyser");
    return analyzer_create_with(options, NULL, analyzer, error);
}

void mien_analyzer_destroy(mien_analyzer **analyzer)
{
    if (!analyzer || !*analyzer)
        return;
    finder_destroy(&(*analyzer)->own);
    classifier_destroy(&(*analyzer)->classifier);
    memory_free(*analyzer);
    *analyzer = NULL;
}

const finder *analyzer_finder(const mien_analyzer *analyzer)
{
    return analyzer->finder;
}

const classifier *analyzer_classifier(const mien_analyzer *analyzer)
{
    return analyzer->classifier;
}

nn_precision analyzer_precision(const mien_analyzer *analyzer)
{
    return analyzer->precision;
}

uint64_t analyzer_parameters(const mien_analyzer *analyzer)
{
    return analyzer->parameters;
}

mien_status session_create_with(mien_analyzer *analyzer, finder_session *shared, mien_session **session,
                                mien_error *error)
{
    mien_session *s = memory_zeroed(1, sizeof *s);
    if (!s)
        return error_no_memory(error, sizeof *s);
    s->analyzer = analyzer;
    mien_status status = shared ? MIEN_OK : finder_session_create(analyzer->finder, &s->own, error);
    s->finder = shared ? shared : s->own;
    if (!status)
        status = classifier_session_create(analyzer->classifier, finder_workspace(s->finder), &s->classifier, error);
    if (status) {
        mien_session_destroy(&s);
        return status;
    }
    *session = s;
    return MIEN_OK;
}

mien_status mien_session_create(mien_analyzer *analyzer, mien_session **session, mien_error *error)
{
    if (!analyzer || !session)
        return error_set(error, MIEN_EINVAL, "a session needs an analyser, and somewhere to be put");
    return session_create_with(analyzer, NULL, session, error);
}

void mien_session_destroy(mien_session **session)
{
    if (!session || !*session)
        return;
    finder_session_destroy(&(*session)->own);
    classifier_session_destroy(&(*session)->classifier);
    memory_free(*session);
    *session = NULL;
}

mien_status session_check_call(const mien_session *session, const void *result, mien_error *error)
{
    if (!session || !result)
        return error_set(error, MIEN_EINVAL, "an analysis needs a session, and somewhere to put its result");
    return MIEN_OK;
}

mien_status session_check_options(const mien_session *session, const mien_analyze_options *options, mien_error *error)
{
    if (!mien_preset_name(options->preset))
        return error_set(error, MIEN_EINVAL, "preset %d does not exist", (int)options->preset);
    if (!(options->min_confidence >= 0 && options->min_confidence <= 1))
        return error_set(error, MIEN_EINVAL, "min_confidence: %g is not within 0..1", (double)options->min_confidence);
    if (options->scale_factor != 0 && !(options->scale_factor > 1 && options->scale_factor <= 10))
        return error_set(error, MIEN_EINVAL, "scale_factor: %g is not above 1 and at most 10", options->scale_factor);
    if (!(options->min_score >= 0 && options->min_score <= 1))
        return error_set(error, MIEN_EINVAL, "min_score: %g is not within 0..1", (double)options->min_score);
    if (options->min_face < 0)
        return error_set(error, MIEN_EINVAL, "min_face: %d is negative", (int)options->min_face);
    return finder_check(session->finder, options, error);
}

mien_status session_check_view(const mien_image_view *view, mien_error *error)
{
    if (!view || !view->data || !view->width || !view->height)
        return error_set(error, MIEN_EINVAL, "the picture is empty");
    size_t row, all, bytes = mien_pixel_bytes(view->format);
    if (!bytes)
        return error_set(error, MIEN_EINVAL, "pixel format %d does not exist", (int)view->format);
    if (view->width > INT32_MAX / 8 || view->height > INT32_MAX / 8)
        return error_set(error, MIEN_ELIMIT, "%zu × %zu is too large", view->width, view->height);
    if (!memory_multiply(view->width, bytes, &row) || view->stride < row)
        return error_set(error, MIEN_EINVAL, "stride %zu is less than a row of %zu bytes", view->stride, row);
    if (!memory_multiply(view->stride, view->height, &all)) /* a negative one, rows bottom to top */
        return error_set(error, MIEN_EINVAL, "stride %zu: no picture has such rows", view->stride);
    return MIEN_OK;
}

/* A picture as it is looked at: perhaps smaller than the one that was sent, in whose pixels the result speaks. */
typedef struct looked_at {
    const mien_image_view *view;
    image_full_size full;
} looked_at;

static double times_smaller(const looked_at *picture)
{
    return (double)picture->full.width / (double)picture->view->width;
}

/* Edges rather than sides, so that neighbours stay neighbours and nothing leaves the picture. */
static mien_rect full_box(const looked_at *picture, const mien_rect *box)
{
    double across = times_smaller(picture), down = (double)picture->full.height / (double)picture->view->height;
    int32_t left = (int32_t)lrint(box->x * across), right = (int32_t)lrint((box->x + box->width) * across);
    int32_t top = (int32_t)lrint(box->y * down), bottom = (int32_t)lrint((box->y + box->height) * down);
    return (mien_rect){left, top, right - left, bottom - top};
}

static mien_status classify_faces(mien_session *session, const looked_at *picture, const mien_analyze_options *options,
                                  const finder_faces *found, mien_face *faces, size_t *count, mien_error *error)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        const mien_rect *box = &found->faces[i].box;
        classifier_box wanted = {(float)box->x, (float)box->y, (float)box->width, (float)box->height};
        if (!found->exact_crop)
            wanted = classifier_crop_box(&found->crop, &wanted);
        classifier_answer answer;
        mien_status status = classifier_run(session->classifier, picture->view, (float)times_smaller(picture), &wanted,
                                            found->exact_crop, &answer, error);
        if (status)
            return status;
        if (answer.confidence < options->min_confidence)
            continue;
        mien_face *face = &faces[kept++];
        *face = (mien_face){.box = full_box(picture, box),
                            .score = found->faces[i].score,
                            .emotion = answer.emotion,
                            .confidence = answer.confidence,
                            .uncertain = answer.uncertain,
                            .quality = answer.quality};
        memcpy(face->probabilities, answer.probabilities, sizeof face->probabilities);
    }
    *count = kept;
    return MIEN_OK;
}

/* `started` and `decoded` in milliseconds; the result replaces the caller's only when everything went well. */
static mien_status analyze(mien_session *session, const looked_at *picture, const mien_analyze_options *options,
                           double started, double decoded, mien_result *result, mien_error *error)
{
    finder_faces found = {0};
    mien_status status = finder_run(session->finder, picture->view, options, &found, error);
    if (status)
        return status;
    double searched = clock_monotonic_ms();
    mien_face *faces = memory_zeroed(found.count, sizeof *faces);
    if (!faces)
        return error_no_memory(error, found.count * sizeof *faces);
    size_t count = 0;
    status = classify_faces(session, picture, options, &found, faces, &count, error);
    if (status) {
        memory_free(faces);
        return status;
    }
    double ended = clock_monotonic_ms();
    memory_free(result->faces);
    *result = (mien_result){
        .width = picture->full.width,
        .height = picture->full.height,
        .faces = faces,
        .face_count = count,
        .raw_count = found.raw_count,
        .stage = found.stage,
        .timing = {decoded - started, searched - decoded, ended - searched, ended - started},
    };
    return MIEN_OK;
}

mien_status mien_analyze_view(mien_session *session, const mien_image_view *view, const mien_analyze_options *options,
                              mien_result *result, mien_error *error)
{
    mien_analyze_options defaults;
    mien_analyze_default_options(&defaults);
    if (!options)
        options = &defaults;
    mien_status status = session_check_call(session, result, error);
    if (!status)
        status = session_check_options(session, options, error);
    if (!status)
        status = session_check_view(view, error);
    if (status)
        return status;
    double started = clock_monotonic_ms();
    looked_at picture = {view, {view->width, view->height}};
    status = analyze(session, &picture, options, started, started, result, error);
    finder_trim(session->finder);
    return status;
}

/* How much smaller than it is a picture may be decoded: no face that counts becomes smaller than the emotion model's
 * input. The older systems' presets look at every pixel, and so does a caller who knows where the faces are. */
static image_wish shrink_wish(const mien_session *session, const mien_analyze_options *options)
{
    const model_input *input = &classifier_info(session->analyzer->classifier)->input;
    size_t side = (size_t)(input->width > input->height ? input->width : input->height);
    if (options->preset != MIEN_PRESET_DEFAULT || options->face_boxes || options->regions)
        return (image_wish){0};
    return (image_wish){.least_side = (size_t)ceil((double)side / finder_least_share()),
                        .least_detail = (size_t)options->min_face,
                        .least_detail_seen = side};
}

/* From what decoding needs to what the caller is asked for. */
typedef struct reservation {
    const mien_session *session;
    const mien_analyze_options *options;
} reservation;

static mien_status reserve(void *context, const image_need *need, mien_error *error)
{
    const reservation *r = context;
    uint64_t searching = need->kept + finder_search_bytes(r->session->finder, need->width, need->height, r->options);
    uint64_t bytes = searching > need->reading ? searching : need->reading;
    return r->options->reserve(r->options->reserve_context, bytes, error);
}

mien_status session_decode(const mien_session *session, const void *bytes, size_t length,
                           const mien_analyze_options *options, bool shrink, mien_image *picture, image_full_size *full,
                           mien_error *error)
{
    mien_decode_options decode;
    mien_decode_default_options(&decode);
    decode.limits = options->limits;
    decode.format = MIEN_PIXEL_BGR8;
    reservation asked = {session, options};
    image_wish wish = shrink ? shrink_wish(session, options) : (image_wish){0};
    wish.ask = options->reserve ? reserve : NULL;
    wish.context = &asked;
    return image_decode(bytes, length, &decode, &wish, picture, full, error);
}

mien_status mien_analyze_bytes(mien_session *session, const void *bytes, size_t length,
                               const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    mien_analyze_options defaults;
    mien_analyze_default_options(&defaults);
    if (!options)
        options = &defaults;
    mien_status status = session_check_call(session, result, error);
    if (!status)
        status = session_check_options(session, options, error);
    if (status)
        return status;
    double started = clock_monotonic_ms();
    mien_image image = {0};
    image_full_size full;
    status = session_decode(session, bytes, length, options, true, &image, &full, error);
    if (status)
        return status;
    double decoded = clock_monotonic_ms();
    mien_image_view view = mien_image_as_view(&image);
    looked_at picture = {&view, full};
    mien_analyze_options wanted = *options;
    if (wanted.min_face > 0)
        wanted.min_face = (int32_t)fmax(wanted.min_face / times_smaller(&picture), 1);
    status = analyze(session, &picture, &wanted, started, decoded, result, error);
    mien_image_done(&image);
    finder_trim(session->finder);
    return status;
}

mien_status session_grey(mien_session *session, const mien_image_view *picture, mien_image_view *grey,
                         mien_error *error)
{
    return finder_grey(session->finder, picture, grey, error);
}

bool session_prefers_whole(const mien_session *session, size_t width, size_t height,
                           const mien_analyze_options *options)
{
    return finder_prefers_whole(session->finder, width, height, options);
}
