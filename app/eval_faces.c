/* `mien eval --faces annotations.csv --images DIR`: several detectors over the same annotated pictures, each as the
 * program would use it: a preset, a face network, or the faceml preset with another cascade. Tables for people, JSON
 * for programs, and on request the pictures with what each detector missed and what it made up. */
#include "eval_faces.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "commands.h"
#include "image/draw.h"
#include "pipeline/finder.h"
#include "train/face_annotations.h"

enum { FACES_MOST = 16, FACES_PICTURE_BYTES = 256 << 20 };

typedef struct faces_detector {
    const char *name; /* as the user said it */
    mien_analyzer_options analyzer;
    mien_analyze_options options;
    finder *finder;
    finder_session *session;
    face_metrics metrics;
    double milliseconds;
} faces_detector;

typedef struct faces_arguments {
    const char *annotations, *images, *mistakes;
    faces_detector detectors[FACES_MOST];
    size_t count;
    int min_face, threads;
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
        "  --preset NAME      default, neo, faceml or history-api; repeatable\n"
        "  --detector FILE    a face network (.onnx) in the default preset; repeatable\n"
        "  --cascade FILE     a cascade (.xml) in the preset faceml; repeatable\n"
        "  --min-face N       smallest face looked for, pixels (default: the preset's rule)\n"
        "  --threads N        threads for one picture (default 1)\n"
        "  --mistakes DIR     pictures with missed faces (yellow), false alarms (red) and found ones (green)\n"
        "  --json             JSON instead of tables: an object per detector\n");
}

static mien_status faces_add_detector(faces_arguments *a, int kind, const char *value, mien_error *error)
{
    if (a->count == FACES_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d detectors", FACES_MOST);
    faces_detector *d = &a->detectors[a->count];
    d->name = value;
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
    char *end;
    long found = strtol(value, &end, 10);
    if (!*value || *end || found < 1 || found > most)
        return error_set(error, MIEN_EINVAL, "--%s: '%s' is not a number within 1..%d", name, value, most);
    *number = (int)found;
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
    case 'm':
        return faces_set_number("min-face", value, 100000, &a->min_face, error);
    case 't':
        return faces_set_number("threads", value, 64, &a->threads, error);
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
    static const struct option options[] = {{"faces", 1, NULL, 'f'},
                                            {"images", 1, NULL, 'i'},
                                            {"preset", 1, NULL, 'p'},
                                            {"detector", 1, NULL, 'd'},
                                            {"cascade", 1, NULL, 'c'},
                                            {"min-face", 1, NULL, 'm'},
                                            {"threads", 1, NULL, 't'},
                                            {"mistakes", 1, NULL, 'w'},
                                            {"json", 0, NULL, 'j'},
                                            {"help", 0, NULL, 'h'},
                                            {0}};
    mien_error error = {0};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            faces_print_help();
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return EXIT_USAGE;
        if (faces_set(a, option, optarg, &error)) {
            fprintf(stderr, "mien eval: %s\n", error.message);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !a->annotations || !a->images) {
        fprintf(stderr, "mien eval: needs --faces and --images; see `mien eval --faces --help`\n");
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
        status = finder_create(&d->analyzer, &d->finder, error);
        if (!status)
            status = finder_session_create(d->finder, &d->session, error);
    }
    return status;
}

static void faces_close(faces_arguments *a)
{
    for (size_t i = 0; i < a->count; i++) {
        finder_session_destroy(&a->detectors[i].session);
        finder_destroy(&a->detectors[i].finder);
        face_metrics_done(&a->detectors[i].metrics);
    }
}

static image_box faces_image_box(const face_box *box)
{
    return (image_box){box->x, box->y, box->width, box->height};
}

/* Draw one detector's answers and misses; pictures without a mistake are not written. */
static mien_status faces_write_mistakes(const faces_arguments *a, size_t index, const char *file,
                                        const mien_image *picture, const face_truth *truths, size_t truth_count,
                                        const face_answer *answers, const int8_t *hits, size_t answer_count,
                                        mien_error *error)
{
    static const image_colour found = {0, 158, 115}, wrong = {213, 94, 0}, missed = {240, 228, 66};
    mien_image drawn = {0};
    mien_image_view view = mien_image_as_view(picture);
    size_t mistakes = 0, length = 0;
    uint8_t *bytes = NULL;
    char path[4096], name[1024];
    mien_status status = mien_image_init(&drawn, picture->width, picture->height, picture->format, error);
    for (size_t y = 0; !status && y < picture->height; y++)
        memcpy(drawn.data + y * drawn.stride, view.data + y * view.stride, 3 * picture->width);
    for (size_t i = 0; i < answer_count && !status; i++) {
        image_box box = faces_image_box(&answers[i].box);
        mistakes += hits[i] < 0;
        if (hits[i])
            status = image_draw_box(&drawn, &box, hits[i] > 0 ? found : wrong, 0, error);
    }
    for (size_t t = 0; t < truth_count && !status; t++) {
        bool hit = truths[t].ignore || truths[t].box.width * truths[t].box.height < 32 * 32;
        for (size_t i = 0; i < answer_count && !hit; i++)
            hit = hits[i] > 0 && face_overlap_of(&answers[i].box, &truths[t].box) >= face_overlap_value(0);
        image_box box = faces_image_box(&truths[t].box);
        mistakes += !hit;
        if (!hit)
            status = image_draw_box(&drawn, &box, missed, 0, error);
    }
    snprintf(name, sizeof name, "%zu_%s", index + 1, file);
    for (char *at = name; *at; at++)
        *at = *at == '/' ? '_' : *at;
    snprintf(path, sizeof path, "%s/%s.jpg", a->mistakes, name);
    view = mien_image_as_view(&drawn);
    if (!status && mistakes)
        status = mien_image_encode_jpeg(&view, 85, &bytes, &length, error);
    if (!status && mistakes)
        status = file_write(path, bytes, length, error);
    mien_free(bytes);
    mien_image_done(&drawn);
    return status;
}

static mien_status faces_run_detector(faces_arguments *a, size_t index, const char *file, const mien_image *picture,
                                      const face_truth *truths, size_t truth_count, mien_error *error)
{
    faces_detector *d = &a->detectors[index];
    mien_image_view view = mien_image_as_view(picture);
    finder_faces found;
    double start = clock_monotonic_ms();
    mien_status status = finder_run(d->session, &view, &d->options, &found, error);
    if (status)
        return status;
    d->milliseconds += clock_monotonic_ms() - start;
    face_answer *answers = calloc(found.count + 1, sizeof *answers);
    int8_t *hits = calloc(found.count + 1, 1);
    if (!answers || !hits)
        status = error_set(error, MIEN_ENOMEM, "no memory for %zu faces", found.count);
    for (size_t i = 0; i < found.count && !status; i++) {
        const mien_rect *box = &found.faces[i].box;
        answers[i] =
            (face_answer){{(float)box->x, (float)box->y, (float)box->width, (float)box->height}, found.faces[i].score};
    }
    if (!status)
        status = face_metrics_add(&d->metrics, truths, truth_count, answers, found.count, hits, error);
    if (!status && a->mistakes)
        status = faces_write_mistakes(a, index, file, picture, truths, truth_count, answers, hits, found.count, error);
    free(answers);
    free(hits);
    return status;
}

static mien_status faces_run_picture(faces_arguments *a, const char *file, const face_truth *truths, size_t truth_count,
                                     mien_error *error)
{
    char path[4096];
    buffer bytes;
    mien_image picture = {0};
    buffer_init(&bytes, FACES_PICTURE_BYTES);
    snprintf(path, sizeof path, "%s/%s", a->images, file);
    mien_status status = file_read(path, FACES_PICTURE_BYTES, &bytes, error);
    if (!status)
        status = mien_image_decode(bytes.data, bytes.length, NULL, &picture, error);
    for (size_t i = 0; i < a->count && !status; i++)
        status = faces_run_detector(a, i, file, &picture, truths, truth_count, error);
    mien_image_done(&picture);
    buffer_done(&bytes);
    return status;
}

static void faces_print_table(const faces_detector *d)
{
    printf("%s: %zu pictures, %.2f ms a picture\n  %-7s %6s", d->name, d->metrics.pictures,
           d->metrics.pictures ? d->milliseconds / (double)d->metrics.pictures : 0, "size", "faces");
    for (int o = 0; o < FACE_OVERLAP_COUNT; o++)
        printf("   recall  prec.     F1     AP @%.1f", (double)face_overlap_value(o));
    printf("\n");
    for (int size = 0; size < FACE_SIZE_COUNT; size++) {
        for (int o = 0; o < FACE_OVERLAP_COUNT; o++) {
            face_figures f;
            face_metrics_compute(&d->metrics, o, (face_size)size, &f);
            if (!o)
                printf("  %-7s %6zu", face_size_name((face_size)size), f.truths);
            printf("    %.3f  %.3f  %.3f  %.3f     ", f.recall, f.precision, f.f1, f.average_precision);
        }
        printf("\n");
    }
}

static int faces_print_json(const faces_detector *d, const faces_arguments *a)
{
    json_t *figures = json_array();
    for (int o = 0; o < FACE_OVERLAP_COUNT; o++)
        for (int size = 0; size < FACE_SIZE_COUNT; size++) {
            face_figures f;
            face_metrics_compute(&d->metrics, o, (face_size)size, &f);
            json_array_append_new(
                figures, json_pack("{s:f,s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "iou", o == FACE_OVERLAP_40 ? 0.4 : 0.5,
                                   "size", face_size_name((face_size)size), "faces", (json_int_t)f.truths, "answers",
                                   (json_int_t)f.answers, "hits", (json_int_t)f.hits, "recall", f.recall, "precision",
                                   f.precision, "f1", f.f1, "average_precision", f.average_precision));
        }
    json_t *all =
        json_pack("{s:s,s:s,s:I,s:f,s:o}", "detector", d->name, "data", a->annotations, "pictures",
                  (json_int_t)d->metrics.pictures, "ms_per_picture",
                  d->metrics.pictures ? d->milliseconds / (double)d->metrics.pictures : 0.0, "figures", figures);
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    if (!text)
        return EXIT_FAILURE;
    printf("%s\n", text);
    free(text);
    return EXIT_SUCCESS;
}

int eval_faces(int argc, char **argv)
{
    faces_arguments a = {.threads = 1};
    face_annotations annotations = {0};
    mien_error error = {0};
    int result = faces_read_arguments(argc, argv, &a);
    if (result >= 0)
        return result;
    result = EXIT_SUCCESS;
    mien_status status = face_annotations_read(a.annotations, &annotations, &error);
    if (!status && a.mistakes)
        status = file_make_folders(a.mistakes, &error);
    if (!status)
        status = faces_open(&a, &error);
    if (status)
        fprintf(stderr, "mien eval: %s\n", error.message);
    for (size_t i = 0; i < annotations.picture_count && !status; i++) {
        const face_picture *picture = &annotations.pictures[i];
        if (faces_run_picture(&a, picture->file, annotations.faces + picture->first, picture->count, &error)) {
            fprintf(stderr, "mien eval: %s: %s\n", picture->file, error.message);
            result = EXIT_FAILURE; /* the others go on */
        }
    }
    for (size_t i = 0; i < a.count && !status; i++) {
        if (!a.json)
            faces_print_table(&a.detectors[i]);
        else if (faces_print_json(&a.detectors[i], &a))
            result = EXIT_FAILURE;
    }
    faces_close(&a);
    face_annotations_done(&annotations);
    return status ? EXIT_FAILURE : result;
}
