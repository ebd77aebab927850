/* A container is killed when it passes its limit, so what clients can make the server hold must fit into it: models,
 * workers and idle connections first, then the bodies under way, each of which JSON makes into a copy and a picture,
 * then the pictures being read. What the first take is measured (bench/memory.mjs) and rounded up: the program with the
 * models that ship 45 MB; a worker 30 when both and every preset have been in use, and 8 more for a picture too small
 * to be counted; an idle connection 3.3 KB, with TLS 24 KB, with HTTP/2 over it 47 KB. A model being exchanged is there
 * twice for as long as the old one is in use; the headroom that bodies seldom fill has to serve. Without a container
 * half of the machine's memory counts as the limit. */
#include "server/memory_plan.h"

#include "base/file.h"
#include "base/log.h"
#include "server/memory_gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20, PLAN_PATH = 4096 };

static const uint64_t program_bytes = 48ull * MEGABYTE, worker_bytes = 30ull * MEGABYTE + MEMORY_GATE_SMALL;
static const uint64_t connection_bytes = 4ull << 10, secure_connection_bytes = 48ull << 10;
static const uint64_t least_bodies = 4ull * MEGABYTE, most_bodies = 256ull * MEGABYTE;
static const uint64_t least_pictures = 24ull * MEGABYTE;
static const uint64_t no_limit = 1ull << 50; /* version 1 says it with a number near 2^63 */

/* The number in a file; 0 where there is none, as in "max". */
static uint64_t read_limit(const char *folder, const char *path, size_t length, const char *name)
{
    char file[PLAN_PATH + 64];
    buffer text = {0};
    snprintf(file, sizeof file, "%s%.*s/%s", folder, (int)length, path, name);
    uint64_t limit = file_read(file, 64, &text, NULL) ? 0 : strtoull(buffer_text(&text), NULL, 10);
    buffer_done(&text);
    return limit < no_limit ? limit : 0;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* The group's own limit and those above it. Inside a container the files of its group often stand at the top. */
static uint64_t least_above(const char *folder, const char *path, const char *name)
{
    uint64_t limit = read_limit(folder, "", 0, name);
    for (size_t length = strlen(path); length; length--)
        if (path[length] == 0 || path[length] == '/')
            limit = lesser(limit, read_limit(folder, path, length, name));
    return limit;
}

/* One line of /proc/self/cgroup: "4:memory:/path", in version 2 "0::/path". */
static uint64_t limit_of_line(const char *root, const char *line, size_t length)
{
    char path[PLAN_PATH] = "", folder[PLAN_PATH];
    const char *kinds = memchr(line, ':', length);
    const char *at = kinds ? memchr(kinds + 1, ':', length - (size_t)(kinds + 1 - line)) : NULL;
    if (!at)
        return 0;
    snprintf(path, sizeof path, "%.*s", (int)(length - (size_t)(at + 1 - line)), at + 1);
    bool second = at == kinds + 1, memory = false;
    for (const char *kind = kinds + 1; kind < at; kind += strcspn(kind, ",:") + 1)
        memory = memory || (strcspn(kind, ",:") == 6 && !strncmp(kind, "memory", 6));
    snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s", root, second ? "" : "/memory");
    return second || memory ? least_above(folder, path, second ? "memory.max" : "memory.limit_in_bytes") : 0;
}

uint64_t memory_plan_container(const char *root)
{
    char file[PLAN_PATH];
    buffer text = {0};
    uint64_t limit = 0;
    snprintf(file, sizeof file, "%s/proc/self/cgroup", root);
    if (!file_read(file, MEGABYTE, &text, NULL))
        for (const char *line = buffer_text(&text); *line; line += strcspn(line, "\n"), line += *line == '\n')
            limit = lesser(limit, limit_of_line(root, line, strcspn(line, "\n")));
    buffer_done(&text);
    return limit;
}

static uint64_t within(uint64_t low, uint64_t value, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void plan_limit(settings *settings, const char *root)
{
    const char *whose = "MEMORY_LIMIT";
    if (!settings->memory_limit) {
        uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t container = memory_plan_container(root);
        whose = container && container < machine ? "the container's limit" : "half of the machine's";
        settings->memory_limit = (long)(container && container < machine ? container : machine / 2);
    }
    log_write(LOG_INFO, "memory: at most %.0f MB (%s)", (double)settings->memory_limit / 1e6, whose);
}

/* Of so much that is left: all connections that may be open at a time, but a quarter at the most. */
static uint64_t plan_connections(const settings *settings, uint64_t left)
{
    bool secure = *settings->tls_certificate;
    uint64_t one = secure ? secure_connection_bytes : connection_bytes;
    uint64_t all = one * (uint64_t)settings->max_connections, most = left / 4;
    if (all > most)
        log_write(LOG_WARNING, "memory: %ld connections%s take %.0f MB even when idle; MAX_CONNECTIONS=%.0f would fit",
                  settings->max_connections, secure ? " with TLS" : "", (double)all / 1e6, (double)(most / one));
    return all < most ? all : most;
}

void memory_plan_apply(settings *settings, size_t workers, const char *root)
{
    plan_limit(settings, root);
    uint64_t limit = (uint64_t)settings->memory_limit, fixed = program_bytes + workers * worker_bytes;
    fixed += plan_connections(settings, limit > fixed ? limit - fixed : 0);
    uint64_t left = limit > fixed ? limit - fixed : 0;
    if (!settings->max_bodies)
        settings->max_bodies = (long)within(least_bodies, left / 12, most_bodies);
    uint64_t bodies = (uint64_t)settings->max_bodies, used = 3 * bodies < left ? left - 3 * bodies : 0;
    if (!settings->max_pictures)
        settings->max_pictures = (long)(used > least_pictures ? used : least_pictures);
    if (settings->max_body > settings->max_bodies)
        settings->max_body = settings->max_bodies;
    log_write(LOG_INFO,
              "memory: %.0f MB for the program, %zu workers and connections, %.0f for bodies under way, %.0f "
              "for large pictures being read",
              (double)fixed / 1e6, workers, (double)settings->max_bodies / 1e6, (double)settings->max_pictures / 1e6);
    if (limit < fixed + 3 * bodies + (uint64_t)settings->max_pictures)
        log_write(LOG_WARNING,
                  "memory: %zu workers with all models may pass %.0f MB; fewer WORKERS or less MAX_PICTURES_MEMORY "
                  "would hold it",
                  workers, (double)limit / 1e6);
}
