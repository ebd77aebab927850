/* A timer on the loop that hands a job to the workers, for the store may block. How often: a tenth of HISTORY_TTL,
 * between ten seconds and ten minutes. */
#include "server/housekeeping.h"

#include "base/error.h"
#include "base/memory.h"

struct housekeeping {
    server_job job; /* first */
    server *server;
    server_timer *timer;
    uint64_t every_ms;
};

static void due(void *context)
{
    housekeeping *h = context;
    if (server_submit(h->server, &h->job))
        server_timer_set(h->timer, h->every_ms); /* busy: later */
}

static void run(server_job *job, size_t worker)
{
    (void)worker;
    people_prune(server_service(((housekeeping *)job)->server)->people);
}

static void news(server_job *job, bool finished)
{
    housekeeping *h = (housekeeping *)job;
    if (finished && !atomic_load(&server_service(h->server)->stopping))
        server_timer_set(h->timer, h->every_ms);
}

mien_status housekeeping_create(server *server, housekeeping **out, mien_error *error)
{
    housekeeping *created = memory_zeroed(1, sizeof *created);
    if (!created)
        return error_no_memory(error, sizeof *created);
    double life = server_service(server)->settings->history_ttl;
    double every = life > 0 && life < 6000 ? life / 10 : 600;
    created->job.run = run;
    created->job.news = news;
    created->server = server;
    created->every_ms = (uint64_t)((every < 10 ? 10 : every) * 1000);
    mien_status status = server_timer_create(server, due, created, &created->timer);
    if (status) {
        housekeeping_destroy(&created);
        return status;
    }
    server_timer_set(created->timer, 0);
    *out = created;
    return MIEN_OK;
}

void housekeeping_destroy(housekeeping **housekeeping)
{
    memory_free(*housekeeping);
    *housekeeping = NULL;
}
