/* The cascade against OpenCV's on the same pictures: frontalface_default, 1.1 / 5 / 30 × 30, taking turns picture by
 * picture and run by run on one thread, identical rectangles demanded; then two threads against one. Prints best and
 * median of the summed times and their ratios, as JSON on the last line.
 *
 *   bench_cascade [--runs N] [--peer bench/peers/opencv_cascade.py | --no-peer] [PICTURE…]
 *
 * Without pictures: all of ../shared/photos (or $MIEN_SHARED/photos), as opencv_golden.json lists them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include <mien/image.h>

#include "base/clock.h"
#include "base/file.h"
#include "detect/detector.h"

#define CASCADE "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"

enum { MOST_BYTES = 64 << 20, MOST_RUNS = 32, MOST_PICTURES = 512, SIDES = 3, OURS = 0, OURS_TWO, PEER };

typedef struct bench {
    detector *detector;
    detect_scratch *scratch[2]; /* for one and for two threads */
    detect_faces faces;
    FILE *to_peer, *from_peer;
    pid_t peer;
    int runs;
    double ms[SIDES][MOST_RUNS][MOST_PICTURES];
    size_t pictures, faces_found, differences;
} bench;

static int fail(const char *what)
{
    fprintf(stderr, "bench_cascade: %s\n", what);
    return 1;
}

static int open_detector(bench *b)
{
    buffer bytes;
    mien_error error = {0};
    buffer_init(&bytes, MOST_BYTES);
    if (file_read(CASCADE, MOST_BYTES, &bytes, &error) ||
        detector_open_cascade(bytes.data, bytes.length, &b->detector, &error) ||
        detect_scratch_create(b->detector, &b->scratch[0], &error) ||
        detect_scratch_create(b->detector, &b->scratch[1], &error))
        return fail(error.message);
    buffer_done(&bytes);
    return 0;
}

static int start_peer(bench *b, const char *script)
{
    int in[2], out[2];
    char name[128];
    if (pipe(in) || pipe(out))
        return fail("no pipe");
    b->peer = fork();
    if (b->peer < 0)
        return fail("no process");
    if (!b->peer) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        execl("/usr/bin/python3", "python3", script, CASCADE, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    b->to_peer = fdopen(in[1], "w");
    b->from_peer = fdopen(out[0], "r");
    if (!b->to_peer || !b->from_peer || !fgets(name, sizeof name, b->from_peer))
        return fail("the peer does not start (python3-opencv?)");
    printf("peer: %s", name);
    return 0;
}

static int run_ours(bench *b, const mien_image *grey, int side, int run)
{
    detect_options options;
    detect_default_options(&options);
    options.threads = side == OURS_TWO ? 2 : 1;
    mien_image_view view = mien_image_as_view(grey);
    mien_error error = {0};
    double start = clock_monotonic_ms();
    if (detector_find(b->detector, b->scratch[side], &view, &options, &b->faces, &error))
        return fail(error.message);
    b->ms[side][run][b->pictures] = clock_monotonic_ms() - start;
    return 0;
}

/* One run of the peer; its rectangles must be ours, in the same order. */
static int run_peer(bench *b, const mien_image *grey, int run)
{
    char line[1 << 16], ours[1 << 16] = "";
    fprintf(b->to_peer, "%zu %zu 1 1.1 5 30\n", grey->width, grey->height);
    for (size_t y = 0; y < grey->height; y++)
        fwrite(grey->data + y * grey->stride, 1, grey->width, b->to_peer);
    fflush(b->to_peer);
    if (!fgets(line, sizeof line, b->from_peer))
        return fail("the peer is gone");
    char *rectangles = strchr(line, ';');
    if (!rectangles)
        return fail("the peer does not answer as agreed");
    b->ms[PEER][run][b->pictures] = strtod(line, NULL) * 1e-6;
    size_t length = 0;
    for (size_t i = 0; i < b->faces.count && length < sizeof ours - 64; i++) {
        const mien_rect *box = &b->faces.data[i].box;
        length += (size_t)snprintf(ours + length, sizeof ours - length, "%s%d %d %d %d", i ? "  " : "", box->x, box->y,
                                   box->width, box->height);
    }
    rectangles += strspn(rectangles, "; ");
    rectangles[strcspn(rectangles, "\n")] = '\0';
    b->differences += strcmp(rectangles, ours) != 0;
    return 0;
}

static int run_picture(bench *b, const char *path)
{
    buffer bytes;
    mien_error error = {0};
    mien_decode_options options;
    mien_image grey = {0};
    buffer_init(&bytes, MOST_BYTES);
    mien_decode_default_options(&options);
    options.format = MIEN_PIXEL_GREY8;
    if (b->pictures == MOST_PICTURES)
        return fail("too many pictures");
    if (file_read(path, MOST_BYTES, &bytes, &error) ||
        mien_image_decode(bytes.data, bytes.length, &options, &grey, &error))
        return fail(error.message);
    buffer_done(&bytes);
    int failed = run_ours(b, &grey, OURS, 0) || run_ours(b, &grey, OURS_TWO, 0); /* memory, caches */
    for (int run = 0; run < b->runs && !failed; run++) {
        failed = run_ours(b, &grey, OURS_TWO, run) || run_ours(b, &grey, OURS, run);
        if (!failed && b->to_peer)
            failed = run_peer(b, &grey, run);
    }
    b->faces_found += b->faces.count;
    b->pictures++;
    mien_image_done(&grey);
    return failed;
}

static int run_photographs(bench *b)
{
    char path[1024];
    const char *shared = getenv("MIEN_SHARED") ? getenv("MIEN_SHARED") : "../shared", *file;
    snprintf(path, sizeof path, "%s/photos/opencv_golden.json", shared);
    json_t *golden = json_load_file(path, 0, NULL), *entry;
    if (!golden)
        return fail("no photographs: name some, or set MIEN_SHARED");
    int failed = 0;
    json_object_foreach(golden, file, entry)
    {
        snprintf(path, sizeof path, "%s/photos/%s", shared, file);
        failed = failed || run_picture(b, path);
    }
    json_decref(golden);
    return failed;
}

static int by_size(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

/* Per picture the best and the median run, summed over the pictures. */
static void summarise(const bench *b, int side, double *best, double *median)
{
    *best = *median = 0;
    for (size_t p = 0; p < b->pictures; p++) {
        double runs[MOST_RUNS];
        for (int r = 0; r < b->runs; r++)
            runs[r] = b->ms[side][r][p];
        qsort(runs, (size_t)b->runs, sizeof *runs, by_size);
        *best += runs[0];
        *median += b->runs % 2 ? runs[b->runs / 2] : (runs[b->runs / 2 - 1] + runs[b->runs / 2]) / 2;
    }
}

static int report(const bench *b)
{
    static const char *const names[SIDES] = {"mien, 1 thread", "mien, 2 threads", "OpenCV, 1 thread"};
    double best[SIDES], median[SIDES];
    int sides = b->to_peer ? SIDES : PEER;
    printf("%zu pictures, %zu faces, %d runs each; sum over the pictures, ms\n", b->pictures, b->faces_found, b->runs);
    for (int side = 0; side < sides; side++) {
        summarise(b, side, &best[side], &median[side]);
        printf("  %-17s best %9.1f   median %9.1f\n", names[side], best[side], median[side]);
    }
    printf("  two threads / one: %.2f (best), %.2f (median)\n", best[OURS] / best[OURS_TWO],
           median[OURS] / median[OURS_TWO]);
    if (!b->to_peer)
        return 0;
    printf("  OpenCV / mien: %.2f (best), %.2f (median); pictures whose rectangles differ: %zu\n",
           best[PEER] / best[OURS], median[PEER] / median[OURS], b->differences);
    printf("{\"bench\":\"cascade\",\"pictures\":%zu,\"ours_ms\":[%.2f,%.2f],\"two_threads_ms\":[%.2f,%.2f],"
           "\"peer_ms\":[%.2f,%.2f],\"ratio\":[%.2f,%.2f],\"differences\":%zu}\n",
           b->pictures, best[OURS], median[OURS], best[OURS_TWO], median[OURS_TWO], best[PEER], median[PEER],
           best[PEER] / best[OURS], median[PEER] / median[OURS], b->differences);
    return b->differences != 0;
}

int main(int count, char **arguments)
{
    static bench b = {.runs = 5};
    const char *script = "bench/peers/opencv_cascade.py";
    int first = 1, failed = open_detector(&b);
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (!strcmp(arguments[first], "--no-peer"))
            script = NULL;
        else if (!strcmp(arguments[first], "--peer") && first + 1 < count)
            script = arguments[++first];
        else if (!strcmp(arguments[first], "--runs") && first + 1 < count)
            b.runs = atoi(arguments[++first]);
        else
            return fail("usage: bench_cascade [--runs N] [--peer SCRIPT | --no-peer] [PICTURE…]");
    }
    if (b.runs < 1 || b.runs > MOST_RUNS)
        return fail("runs: 1..32");
    failed = failed || (script && start_peer(&b, script));
    for (int i = first; i < count && !failed; i++)
        failed = run_picture(&b, arguments[i]);
    if (first == count && !failed)
        failed = run_photographs(&b);
    failed = failed || report(&b);
    if (b.to_peer) {
        fclose(b.to_peer);
        fclose(b.from_peer);
        waitpid(b.peer, NULL, 0);
    }
    detect_scratch_destroy(&b.scratch[0]);
    detect_scratch_destroy(&b.scratch[1]);
    detector_destroy(&b.detector);
    detect_faces_done(&b.faces);
    return failed;
}
