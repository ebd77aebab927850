/* Greedy by size (Pisarchyk & Lee 2020): the largest buffer first, each at the lowest offset where it overlaps no
 * placed buffer that lives at the same time. Within a few per cent of the optimum on real networks, and done once per
 * plan. */
#include "nn/plan_memory.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

enum { PLACE_ALIGNMENT = 64 };

static int by_size_down(const void *a, const void *b)
{
    const plan_buffer *x = *(plan_buffer *const *)a, *y = *(plan_buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y; /* the same plan every time */
}

static bool meet(const plan_buffer *a, const plan_buffer *b)
{
    return a->bytes && b->bytes && a->first <= b->last && b->first <= a->last;
}

/* The lowest end of a placed, living neighbour that overlaps [place, place + bytes), or 0 when there is none. */
static size_t blocking_end(const plan_buffer *buffer, plan_buffer *const *placed, size_t count)
{
    size_t lowest = 0;
    for (size_t i = 0; i < count; i++) {
        const plan_buffer *other = placed[i];
        size_t end = other->place + other->bytes;
        bool overlaps = buffer->place < end && other->place < buffer->place + buffer->bytes;
        if (meet(buffer, other) && overlaps && (!lowest || end < lowest))
            lowest = end;
    }
    return lowest;
}

mien_status plan_memory_place(plan_buffer *buffers, size_t count, size_t *total, mien_error *error)
{
    plan_buffer **order = memory_array(count, sizeof *order);
    if (!order)
        return error_no_memory(error, count * sizeof *order);
    size_t sum = 0;
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        order[i] = &buffers[i];
        fits = fits && memory_sum(buffers[i].bytes, PLACE_ALIGNMENT - 1, &buffers[i].bytes);
        buffers[i].bytes &= ~(size_t)(PLACE_ALIGNMENT - 1);
        fits = fits && memory_sum(sum, buffers[i].bytes, &sum);
    }
    qsort(order, count, sizeof(plan_buffer *), by_size_down);
    size_t end = 0, next;
    for (size_t i = 0; i < count && fits; i++) {
        order[i]->place = 0;
        while ((next = blocking_end(order[i], order, i)))
            order[i]->place = next;
        if (order[i]->bytes && order[i]->place + order[i]->bytes > end)
            end = order[i]->place + order[i]->bytes;
    }
    memory_free(order);
    if (!fits)
        return error_set(error, MIEN_ELIMIT, "the activations do not fit the address space");
    *total = end;
    return MIEN_OK;
}
