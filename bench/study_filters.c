/* What each stage of the older systems' false-positive filters removes, rightly and wrongly, on annotated pictures.
 *   study_filters DETECTOR.onnx|"" ANNOTATIONS.csv IMAGES [EVERY]
 *
 * The boxes of each way of searching are judged once as they are (right, wrong, or neither: an ignored or a small
 * face). Then each stage is applied to them alone, and all of them together; what is gone is counted by its judgement.
 * Stages: neo's limits of shape, size and contrast, its suppression and its limit of three faces, and history-api's
 * suppression. The neo and history-api presets are searched as their systems do, before their own filters.
 */
#include <string.h>

#include "base/memory.h"
#include "detect/filter.h"
#include "image/convert.h"
#include "pipeline/finder.h"
#include "prep/prep.h"
#include "study.h"

typedef enum stage {
    STAGE_SHAPE = 0,
    STAGE_SMALL,
    STAGE_LARGE,
    STAGE_CONTRAST,
    STAGE_SUPPRESS,
    STAGE_THREE,
    STAGE_NEO,
    STAGE_BOTTOM,
    STAGE_COUNT
} stage;

static const char *const stage_names[STAGE_COUNT] = {"width ÷ height within 0.6…1.4",
                                                     "sides at least 30",
                                                     "sides at most 300",
                                                     "variance at least 100",
                                                     "suppression, 0.3 covered",
                                                     "three faces",
                                                     "all of neo's (as served)",
                                                     "history-api: suppression at IoU 0.3"};

enum { WAY_CASCADE = 0, WAY_EQUALISED, WAY_CLAHE, WAY_NETWORK, WAY_COUNT };
static const char *const way_names[WAY_COUNT] = {"cascade 1.1 / 5 (faceml)", "cascade 1.1 / 4, equalised (neo)",
                                                 "cascade 1.1 / 5, CLAHE (history-api's second pass)",
                                                 "network of the default preset"};

typedef struct tally {
    size_t right, wrong;
} tally;

typedef struct way {
    tally found, removed[STAGE_COUNT];
    size_t faces;
} way;

typedef struct study {
    finder *finder, *cascade;
    finder_session *session, *cascade_session;
    way ways[WAY_COUNT];
} study;

/* Everything off but one. */
static filter_options stage_options(stage which)
{
    filter_options all, one = {.max_aspect = 1e9f, .overlap = 1e9f, .min_variance = -1};
    filter_default_options(&all);
    switch (which) {
    case STAGE_SHAPE:
        one.min_aspect = all.min_aspect;
        one.max_aspect = all.max_aspect;
        break;
    case STAGE_SMALL:
        one.min_side = all.min_side;
        break;
    case STAGE_LARGE:
        one.max_side = all.max_side;
        break;
    case STAGE_CONTRAST:
        one.min_variance = all.min_variance;
        break;
    case STAGE_SUPPRESS:
        one.overlap = all.overlap;
        break;
    case STAGE_THREE:
        one.most = all.most;
        break;
    default:
        return all;
    }
    return one;
}

static bool same_box(const mien_rect *a, const mien_rect *b)
{
    return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height;
}

/* Count what a stage removed; `boxes` are as they were found, `kept` what is left. */
static void count_removed(const finder_faces *boxes, const int8_t *hits, const detect_faces *kept, tally *removed)
{
    for (size_t i = 0; i < boxes->count; i++) {
        bool there = false;
        for (size_t k = 0; k < kept->count && !there; k++)
            there = same_box(&kept->data[k].box, &boxes->faces[i].box);
        removed->right += !there && hits[i] > 0;
        removed->wrong += !there && hits[i] < 0;
    }
}

static mien_status try_stages(way *w, const mien_image_view *grey, const finder_faces *boxes, const int8_t *hits,
                              mien_error *error)
{
    mien_status status = MIEN_OK;
    for (int which = 0; which < STAGE_COUNT && !status; which++) {
        detect_faces faces = {0};
        filter_options options = stage_options((stage)which);
        for (size_t i = 0; i < boxes->count && !status; i++)
            status = detect_faces_add(&faces, &boxes->faces[i], error);
        if (which == STAGE_BOTTOM)
            filter_suppress_by_bottom(&faces, 0.3f);
        else
            filter_false_positives(grey, &options, &faces);
        if (!status)
            count_removed(boxes, hits, &faces, &w->removed[which]);
        detect_faces_done(&faces);
    }
    return status;
}

static mien_status judge(way *w, const mien_image_view *grey, const finder_faces *boxes, const face_truth *truths,
                         size_t truth_count, mien_error *error)
{
    face_metrics metrics = {0};
    face_figures figures;
    face_answer *answers = memory_zeroed(boxes->count, sizeof *answers);
    int8_t *hits = memory_zeroed(boxes->count, sizeof *hits);
    for (size_t i = 0; answers && i < boxes->count; i++) {
        const mien_rect *box = &boxes->faces[i].box;
        answers[i] =
            (face_answer){{(float)box->x, (float)box->y, (float)box->width, (float)box->height}, boxes->faces[i].score};
    }
    mien_status status = answers && hits
                             ? face_metrics_add(&metrics, truths, truth_count, answers, boxes->count, hits, error)
                             : MIEN_ENOMEM;
    for (size_t i = 0; i < boxes->count && !status; i++) {
        w->found.right += hits[i] > 0;
        w->found.wrong += hits[i] < 0;
    }
    face_metrics_compute(&metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, &figures);
    w->faces += figures.truths;
    if (!status)
        status = try_stages(w, grey, boxes, hits, error);
    face_metrics_done(&metrics);
    memory_free(answers);
    memory_free(hits);
    return status;
}

/* The picture that each way searches; neo's and history-api's systems prepare it. */
static mien_status prepare(int which, const mien_image *grey, mien_image *out, mien_error *error)
{
    mien_image_view view = mien_image_as_view(grey), made = mien_image_as_view(out);
    if (which == WAY_CLAHE)
        return prep_clahe(&view, out, 2.0, 8, 8, error);
    if (which != WAY_EQUALISED)
        return image_convert(&view, out, error);
    mien_status status = prep_gaussian(&view, out, 3, 0, error);
    return status ? status : prep_equalise(&made, out, error);
}

static mien_status search(study *s, int which, const mien_image *picture, const mien_image *prepared,
                          const face_truth *truths, size_t truth_count, mien_error *error)
{
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    mien_image_view view = mien_image_as_view(which == WAY_NETWORK ? picture : prepared);
    mien_image_view grey = mien_image_as_view(prepared);
    finder_faces found;
    options.preset = which == WAY_NETWORK ? MIEN_PRESET_DEFAULT : MIEN_PRESET_FACEML; /* a cascade without filters */
    options.min_neighbors = which == WAY_EQUALISED ? 4 : 5;
    options.min_face = which == WAY_NETWORK ? 0 : 30;
    mien_status status =
        finder_run(which == WAY_NETWORK ? s->session : s->cascade_session, &view, &options, &found, error);
    return status ? status : judge(&s->ways[which], &grey, &found, truths, truth_count, error);
}

static mien_status visit(void *context, const mien_image *picture, const face_truth *truths, size_t count,
                         mien_error *error)
{
    study *s = context;
    mien_image grey = {0}, prepared = {0};
    mien_image_view view = mien_image_as_view(picture);
    mien_status status = mien_image_init(&grey, picture->width, picture->height, MIEN_PIXEL_GREY8, error);
    if (!status)
        status = mien_image_init(&prepared, picture->width, picture->height, MIEN_PIXEL_GREY8, error);
    if (!status)
        status = image_convert(&view, &grey, error);
    for (int which = 0; which < WAY_COUNT && !status; which++) {
        status = prepare(which, &grey, &prepared, error);
        if (!status)
            status = search(s, which, picture, &prepared, truths, count, error);
    }
    mien_image_done(&grey);
    mien_image_done(&prepared);
    return status;
}

static void print_way(const char *name, const way *w)
{
    size_t all = w->found.right + w->found.wrong;
    printf("\n%s: %zu faces of 32 px and more, %zu right, %zu wrong; recall %.3f, precision %.3f\n\n"
           "| stage | removed wrong ones | removed right ones | recall | precision |\n|---|---|---|---|---|\n",
           name, w->faces, w->found.right, w->found.wrong, (double)w->found.right / (double)(w->faces + !w->faces),
           (double)w->found.right / (double)(all + !all));
    for (int i = 0; i < STAGE_COUNT; i++) {
        const tally *gone = &w->removed[i];
        size_t right = w->found.right - gone->right, left = right + w->found.wrong - gone->wrong;
        printf("| %s | %zu | %zu | %.3f | %.3f |\n", stage_names[i], gone->wrong, gone->right,
               (double)right / (double)(w->faces + !w->faces), (double)right / (double)(left + !left));
    }
}

int main(int count, char **arguments)
{
    static study s;
    mien_error error = {0};
    mien_analyzer_options options;
    if (count < 4) {
        fprintf(stderr, "usage: study_filters DETECTOR.onnx|\"\" ANNOTATIONS.csv IMAGES [EVERY]\n");
        return 2;
    }
    size_t every = count > 4 ? strtoul(arguments[4], NULL, 10) : 1;
    mien_analyzer_default_options(&options);
    mien_status status = finder_create(&options, &s.cascade, &error);
    options.detector_path = *arguments[1] ? arguments[1] : NULL;
    if (!status)
        status = finder_create(&options, &s.finder, &error);
    if (!status)
        status = finder_session_create(s.cascade, &s.cascade_session, &error);
    if (!status)
        status = finder_session_create(s.finder, &s.session, &error);
    if (!status)
        status = study_pictures(arguments[2], arguments[3], every ? every : 1, visit, &s, &error);
    for (int which = 0; which < WAY_COUNT && !status; which++)
        print_way(way_names[which], &s.ways[which]);
    finder_session_destroy(&s.session);
    finder_session_destroy(&s.cascade_session);
    finder_destroy(&s.finder);
    finder_destroy(&s.cascade);
    if (status)
        fprintf(stderr, "study_filters: %s\n", error.message);
    return status ? 1 : 0;
}
