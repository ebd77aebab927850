/* HDF5 objects: superblock, object headers and their messages, finding an object by path.
 *
 *   superblock 0/1   signature 8, versions, offset size @13, length size @14, …, root group entry @56 (60 in version 1)
 *   superblock 2/3   signature 8, version, offset size @9, length size @10, …, root header address @36
 *   header 1         version 1, 0, message count 2, references 4, block size 4, 0 4
 *     messages       type 2, size 2, flags 1, 0 3
 *   header 2         "OHDR", version, flags, [times 16], [phase change 4], block size 1/2/4/8
 *     messages       type 1, size 2, flags 1, [order 2]; a checksum of 4 ends each block
 *     continuation   "OCHK", messages, checksum
 *   symbol table     B-tree address 8, heap address 8; "TREE" nodes lead to "SNOD" nodes of 40-byte entries, whose
 *                    names lie in the "HEAP"
 */
#include "model/hdf5.h"

#include "base/error.h"

#include <string.h>

enum { MOST_STEPS = 1 << 26, MOST_TREE_DEPTH = 16 };

static const uint64_t nowhere = UINT64_MAX;

const uint8_t *hdf5_bytes(hdf5_file *file, uint64_t address, uint64_t size)
{
    if (address > file->length || size > file->length - address) {
        hdf5_broken(file, address, "an address beyond its end");
        return NULL;
    }
    return file->bytes + address;
}

uint64_t hdf5_number(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

mien_status(hdf5_broken)(hdf5_file *file, uint64_t address, const char *what)
{
    return error_set_at(file->error, MIEN_EFORMAT, (size_t)address, "a damaged HDF5 file: %s", what);
}

static mien_status unsupported(hdf5_file *file, const char *what)
{
    return error_set(file->error, MIEN_EUNSUPPORTED, "an HDF5 file with %s", what);
}

mien_status hdf5_step(hdf5_file *file)
{
    if (!file->steps)
        return error_set(file->error, MIEN_ELIMIT, "an HDF5 file with too many parts");
    file->steps--;
    return MIEN_OK;
}

mien_status hdf5_open(const uint8_t *bytes, size_t length, hdf5_file *file, mien_error *error)
{
    hdf5_file opened = {.bytes = bytes, .length = length, .steps = MOST_STEPS, .error = error};
    if (!hdf5_bytes(&opened, 0, 96))
        return MIEN_EFORMAT;
    unsigned version = bytes[8];
    size_t sizes = version < 2 ? 13 : 9, base = version < 2 ? (version ? 28 : 24) : 12;
    if (version > 3)
        return unsupported(&opened, "a newer superblock");
    if (bytes[sizes] != 8 || bytes[sizes + 1] != 8)
        return unsupported(&opened, "addresses that are not of 64 bits");
    if (hdf5_number(bytes + base, 8) != 0)
        return unsupported(&opened, "a block of foreign data before it");
    size_t root = version < 2 ? base + 4 * 8 + 8 : base + 3 * 8;
    opened.root = hdf5_number(bytes + root, 8);
    *file = opened;
    return MIEN_OK;
}

/* ---- object headers ---- */

static mien_status open_version_1(hdf5_file *file, uint64_t object, hdf5_cursor *cursor)
{
    const uint8_t *header = hdf5_bytes(file, object, 16);
    if (!header)
        return MIEN_EFORMAT;
    uint64_t size = hdf5_number(header + 8, 4);
    if (!hdf5_bytes(file, object + 16, size))
        return MIEN_EFORMAT;
    cursor->version = 1;
    cursor->left = (size_t)hdf5_number(header + 2, 2);
    cursor->blocks[0].begin = object + 16;
    cursor->blocks[0].end = object + 16 + size;
    return MIEN_OK;
}

static mien_status open_version_2(hdf5_file *file, uint64_t object, hdf5_cursor *cursor)
{
    enum { ORDER = 0x04, PHASE_CHANGE = 0x10, TIMES = 0x20, CHECKSUM = 4 };
    const uint8_t *header = hdf5_bytes(file, object, 6);
    if (!header)
        return MIEN_EFORMAT;
    unsigned flags = header[5], width = 1u << (flags & 3);
    uint64_t at = object + 6 + (flags & TIMES ? 16 : 0) + (flags & PHASE_CHANGE ? 4 : 0);
    const uint8_t *size_at = hdf5_bytes(file, at, width);
    if (header[4] != 2 || !size_at)
        return hdf5_broken(file, object, "an object header");
    uint64_t size = hdf5_number(size_at, width);
    if (size > file->length || !hdf5_bytes(file, at + width, size + CHECKSUM))
        return hdf5_broken(file, object, "an object header");
    cursor->version = 2;
    cursor->creation_order = flags & ORDER;
    cursor->blocks[0].begin = at + width;
    cursor->blocks[0].end = at + width + size;
    return MIEN_OK;
}

mien_status hdf5_cursor_open(hdf5_file *file, uint64_t object, hdf5_cursor *cursor)
{
    *cursor = (hdf5_cursor){.block_count = 1};
    const uint8_t *start = hdf5_bytes(file, object, 4);
    if (!start)
        return MIEN_EFORMAT;
    mien_status status = MIEN_OK;
    if (!memcmp(start, "OHDR", 4))
        status = open_version_2(file, object, cursor);
    else if (start[0] == 1)
        status = open_version_1(file, object, cursor);
    else
        status = hdf5_broken(file, object, "an object header");
    cursor->at = cursor->blocks[0].begin;
    return status;
}

/* Remember a block of further messages; version 2 wraps it in "OCHK" and a checksum. */
static mien_status add_block(hdf5_file *file, hdf5_cursor *cursor, const hdf5_message *message)
{
    enum { MOST_BLOCKS = sizeof cursor->blocks / sizeof cursor->blocks[0] };
    if (message->size < 16)
        return hdf5_broken(file, cursor->at, "a continuation");
    uint64_t address = hdf5_number(message->data, 8), size = hdf5_number(message->data + 8, 8);
    const uint8_t *block = hdf5_bytes(file, address, size);
    if (!block)
        return MIEN_EFORMAT;
    uint64_t skip = cursor->version == 2 ? 4 : 0;
    if (cursor->version == 2 && (size < 8 || memcmp(block, "OCHK", 4)))
        return hdf5_broken(file, address, "a continuation");
    if (cursor->block_count == MOST_BLOCKS)
        return error_set(file->error, MIEN_ELIMIT, "an HDF5 object in more than %d blocks", (int)MOST_BLOCKS);
    cursor->blocks[cursor->block_count].begin = address + skip;
    cursor->blocks[cursor->block_count].end = address + size - skip;
    cursor->block_count++;
    return MIEN_OK;
}

/* Go to the next block when the rest of this one cannot hold a message; false after the last. */
static bool in_block(hdf5_cursor *cursor, size_t prefix)
{
    while (cursor->blocks[cursor->block].end - cursor->at < prefix) {
        if (++cursor->block >= cursor->block_count) {
            cursor->block = cursor->block_count - 1;
            cursor->at = cursor->blocks[cursor->block].end;
            return false;
        }
        cursor->at = cursor->blocks[cursor->block].begin;
    }
    return true;
}

mien_status hdf5_cursor_next(hdf5_file *file, hdf5_cursor *cursor, hdf5_message *message)
{
    enum { SHARED = 0x02 };
    for (;;) {
        size_t prefix = cursor->version == 1 ? 8 : cursor->creation_order ? 6 : 4;
        mien_status status = hdf5_step(file);
        if (status)
            return status;
        if ((cursor->version == 1 && !cursor->left) || !in_block(cursor, prefix))
            return error_set(file->error, MIEN_ENOTFOUND, "no more messages");
        const uint8_t *at = file->bytes + cursor->at; /* the block was checked */
        size_t type_size = cursor->version == 1 ? 2 : 1;
        message->type = (unsigned)hdf5_number(at, type_size);
        message->size = (size_t)hdf5_number(at + type_size, 2);
        message->shared = at[type_size + 2] & SHARED;
        message->data = at + prefix;
        cursor->at += prefix;
        if (message->size > cursor->blocks[cursor->block].end - cursor->at)
            return hdf5_broken(file, cursor->at, "a message longer than its block");
        cursor->at += message->size;
        cursor->left -= cursor->version == 1;
        if (message->type != HDF5_CONTINUATION)
            return MIEN_OK;
        if ((status = add_block(file, cursor, message)))
            return status;
    }
}

mien_status hdf5_message_find(hdf5_file *file, uint64_t object, unsigned type, hdf5_message *message)
{
    hdf5_cursor cursor;
    mien_status status = hdf5_cursor_open(file, object, &cursor);
    while (!status) {
        status = hdf5_cursor_next(file, &cursor, message);
        if (!status && message->type == type)
            return message->shared ? unsupported(file, "shared messages") : MIEN_OK;
    }
    return status;
}

/* ---- groups ---- */

typedef struct search {
    const char *name;
    size_t length;
    uint64_t heap, heap_size; /* where the names lie */
    uint64_t found;           /* address, or nowhere */
} search;

static mien_status search_entries(hdf5_file *file, uint64_t node, search *s)
{
    enum { ENTRY = 40, SOFT_LINK = 2 };
    const uint8_t *header = hdf5_bytes(file, node, 8);
    if (!header || memcmp(header, "SNOD", 4))
        return hdf5_broken(file, node, "a symbol table");
    uint64_t count = hdf5_number(header + 6, 2);
    const uint8_t *entry = hdf5_bytes(file, node + 8, count * ENTRY);
    if (!entry)
        return MIEN_EFORMAT;
    for (uint64_t i = 0; i < count; i++, entry += ENTRY) {
        uint64_t name = hdf5_number(entry, 8);
        mien_status status = hdf5_step(file);
        if (status)
            return status;
        if (name >= s->heap_size || s->heap_size - name < s->length + 1)
            continue;
        const uint8_t *text = file->bytes + s->heap + name;
        if (!memcmp(text, s->name, s->length) && !text[s->length] && hdf5_number(entry + 16, 4) != SOFT_LINK)
            s->found = hdf5_number(entry + 8, 8);
    }
    return MIEN_OK;
}

/* Children of a node of level n have level n−1, so a tree that contains itself ends. */
static mien_status search_tree(hdf5_file *file, uint64_t node, int level, search *s)
{
    enum { HEADER = 24, PAIR = 16 };
    const uint8_t *header = hdf5_bytes(file, node, HEADER);
    if (!header || memcmp(header, "TREE", 4) || header[4] != 0)
        return hdf5_broken(file, node, "a group's tree");
    if (header[5] > MOST_TREE_DEPTH || (level >= 0 && header[5] != level))
        return hdf5_broken(file, node, "a group's tree (a cycle)");
    uint64_t count = hdf5_number(header + 6, 2);
    const uint8_t *pair = hdf5_bytes(file, node + HEADER, count * PAIR);
    if (!pair)
        return MIEN_EFORMAT;
    for (uint64_t i = 0; i < count && s->found == nowhere; i++) {
        uint64_t child = hdf5_number(pair + i * PAIR + 8, 8);
        mien_status status = hdf5_step(file);
        if (!status)
            status = header[5] ? search_tree(file, child, header[5] - 1, s) : search_entries(file, child, s);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status search_symbols(hdf5_file *file, const hdf5_message *message, search *s)
{
    if (message->size < 16)
        return hdf5_broken(file, 0, "a group");
    uint64_t address = hdf5_number(message->data + 8, 8);
    const uint8_t *heap = hdf5_bytes(file, address, 32);
    if (!heap || memcmp(heap, "HEAP", 4))
        return hdf5_broken(file, address, "a heap of names");
    s->heap_size = hdf5_number(heap + 8, 8);
    s->heap = hdf5_number(heap + 24, 8);
    if (!hdf5_bytes(file, s->heap, s->heap_size))
        return MIEN_EFORMAT;
    return search_tree(file, hdf5_number(message->data, 8), -1, s);
}

/* Link message: version, flags, [type 1], [order 8], [character set 1], name length 1/2/4/8, name, address 8. */
mien_status hdf5_link(hdf5_file *file, const hdf5_message *message, const char *name, size_t length, uint64_t *found)
{
    enum { TYPE = 0x08, ORDER = 0x04, CHARACTER_SET = 0x10 };
    if (message->size < 2 || message->data[0] != 1)
        return hdf5_broken(file, 0, "a link");
    unsigned flags = message->data[1], width = 1u << (flags & 3);
    size_t at = 2, after = (flags & TYPE ? 1 : 0) + (flags & ORDER ? 8 : 0) + (flags & CHARACTER_SET ? 1 : 0) + width;
    if (message->size < at + after)
        return hdf5_broken(file, 0, "a link");
    bool hard = !(flags & TYPE) || message->data[at] == 0;
    at += after;
    uint64_t own = hdf5_number(message->data + at - width, width);
    if (own > message->size - at || (hard && message->size - at - own < 8))
        return hdf5_broken(file, 0, "a link");
    if (hard && own == length && !memcmp(message->data + at, name, length))
        *found = hdf5_number(message->data + at + own, 8);
    return MIEN_OK;
}

static mien_status find_member(hdf5_file *file, uint64_t group, const char *name, size_t length, uint64_t *address)
{
    search s = {.name = name, .length = length, .found = nowhere};
    hdf5_cursor cursor;
    hdf5_message message;
    mien_status status = hdf5_cursor_open(file, group, &cursor);
    while (!status && s.found == nowhere) {
        status = hdf5_cursor_next(file, &cursor, &message);
        if (status)
            break;
        if (message.type == HDF5_SYMBOL_TABLE)
            status = search_symbols(file, &message, &s);
        else if (message.type == HDF5_LINK)
            status = hdf5_link(file, &message, name, length, &s.found);
        else if (message.type == HDF5_LINK_INFO)
            status = hdf5_dense_link(file, &message, name, length, &s.found);
    }
    if (s.found != nowhere)
        *address = s.found;
    return s.found != nowhere ? MIEN_OK : status;
}

mien_status hdf5_find(hdf5_file *file, const char *path, uint64_t *address)
{
    uint64_t at = file->root;
    while (*path) {
        size_t length = strcspn(path, "/");
        mien_status status = length ? find_member(file, at, path, length, &at) : MIEN_OK;
        if (status)
            return status;
        path += length + (path[length] == '/');
    }
    *address = at;
    return MIEN_OK;
}
