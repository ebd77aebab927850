/* Worker threads that block while idle: no spinning, so other processes on the machine are not starved. */
#ifndef BASE_THREAD_POOL_H
#define BASE_THREAD_POOL_H

#include <mien/base.h>

typedef struct thread_pool thread_pool;

/** One part of a job: `index` 0..count-1, `worker` 0..threads-1 (so that each worker may own scratch memory). */
typedef void (*thread_pool_task)(void *context, size_t index, size_t worker);

/** `threads` 1..256, the caller included: a pool of 1 starts no thread and runs everything in the caller. */
mien_status thread_pool_create(size_t threads, thread_pool **pool, mien_error *error);
/** Waits for the workers to end. Accepts a pointer to NULL. */
void thread_pool_destroy(thread_pool **pool);
size_t thread_pool_threads(const thread_pool *pool);

/** Run task(context, 0..count-1) on all threads, the caller among them, and return when every part is done. Parts are
 *  handed out one at a time in order. One job at a time; not to be called from inside a task of the same pool. */
void thread_pool_run(thread_pool *pool, size_t count, thread_pool_task task, void *context);

#endif
