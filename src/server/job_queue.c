/* A ring of pointers, a lock and a condition. base/thread_pool splits one job over all threads and waits for it, which
 * is the other thing: here many jobs of different owners wait, in order, and nobody waits for them. */
#include "server/job_queue.h"

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>

typedef struct worker {
    job_queue *queue;
    size_t number;
    pthread_t thread;
} worker;

struct job_queue {
    pthread_mutex_t lock;
    pthread_cond_t some;
    job_function function;
    void **ring;
    size_t first;
    bool stopping;
    job_queue_counts counts;
    worker *workers;
    size_t started;
};

static void *work(void *context)
{
    worker *self = context;
    job_queue *queue = self->queue;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        while (!queue->counts.waiting && !queue->stopping)
            pthread_cond_wait(&queue->some, &queue->lock);
        if (!queue->counts.waiting)
            break;
        void *job = queue->ring[queue->first];
        queue->first = (queue->first + 1) % queue->counts.capacity;
        queue->counts.waiting--;
        queue->counts.running++;
        pthread_mutex_unlock(&queue->lock);
        queue->function(job, self->number);
        pthread_mutex_lock(&queue->lock);
        queue->counts.running--;
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

mien_status job_queue_create(size_t workers, size_t capacity, job_function function, job_queue **out, mien_error *error)
{
    job_queue *queue = memory_zeroed(1, sizeof *queue);
    if (!queue)
        return error_no_memory(error, sizeof *queue);
    queue->function = function;
    queue->counts = (job_queue_counts){.workers = workers, .capacity = capacity};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->some, NULL);
    queue->ring = memory_array(capacity, sizeof *queue->ring);
    queue->workers = memory_zeroed(workers, sizeof *queue->workers);
    mien_status status = queue->ring && queue->workers ? MIEN_OK : error_no_memory(error, capacity * sizeof(void *));
    while (!status && queue->started < workers) {
        worker *next = &queue->workers[queue->started];
        *next = (worker){.queue = queue, .number = queue->started};
        if (pthread_create(&next->thread, NULL, work, next))
            status = error_set(error, MIEN_ENOMEM, "cannot start worker thread %zu", queue->started);
        else
            queue->started++;
    }
    if (status)
        job_queue_destroy(&queue);
    else
        *out = queue;
    return status;
}

void job_queue_destroy(job_queue **pointer)
{
    job_queue *queue = *pointer;
    if (!queue)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    pthread_cond_broadcast(&queue->some);
    pthread_mutex_unlock(&queue->lock);
    for (size_t i = 0; i < queue->started; i++)
        pthread_join(queue->workers[i].thread, NULL);
    pthread_cond_destroy(&queue->some);
    pthread_mutex_destroy(&queue->lock);
    memory_free(queue->workers);
    memory_free(queue->ring);
    memory_free(queue);
    *pointer = NULL;
}

mien_status job_queue_push(job_queue *queue, void *job)
{
    pthread_mutex_lock(&queue->lock);
    bool room = queue->counts.waiting < queue->counts.capacity && !queue->stopping;
    if (room) {
        queue->ring[(queue->first + queue->counts.waiting) % queue->counts.capacity] = job;
        queue->counts.waiting++;
        pthread_cond_signal(&queue->some);
    } else {
        queue->counts.refused++;
    }
    pthread_mutex_unlock(&queue->lock);
    return room ? MIEN_OK : MIEN_EBUSY;
}

bool job_queue_withdraw(job_queue *queue, void *job)
{
    pthread_mutex_lock(&queue->lock);
    size_t kept = 0, capacity = queue->counts.capacity;
    for (size_t i = 0; i < queue->counts.waiting; i++) {
        void *candidate = queue->ring[(queue->first + i) % capacity];
        if (candidate != job)
            queue->ring[(queue->first + kept++) % capacity] = candidate;
    }
    bool found = kept < queue->counts.waiting;
    queue->counts.waiting = kept;
    pthread_mutex_unlock(&queue->lock);
    return found;
}

job_queue_counts job_queue_count(job_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    job_queue_counts counts = queue->counts;
    pthread_mutex_unlock(&queue->lock);
    return counts;
}
