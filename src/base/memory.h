/* Allocation with checked sizes. Every size that comes from outside goes through here before memory is taken. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/** a × b without overflow; false (and *product untouched) when it does not fit. */
bool memory_multiply(size_t a, size_t b, size_t *product);
/** a + b without overflow. */
bool memory_sum(size_t a, size_t b, size_t *sum);

/** malloc(count × size), NULL on overflow or exhaustion; count 0 gives a valid pointer. Free with memory_free. */
void *memory_array(size_t count, size_t size);
/** The same, zeroed. */
void *memory_zeroed(size_t count, size_t size);
/** realloc to count × size; on failure NULL and the old block stays valid. */
void *memory_resize(void *block, size_t count, size_t size);
/** 64-byte aligned (a cache line, an AVX-512 register). Free with memory_free. */
void *memory_aligned(size_t count, size_t size);
/** A copy of `text`; NULL when text is NULL or memory is short. */
char *memory_text(const char *text);
/** A copy of `length` bytes with a NUL after them. */
char *memory_text_span(const char *text, size_t length);
void memory_free(void *block);

/** Memory that is freed all at once: many small blocks of one lifetime. Zero-initialised means empty. */
typedef struct memory_arena {
    struct memory_arena_block *blocks;
    size_t used;  /* bytes handed out */
    size_t limit; /* most that may be handed out; 0 = no limit */
    bool limited; /* something was refused because of the limit, not for want of memory */
} memory_arena;

/** Zeroed, 16-byte aligned; NULL on overflow, exhaustion or beyond the limit. Not thread-safe. */
void *memory_arena_take(memory_arena *arena, size_t count, size_t size);
void memory_arena_done(memory_arena *arena);

#endif
