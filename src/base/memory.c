/* Checked allocation and an arena of chained blocks. malloc does the work; what is added is that a size is never
 * computed without looking for overflow, and that short-lived families of objects are freed in one call. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mien/image.h>

enum { ARENA_BLOCK_BYTES = 16384, ARENA_ALIGNMENT = 16, MEMORY_ALIGNMENT = 64 };

struct memory_arena_block {
    struct memory_arena_block *next;
    size_t capacity;
    size_t used;
    _Alignas(ARENA_ALIGNMENT) unsigned char bytes[];
};

bool memory_multiply(size_t a, size_t b, size_t *product)
{
    size_t result;
    if (__builtin_mul_overflow(a, b, &result))
        return false;
    *product = result;
    return true;
}

bool memory_sum(size_t a, size_t b, size_t *sum)
{
    size_t result;
    if (__builtin_add_overflow(a, b, &result))
        return false;
    *sum = result;
    return true;
}

void *memory_array(size_t count, size_t size)
{
    size_t bytes;
    if (!memory_multiply(count, size, &bytes))
        return NULL;
    return malloc(bytes ? bytes : 1);
}

void *memory_zeroed(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

void *memory_resize(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (!memory_multiply(count, size, &bytes))
        return NULL;
    return realloc(block, bytes ? bytes : 1);
}

void *memory_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (!memory_multiply(count, size, &bytes) || !memory_sum(bytes, MEMORY_ALIGNMENT - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(MEMORY_ALIGNMENT - 1);
    return aligned_alloc(MEMORY_ALIGNMENT, bytes ? bytes : MEMORY_ALIGNMENT);
}

char *memory_text(const char *text)
{
    return text ? memory_text_span(text, strlen(text)) : NULL;
}

char *memory_text_span(const char *text, size_t length)
{
    size_t bytes;
    if (!memory_sum(length, 1, &bytes))
        return NULL;
    char *copy = malloc(bytes);
    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void memory_free(void *block)
{
    free(block);
}

void mien_free(void *memory)
{
    free(memory);
}

void *memory_arena_take(memory_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!memory_multiply(count, size, &bytes) || !memory_sum(bytes, ARENA_ALIGNMENT - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(ARENA_ALIGNMENT - 1);
    if (arena->limit && (arena->used > arena->limit || bytes > arena->limit - arena->used)) {
        arena->limited = true;
        return NULL;
    }

    struct memory_arena_block *block = arena->blocks;
    if (!block || bytes > block->capacity - block->used) {
        size_t capacity = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
        size_t total;
        if (!memory_sum(capacity, sizeof *block, &total))
            return NULL;
        block = calloc(1, total);
        if (!block)
            return NULL;
        block->capacity = capacity;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *taken = block->bytes + block->used;
    block->used += bytes;
    arena->used += bytes;
    return taken;
}

void memory_arena_done(memory_arena *arena)
{
    while (arena->blocks) {
        struct memory_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
    arena->limited = false;
}
