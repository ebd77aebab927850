/* `mien eval --faces annotations.csv --images DIR`: several detectors over the same annotated pictures, each as the
 * program would use it: a preset, a face network, or the faceml preset with another cascade. Networks are asked for
 * unsure answers too, so that precision-recall curves are whole; what is below their threshold counts there only. */
#include "eval_faces.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "commands.h"
#include "eval_faces_output.h"
#include "pipeline/finder.h"
#include "train/face_annotations.h"

enum { FACES_MOST = 16, FACES_PICTURE_BYTES = 256 << 20, FACES_CALIBRATION = 32 };

static const float faces_least_score = 0.1f; /* of the curves */

typedef struct faces_detector {
    mien_analyzer_options analyzer;
    mien_analyze_options options;
    finder *finder;
    finder_session *session;
} faces_detector;

typedef struct faces_arguments {
    const char *annotations, *images, *mistakes, *report, *calibrate;
    faces_detector detectors[FACES_MOST];
    faces_result results[FACES_MOST];
    size_t count;
    int min_face, threads, every;
    float min_score;
    int precision; /* nn_precision; negative = the model's own */
    bool json;
} faces_arguments;

bool eval_faces_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--faces") || !strncmp(argv[i], "--faces=", 8))
            return true;
    return false;
}

static void faces_print_help(void)
{
    printf(
        "usage: mien eval --faces FILE --images DIR [--preset NAME | --detector FILE | --cascade FILE …] [options]\n\n"
        "  --faces FILE       CSV with the columns file, x, y, width, height and perhaps ignore, a line a face\n"
        "  --images DIR       where the files are\n"
        "  --every N          look at every N-th picture only\n"
        "  --preset NAME      default, neo, faceml or history-api; repeatable\n"
        "  --detector FILE    a face network (.onnx) in the default preset; repeatable\n"
        "  --cascade FILE     a cascade (.xml) in the preset faceml; repeatable\n"
        "  --min-face N       smallest face looked for, pixels (default: the preset's rule)\n"
        "  --min-score S      least score of a network's face (default: the network's own)\n"
        "  --precision P      f32, bf16 or int8 arithmetic of the networks (default: what each says itself)\n"
        "  --threads N        threads for one picture (default 1)\n"
        "  --json             JSON instead of tables: an object per detector\n"
        "  --report FILE      a page with curves and each detector's worst pictures\n"
        "  --mistakes DIR     every picture with missed faces (yellow), false alarms (red) and found ones (green)\n"
        "  --calibrate FILE   instead: write the network with the ranges that int8 needs, found on the pictures\n");
}

static mien_status faces_add_detector(faces_arguments *a, int kind, const char *value, mien_error *error)
{
    if (a->count == FACES_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d detectors", FACES_MOST);
    faces_detector *d = &a->detectors[a->count];
    a->results[a->count].name = value;
    mien_analyzer_default_options(&d->analyzer);
    mien_analyze_default_options(&d->options);
    mien_status status = MIEN_OK;
    if (kind == 'p') {
        status = mien_preset_from_name(value, &d->options.preset, error);
    } else if (kind == 'd') {
        d->analyzer.detector_path = value;
    } else {
        d->analyzer.cascade_path = value;
        d->options.preset = MIEN_PRESET_FACEML;
    }
    a->count += !status;
    return status;
}

static mien_status faces_set_number(const char *name, const char *value, int most, int *number, mien_error *error)
{
    double found;
    if (!number_parse(value, 1, most, &found) || found != floor(found))
        return error_set(error, MIEN_EINVAL, "--%s: '%s' is not a whole number within 1..%d", name, value, most);
    *number = (int)found;
    return MIEN_OK;
}

static mien_status faces_set_score(faces_arguments *a, const char *value, mien_error *error)
{
    double score;
    if (!number_parse(value, 0, 1, &score) || score == 0)
        return error_set(error, MIEN_EINVAL, "--min-score: '%s' is not a number above 0 and at most 1", value);
    a->min_score = (float)score;
    return MIEN_OK;
}

static mien_status faces_set_precision(faces_arguments *a, const char *value, mien_error *error)
{
    nn_precision named;
    if (!nn_precision_from_name(value, &named))
        return error_set(error, MIEN_EINVAL, "--precision: '%s' is none of f32, bf16, int8", value);
    a->precision = (int)named;
    return MIEN_OK;
}

static mien_status faces_set(faces_arguments *a, int kind, const char *value, mien_error *error)
{
    switch (kind) {
    case 'f':
        a->annotations = value;
        return MIEN_OK;
    case 'i':
        a->images = value;
        return MIEN_OK;
    case 'w':
        a->mistakes = value;
        return MIEN_OK;
    case 'r':
        a->report = value;
        return MIEN_OK;
    case 'k':
        a->calibrate = value;
        return MIEN_OK;
    case 'm':
        return faces_set_number("min-face", value, 100000, &a->min_face, error);
    case 'e':
        return faces_set_number("every", value, 1000000, &a->every, error);
    case 't':
        return faces_set_number("threads", value, 64, &a->threads, error);
    case 's':
        return faces_set_score(a, value, error);
    case 'q':
        return faces_set_precision(a, value, error);
    case 'j':
        a->json = true;
        return MIEN_OK;
    default:
        return faces_add_detector(a, kind, value, error);
    }
}

/* Returns -1 to go on, or an exit status. */
static int faces_read_arguments(int argc, char **argv, faces_arguments *a)
{
    static const struct option options[] = {{"faces", 1, NULL, 'f'},     {"images", 1, NULL, 'i'},
                                            {"preset", 1, NULL, 'p'},    {"detector", 1, NULL, 'd'},
                                            {"cascade", 1, NULL, 'c'},   {"min-face", 1, NULL, 'm'},
                                            {"threads", 1, NULL, 't'},   {"mistakes", 1, NULL, 'w'},
                                            {"every", 1, NULL, 'e'},     {"min-score", 1, NULL, 's'},
                                            {"precision", 1, NULL, 'q'}, {"report", 1, NULL, 'r'},
                                            {"calibrate", 1, NULL, 'k'}, {"json", 0, NULL, 'j'},
                                            {"help", 0, NULL, 'h'},      {0}};
    mien_error error = {0};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        /* --faces takes a value, which swallows the --help of somebody who has none yet */
        if (option == 'h' || (option == 'f' && !strcmp(optarg, "--help"))) {
            faces_print_help();
            return EXIT_SUCCESS;
        }
        if (option == '?') {
            fprintf(stderr, "`mien eval --faces --help` lists the options\n");
            return EXIT_USAGE;
        }
        if (faces_set(a, option, optarg, &error)) {
            fprintf(stderr, "mien eval: %s\n", error.message);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !a->annotations || !a->images || (a->calibrate && a->count > 1)) {
        fprintf(stderr, "mien eval: needs --faces and --images (and one detector to calibrate); see "
                        "`mien eval --faces --help`\n");
        return EXIT_USAGE;
    }
    if (!a->count)
        faces_add_detector(a, 'p', "default", &error);
    return -1;
}

static mien_status faces_open(faces_arguments *a, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < a->count && !status; i++) {
        faces_detector *d = &a->detectors[i];
        d->analyzer.threads = a->threads;
        d->options.min_face = a->min_face;
        d->options.min_score = faces_least_score;
        a->results[i].data = a->annotations;
        status = finder_create(&d->analyzer, &d->finder, error);
        if (status)
            return status;
        if (a->precision >= 0)
            finder_use_precision(d->finder, (nn_precision)a->precision);
        float own = detector_min_score(finder_detector(d->finder));
        if (d->options.preset == MIEN_PRESET_DEFAULT && own > 0) /* a cascade's scores are something else */
            a->results[i].metrics.threshold = a->min_score > 0 ? a->min_score : own;
        status = finder_session_create(d->finder, &d->session, error);
    }
    return status;
}

static void faces_close(faces_arguments *a)
{
    for (size_t i = 0; i < a->count; i++) {
        finder_session_destroy(&a->detectors[i].session);
        finder_destroy(&a->detectors[i].finder);
        faces_result_done(&a->results[i]);
    }
}

static mien_status faces_write_mistakes(const faces_arguments *a, size_t index, const face_verdict *verdict,
                                        const mien_image *picture, mien_error *error)
{
    char path[4096], name[1024];
    buffer jpeg;
    if (!face_verdict_mistakes(verdict))
        return MIEN_OK;
    snprintf(name, sizeof name, "%zu_%s", index + 1, verdict->file);
    for (char *at = name; *at; at++)
        *at = *at == '/' ? '_' : *at;
    snprintf(path, sizeof path, "%s/%s.jpg", a->mistakes, name);
    buffer_init(&jpeg, 0);
    mien_status status = face_verdict_draw(verdict, picture, 0, &jpeg, error);
    if (!status)
        status = file_write(path, jpeg.data, jpeg.length, error);
    buffer_done(&jpeg);
    return status;
}

/* What one detector said to one picture is counted, timed, and kept where it is to be shown. */
static mien_status faces_judge(faces_arguments *a, size_t index, face_verdict *verdict, const finder_faces *found,
                               const mien_image *picture, double milliseconds, mien_error *error)
{
    faces_result *result = &a->results[index];
    face_answer *answers = memory_zeroed(found->count, sizeof *answers);
    int8_t *hits = memory_zeroed(found->count, sizeof *hits);
    bool *missed = memory_zeroed(verdict->truth_count, sizeof *missed);
    mien_status status = answers && hits && missed ? MIEN_OK : error_no_memory(error, found->count * sizeof *answers);
    for (size_t i = 0; i < found->count && !status; i++) {
        const mien_rect *box = &found->faces[i].box;
        answers[i] =
            (face_answer){{(float)box->x, (float)box->y, (float)box->width, (float)box->height}, found->faces[i].score};
    }
    if (!status)
        status = face_metrics_add_telling(&result->metrics, verdict->truths, verdict->truth_count, answers,
                                          found->count, hits, missed, error);
    if (!status)
        status = faces_result_time(result, milliseconds, error);
    verdict->answers = answers;
    verdict->answer_count = found->count;
    verdict->hits = hits;
    verdict->missed = missed;
    if (!status && a->mistakes)
        status = faces_write_mistakes(a, index, verdict, picture, error);
    if (!status && a->report)
        status = face_gallery_add(&result->gallery, verdict, picture, error);
    memory_free(answers);
    memory_free(hits);
    memory_free(missed);
    return status;
}

static mien_status faces_run_picture(faces_arguments *a, const face_picture *about, const face_truth *truths,
                                     const mien_image *picture, mien_error *error)
{
    mien_image_view view = mien_image_as_view(picture);
    for (size_t i = 0; i < a->count; i++) {
        faces_detector *d = &a->detectors[i];
        face_verdict verdict = {.file = about->file, .truths = truths, .truth_count = about->count};
        finder_faces found;
        double start = clock_monotonic_ms();
        mien_status status = finder_run(d->session, &view, &d->options, &found, error);
        double passed = clock_monotonic_ms() - start;
        if (!status)
            status = faces_judge(a, i, &verdict, &found, picture, passed, error);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status faces_read_picture(const faces_arguments *a, const char *file, mien_image *picture,
                                      mien_error *error)
{
    char path[4096];
    buffer bytes;
    buffer_init(&bytes, FACES_PICTURE_BYTES);
    snprintf(path, sizeof path, "%s/%s", a->images, file);
    mien_status status = file_read(path, FACES_PICTURE_BYTES, &bytes, error);
    if (!status)
        status = mien_image_decode(bytes.data, bytes.length, NULL, picture, error);
    buffer_done(&bytes);
    return status;
}

/* Pictures that cannot be read are said, and the others go on. Returns an exit status. */
static int faces_run_all(faces_arguments *a, const face_annotations *annotations)
{
    int result = EXIT_SUCCESS;
    for (size_t i = 0; i < annotations->picture_count; i += (size_t)a->every) {
        const face_picture *about = &annotations->pictures[i];
        mien_image picture = {0};
        mien_error error = {0};
        mien_status status = faces_read_picture(a, about->file, &picture, &error);
        if (!status)
            status = faces_run_picture(a, about, annotations->faces + about->first, &picture, &error);
        mien_image_done(&picture);
        if (status) {
            fprintf(stderr, "mien eval: %s: %s\n", about->file, error.message);
            result = EXIT_FAILURE;
        }
    }
    return result;
}

/* Ranges from pictures spread over the whole list. */
static mien_status faces_calibrate(const faces_arguments *a, const face_annotations *annotations, mien_error *error)
{
    mien_image pictures[FACES_CALIBRATION] = {{0}};
    mien_image_view views[FACES_CALIBRATION];
    size_t count = 0, step = annotations->picture_count / FACES_CALIBRATION + 1;
    mien_status status = MIEN_OK;
    if (a->detectors[0].options.preset != MIEN_PRESET_DEFAULT)
        return error_set(error, MIEN_EINVAL, "only a face network can be calibrated");
    for (size_t i = 0; i < annotations->picture_count && count < FACES_CALIBRATION && !status; i += step) {
        status = faces_read_picture(a, annotations->pictures[i].file, &pictures[count], error);
        views[count] = mien_image_as_view(&pictures[count]);
        count += !status;
    }
    if (!status)
        status = detector_calibrate(finder_detector(a->detectors[0].finder), views, count, a->calibrate, error);
    for (size_t i = 0; i < count; i++)
        mien_image_done(&pictures[i]);
    return status;
}

static int faces_show(faces_arguments *a, mien_error *error)
{
    int result = EXIT_SUCCESS;
    for (size_t i = 0; i < a->count; i++) {
        if (!a->json)
            faces_print_table(&a->results[i]);
        else if (faces_print_json(&a->results[i]))
            result = EXIT_FAILURE;
    }
    if (a->report && faces_write_report(a->results, a->count, a->report, error)) {
        fprintf(stderr, "mien eval: %s\n", error->message);
        result = EXIT_FAILURE;
    }
    return result;
}

int eval_faces(int argc, char **argv)
{
    faces_arguments *a = memory_zeroed(1, sizeof *a);
    face_annotations annotations = {0};
    mien_error error = {0};
    if (!a)
        return EXIT_FAILURE;
    *a = (faces_arguments){.threads = 1, .every = 1, .precision = -1};
    int result = faces_read_arguments(argc, argv, a);
    if (result >= 0) {
        memory_free(a);
        return result;
    }
    mien_status status = face_annotations_read(a->annotations, &annotations, &error);
    if (!status && a->mistakes)
        status = file_make_folders(a->mistakes, &error);
    if (!status)
        status = faces_open(a, &error);
    if (!status && a->calibrate)
        status = faces_calibrate(a, &annotations, &error);
    if (status)
        fprintf(stderr, "mien eval: %s\n", error.message);
    result = status ? EXIT_FAILURE : EXIT_SUCCESS;
    if (!status && !a->calibrate) {
        result = faces_run_all(a, &annotations);
        if (faces_show(a, &error))
            result = EXIT_FAILURE;
    }
    faces_close(a);
    face_annotations_done(&annotations);
    memory_free(a);
    return result;
}
