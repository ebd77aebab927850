/* Timers of one length: started in order, so they expire in order, and a linked list is all that is needed. */
#ifndef PROTO_TIMER_QUEUE_H
#define PROTO_TIMER_QUEUE_H

#include <stdint.h>

typedef struct timer_node {
    struct timer_node *previous, *next;
    struct timer_queue *queue; /* NULL = not running */
    uint64_t deadline;
} timer_node;

typedef struct timer_queue {
    timer_node *first, *last;
    uint64_t delay; /* milliseconds */
} timer_queue;

/** Start, or start again, also when it runs in another queue. */
void timer_start(timer_queue *queue, timer_node *node, uint64_t now);
void timer_stop(timer_node *node);
/** Stops and returns the first timer whose time has come; NULL when there is none. */
timer_node *timer_expired(timer_queue *queue, uint64_t now);
/** UINT64_MAX when none runs. */
uint64_t timer_deadline(const timer_queue *queue);

#endif
