/* `mien serve`: settings, log lines, signals, and the server between them. */
#include "commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/dialects.h"
#include "server/endpoints.h"
#include "server/memory_plan.h"
#include "server/own_models.h"
#include "server/server.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIM_SECONDS = 20 };

typedef struct serving {
    settings settings;
    memory_gate *gate;
    own_models *models;
    service *service;
    server *server;
    endpoints *endpoints;
} serving;

static int fail(const mien_error *error)
{
    fprintf(stderr, "mien serve: %s\n", error->message);
    return 1;
}

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static void log_text(void *context, log_level level, const char *message)
{
    (void)context;
    char now[32];
    clock_iso8601(clock_unix_us(), now, sizeof now);
    fprintf(stderr, "%s %-7s %s\n", now, level_names[level], message);
}

/* "request id=1 status=200" becomes {"message":"request","id":"1","status":200}. */
static void log_json(void *context, log_level level, const char *message)
{
    (void)context;
    char now[32], copy[1024], *rest = NULL;
    clock_iso8601(clock_unix_us(), now, sizeof now);
    json_t *line = json_pack("{ssss}", "time", now, "level", level_names[level]);
    snprintf(copy, sizeof copy, "%s", message);
    bool fields = !strncmp(copy, "request ", 8);
    json_object_set_new(line, "message", json_string(fields ? "request" : message));
    for (char *word = fields ? strtok_r(copy + 8, " ", &rest) : NULL; word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '='), *end;
        if (!value)
            continue;
        *value++ = 0;
        double number = strtod(value, &end);
        bool numeric = *value && !*end && strcmp(word, "id");
        json_object_set_new(line, word, numeric ? json_real(number) : json_string(value));
    }
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fprintf(stderr, "%s\n", text ? text : "{}");
    free(text);
    json_decref(line);
}

static void begin_log(const settings *settings)
{
    log_level most = LOG_INFO;
    for (size_t i = 0; i < 4; i++)
        if (!strcmp(settings->log_level, level_names[i]))
            most = (log_level)i;
    log_set(strcmp(settings->log_format, "json") ? log_text : log_json, NULL, settings->debug ? LOG_DEBUG : most);
}

static int print_help(void)
{
    buffer text = {0};
    printf("usage: mien serve [options]\n\n"
           "Answers over HTTP, WebSocket and Socket.IO, with a web page at /. Settings come from flags, else from the\n"
           "environment, else from a .env file, else from the defaults.\n\n"
           "  --env-file FILE\n      Read settings from FILE instead of .env.\n"
           "  --check\n      Check the settings and the model, then exit.\n"
           "  -h, --help\n      Print this.\n");
    settings_help(&text);
    fputs(buffer_text(&text), stdout);
    buffer_done(&text);
    return 0;
}

/* Take --env-file and --check out of the arguments; the rest is the settings' table. */
static mien_status read_settings(int *count, char **arguments, settings *settings, bool *check, mien_error *error)
{
    const char *file = NULL;
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        if (!strcmp(arguments[i], "--check"))
            *check = true;
        else if (!strcmp(arguments[i], "--env-file") && i + 1 < *count)
            file = arguments[++i];
        else if (!strncmp(arguments[i], "--env-file=", 11))
            file = arguments[i] + 11;
        else
            arguments[kept++] = arguments[i];
    }
    *count = kept;
    mien_status status = settings_init(settings, error);
    if (!status && (file || !access(".env", R_OK)))
        status = settings_read_file(settings, file ? file : ".env", error);
    if (!status)
        status = settings_read_environment(settings, error);
    if (!status)
        status = settings_read_flags(settings, kept, arguments, error);
    return status ? status : settings_check(settings, error);
}

static size_t count_workers(const settings *settings)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return settings->workers ? (size_t)settings->workers : processors > 0 ? (size_t)processors : 1;
}

/* The next signal. While there is none, what the threads have freed in the middle of their heaps goes back to the
 * system: by itself the C library returns only the end of a heap, and the holes below it grow over hours of mixed
 * requests. */
static int next_signal(const sigset_t *signals)
{
    const struct timespec pause = {TRIM_SECONDS, 0};
    for (;;) {
        int caught = sigtimedwait(signals, NULL, &pause);
        if (caught > 0)
            return caught;
        if (errno == EAGAIN)
            malloc_trim(0);
    }
}

/* SIGHUP reads the models again; but when the terminal that we run in is closed it means the end. SIGTERM and SIGINT
 * stop. */
static void *wait_for_signal(void *context)
{
    serving *s = context;
    sigset_t signals;
    bool terminal = isatty(STDIN_FILENO);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    while (next_signal(&signals) == SIGHUP && (!terminal || isatty(STDIN_FILENO)))
        own_models_reload(s->models, &s->service->models);
    server_stop(s->server);
    sigdelset(&signals, SIGHUP);
    next_signal(&signals); /* asked twice: at once */
    _exit(1);
}

/* Signals are waited for by a thread of their own; the others never see them. */
static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of writing, not the end */
}

static void say_where(const serving *s)
{
    const char *host = s->settings.host;
    bool here = !strcmp(host, "127.0.0.1") || !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
    bool six = !here && strchr(host, ':'); /* RFC 3986: an IPv6 address stands in brackets */
    printf("mien is listening on %s://%s%s%s:%d\n", *s->settings.tls_certificate ? "https" : "http", six ? "[" : "",
           here ? "localhost" : host, six ? "]" : "", server_port(s->server));
    if (*s->settings.data_folder)
        printf("Accounts, history and pictures that people choose to keep: %s\n", s->settings.data_folder);
    else
        printf("Accounts and history are kept in memory only; --data-dir FOLDER keeps them.\n");
    fflush(stdout);
}

/* Large blocks go back to the system when they are freed. By default the C library raises this threshold with every
 * large picture and each thread's heap keeps what it once needed. See next_signal() for the small ones. */
static void keep_memory_small(void)
{
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

static mien_status open_all(serving *s, bool check, mien_error *error)
{
    size_t workers = count_workers(&s->settings);
    memory_plan_apply(&s->settings, workers, "");
    mien_status status =
        memory_gate_create((uint64_t)s->settings.max_pictures, s->settings.request_timeout / 2, &s->gate, error);
    if (!status)
        status = own_models_open(&s->settings, workers, s->gate, &s->models, error);
    if (!status)
        status = service_create(&s->settings, own_models_first(s->models), &s->service, error);
    if (!status)
        status = own_models_offer(s->models, &s->service->models, error);
    if (!status && !check)
        status = server_create(s->service, &dialects_router, &s->server, error);
    if (!status && !check)
        status = endpoints_create(s->server, &s->endpoints, error);
    return status;
}

static void close_all(serving *s)
{
    server_destroy(&s->server);
    endpoints_destroy(&s->endpoints);
    service_destroy(&s->service);
    own_models_close(&s->models);
    memory_gate_destroy(&s->gate);
    settings_done(&s->settings);
}

static int serve(serving *s)
{
    pthread_t waiter;
    if (pthread_create(&waiter, NULL, wait_for_signal, s)) { /* nothing but SIGKILL would stop the server */
        fprintf(stderr, "mien serve: the thread that waits for signals could not be started\n");
        return EXIT_FAILURE;
    }
    pthread_detach(waiter);
    say_where(s);
    mien_status status = server_run(s->server);
    if (status) { /* what still runs uses what would be freed */
        fprintf(stderr, "mien serve: %s\n",
                status == MIEN_ETIMEOUT ? "requests were still running after STOP_TIMEOUT" : "the event loop failed");
        _exit(1);
    }
    return EXIT_SUCCESS;
}

int cmd_serve(int argc, char **argv)
{
    mien_error error = {0};
    serving s = {0};
    bool check = false;
    int count = argc - 1, result = 0;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return print_help();
    if (read_settings(&count, argv + 1, &s.settings, &check, &error)) {
        settings_done(&s.settings);
        fail(&error);
        return EXIT_USAGE;
    }
    keep_memory_small();
    begin_log(&s.settings);
    block_signals();
    mien_status opened = open_all(&s, check, &error);
    if (opened == MIEN_EBUSY && check) { /* checked beside the server that runs */
        printf("The settings are valid; the data folder is in use.\n");
    } else if (opened) {
        result = fail(&error);
    } else if (check) {
        printf("The settings are valid.\n");
    } else {
        result = serve(&s);
    }
    close_all(&s);
    return result;
}
