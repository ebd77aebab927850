/* Load on an HTTP server: a number of connections, one request on each at a time, as fast as answers come or at a fixed
 * rate. At a fixed rate a request's wait begins when it was due, not when a connection became free, so a server that
 * stalls is charged for everybody who would have come meanwhile (Tene's "coordinated omission"). Every wait is kept:
 * percentiles are exact.
 *
 *   bench_load PORT PATH --seconds S [--connections N] [--rate R] [PICTURE…]   pictures go as a form's field "file"
 *   bench_load PORT PATH --idle N [--upgrade]       open N connections, say so, hold them until standard input ends
 *
 * Prints one line: requests a second, failed, and in ms p50, p90, p99, the longest wait. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

enum { MOST_PICTURES = 64, MOST_CONNECTIONS = 4096, ANSWER_BYTES = 1 << 16, MOST_FILE = 64 << 20 };

typedef struct client {
    int socket;
    bool busy;
    const buffer *request;
    size_t sent, received, wanted; /* wanted: bytes of the whole answer, once known */
    uint64_t due_ns;
    char *answer;
} client;

typedef struct load {
    int port;
    const char *path;
    double seconds, rate;
    size_t connections, idle;
    bool upgrade;
    buffer requests[MOST_PICTURES];
    size_t request_count;
    client *clients;
    double *waits; /* ms */
    size_t done, capacity, failed, begun;
} load;

static int connect_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (made < 0 || connect(made, (struct sockaddr *)&address, sizeof address)) {
        perror("bench_load: connect");
        exit(1);
    }
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return made;
}

static void add_request(load *l, const char *picture)
{
    buffer *out = &l->requests[l->request_count++], file = {0}, body = {0};
    mien_error error = {0};
    if (!picture) {
        buffer_append_format(out, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", l->path);
        return;
    }
    if (file_read(picture, MOST_FILE, &file, &error)) {
        fprintf(stderr, "bench_load: %s\n", error.message);
        exit(1);
    }
    buffer_append_text(&body, "--mienbench\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n"
                              "Content-Type: image/jpeg\r\n\r\n");
    buffer_append(&body, file.data, file.length);
    buffer_append_text(&body, "\r\n--mienbench--\r\n");
    buffer_append_format(out,
                         "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
                         "boundary=mienbench\r\nContent-Length: %zu\r\n\r\n",
                         l->path, body.length);
    buffer_append(out, body.data, body.length);
    buffer_done(&file);
    buffer_done(&body);
}

static void reopen(load *l, client *c)
{
    close(c->socket);
    c->socket = connect_to(l->port);
    fcntl(c->socket, F_SETFL, O_NONBLOCK);
}

static void begin(load *l, client *c, uint64_t due)
{
    c->busy = true;
    c->due_ns = due;
    c->sent = c->received = c->wanted = 0;
    c->request = &l->requests[l->begun++ % l->request_count];
}

static void finish(load *l, client *c, bool fine)
{
    c->busy = false;
    if (!fine) {
        l->failed++;
        reopen(l, c);
        return;
    }
    if (l->done == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 65536;
        double *more = realloc(l->waits, l->capacity * sizeof *more);
        if (!more)
            exit(1);
        l->waits = more;
    }
    l->waits[l->done++] = (double)(clock_monotonic_ns() - c->due_ns) / 1e6;
}

static bool send_some(client *c)
{
    while (c->sent < c->request->length) {
        ssize_t n = send(c->socket, c->request->data + c->sent, c->request->length - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->sent += (size_t)n;
    }
    return true;
}

/* How long the answer is, from its head; 0 = not yet known. */
static size_t answer_length(const client *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "content-length:");
    return end && length && length < end ? (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10) : 0;
}

static void receive(load *l, client *c)
{
    ssize_t n = recv(c->socket, c->answer + c->received, ANSWER_BYTES - 1 - c->received, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        finish(l, c, false);
        return;
    }
    c->received += (size_t)n;
    c->answer[c->received] = 0;
    if (!c->wanted)
        c->wanted = answer_length(c);
    if (c->wanted && c->received >= c->wanted) {
        bool closes = strcasestr(c->answer, "connection: close") != NULL;
        finish(l, c, !strncmp(c->answer, "HTTP/1.1 200", 12));
        if (closes && !c->busy)
            reopen(l, c);
    } else if (c->received == ANSWER_BYTES - 1) {
        finish(l, c, false);
    }
}

/* Give what is due to connections that are free. @return when the next one is due. */
static uint64_t dispatch(load *l, uint64_t start, uint64_t now, uint64_t end)
{
    for (size_t i = 0; i < l->connections; i++) {
        uint64_t due = l->rate > 0 ? start + (uint64_t)((double)l->begun * 1e9 / l->rate) : now;
        if (due > now || due >= end)
            return due < end ? due : end;
        if (!l->clients[i].busy)
            begin(l, &l->clients[i], due);
    }
    return end;
}

static void run(load *l)
{
    struct pollfd *set = memory_zeroed(l->connections, sizeof *set);
    uint64_t start = clock_monotonic_ns(), end = start + (uint64_t)(l->seconds * 1e9), now = start;
    uint64_t give_up = end + 30000000000u; /* what is late has this long to come */
    for (bool busy = true; (now < end || busy) && now < give_up; now = clock_monotonic_ns()) {
        uint64_t next = dispatch(l, start, now, end);
        busy = false;
        for (size_t i = 0; i < l->connections; i++) {
            client *c = &l->clients[i];
            short events = POLLIN;
            if (c->busy && c->sent < c->request->length && !send_some(c))
                finish(l, c, false);
            if (c->busy && c->sent < c->request->length)
                events |= POLLOUT;
            set[i] = (struct pollfd){.fd = c->busy ? c->socket : -1, .events = events};
            busy |= c->busy;
        }
        now = clock_monotonic_ns();
        int wait = busy ? 1000 : 0;
        if (next > now && (double)(next - now) / 1e6 < wait)
            wait = (int)((next - now) / 1000000);
        else if (!busy && next > now)
            wait = (int)((next - now) / 1000000);
        poll(set, (nfds_t)l->connections, wait);
        for (size_t i = 0; i < l->connections; i++)
            if (set[i].revents & (POLLIN | POLLHUP | POLLERR))
                receive(l, &l->clients[i]);
    }
    for (size_t i = 0; i < l->connections; i++)
        l->failed += l->clients[i].busy;
    memory_free(set);
    l->seconds = (double)((now < end ? end : now) - start) / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const load *l, double share)
{
    size_t at = (size_t)(share * (double)l->done);
    return l->done ? l->waits[at < l->done ? at : l->done - 1] : 0;
}

static void hold_idle(load *l)
{
    for (size_t i = 0; i < l->idle; i++) {
        int made = connect_to(l->port);
        char request[512], answer[2048];
        int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", l->path,
                              l->upgrade ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                           "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                                         : "");
        if (send(made, request, (size_t)length, MSG_NOSIGNAL) < length || recv(made, answer, sizeof answer, 0) <= 0) {
            fprintf(stderr, "bench_load: connection %zu was not answered\n", i);
            exit(1);
        }
    }
    printf("%zu open\n", l->idle);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

static void read_arguments(load *l, int count, char **arguments)
{
    const char *pictures[MOST_PICTURES];
    size_t found = 0;
    l->port = atoi(arguments[1]);
    l->path = arguments[2];
    for (int i = 3; i < count; i++) {
        bool more = i + 1 < count;
        if (!strcmp(arguments[i], "--seconds") && more)
            l->seconds = atof(arguments[++i]);
        else if (!strcmp(arguments[i], "--rate") && more)
            l->rate = atof(arguments[++i]);
        else if (!strcmp(arguments[i], "--connections") && more)
            l->connections = strtoul(arguments[++i], NULL, 10);
        else if (!strcmp(arguments[i], "--idle") && more)
            l->idle = strtoul(arguments[++i], NULL, 10);
        else if (!strcmp(arguments[i], "--upgrade"))
            l->upgrade = true;
        else if (found < MOST_PICTURES)
            pictures[found++] = arguments[i];
    }
    for (size_t i = 0; i < found; i++)
        add_request(l, pictures[i]);
    if (!found)
        add_request(l, NULL);
}

int main(int count, char **arguments)
{
    load l = {.seconds = 5, .connections = 8};
    struct rlimit files = {MOST_CONNECTIONS + 64, MOST_CONNECTIONS + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    if (count < 3) {
        fprintf(stderr, "usage: bench_load PORT PATH [--seconds S] [--connections N] [--rate R] [--idle N [--upgrade]] "
                        "[PICTURE…]\n");
        return 2;
    }
    read_arguments(&l, count, arguments);
    if (l.idle) {
        hold_idle(&l);
        return 0;
    }
    if (l.connections < 1 || l.connections > MOST_CONNECTIONS ||
        !(l.clients = calloc(l.connections, sizeof *l.clients)))
        return 2;
    for (size_t i = 0; i < l.connections; i++) {
        l.clients[i].answer = calloc(1, ANSWER_BYTES);
        l.clients[i].socket = connect_to(l.port);
        if (!l.clients[i].answer || fcntl(l.clients[i].socket, F_SETFL, O_NONBLOCK))
            return 1;
    }
    run(&l);
    qsort(l.waits, l.done, sizeof *l.waits, by_size);
    printf("%.2f %zu %.2f %.2f %.2f %.2f\n", (double)l.done / l.seconds, l.failed, percentile(&l, 0.5),
           percentile(&l, 0.9), percentile(&l, 0.99), l.done ? l.waits[l.done - 1] : 0);
    return l.failed && !l.done;
}
