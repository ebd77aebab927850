/* `mien detect`: pictures in, a table or JSON lines out. Pictures are analysed by several threads, each with a session
 * of its own; the answers are printed in the order of the arguments. A picture that fails is one line on standard error
 * and the others go on. */
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mien/mien.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "commands.h"
#include "file_list.h"
#include "image/draw.h"
#include "pipeline/result_json.h"
#include "vision_options.h"

enum { FILES_PER_THREAD = 4, JPEG_QUALITY = 92 };

typedef struct settings {
    mien_analyzer_options analyzer;
    mien_analyze_options analyze;
    const char *annotate; /* folder, NULL = no pictures wanted */
    size_t jobs;
    bool json;
} settings;

typedef struct answer {
    mien_status status;
    mien_error error;
    buffer text;
} answer;

/* What one thread keeps from picture to picture. */
typedef struct worker {
    mien_session *session;
    mien_result result;
    image_pen *pen; /* NULL: nothing is drawn, or no font is installed */
} worker;

typedef struct batch {
    const settings *settings;
    char **paths;
    const size_t *numbers; /* per path: tells pictures of the same stem apart; 0 = the only one */
    worker *workers;
    answer *answers; /* one per path of this batch */
} batch;

static const char command[] = "detect";

static const char help[] =
    "usage: mien detect [options] FILE…\n"
    "\n"
    "Finds the faces in pictures (JPEG, PNG, WebP, GIF, BMP) and says which expression each appears to show.\n"
    "A label is the expression that a face appears to show, not what a person feels.\n"
    "FILE may be a folder (its pictures, also those in folders below) or - for standard input.\n"
    "\n"
    "  --json               one JSON object per picture and line instead of a table\n"
    "  --annotate DIR       also write each picture with boxes and labels to DIR\n" VISION_HELP
    "  --min-confidence P   leave out faces below this confidence, 0..1\n"
    "  --max-faces N        keep the N best faces of a picture\n"
    "  --max-pixels N       refuse larger pictures (default 50000000)\n"
    "  --jobs N             pictures at a time (default: one per processor)\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0 every picture was analysed (also when no face was found), 1 some were not, 2 wrong usage.\n"
    "\n"
    "  mien detect photo.jpg\n"
    "  mien detect --json holiday/ > faces.jsonl\n"
    "  curl -s https://example.org/photo.jpg | mien detect -\n";

enum {
    OPTION_JSON = OPTION_OWN,
    OPTION_ANNOTATE,
    OPTION_MIN_CONFIDENCE,
    OPTION_MAX_FACES,
    OPTION_MAX_PIXELS,
    OPTION_JOBS
};

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"annotate", required_argument, NULL, OPTION_ANNOTATE},
    VISION_OPTIONS,
    {"min-confidence", required_argument, NULL, OPTION_MIN_CONFIDENCE},
    {"max-faces", required_argument, NULL, OPTION_MAX_FACES},
    {"max-pixels", required_argument, NULL, OPTION_MAX_PIXELS},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static option_outcome take_option(int option, const char *text, void *context)
{
    settings *s = context;
    double value = 0;
    switch (option) {
    case OPTION_JSON:
        s->json = true;
        return OPTION_TAKEN;
    case OPTION_ANNOTATE:
        s->annotate = text;
        return OPTION_TAKEN;
    case OPTION_MIN_CONFIDENCE:
        if (!option_number(command, "min-confidence", text, 0, 1, false, "a number from 0 to 1", &value))
            return OPTION_WRONG;
        s->analyze.min_confidence = (float)value;
        return OPTION_TAKEN;
    case OPTION_MAX_FACES:
        if (!option_number(command, "max-faces", text, 1, 1e6, true, "a number of faces, 1 to 1000000", &value))
            return OPTION_WRONG;
        s->analyze.max_faces = (size_t)value;
        return OPTION_TAKEN;
    case OPTION_MAX_PIXELS:
        if (!option_number(command, "max-pixels", text, 1, 4e9, true, "a number of pixels, 1 to 4000000000", &value))
            return OPTION_WRONG;
        s->analyze.limits.max_pixels = (uint64_t)value;
        return OPTION_TAKEN;
    case OPTION_JOBS:
        if (!option_number(command, "jobs", text, 1, 64, true, "a number from 1 to 64", &value))
            return OPTION_WRONG;
        s->jobs = (size_t)value;
        return OPTION_TAKEN;
    default:
        return vision_option(command, option, text, &s->analyzer, &s->analyze);
    }
}

/* Returns -1 to go on, or the exit status. */
static int parse_arguments(int argc, char **argv, settings *s)
{
    int done = options_read(command, argc, argv, long_options, help, take_option, s);
    if (done >= 0)
        return done;
    if (optind == argc) {
        fprintf(stderr, "mien detect: which picture? Name a file, a folder or - for standard input\n");
        return EXIT_USAGE;
    }
    return -1;
}

static const char *shown_name(const char *path)
{
    return strcmp(path, "-") ? path : "(standard input)";
}

static void write_table(const char *path, const mien_result *result, buffer *out)
{
    const mien_timing *t = &result->timing;
    buffer_append_format(out, "%s  %zu×%zu  %zu face%s  (%.1f ms: decode %.1f, detect %.1f, classify %.1f)\n",
                         shown_name(path), result->width, result->height, result->face_count,
                         result->face_count == 1 ? "" : "s", t->total, t->decode, t->detect, t->classify);
    for (size_t i = 0; i < result->face_count; i++) {
        const mien_face *face = &result->faces[i];
        int second = -1;
        for (int k = 0; k < MIEN_EMOTION_COUNT; k++)
            if (k != (int)face->emotion && (second < 0 || face->probabilities[k] > face->probabilities[second]))
                second = k;
        char box[48];
        snprintf(box, sizeof box, "%d×%d at %d,%d", face->box.width, face->box.height, face->box.x, face->box.y);
        buffer_append_format(out, "%4zu  %-24s %-9s %3.0f %%   then %-9s %2.0f %%%s\n", i + 1, box,
                             mien_emotion_name(face->emotion), 100.0 * (double)face->confidence,
                             mien_emotion_name((mien_emotion)second), 100.0 * (double)face->probabilities[second],
                             face->uncertain ? "   uncertain" : "");
    }
}

static mien_status write_json(const char *path, const mien_result *result, buffer *out, mien_error *error)
{
    json_t *object = result_to_json(result, path);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(8)) : NULL;
    json_decref(object);
    if (!text)
        return error_no_memory(error, 0);
    buffer_append_text(out, text);
    buffer_append_text(out, "\n");
    free(text);
    return buffer_status(out, error);
}

/* <DIR>/<stem>.jpg; pictures of the same stem are told apart by a number. An original is never overwritten. */
static mien_status annotated_path(const batch *b, size_t index, char *to, size_t capacity, mien_error *error)
{
    const char *path = b->paths[index];
    char suffix[32] = "";
    size_t length;
    const char *stem = file_list_stem(path, &length);
    if (b->numbers[index])
        snprintf(suffix, sizeof suffix, "-%zu", b->numbers[index]);
    if (snprintf(to, capacity, "%s/%.*s%s.jpg", b->settings->annotate, (int)length, stem, suffix) >= (int)capacity)
        return error_set(error, MIEN_EINVAL, "the name is too long");
    struct stat target, original;
    if (!stat(to, &target) && !stat(path, &original) && target.st_dev == original.st_dev &&
        target.st_ino == original.st_ino)
        return error_set(error, MIEN_ECONFLICT, "%s would overwrite the picture itself; choose another folder", to);
    return MIEN_OK;
}

/* Without a font the boxes still say where; their colour says what. */
static void draw_face(mien_image *picture, image_pen *pen, const mien_face *face)
{
    image_box box = {(float)face->box.x, (float)face->box.y, (float)face->box.width, (float)face->box.height};
    image_colour colour = image_emotion_colour(face->emotion);
    char label[64];
    snprintf(label, sizeof label, "%s %.0f %%%s", mien_emotion_name(face->emotion), 100.0 * (double)face->confidence,
             face->uncertain ? " ?" : "");
    image_draw_box(picture, &box, colour, 0, NULL);
    image_draw_label(pen, picture, &box, label, colour, NULL);
}

static mien_status annotate(const batch *b, size_t index, image_pen *pen, const buffer *bytes,
                            const mien_result *result, mien_error *error)
{
    char to[PATH_MAX];
    mien_status status = annotated_path(b, index, to, sizeof to, error);
    if (status)
        return status;
    mien_image picture = {0};
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.limits = b->settings->analyze.limits;
    status = mien_image_decode(bytes->data, bytes->length, &options, &picture, error);
    if (status)
        return status;
    for (size_t i = 0; i < result->face_count; i++)
        draw_face(&picture, pen, &result->faces[i]);
    uint8_t *encoded = NULL;
    size_t length = 0;
    mien_image_view view = mien_image_as_view(&picture);
    status = mien_image_encode_jpeg(&view, JPEG_QUALITY, &encoded, &length, error);
    if (!status)
        status = file_write(to, encoded, length, error);
    mien_free(encoded);
    mien_image_done(&picture);
    return status;
}

static void analyse_file(void *context, size_t index, size_t index_of_worker)
{
    batch *b = context;
    const settings *s = b->settings;
    const char *path = b->paths[index];
    answer *a = &b->answers[index];
    mien_result *result = &b->workers[index_of_worker].result;
    buffer bytes;
    buffer_init(&bytes, 0);
    size_t limit = s->analyze.limits.max_bytes ? s->analyze.limits.max_bytes : (size_t)64 << 20;

    a->status = file_read(path, limit, &bytes, &a->error);
    if (!a->status) {
        a->status = mien_analyze_bytes(b->workers[index_of_worker].session, bytes.data, bytes.length, &s->analyze,
                                       result, &a->error);
        if (a->status)
            error_prefix(&a->error, a->status, "%s", shown_name(path));
    }
    if (!a->status && s->json)
        a->status = write_json(path, result, &a->text, &a->error);
    else if (!a->status)
        write_table(path, result, &a->text);
    if (!a->status && s->annotate) {
        mien_status status = annotate(b, index, b->workers[index_of_worker].pen, &bytes, result, &a->error);
        if (status)
            a->status = error_prefix(&a->error, status, "annotating %s", shown_name(path));
    }
    buffer_done(&bytes);
}

static size_t print_answers(answer *answers, size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (answers[i].text.length)
            fwrite(answers[i].text.data, 1, answers[i].text.length, stdout);
        if (answers[i].status) {
            fflush(stdout);
            fprintf(stderr, "mien detect: %s\n", answers[i].error.message);
            failed++;
        }
        buffer_done(&answers[i].text);
        answers[i] = (answer){0};
    }
    fflush(stdout);
    return failed;
}

static mien_status worker_init(worker *w, mien_analyzer *analyzer, bool draws, mien_error *error)
{
    mien_status status = mien_session_create(analyzer, &w->session, error);
    if (!status && draws) {
        status = image_pen_create(&w->pen, error);
        if (status == MIEN_ENOTFOUND)
            status = MIEN_OK;
    }
    return status;
}

static void worker_done(worker *w)
{
    mien_session_destroy(&w->session);
    mien_result_done(&w->result);
    image_pen_destroy(&w->pen);
}

/* Runs the list in batches, so that answers appear as they come and memory stays bounded. */
static mien_status analyse_list(const settings *s, mien_analyzer *analyzer, const file_list *list, size_t *failed,
                                mien_error *error)
{
    thread_pool *pool = NULL;
    size_t jobs = s->jobs < list->count ? s->jobs : list->count;
    size_t window = jobs * FILES_PER_THREAD;
    worker *workers = memory_zeroed(jobs, sizeof *workers);
    answer *answers = memory_zeroed(window, sizeof(answer));
    mien_status status = MIEN_OK;
    if (!workers || !answers) {
        status = error_no_memory(error, window * sizeof(answer));
        goto out;
    }
    status = thread_pool_create(jobs, &pool, error);
    for (size_t i = 0; !status && i < jobs; i++)
        status = worker_init(&workers[i], analyzer, s->annotate != NULL, error);
    if (!status && s->annotate && !workers[0].pen)
        fprintf(stderr,
                "mien detect: no font is installed (try fonts-dejavu-core); pictures get boxes without labels\n");
    for (size_t first = 0; !status && first < list->count; first += window) {
        size_t count = list->count - first < window ? list->count - first : window;
        batch b = {s, list->paths + first, list->numbers + first, workers, answers};
        thread_pool_run(pool, count, analyse_file, &b);
        *failed += print_answers(answers, count);
    }
out:
    thread_pool_destroy(&pool);
    for (size_t i = 0; workers && i < jobs; i++)
        worker_done(&workers[i]);
    memory_free(workers);
    memory_free(answers);
    return status;
}

int cmd_detect(int argc, char **argv)
{
    settings s = {0};
    mien_analyzer_default_options(&s.analyzer);
    mien_analyze_default_options(&s.analyze);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    s.jobs = processors < 1 ? 1 : processors > 64 ? 64 : (size_t)processors;
    int exit_status = parse_arguments(argc, argv, &s);
    if (exit_status >= 0)
        return exit_status;

    mien_error error = {0};
    mien_analyzer *analyzer = NULL;
    file_list list = {.command = command};
    file_list_add_arguments(&list, argv + optind, argc - optind);
    size_t failed = list.failed;
    mien_status status = MIEN_OK;
    if (s.annotate)
        status = file_make_folders(s.annotate, &error);
    if (!status)
        status = file_list_number(&list, &error);
    if (list.count == 1)
        s.analyzer.threads = (int)s.jobs;
    if (!status)
        status = mien_analyzer_create(&s.analyzer, &analyzer, &error);
    if (!status && list.count)
        status = analyse_list(&s, analyzer, &list, &failed, &error);
    if (status)
        fprintf(stderr, "mien detect: %s\n", error.message);
    mien_analyzer_destroy(&analyzer);
    file_list_done(&list);
    return status || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
