/* Workers with a bounded queue in front of them: requests that recognise pictures or wait for a store run here. */
#ifndef SERVER_JOB_QUEUE_H
#define SERVER_JOB_QUEUE_H

#include <mien/base.h>

#include <stdbool.h>

typedef struct job_queue job_queue;

/** Runs on worker number `worker`. */
typedef void (*job_function)(void *job, size_t worker);

typedef struct job_queue_counts {
    size_t waiting, running, workers, capacity;
    uint64_t refused;
} job_queue_counts;

mien_status job_queue_create(size_t workers, size_t capacity, job_function function, job_queue **queue,
                             mien_error *error);
/** Waits for running jobs; jobs still waiting are run too, so that each one's owner hears of it. */
void job_queue_destroy(job_queue **queue);
/** MIEN_EBUSY at once when `capacity` jobs wait already. */
mien_status job_queue_push(job_queue *queue, void *job);
/** Take a job that has not begun back out; false when it has begun. */
bool job_queue_withdraw(job_queue *queue, void *job);
job_queue_counts job_queue_count(job_queue *queue);

#endif
