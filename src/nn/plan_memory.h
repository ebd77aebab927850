/* Where each buffer of a plan lies in a session's one block of memory: buffers whose lives do not meet share bytes. */
#ifndef NN_PLAN_MEMORY_H
#define NN_PLAN_MEMORY_H

#include <mien/base.h>

#include <stdbool.h>

typedef struct plan_buffer {
    size_t bytes;    /* 0 = takes no place */
    int first, last; /* operations that write it first and read it last, inclusive */
    size_t place;    /* [out] offset, a multiple of 64 */
} plan_buffer;

/** Fill in every place; *total is the size of the block. MIEN_ENOMEM, MIEN_ELIMIT (the sum overflows). */
mien_status plan_memory_place(plan_buffer *buffers, size_t count, size_t *total, mien_error *error);

#endif
