/* A budget of bytes that large pictures share: who does not fit in waits, first come first served. Small ones pass
 * beside it, for every worker has an allowance of its own. Any thread. */
#ifndef SERVER_MEMORY_GATE_H
#define SERVER_MEMORY_GATE_H

#include <mien/base.h>

typedef struct memory_gate memory_gate;

enum { MEMORY_GATE_SMALL = 8 << 20 }; /* bytes that pass without being counted */

typedef struct memory_gate_counts {
    uint64_t budget, taken;
    size_t waiting;
} memory_gate_counts;

/** @param patience_s  how long anybody waits. */
mien_status memory_gate_create(uint64_t budget, double patience_s, memory_gate **gate, mien_error *error);
/** Nobody may be waiting. Accepts a pointer to NULL. */
void memory_gate_destroy(memory_gate **gate);
/** Take `bytes`, to be given back with memory_gate_give(). Whoever takes holds nothing yet.
 *  @return MIEN_OK, MIEN_ELIMIT (more than the whole budget), MIEN_EBUSY (not within the patience). */
mien_status memory_gate_take(memory_gate *gate, uint64_t bytes, mien_error *error);
void memory_gate_give(memory_gate *gate, uint64_t bytes);
memory_gate_counts memory_gate_count(memory_gate *gate);

#endif
