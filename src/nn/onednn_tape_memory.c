/* Memory of a tape: buffers with disjoint life times share addresses.
 *
 * The steps are in the order of execution, so a buffer lives from its first to its last step. Buffers are placed one
 * after the other in the order of their birth, each at the lowest address that is free for its whole life (first fit).
 * That is within a few per cent of the optimum for a tape, whose life times are nested like brackets, and low addresses
 * are the ones that are still warm in the cache. Fixed buffers live always.
 *
 * Everything is one block with huge pages where the system has them: a microbatch touches hundreds of megabytes. */
#include "nn/onednn_tape.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BUFFER_ALIGNMENT = 128, BUFFER_GAP = 192, HUGE_PAGE = 1 << 21 };

typedef struct extent {
    size_t begin, end;
} extent;

static int by_begin(const void *a, const void *b)
{
    size_t x = ((const extent *)a)->begin, y = ((const extent *)b)->begin;
    return x < y ? -1 : x > y;
}

static bool lives_with(const tape_buffer *a, const tape_buffer *b)
{
    return a->fixed || b->fixed || (a->first <= b->last && b->first <= a->last);
}

/* A gap after each buffer keeps streams of equal size from falling on the same cache sets. */
static size_t room(const tape_buffer *buffer)
{
    return (buffer->bytes + BUFFER_GAP + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
}

/* Lowest free offset for buffer `index`, given the places of those in `order` before it. */
static size_t first_fit(const onednn_tape *tape, const int *order, int placed, int index, const size_t *offsets,
                        extent *taken)
{
    const tape_buffer *buffer = &tape->buffers[index];
    size_t count = 0;
    for (int i = 0; i < placed; i++)
        if (lives_with(&tape->buffers[order[i]], buffer))
            taken[count++] = (extent){offsets[order[i]], offsets[order[i]] + room(&tape->buffers[order[i]])};
    qsort(taken, count, sizeof *taken, by_begin);
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (taken[i].begin >= offset + room(buffer))
            break;
        if (taken[i].end > offset)
            offset = taken[i].end;
    }
    return offset;
}

/* Fixed buffers first, then by birth. Buffers were made roughly in the order of their first use; insertion sort. */
static int birth_order(const onednn_tape *tape, int *order)
{
    int count = 0;
    for (int i = 0; i < tape->buffer_count; i++) {
        const tape_buffer *b = &tape->buffers[i];
        if (!b->fixed && b->last < b->first)
            continue; /* never used */
        int at = count++;
        while (at > 0) {
            const tape_buffer *before = &tape->buffers[order[at - 1]];
            if (before->fixed > b->fixed || (before->fixed == b->fixed && (b->fixed || before->first <= b->first)))
                break;
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return count;
}

static mien_status allocate(onednn_tape *tape, size_t bytes, mien_error *error)
{
    size_t rounded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *block = aligned_alloc(HUGE_PAGE, rounded ? rounded : HUGE_PAGE);
    if (!block)
        return error_no_memory(error, rounded);
#ifdef MADV_HUGEPAGE
    madvise(block, rounded, MADV_HUGEPAGE); /* a wish: without it the tape is only slower */
#endif
    memset(block, 0, rounded); /* pages are taken now, not in the first step */
    tape->block = block;
    tape->block_bytes = rounded;
    return MIEN_OK;
}

mien_status tape_lay_out(onednn_tape *tape, mien_error *error)
{
    size_t count = (size_t)tape->buffer_count;
    int *order = memory_arena_take(&tape->arena, count, sizeof *order);
    size_t *offsets = memory_arena_take(&tape->arena, count, sizeof *offsets);
    extent *taken = memory_arena_take(&tape->arena, count, sizeof *taken);
    if (!order || !offsets || !taken)
        return error_no_memory(error, count * sizeof *taken);
    int used = birth_order(tape, order);
    size_t bytes = 0;
    for (int i = 0; i < used; i++) {
        size_t offset = first_fit(tape, order, i, order[i], offsets, taken);
        offsets[order[i]] = offset;
        size_t end = offset + room(&tape->buffers[order[i]]);
        bytes = end > bytes ? end : bytes;
    }
    mien_status status = allocate(tape, bytes, error);
    for (int i = 0; i < used && !status; i++)
        tape->buffers[order[i]].data = (char *)tape->block + offsets[order[i]];
    return status;
}
