/* Every heartbeat of a server waits equally long, so a queue of them is sorted by itself: starting, stopping and asking
 * for the next one take constant time however many clients there are. */
#include "proto/timer_queue.h"

#include <stddef.h>

void timer_stop(timer_node *node)
{
    timer_queue *queue = node->queue;
    if (!queue)
        return;
    *(node->previous ? &node->previous->next : &queue->first) = node->next;
    *(node->next ? &node->next->previous : &queue->last) = node->previous;
    node->previous = node->next = NULL;
    node->queue = NULL;
}

void timer_start(timer_queue *queue, timer_node *node, uint64_t now)
{
    timer_stop(node);
    node->deadline = now + queue->delay;
    if (queue->last && queue->last->deadline > node->deadline)
        node->deadline = queue->last->deadline; /* a caller whose time ran back keeps the order all the same */
    node->queue = queue;
    node->previous = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = node;
    queue->last = node;
}

timer_node *timer_expired(timer_queue *queue, uint64_t now)
{
    timer_node *node = queue->first;
    if (!node || node->deadline > now)
        return NULL;
    timer_stop(node);
    return node;
}

uint64_t timer_deadline(const timer_queue *queue)
{
    return queue->first ? queue->first->deadline : UINT64_MAX;
}
