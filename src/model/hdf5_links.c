/* Links of a large group in HDF5's new style: a version 2 B-tree, sorted by a hash of the names, whose records are the
 * places of link messages in a fractal heap. The hash is not used: all records are looked at, as groups are small.
 *
 *   link info      version, flags, [largest order 8], heap address 8, tree address 8
 *   "BTHD"         version, type, node size 4, record size 2, depth 2, percentages 2, root address 8, its records 2, …
 *   "BTLF" "BTIN"  version, type, records; an inner node then has for each child: address 8, its records
 *   "FRHP"         version, id size 2 @5, filters 2 @7, width 2 @110, first size 8 @112, largest direct size 8 @120,
 *                  bits of an offset 2 @128, root address 8 @132, its rows 2 @140
 *   "FHIB"         version, header address 8, offset; addresses of the blocks, row by row: the first two rows have
 *                  blocks of the first size, each further row has them twice as large
 *
 * Trees deeper than one inner level and heaps with indirect rows (thousands of links) are refused.
 */
#include "model/hdf5.h"

#include "base/error.h"

#include <string.h>

enum { NODE_HEADER = 6, CHECKSUM = 4, MOST_ROWS = 32 };

typedef struct heap {
    uint64_t root, width, first, largest;
    size_t id_size, offset_size;
    unsigned rows; /* of the root; 0: it is a single block */
} heap;

typedef struct tree {
    uint64_t root;
    size_t node_size, record_size, root_records;
    unsigned depth;
} tree;

static mien_status too_large(hdf5_file *file)
{
    return error_set(file->error, MIEN_EUNSUPPORTED, "an HDF5 file with thousands of links in one group");
}

static mien_status read_heap(hdf5_file *file, uint64_t address, heap *h)
{
    const uint8_t *at = hdf5_bytes(file, address, 146);
    if (!at || memcmp(at, "FRHP", 4))
        return hdf5_broken(file, address, "a heap of links");
    if (hdf5_number(at + 7, 2))
        return error_set(file->error, MIEN_EUNSUPPORTED, "an HDF5 file with packed links");
    *h = (heap){.root = hdf5_number(at + 132, 8),
                .width = hdf5_number(at + 110, 2),
                .first = hdf5_number(at + 112, 8),
                .largest = hdf5_number(at + 120, 8),
                .id_size = (size_t)hdf5_number(at + 5, 2),
                .offset_size = ((size_t)hdf5_number(at + 128, 2) + 7) / 8,
                .rows = (unsigned)hdf5_number(at + 140, 2)};
    bool sane = h->width && h->width <= 1024 && h->first >= 64 && h->first <= h->largest && h->largest <= 1u << 30 &&
                h->offset_size <= 8 && h->id_size > 1 + h->offset_size && h->id_size <= 1 + h->offset_size + 8;
    return sane ? MIEN_OK : hdf5_broken(file, address, "a heap of links");
}

/* Address of the block that holds `offset`, and where in the heap it begins. */
static mien_status find_block(hdf5_file *file, const heap *h, uint64_t offset, uint64_t *block, uint64_t *begin)
{
    *block = h->root;
    *begin = 0;
    if (!h->rows)
        return offset < h->first ? MIEN_OK : hdf5_broken(file, h->root, "a link outside its heap");
    uint64_t size = h->first, start = 0, entries = h->root + 4 + 1 + 8 + h->offset_size;
    const uint8_t *magic = hdf5_bytes(file, h->root, 4);
    if (!magic || memcmp(magic, "FHIB", 4))
        return hdf5_broken(file, h->root, "a heap of links");
    for (unsigned row = 0; row < h->rows && row < MOST_ROWS; row++) {
        if (size > h->largest)
            return too_large(file);
        if (offset - start < size * h->width) {
            uint64_t column = (offset - start) / size;
            const uint8_t *entry = hdf5_bytes(file, entries + 8 * (row * h->width + column), 8);
            if (!entry)
                return MIEN_EFORMAT;
            *block = hdf5_number(entry, 8);
            *begin = start + column * size;
            return MIEN_OK;
        }
        start += size * h->width;
        size *= row ? 2 : 1;
    }
    return hdf5_broken(file, h->root, "a link outside its heap");
}

/* An id is kind 1 (0: an object in a block), offset, length. */
static mien_status look_at(hdf5_file *file, const heap *h, const uint8_t *id, const char *name, size_t length,
                           uint64_t *found)
{
    if (id[0] != 0)
        return too_large(file);
    uint64_t offset = hdf5_number(id + 1, h->offset_size), block, begin;
    uint64_t size = hdf5_number(id + 1 + h->offset_size, h->id_size - 1 - h->offset_size);
    mien_status status = find_block(file, h, offset, &block, &begin);
    if (status)
        return status;
    const uint8_t *start = hdf5_bytes(file, block, offset - begin);
    const uint8_t *data = start ? hdf5_bytes(file, block + (offset - begin), size) : NULL;
    if (!data)
        return MIEN_EFORMAT;
    const hdf5_message link = {.type = HDF5_LINK, .data = data, .size = (size_t)size};
    return hdf5_link(file, &link, name, length, found);
}

static mien_status read_tree(hdf5_file *file, uint64_t address, tree *t)
{
    enum { BY_NAME = 5 };
    const uint8_t *at = hdf5_bytes(file, address, 38);
    if (!at || memcmp(at, "BTHD", 4) || at[5] != BY_NAME)
        return hdf5_broken(file, address, "a tree of links");
    *t = (tree){.node_size = (size_t)hdf5_number(at + 6, 4),
                .record_size = (size_t)hdf5_number(at + 10, 2),
                .depth = (unsigned)hdf5_number(at + 12, 2),
                .root = hdf5_number(at + 16, 8),
                .root_records = (size_t)hdf5_number(at + 24, 2)};
    if (t->record_size < 5 || t->node_size < NODE_HEADER + CHECKSUM + t->record_size)
        return hdf5_broken(file, address, "a tree of links");
    return t->depth > 1 ? too_large(file) : MIEN_OK;
}

typedef struct walk {
    const heap *heap;
    const tree *tree;
    const char *name;
    size_t length;
    uint64_t *found;
} walk;

static mien_status look_through(hdf5_file *file, const walk *w, const uint8_t *records, size_t count)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < count && !status && *w->found == UINT64_MAX; i++) {
        status = hdf5_step(file);
        if (!status) /* a record is a hash of 4 and the id */
            status = look_at(file, w->heap, records + i * w->tree->record_size + 4, w->name, w->length, w->found);
    }
    return status;
}

static mien_status walk_node(hdf5_file *file, const walk *w, uint64_t address, size_t count, unsigned depth)
{
    const tree *t = w->tree;
    const uint8_t *node = hdf5_bytes(file, address, t->node_size);
    size_t most = (t->node_size - NODE_HEADER - CHECKSUM) / t->record_size;
    if (!node || count > most || memcmp(node, depth ? "BTIN" : "BTLF", 4))
        return hdf5_broken(file, address, "a tree of links");
    mien_status status = look_through(file, w, node + NODE_HEADER, count);
    if (!depth || status)
        return status;
    size_t count_size = most > 255 ? 2 : 1, at = NODE_HEADER + count * t->record_size;
    for (size_t i = 0; i <= count && !status && *w->found == UINT64_MAX; i++, at += 8 + count_size) {
        if (at + 8 + count_size > t->node_size)
            return hdf5_broken(file, address, "a tree of links");
        size_t records = (size_t)hdf5_number(node + at + 8, count_size);
        status = walk_node(file, w, hdf5_number(node + at, 8), records, depth - 1);
    }
    return status;
}

mien_status hdf5_dense_link(hdf5_file *file, const hdf5_message *info, const char *name, size_t length, uint64_t *found)
{
    size_t at = info->size >= 2 && info->data[1] & 1 ? 10 : 2;
    heap h;
    tree t;
    if (info->size < at + 16)
        return hdf5_broken(file, 0, "a group");
    uint64_t heap_at = hdf5_number(info->data + at, 8);
    if (heap_at == UINT64_MAX)
        return MIEN_OK; /* a small group: its links are messages */
    mien_status status = read_heap(file, heap_at, &h);
    if (!status)
        status = read_tree(file, hdf5_number(info->data + at + 8, 8), &t);
    if (!status && t.record_size < 4 + h.id_size)
        status = hdf5_broken(file, heap_at, "a tree of links");
    const walk w = {&h, &t, name, length, found};
    return status ? status : walk_node(file, &w, t.root, t.root_records, t.depth);
}
