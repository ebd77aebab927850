/* The server's own parts: the event loop (server.c), what workers report and what is due later (server_work.c). */
#ifndef SERVER_SERVER_STATE_H
#define SERVER_SERVER_STATE_H

#include "server/server_internal.h"

#include <libwebsockets.h>
#include <pthread.h>

enum { SERVER_MOST_MOUNTS = 16 };

/** On the loop's thread, but for what the lock guards. */
struct server {
    service *service;
    const router *router;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws *listener;
    int port;
    tls_context *tls; /* NULL = none */
    connection *connections;
    connection *adopting; /* NULL once its end has been heard of */
    size_t connection_count;
    long bodies; /* bytes under way */
    server_mount mounts[SERVER_MOST_MOUNTS];
    size_t mount_count;
    server_timer *timers;
    lws_sorted_usec_list_t sweep;
    uint64_t next_sweep_ns;
    random_state random;
    job_queue *queue;
    size_t jobs; /* handed to the queue, and their end not yet heard of */
    pthread_mutex_t news_lock;
    server_job *news; /* jobs with something to report, the latest first */
    atomic_bool stop_asked;
    bool stopping;
    bool serving; /* server_run() has the loop */
    uint64_t stop_by_ns;
};

/** Runs on a worker: the job, then its report. */
void server_run_job(void *context, size_t worker);
/** Hear what the workers have to report. */
void server_take_news(server *server);
/** Their entries in the loop's list must have gone with the loop. */
void server_free_timers(server *server);

#endif
