/* A fork-join pool: parts of one job are handed out by a counter under a mutex, workers sleep on a condition variable.
 * oneDNN's OpenMP barriers spin and collapse when the machine is shared; this pool blocks instead. */
#include "base/thread_pool.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/memory.h"

enum { THREAD_POOL_MOST = 256 };

struct thread_pool_worker {
    thread_pool *pool;
    size_t index;
    pthread_t thread;
};

struct thread_pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a job has parts left, or the pool closes */
    pthread_cond_t done; /* the last part of the job ended */
    bool closing;
    thread_pool_task task;
    void *context;
    size_t count, next, running;
    size_t threads;
    struct thread_pool_worker workers[];
};

/* Called with the lock held; takes parts until none is left. */
static void thread_pool_take_parts(thread_pool *pool, size_t worker)
{
    while (pool->next < pool->count) {
        size_t index = pool->next++;
        pool->running++;
        thread_pool_task task = pool->task;
        void *context = pool->context;
        pthread_mutex_unlock(&pool->lock);
        task(context, index, worker);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    if (!pool->running)
        pthread_cond_broadcast(&pool->done);
}

static void *thread_pool_main(void *argument)
{
    struct thread_pool_worker *worker = argument;
    thread_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing) {
        if (pool->next < pool->count)
            thread_pool_take_parts(pool, worker->index);
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

mien_status thread_pool_create(size_t threads, thread_pool **pool, mien_error *error)
{
    if (threads < 1 || threads > THREAD_POOL_MOST)
        return error_set(error, MIEN_EINVAL, "threads: %zu is not within 1..%d", threads, THREAD_POOL_MOST);
    size_t bytes = sizeof(thread_pool) + threads * sizeof(struct thread_pool_worker);
    thread_pool *p = memory_zeroed(1, bytes);
    if (!p)
        return error_no_memory(error, bytes);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = 1;
    for (size_t i = 1; i < threads; i++) {
        p->workers[i] = (struct thread_pool_worker){.pool = p, .index = i};
        if (pthread_create(&p->workers[i].thread, NULL, thread_pool_main, &p->workers[i])) {
            thread_pool_destroy(&p);
            return error_set(error, MIEN_ENOMEM, "thread %zu could not be started", i);
        }
        p->threads++;
    }
    *pool = p;
    return MIEN_OK;
}

void thread_pool_destroy(thread_pool **pool)
{
    if (!pool || !*pool)
        return;
    thread_pool *p = *pool;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 1; i < p->threads; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    memory_free(p);
    *pool = NULL;
}

size_t thread_pool_threads(const thread_pool *pool)
{
    return pool->threads;
}

void thread_pool_run(thread_pool *pool, size_t count, thread_pool_task task, void *context)
{
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->context = context;
    pool->next = 0;
    pool->count = count;
    if (count > 1)
        pthread_cond_broadcast(&pool->work);
    thread_pool_take_parts(pool, 0);
    while (pool->running)
        pthread_cond_wait(&pool->done, &pool->lock);
    pool->count = pool->next = 0;
    pthread_mutex_unlock(&pool->lock);
}
