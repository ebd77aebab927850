/* A hash table of nodes that lie inside their owners, keyed by text: session ids, sockets, rooms. */
#ifndef PROTO_TABLE_H
#define PROTO_TABLE_H

#include <mien/base.h>

typedef struct table_node {
    struct table_node *next;
    const char *key; /* the owner's memory, unchanged while the node is in a table */
    uint64_t hash;
} table_node;

/** Zero-initialised means empty; set `seed` to something secret where clients choose the keys. */
typedef struct table {
    table_node **slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    uint64_t seed;
} table;

/** The key must not be there yet. @return MIEN_OK or MIEN_ENOMEM. */
mien_status table_put(table *t, table_node *node, const char *key);
table_node *table_find(const table *t, const char *key);
/** The node must be in the table. */
void table_remove(table *t, table_node *node);
/** Any node, or NULL when empty: for emptying a table. */
table_node *table_any(const table *t);
/** Frees the slots, not the nodes. */
void table_done(table *t);

#endif
