/* `mien video`: the faces of a video file, followed from frame to frame. For people one line a person at the end, for
 * programs one JSON object a frame. Frames are analysed in order by one session, because who is who depends on the
 * frame before; several threads work inside a frame. */
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mien/mien.h>
#include <mien/tracker.h>

#include "base/error.h"
#include "base/memory.h"
#include "commands.h"
#include "image/video.h"
#include "pipeline/result_json.h"
#include "vision_options.h"

enum { VIDEO_MAX_PEOPLE = 100000, VIDEO_LEAST_FRAMES = 2 };

static const char command[] = "video";

static const char help[] = "usage: mien video [options] FILE\n"
                           "\n"
                           "Follows the faces of a video and says which expressions each appears to show.\n"
                           "A person's number only means \"the same face as before\" within this video.\n"
                           "A label is the expression that a face appears to show, not what a person feels.\n"
                           "\n"
                           "  --json               one JSON object per frame and line instead of one line per person\n"
                           "  --every SECONDS      analyse a frame only this often (default: every frame)\n" VISION_HELP
                           "  -h, --help           this text\n"
                           "\n"
                           "Exit status: 0 the video was analysed, 1 it was not, or only in part, 2 wrong usage.\n"
                           "\n"
                           "  mien video interview.mp4\n"
                           "  mien video --json --every 0.2 interview.mp4 > frames.jsonl\n";

typedef struct settings {
    mien_analyzer_options analyzer;
    mien_analyze_options analyze;
    video_options video;
    const char *path;
    bool json;
} settings;

/* What is kept of one person for the summary. */
typedef struct person {
    size_t frames;
    double first, last; /* seconds */
    double sums[MIEN_EMOTION_COUNT];
} person;

typedef struct run {
    const settings *settings;
    mien_analyzer *analyzer;
    mien_session *session;
    mien_tracker *tracker;
    video *video;
    mien_image frame;
    mien_frame_result found;
    person *people; /* people[id - 1] */
    size_t people_count;
    size_t frame_count;
} run;

enum { OPTION_JSON = OPTION_OWN, OPTION_EVERY };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"every", required_argument, NULL, OPTION_EVERY},
    VISION_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static option_outcome take_option(int option, const char *text, void *context)
{
    settings *s = context;
    switch (option) {
    case OPTION_JSON:
        s->json = true;
        return OPTION_TAKEN;
    case OPTION_EVERY:
        if (!option_number(command, "every", text, 0, 3600, false, "seconds from 0 to 3600", &s->video.interval))
            return OPTION_WRONG;
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
    if (optind != argc - 1) {
        fprintf(stderr, "mien video: name one video file\n");
        return EXIT_USAGE;
    }
    s->path = argv[optind];
    return -1;
}

static mien_status run_init(run *r, const settings *s, mien_error *error)
{
    r->settings = s;
    mien_status status = video_open(s->path, &s->video, &r->video, error);
    if (status)
        return error_prefix(error, status, "%s", s->path);
    status = mien_analyzer_create(&s->analyzer, &r->analyzer, error);
    if (!status)
        status = mien_session_create(r->analyzer, &r->session, error);
    mien_tracker_options tracking;
    mien_tracker_default_options(&tracking);
    tracking.full_search_ms = 0; /* a file can wait: nothing is overlooked for the sake of speed */
    if (!status)
        status = mien_tracker_create(&tracking, &r->tracker, error);
    return status;
}

static void run_done(run *r)
{
    mien_tracker_destroy(&r->tracker);
    mien_session_destroy(&r->session);
    mien_analyzer_destroy(&r->analyzer);
    video_close(&r->video);
    mien_frame_result_done(&r->found);
    mien_image_done(&r->frame);
    memory_free(r->people);
}

static mien_status analyse_frame(run *r, double seconds, mien_error *error)
{
    mien_image_view view = mien_image_as_view(&r->frame);
    return mien_analyze_frame_view(r->session, r->tracker, &view, 1000 * seconds, &r->settings->analyze, &r->found,
                                   error);
}

static mien_status remember_person(run *r, const mien_track *track, double seconds, mien_error *error)
{
    if (track->id > VIDEO_MAX_PEOPLE)
        return MIEN_OK; /* a summary of so many would help nobody */
    if (track->id > r->people_count) {
        size_t count = (size_t)track->id;
        person *people = memory_resize(r->people, count, sizeof *people);
        if (!people)
            return error_no_memory(error, count * sizeof *people);
        memset(people + r->people_count, 0, (count - r->people_count) * sizeof *people);
        r->people = people;
        r->people_count = count;
    }
    person *p = &r->people[track->id - 1];
    if (!p->frames++)
        p->first = seconds;
    p->last = seconds;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        p->sums[i] += (double)track->smoothed[i];
    return MIEN_OK;
}

/* The frame's result in mien's JSON form, with the time of the frame and who each face is. */
static mien_status print_frame(const run *r, double seconds, mien_error *error)
{
    json_t *object = result_to_json(&r->found.result, r->settings->path);
    int failed = !object || json_object_set_new(object, "frame", json_integer((json_int_t)r->frame_count)) ||
                 json_object_set_new(object, "time", result_number(seconds, 4));
    json_t *faces = json_object_get(object, "faces");
    for (size_t i = 0; !failed && i < r->found.result.face_count; i++) {
        json_t *face = json_array_get(faces, i);
        failed = json_object_set_new(face, "id", json_integer((json_int_t)r->found.tracks[i].id)) ||
                 json_object_set_new(face, "smoothed", result_probabilities_to_json(r->found.tracks[i].smoothed));
    }
    char *text = failed ? NULL : json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(8));
    json_decref(object);
    if (!text)
        return error_no_memory(error, 0);
    puts(text);
    free(text);
    return MIEN_OK;
}

static void print_time(double seconds)
{
    long long tenths = llround(10 * seconds); /* rounded first: 59.96 s is 1:00.0 */
    printf("%lld:%02lld.%lld", tenths / 600, tenths / 10 % 60, tenths % 10);
}

/* The three expressions that a person showed most. */
static void print_person(const person *p, size_t number)
{
    bool told[MIEN_EMOTION_COUNT] = {false};
    printf("person %-3zu  ", number);
    print_time(p->first);
    printf(" – ");
    print_time(p->last);
    printf("  %5zu frames  ", p->frames);
    for (int place = 0; place < 3; place++) {
        int best = -1;
        for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
            if (!told[i] && (best < 0 || p->sums[i] > p->sums[best]))
                best = i;
        told[best] = true;
        printf("%s%s %.0f %%", place ? ", " : "", mien_emotion_name((mien_emotion)best),
               100 * p->sums[best] / (double)p->frames);
    }
    printf("\n");
}

static void print_summary(const run *r)
{
    size_t shown = 0;
    video_info info = video_describe(r->video);
    printf("%s  %zu×%zu  %zu frame%s analysed\n", r->settings->path, info.width, info.height, r->frame_count,
           r->frame_count == 1 ? "" : "s");
    for (size_t i = 0; i < r->people_count; i++)
        if (r->people[i].frames >= VIDEO_LEAST_FRAMES || r->frame_count < VIDEO_LEAST_FRAMES) {
            print_person(&r->people[i], i + 1);
            shown++;
        }
    if (!shown)
        printf("no face was seen\n");
}

static mien_status run_frames(run *r, mien_error *error)
{
    for (;;) {
        double seconds = 0;
        bool more = false;
        mien_status status = video_next(r->video, &r->frame, &seconds, &more, error);
        if (status)
            return error_prefix(error, status, "%s", r->settings->path);
        if (!more && !r->frame_count)
            return error_set(error, MIEN_EFORMAT, "%s: video: no frame could be read; the file may be cut off",
                             r->settings->path);
        if (!more)
            return MIEN_OK;
        status = analyse_frame(r, seconds, error);
        for (size_t i = 0; !status && i < r->found.result.face_count; i++)
            status = remember_person(r, &r->found.tracks[i], seconds, error);
        if (!status && r->settings->json)
            status = print_frame(r, seconds, error);
        if (status)
            return status;
        r->frame_count++;
    }
}

int cmd_video(int argc, char **argv)
{
    settings s = {.video = video_default_options()};
    mien_analyzer_default_options(&s.analyzer);
    mien_analyze_default_options(&s.analyze);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    s.analyzer.threads = processors < 1 ? 1 : processors > 64 ? 64 : (int)processors;
    int exit_status = parse_arguments(argc, argv, &s);
    if (exit_status >= 0)
        return exit_status;

    mien_error error = {0};
    run r = {0};
    mien_status status = run_init(&r, &s, &error);
    if (!status)
        status = run_frames(&r, &error);
    if (r.frame_count && !s.json)
        print_summary(&r);
    fflush(stdout);
    if (status)
        fprintf(stderr, "mien video: %s\n", error.message);
    run_done(&r);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
