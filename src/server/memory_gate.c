/* A lock, a condition and the queue of those who wait, which lies on their stacks. Only its head may go in: a large
 * picture is not overtaken for ever by smaller ones. Every worker holds at most one taking and asks for it at once, so
 * nobody waits for somebody who waits. */
#include "server/memory_gate.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

typedef struct gate_waiter {
    struct gate_waiter *next;
} gate_waiter;

struct memory_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    memory_gate_counts counts;
    double patience_s;
    gate_waiter *first, **end;
};

static const uint64_t second_ns = 1000000000u;

mien_status memory_gate_create(uint64_t budget, double patience_s, memory_gate **out, mien_error *error)
{
    memory_gate *gate = memory_zeroed(1, sizeof *gate);
    if (!gate)
        return error_no_memory(error, sizeof *gate);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&gate->lock, NULL);
    gate->counts.budget = budget;
    gate->patience_s = patience_s;
    gate->end = &gate->first;
    *out = gate;
    return MIEN_OK;
}

void memory_gate_destroy(memory_gate **gate)
{
    if (!*gate)
        return;
    pthread_cond_destroy(&(*gate)->changed);
    pthread_mutex_destroy(&(*gate)->lock);
    memory_free(*gate);
    *gate = NULL;
}

static void leave(memory_gate *gate, const gate_waiter *who)
{
    gate_waiter **at = &gate->first;
    while (*at != who)
        at = &(*at)->next;
    *at = who->next;
    if (!*at)
        gate->end = at;
    gate->counts.waiting--;
    pthread_cond_broadcast(&gate->changed); /* the next one may fit */
}

/* With the lock held. @return false when patience has run out. */
static bool wait_in_line(memory_gate *gate, uint64_t bytes)
{
    uint64_t until = clock_monotonic_ns() + (uint64_t)(gate->patience_s * 1e9);
    struct timespec when = {(time_t)(until / second_ns), (long)(until % second_ns)};
    gate_waiter self = {NULL};
    *gate->end = &self;
    gate->end = &self.next;
    gate->counts.waiting++;
    bool fits = false, late = false;
    while (!(fits = gate->first == &self && bytes <= gate->counts.budget - gate->counts.taken) && !late)
        late = pthread_cond_timedwait(&gate->changed, &gate->lock, &when) == ETIMEDOUT;
    leave(gate, &self);
    return fits;
}

mien_status memory_gate_take(memory_gate *gate, uint64_t bytes, mien_error *error)
{
    if (bytes <= MEMORY_GATE_SMALL)
        return MIEN_OK;
    if (bytes > gate->counts.budget)
        return error_set(error, MIEN_ELIMIT, "the picture takes %.0f MB of memory to read; at most %.0f MB are allowed",
                         (double)bytes / 1e6, (double)gate->counts.budget / 1e6);
    pthread_mutex_lock(&gate->lock);
    bool fits = wait_in_line(gate, bytes);
    if (fits)
        gate->counts.taken += bytes;
    pthread_mutex_unlock(&gate->lock);
    return fits ? MIEN_OK : error_set(error, MIEN_EBUSY, "too many large pictures at once; try again");
}

void memory_gate_give(memory_gate *gate, uint64_t bytes)
{
    if (bytes <= MEMORY_GATE_SMALL)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->counts.taken -= bytes;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

memory_gate_counts memory_gate_count(memory_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    memory_gate_counts counts = gate->counts;
    pthread_mutex_unlock(&gate->lock);
    return counts;
}
