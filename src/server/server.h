/* The network side: listening, connections, the event loop, workers. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/router.h"
#include "server/service.h"

typedef struct server server;

/** Something that runs on a worker and reports back to the event loop. Embed it; zero it before first use. */
typedef struct server_job {
    void (*run)(struct server_job *job, size_t worker);  /* on a worker thread */
    void (*news)(struct server_job *job, bool finished); /* on the loop's thread: after server_tell(), and at the end */
    server *server;                                      /* what follows is the server's own */
    struct server_job *next;
    bool listed, finished;
} server_job;

/** Listen as the settings say. `service` and its settings are borrowed.
 *  @return MIEN_OK, MIEN_EIO (the address cannot be bound), MIEN_EINVAL, MIEN_ENOMEM. */
mien_status server_create(service *service, const router *router, server **server, mien_error *error);
void server_destroy(server **server);
/** The port it listens on. */
int server_port(const server *server);
/** Serve until server_stop(). @return MIEN_OK after a graceful stop, MIEN_ETIMEOUT when requests were still running at
 *  its deadline. */
mien_status server_run(server *server);
/** Finish what runs, refuse what is new, then return from server_run(). From any thread. */
void server_stop(server *server);

struct exchange;
struct channel_handlers;

/** A path that is served beside the router on the loop's thread: WebSockets, and requests answered later. */
typedef struct server_mount {
    const char *path;
    void *context;
    /** Answer a request now or later with exchange_answer(); may set exchange->gone. NULL = WebSocket only. */
    void (*request)(void *context, struct exchange *e);
    const struct channel_handlers *channel; /* NULL = no WebSocket */
    /** The server is about to stop: answer what waits. May be NULL. */
    void (*stopping)(void *context);
} server_mount;

/** Before server_run(). The mount is copied. MIEN_ELIMIT beyond 16. */
mien_status server_add_mount(server *server, const server_mount *mount);

/** Run `function` once on the loop's thread in `milliseconds`; replaces the timer's earlier time. UINT64_MAX stops it.
 */
typedef struct server_timer server_timer;
mien_status server_timer_create(server *server, void (*function)(void *context), void *context, server_timer **timer);
void server_timer_set(server_timer *timer, uint64_t milliseconds);

/** Hand a job to the workers; MIEN_EBUSY at once when the queue is full. On the loop's thread. */
mien_status server_submit(server *server, server_job *job);
/** Take a job back that has not begun; false when it has. Then its news will come. On the loop's thread. */
bool server_withdraw(server *server, server_job *job);
/** Ask for job->news(job, false) on the loop's thread. From the worker that runs the job. */
void server_tell(server *server, server_job *job);
service *server_service(const server *server);

#endif
