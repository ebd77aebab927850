/* Work beside the loop: jobs go to the workers' queue; what they report comes back through a list that wakes the loop
 * with lws_cancel_service(); and what is due later waits in the loop's own list of timers. */
#include "server/server_state.h"

#include "base/memory.h"

struct server_timer {
    lws_sorted_usec_list_t sul; /* first: found again from it */
    server *server;
    void (*function)(void *context);
    void *context;
    struct server_timer *next;
};

/* Put a job on the list of those with news; wake the loop when it was empty. */
static void announce(server *server, server_job *job, bool finished)
{
    pthread_mutex_lock(&server->news_lock);
    bool wake = !server->news;
    job->finished |= finished;
    if (!job->listed) {
        job->listed = true;
        job->next = server->news;
        server->news = job;
    }
    pthread_mutex_unlock(&server->news_lock);
    if (wake)
        lws_cancel_service(server->context);
}

void server_tell(server *server, server_job *job)
{
    announce(server, job, false);
}

void server_run_job(void *context, size_t worker)
{
    server_job *job = context;
    job->run(job, worker);
    announce(job->server, job, true);
}

void server_take_news(server *server)
{
    pthread_mutex_lock(&server->news_lock);
    server_job *list = server->news, *forward = NULL;
    server->news = NULL;
    while (list) { /* oldest first */
        server_job *next = list->next;
        list->next = forward;
        forward = list;
        list = next;
    }
    pthread_mutex_unlock(&server->news_lock);
    while (forward) {
        server_job *job = forward;
        forward = job->next;
        pthread_mutex_lock(&server->news_lock);
        bool finished = job->finished;
        job->listed = false;
        pthread_mutex_unlock(&server->news_lock);
        server->jobs -= finished;
        job->news(job, finished);
    }
}

mien_status server_submit(server *server, server_job *job)
{
    if (!server->queue)
        return MIEN_EBUSY; /* being destroyed */
    job->server = server;
    job->listed = job->finished = false;
    mien_status status = job_queue_push(server->queue, job);
    server->jobs += !status;
    return status;
}

bool server_withdraw(server *server, server_job *job)
{
    bool withdrawn = server->queue && job_queue_withdraw(server->queue, job);
    server->jobs -= withdrawn;
    return withdrawn;
}

static void timer_due(lws_sorted_usec_list_t *sul)
{
    server_timer *timer = (server_timer *)sul;
    timer->function(timer->context);
}

mien_status server_timer_create(server *server, void (*function)(void *context), void *context, server_timer **out)
{
    server_timer *timer = memory_zeroed(1, sizeof *timer);
    if (!timer)
        return MIEN_ENOMEM;
    timer->server = server;
    timer->function = function;
    timer->context = context;
    timer->next = server->timers;
    server->timers = timer;
    *out = timer;
    return MIEN_OK;
}

void server_timer_set(server_timer *timer, uint64_t milliseconds)
{
    lws_usec_t us = milliseconds > 86400000u ? (lws_usec_t)86400000000 : (lws_usec_t)milliseconds * 1000;
    if (milliseconds == UINT64_MAX)
        us = LWS_SET_TIMER_USEC_CANCEL;
    lws_sul_schedule(timer->server->context, 0, &timer->sul, timer_due, us ? us : 1);
}

void server_free_timers(server *server)
{
    while (server->timers) {
        server_timer *timer = server->timers;
        server->timers = timer->next;
        memory_free(timer);
    }
}
