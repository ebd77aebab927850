/* Chained hashing with intrusive nodes. FNV-1a over the key, started from a secret seed and stirred at the end, so that
 * clients who choose keys (room names) cannot steer many of them into one chain without knowing the seed. */
#include "proto/table.h"

#include <string.h>

#include "base/memory.h"

enum { TABLE_FIRST_SLOTS = 16 };

static uint64_t table_hash(const table *t, const char *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ t->seed;
    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93) ^ (t->seed << 1);
    return hash ^ hash >> 32;
}

static mien_status table_grow(table *t)
{
    size_t capacity = t->capacity ? t->capacity * 2 : TABLE_FIRST_SLOTS;
    table_node **slots = memory_zeroed(capacity, sizeof(table_node *));
    if (!slots)
        return MIEN_ENOMEM;
    for (size_t i = 0; i < t->capacity; i++) {
        for (table_node *node = t->slots[i], *next; node; node = next) {
            next = node->next;
            node->next = slots[node->hash & (capacity - 1)];
            slots[node->hash & (capacity - 1)] = node;
        }
    }
    memory_free(t->slots);
    t->slots = slots;
    t->capacity = capacity;
    return MIEN_OK;
}

mien_status table_put(table *t, table_node *node, const char *key)
{
    if (t->count >= t->capacity && table_grow(t))
        return MIEN_ENOMEM;
    node->key = key;
    node->hash = table_hash(t, key);
    table_node **slot = &t->slots[node->hash & (t->capacity - 1)];
    node->next = *slot;
    *slot = node;
    t->count++;
    return MIEN_OK;
}

table_node *table_find(const table *t, const char *key)
{
    if (!t->count)
        return NULL;
    uint64_t hash = table_hash(t, key);
    for (table_node *node = t->slots[hash & (t->capacity - 1)]; node; node = node->next) {
        if (node->hash == hash && strcmp(node->key, key) == 0)
            return node;
    }
    return NULL;
}

void table_remove(table *t, table_node *node)
{
    table_node **at = &t->slots[node->hash & (t->capacity - 1)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node->next = NULL;
    t->count--;
}

table_node *table_any(const table *t)
{
    for (size_t i = 0; t->count && i < t->capacity; i++) {
        if (t->slots[i])
            return t->slots[i];
    }
    return NULL;
}

void table_done(table *t)
{
    memory_free(t->slots);
    *t = (table){.seed = t->seed};
}
