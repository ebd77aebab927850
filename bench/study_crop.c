/* Which square, seen from a face detector's box, an emotion network trained on FER-2013 expects.
 *   study_crop DETECTOR.onnx ANNOTATIONS.csv IMAGES FER2013.csv[.xz] [EVERY]
 *
 * Four looks at the question. (1) The same faces found by the detector and by the frontal cascade that FER-2013 was cut
 * with: where the cascade's square lies, seen from the detector's box. (2) FER-2013's own pictures shown to the
 * detector: where the picture lies, seen from the box. (3) What the emotion network says to squares of other sizes and
 * places: confidence, and whether it says the same of the mirror image. (4) How much of its accuracy on FER-2013 a
 * square that is off costs. And (5) how far the detector's box jitters, which is what training should shift and zoom
 * by.
 */
#include <string.h>

#include "base/memory.h"
#include "emotion/classifier.h"
#include "pipeline/finder.h"
#include "pipeline/session.h"
#include "prep/crop.h"
#include "study.h"
#include "train/dataset.h"

enum {
    LEAST_FACE = 48,
    FER_SIDE = 48,
    FER_SHOWN = 96,
    FER_CANVAS = 160,
    FER_EVERY = 6,
    SCALES = 6,
    SHIFTS = 3,
    PLACES = 3
};

static const float scales[SCALES] = {0.8f, 0.9f, 1, 1.1f, 1.2f, 1.35f};
static const float shifts[SHIFTS] = {-0.08f, 0, 0.08f};
static const char *const place_names[PLACES] = {"32-64", "64-128", "128+"};

typedef struct cell {
    study_sum confidence, steady;
} cell;

/* What the square would be, measured by each of four sides of the box. */
typedef struct relation {
    study_sum log_scale[4], x, y;
} relation;

typedef struct study {
    finder *finder, *cascade;
    finder_session *session, *cascade_session;
    mien_analyzer *analyzer;
    classifier_session *classifier;
    relation from_cascade, from_fer, truth_cascade;
    study_sum jitter_x[PLACES], jitter_y[PLACES], jitter_width[PLACES], jitter_height[PLACES], jitter_longer[PLACES];
    cell cells[SCALES][SHIFTS];
    cell tall[2]; /* the box itself, and the square that the detector states */
} study;

static float box_side(const classifier_box *box, int which)
{
    return which == 0   ? fmaxf(box->width, box->height)
           : which == 1 ? box->width
           : which == 2 ? box->height
                        : sqrtf(box->width * box->height);
}

static void relate(relation *r, const classifier_box *square, const classifier_box *box)
{
    for (int i = 0; i < 4; i++)
        study_add(&r->log_scale[i], log((double)(square->width / box_side(box, i))));
    study_add(&r->x, (double)((square->x + square->width / 2 - box->x - box->width / 2) / square->width));
    study_add(&r->y, (double)((square->y + square->height / 2 - box->y - box->height / 2) / square->height));
}

static void print_relation(const char *title, const relation *r)
{
    static const char *const names[] = {"longer side", "width", "height", "root of the area"};
    printf("\n%s (%zu faces)\n\n| side of the square as a multiple of the box's | scale | deviation of its logarithm "
           "|\n|---|---|---|\n",
           title, r->x.count);
    for (int i = 0; i < 4; i++)
        printf("| %s | %.3f | %.3f |\n", names[i], exp(study_mean(&r->log_scale[i])),
               study_deviation(&r->log_scale[i]));
    printf("\ncentre moved by %+.3f across (deviation %.3f) and %+.3f down (%.3f), shares of the square's side\n",
           study_mean(&r->x), study_deviation(&r->x), study_mean(&r->y), study_deviation(&r->y));
}

static float overlap(const classifier_box *a, const classifier_box *b)
{
    face_box first = {a->x, a->y, a->width, a->height}, second = {b->x, b->y, b->width, b->height};
    return face_overlap_of(&first, &second);
}

static classifier_box box_of(const mien_rect *rect)
{
    return (classifier_box){(float)rect->x, (float)rect->y, (float)rect->width, (float)rect->height};
}

static void note_jitter(study *s, const classifier_box *box, const classifier_box *truth)
{
    float side = fmaxf(truth->width, truth->height), size = sqrtf(truth->width * truth->height);
    int place = size < 64 ? 0 : size < 128 ? 1 : 2;
    study_add(&s->jitter_x[place], (double)((box->x + box->width / 2 - truth->x - truth->width / 2) / side));
    study_add(&s->jitter_y[place], (double)((box->y + box->height / 2 - truth->y - truth->height / 2) / side));
    study_add(&s->jitter_width[place], log((double)(box->width / truth->width)));
    study_add(&s->jitter_height[place], log((double)(box->height / truth->height)));
    study_add(&s->jitter_longer[place], log((double)(box_side(box, 0) / side)));
}

static mien_status note_answer(study *s, const mien_image_view *view, const mien_image_view *mirrored,
                               const classifier_box *crop, cell *cell, mien_error *error)
{
    classifier_answer answer, other;
    classifier_box across = *crop;
    across.x = (float)view->width - crop->x - crop->width;
    mien_status status = classifier_run(s->classifier, view, 1, crop, true, &answer, error);
    if (!status)
        status = classifier_run(s->classifier, mirrored, 1, &across, true, &other, error);
    if (status)
        return status;
    study_add(&cell->confidence, (double)answer.confidence);
    study_add(&cell->steady, answer.emotion == other.emotion);
    return MIEN_OK;
}

/* One face, asked about in every square of the grid. */
static mien_status try_squares(study *s, const mien_image_view *view, const mien_image_view *mirrored,
                               const classifier_box *box, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (int i = 0; i < SCALES && !status; i++)
        for (int k = 0; k < SHIFTS && !status; k++) {
            model_crop crop = {scales[i], 0, shifts[k], true};
            classifier_box square = classifier_crop_box(&crop, box);
            status = note_answer(s, view, mirrored, &square, &s->cells[i][k], error);
        }
    if (!status)
        status = note_answer(s, view, mirrored, box, &s->tall[0], error);
    model_crop own = detector_crop(finder_detector(s->finder));
    classifier_box square = classifier_crop_box(&own, box);
    return status ? status : note_answer(s, view, mirrored, &square, &s->tall[1], error);
}

static mien_status mirror(const mien_image_view *view, mien_image *out, mien_error *error)
{
    size_t bytes = mien_pixel_bytes(view->format);
    mien_status status = mien_image_init(out, view->width, view->height, view->format, error);
    for (size_t y = 0; !status && y < view->height; y++)
        for (size_t x = 0; x < view->width; x++)
            memcpy(out->data + y * out->stride + (view->width - 1 - x) * bytes,
                   view->data + y * view->stride + x * bytes, bytes);
    return status;
}

/* The annotated face that a box finds, or NULL. */
static const face_truth *truth_of(const classifier_box *box, const face_truth *truths, size_t count)
{
    for (size_t t = 0; t < count; t++) {
        classifier_box truth = {truths[t].box.x, truths[t].box.y, truths[t].box.width, truths[t].box.height};
        if (!truths[t].ignore && overlap(box, &truth) >= 0.4f)
            return &truths[t];
    }
    return NULL;
}

static mien_status look(finder_session *session, const mien_image_view *view, mien_preset preset, int32_t least,
                        finder_faces *found, mien_error *error)
{
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.preset = preset;
    options.min_face = least;
    return finder_run(session, view, &options, found, error);
}

static mien_status visit_face(study *s, const mien_image_view *view, const mien_image_view *mirrored,
                              const classifier_box *box, const face_truth *found, const finder_faces *squares,
                              mien_error *error)
{
    classifier_box truth = {found->box.x, found->box.y, found->box.width, found->box.height};
    note_jitter(s, box, &truth);
    if (fmaxf(box->width, box->height) < LEAST_FACE)
        return MIEN_OK;
    for (size_t k = 0; k < squares->count; k++) {
        classifier_box square = box_of(&squares->faces[k].box);
        if (overlap(box, &square) < 0.3f)
            continue;
        relate(&s->from_cascade, &square, box);
        relate(&s->truth_cascade, &square, &truth);
        break;
    }
    return try_squares(s, view, mirrored, box, error);
}

static mien_status visit(void *context, const mien_image *picture, const face_truth *truths, size_t count,
                         mien_error *error)
{
    study *s = context;
    mien_image_view view = mien_image_as_view(picture);
    mien_image other = {0};
    finder_faces found, squares;
    mien_status status = look(s->session, &view, MIEN_PRESET_DEFAULT, 0, &found, error);
    if (!status)
        status = look(s->cascade_session, &view, MIEN_PRESET_FACEML, LEAST_FACE - 8, &squares, error);
    if (!status)
        status = mirror(&view, &other, error);
    mien_image_view mirrored = mien_image_as_view(&other);
    for (size_t i = 0; i < found.count && !status; i++) {
        classifier_box box = box_of(&found.faces[i].box);
        const face_truth *truth = truth_of(&box, truths, count);
        if (truth)
            status = visit_face(s, &view, &mirrored, &box, truth, &squares, error);
    }
    mien_image_done(&other);
    return status;
}

/* FER-2013's picture, twice as large, in the middle of a canvas over which its edges are drawn out. */
static mien_status show_to_detector(study *s, const mien_image_view *face, mien_error *error)
{
    static float grey[FER_CANVAS * FER_CANVAS];
    static uint8_t pixels[FER_CANVAS * FER_CANVAS];
    const float side = FER_SIDE * (float)FER_CANVAS / FER_SHOWN, begin = (FER_SIDE - side) / 2;
    const float at = (FER_CANVAS - FER_SHOWN) / 2.0f;
    prep_crop crop = prep_crop_default(face);
    crop.x = crop.y = begin;
    crop.width = crop.height = side;
    crop.scale[0] = 1;
    mien_status status = prep_crop_resize(face, &crop, FER_CANVAS, FER_CANVAS, grey, error);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)lrintf(fminf(fmaxf(grey[i], 0), 255));
    mien_image_view view = {pixels, FER_CANVAS, FER_CANVAS, FER_CANVAS, MIEN_PIXEL_GREY8};
    finder_faces found;
    if (!status)
        status = look(s->session, &view, MIEN_PRESET_DEFAULT, 24, &found, error);
    if (!status && found.count == 1) {
        classifier_box box = box_of(&found.faces[0].box), square = {at, at, FER_SHOWN, FER_SHOWN};
        relate(&s->from_fer, &square, &box);
    }
    return status;
}

typedef struct offence {
    const char *name;
    float width, height, x, y; /* of the square, as shares of the picture's side */
} offence;

static mien_status measure_offence(study *s, const dataset *data, const size_t *rows, size_t count, const offence *o,
                                   mien_error *error)
{
    size_t right = 0, asked = 0;
    study_sum confidence = {0};
    for (size_t i = 0; i < count; i += FER_EVERY, asked++) {
        const uint8_t *pixels = data->pixels + rows[i] * FER_SIDE * FER_SIDE;
        mien_image_view view = {pixels, FER_SIDE, FER_SIDE, FER_SIDE, MIEN_PIXEL_GREY8};
        classifier_box box = {FER_SIDE * (0.5f + o->x - o->width / 2), FER_SIDE * (0.5f + o->y - o->height / 2),
                              FER_SIDE * o->width, FER_SIDE * o->height};
        classifier_answer answer;
        mien_status status = classifier_run(s->classifier, &view, 1, &box, true, &answer, error);
        if (status)
            return status;
        right += answer.emotion == (mien_emotion)data->labels[rows[i]];
        study_add(&confidence, (double)answer.confidence);
    }
    printf("| %s | %.3f | %.3f |\n", o->name, (double)right / (double)(asked ? asked : 1), study_mean(&confidence));
    return MIEN_OK;
}

static mien_status measure_fer(study *s, const char *path, mien_error *error)
{
    static const offence offences[] = {
        {"as it is", 1, 1, 0, 0},
        {"0.70 of it (zoomed in)", 0.7f, 0.7f, 0, 0},
        {"0.80", 0.8f, 0.8f, 0, 0},
        {"0.90", 0.9f, 0.9f, 0, 0},
        {"0.95", 0.95f, 0.95f, 0, 0},
        {"1.05 (zoomed out, edges drawn out)", 1.05f, 1.05f, 0, 0},
        {"1.10", 1.1f, 1.1f, 0, 0},
        {"1.20", 1.2f, 1.2f, 0, 0},
        {"1.30", 1.3f, 1.3f, 0, 0},
        {"0.05 to the right", 1, 1, 0.05f, 0},
        {"0.10 to the right", 1, 1, 0.1f, 0},
        {"0.05 up", 1, 1, 0, -0.05f},
        {"0.10 up", 1, 1, 0, -0.1f},
        {"0.15 up", 1, 1, 0, -0.15f},
        {"0.05 down", 1, 1, 0, 0.05f},
        {"0.10 down", 1, 1, 0, 0.1f},
        {"0.15 down", 1, 1, 0, 0.15f},
        {"tall: 0.80 × 1 made square", 0.8f, 1, 0, 0},
        {"wide: 1 × 0.80 made square", 1, 0.8f, 0, 0},
    };
    dataset data = {0};
    size_t *rows = NULL, count = 0;
    mien_status status = dataset_read(path, NULL, &data, error);
    if (!status)
        status = dataset_rows(&data, "PublicTest", false, &rows, &count, error);
    for (size_t i = 0; i < count && !status; i += FER_EVERY) {
        mien_image_view face = {data.pixels + rows[i] * FER_SIDE * FER_SIDE, FER_SIDE, FER_SIDE, FER_SIDE,
                                MIEN_PIXEL_GREY8};
        status = show_to_detector(s, &face, error);
    }
    if (!status)
        print_relation("Where FER-2013's picture lies, seen from the detector's box", &s->from_fer);
    printf(
        "\nFER-2013's PublicTest in other squares (%zu pictures)\n\n| square | top-1 | confidence |\n|---|---|---|\n",
        (count + FER_EVERY - 1) / FER_EVERY);
    for (size_t i = 0; i < sizeof offences / sizeof *offences && !status; i++)
        status = measure_offence(s, &data, rows, count, &offences[i], error);
    memory_free(rows);
    dataset_done(&data);
    return status;
}

static void print_cells(const study *s)
{
    printf("\nConfidence of the emotion network, and share of faces whose mirror image is told the same (%zu faces)\n\n"
           "| side ÷ longer side | ",
           s->cells[0][0].confidence.count);
    for (int k = 0; k < SHIFTS; k++)
        printf("%+.2f down | ", (double)shifts[k]);
    printf("\n|---|---|---|---|\n");
    for (int i = 0; i < SCALES; i++) {
        printf("| %.2f | ", (double)scales[i]);
        for (int k = 0; k < SHIFTS; k++)
            printf("%.3f, %.3f | ", study_mean(&s->cells[i][k].confidence), study_mean(&s->cells[i][k].steady));
        printf("\n");
    }
    printf("\nthe box itself, made square: %.3f, %.3f; the square that the detector states: %.3f, %.3f\n",
           study_mean(&s->tall[0].confidence), study_mean(&s->tall[0].steady), study_mean(&s->tall[1].confidence),
           study_mean(&s->tall[1].steady));
}

static void print_jitter(const study *s)
{
    printf("\nThe detector's box against the annotated one: mean and deviation, shares of the longer side; sizes as "
           "logarithms\n\n| size | faces | across | down | width | height | longer side "
           "|\n|---|---|---|---|---|---|---|\n");
    for (int p = 0; p < PLACES; p++) {
        const study_sum *all[] = {&s->jitter_x[p], &s->jitter_y[p], &s->jitter_width[p], &s->jitter_height[p],
                                  &s->jitter_longer[p]};
        printf("| %s | %zu |", place_names[p], s->jitter_x[p].count);
        for (int i = 0; i < 5; i++)
            printf(" %+.3f ± %.3f |", study_mean(all[i]), study_deviation(all[i]));
        printf("\n");
    }
}

static mien_status open_study(study *s, const char *detector, mien_error *error)
{
    mien_analyzer_options options;
    mien_analyzer_default_options(&options);
    mien_status status = finder_create(&options, &s->cascade, error);
    if (!status)
        status = finder_session_create(s->cascade, &s->cascade_session, error);
    options.detector_path = *detector ? detector : NULL;
    options.precision = MIEN_PRECISION_INT8; /* differs in the third digit, takes a third of the time */
    if (!status)
        status = finder_create(&options, &s->finder, error);
    if (!status)
        status = finder_session_create(s->finder, &s->session, error);
    if (!status)
        status = mien_analyzer_create(&options, &s->analyzer, error);
    return status ? status : classifier_session_create(analyzer_classifier(s->analyzer), NULL, &s->classifier, error);
}

static void close_study(study *s)
{
    classifier_session_destroy(&s->classifier);
    mien_analyzer_destroy(&s->analyzer);
    finder_session_destroy(&s->session);
    finder_session_destroy(&s->cascade_session);
    finder_destroy(&s->finder);
    finder_destroy(&s->cascade);
}

int main(int count, char **arguments)
{
    static study s;
    mien_error error = {0};
    if (count < 5) {
        fprintf(stderr, "usage: study_crop DETECTOR.onnx|\"\" ANNOTATIONS.csv IMAGES FER2013.csv|\"\" [EVERY]\n");
        return 2;
    }
    size_t every = count > 5 ? strtoul(arguments[5], NULL, 10) : 1;
    mien_status status = open_study(&s, arguments[1], &error);
    if (!status)
        status = study_pictures(arguments[2], arguments[3], every ? every : 1, visit, &s, &error);
    if (!status) {
        print_relation("The cascade's square, seen from the detector's box", &s.from_cascade);
        print_relation("The cascade's square, seen from the annotated box", &s.truth_cascade);
        print_cells(&s);
        print_jitter(&s);
    }
    if (!status && *arguments[4])
        status = measure_fer(&s, arguments[4], &error);
    close_study(&s);
    if (status)
        fprintf(stderr, "study_crop: %s\n", error.message);
    return status ? 1 : 0;
}
