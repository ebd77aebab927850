/* The server with a stand-in for recognition, for tests of the network side: what it "finds" is told by the bytes sent.
 *   "faces N"     N fixed faces        "none"      no face        "wait MS"   one face, after that many milliseconds
 *   a JPEG or PNG signature            one face    anything else  not a picture
 * Usage and settings as `mien serve`. */
#include "base/log.h"
#include "base/memory.h"
#include "server/dialects.h"
#include "server/endpoints.h"
#include "server/server.h"

#include "base/error.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const mien_face fixed_face = {
    .box = {100, 50, 120, 140},
    .score = 5,
    .emotion = MIEN_EMOTION_HAPPY,
    .confidence = 0.6f,
    .probabilities = {0.05f, 0.01f, 0.04f, 0.6f, 0.1f, 0.05f, 0.15f},
    .quality = 0.9f,
};

static mien_status stub_analyze(vision *vision, size_t worker, const void *bytes, size_t length,
                                const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    (void)vision;
    (void)worker;
    char text[32] = "";
    memcpy(text, bytes, length < sizeof text - 1 ? length : sizeof text - 1);
    bool picture = length > 8 && (!memcmp(bytes, "\xff\xd8\xff", 3) || !memcmp(bytes, "\x89PNG", 4));
    size_t faces = picture || !strncmp(text, "wait ", 5) ? 1 : 0;
    if (!strncmp(text, "faces ", 6))
        faces = strtoul(text + 6, NULL, 10);
    else if (!strncmp(text, "wait ", 5)) {
        long ms = strtol(text + 5, NULL, 10);
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    } else if (!picture && strncmp(text, "none", 4))
        return error_set(error, MIEN_EFORMAT, "not a picture");
    if (options->face_box_count)
        faces = options->face_box_count;
    mien_face *list = memory_zeroed(faces, sizeof *list);
    for (size_t i = 0; list && i < faces; i++) {
        list[i] = fixed_face;
        list[i].box.x += (int)i * 130;
        if (options->face_boxes)
            list[i].box = options->face_boxes[i];
    }
    memory_free(result->faces);
    *result = (mien_result){.width = 1280, .height = 720, .faces = list, .face_count = faces, .timing = {1, 2, 3, 6}};
    return MIEN_OK;
}

static void stub_destroy(vision *vision)
{
    (void)vision;
}

static const vision_functions stub_functions = {.analyze = stub_analyze, .destroy = stub_destroy};

static void print_log(void *context, log_level level, const char *line)
{
    (void)context;
    fprintf(stderr, "%d %s\n", (int)level, line);
}

static void *stop_on_signal(void *context)
{
    sigset_t signals;
    int caught;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigwait(&signals, &caught);
    server_stop(context);
    return NULL;
}

static mien_status serve(server *server)
{
    printf("mien is listening on http://localhost:%d\n", server_port(server));
    fflush(stdout);
    pthread_t waiter;
    pthread_create(&waiter, NULL, stop_on_signal, server);
    mien_status status = server_run(server);
    pthread_join(waiter, NULL);
    return status;
}

int main(int argc, char **argv)
{
    vision vision = {.functions = &stub_functions, .workers = 2, .model_name = "mien/stub", .model_title = "mien stub"};
    settings settings = {0};
    service *service = NULL;
    server *server = NULL;
    endpoints *endpoints = NULL;
    mien_error error = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    mien_status status = settings_init(&settings, &error);
    if (!status)
        status = settings_read_environment(&settings, &error);
    if (!status)
        status = settings_read_flags(&settings, argc - 1, argv + 1, &error);
    if (settings.workers)
        vision.workers = (size_t)settings.workers;
    log_set(print_log, NULL, settings.debug ? LOG_DEBUG : LOG_WARNING);
    if (!status)
        status = service_create(&settings, &vision, &service, &error);
    if (!status)
        status = server_create(service, &dialects_router, &server, &error);
    if (!status)
        status = endpoints_create(server, &endpoints, &error);
    if (status)
        fprintf(stderr, "stub_server: %s\n", error.message);
    else
        status = serve(server);
    server_destroy(&server);
    endpoints_destroy(&endpoints);
    service_destroy(&service);
    settings_done(&settings);
    return status ? 1 : 0;
}
