/* HDF5 data sets of floats.
 *
 *   layout 3/4   version, class: 0 compact (size 2, content), 1 contiguous (address 8, size 8), in version 3 also
 *                2 chunked (rank+1, tree address 8, chunk sizes 4 each, the last is the element's)
 *   chunk tree   "TREE", 1, level, entries 2, siblings 16; then key, address, key, address, …
 *   its key      the stored size 4, filter mask 4 and the chunk's place, 8 for each of rank+1
 *   filters      version, count, …; each: id 2, [name length 2], flags 2, values 2, [name], values 4 each
 *
 * A chunk is inflated into a buffer of exactly its size, so a bomb ends where the chunk does.
 */
#include "model/hdf5.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

#include <zlib.h>

enum { FILTER_GZIP = 1, FILTER_SHUFFLE = 2, MOST_FILTERS = 4, MOST_CHUNK = 64 << 20, MOST_TREE_DEPTH = 16 };

typedef struct chunks {
    hdf5_file *file;
    const hdf5_value *set;
    float *numbers;
    unsigned filters[MOST_FILTERS];
    int filter_count;
    uint64_t size[HDF5_MAX_RANK]; /* of a chunk, in elements */
    size_t bytes;                 /* of a chunk */
    uint64_t left;                /* chunks that may still come */
    uint8_t *plain, *scratch;     /* two chunks of memory */
} chunks;

mien_status hdf5_dataset(hdf5_file *file, uint64_t object, hdf5_value *dataset)
{
    hdf5_message type, space;
    hdf5_value parsed = {0};
    mien_status status = hdf5_message_find(file, object, HDF5_DATATYPE, &type);
    if (!status)
        status = hdf5_type_parse(file, type.data, type.size, &parsed.type);
    if (!status)
        status = hdf5_message_find(file, object, HDF5_DATASPACE, &space);
    if (!status)
        status = hdf5_space_parse(file, space.data, space.size, &parsed.space);
    if (status == MIEN_ENOTFOUND)
        status = hdf5_broken(file, object, "a data set without type or shape");
    if (!status)
        *dataset = parsed;
    return status;
}

/* ---- numbers ---- */

/* IEEE binary16: sign 1, exponent 5 (bias 15), fraction 10. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 1023, bits;
    float tiny = (float)fraction * 0x1p-24f, value;
    if (!exponent)
        return sign ? -tiny : tiny;
    bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float number_at(const hdf5_type *type, const uint8_t *at)
{
    uint8_t turned[8];
    for (size_t i = 0; i < type->size && type->big_endian; i++)
        turned[i] = at[type->size - 1 - i];
    uint64_t bits = hdf5_number(type->big_endian ? turned : at, type->size);
    if (type->size == 2)
        return from_half((uint16_t)bits);
    if (type->size == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return (float)value;
    }
    uint32_t narrow = (uint32_t)bits;
    float value;
    memcpy(&value, &narrow, sizeof value);
    return value;
}

static void convert(const hdf5_type *type, const uint8_t *from, size_t count, float *numbers)
{
    if (type->size == sizeof *numbers && !type->big_endian && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        memcpy(numbers, from, count * sizeof *numbers);
        return;
    }
    for (size_t i = 0; i < count; i++)
        numbers[i] = number_at(type, from + i * type->size);
}

static mien_status read_plain(hdf5_file *file, const hdf5_value *set, const uint8_t *data, uint64_t size,
                              float *numbers)
{
    size_t bytes;
    if (!memory_multiply(set->space.count, set->type.size, &bytes) || bytes > size)
        return hdf5_broken(file, 0, "a data set shorter than its shape");
    convert(&set->type, data, set->space.count, numbers);
    return MIEN_OK;
}

/* ---- chunks ---- */

static mien_status read_filters(chunks *c, uint64_t object)
{
    hdf5_message message;
    mien_status status = hdf5_message_find(c->file, object, HDF5_FILTERS, &message);
    if (status)
        return status == MIEN_ENOTFOUND ? MIEN_OK : status;
    const uint8_t *data = message.data;
    if (message.size < 2 || data[0] < 1 || data[0] > 2 || data[1] > MOST_FILTERS)
        return hdf5_broken(c->file, object, "a list of filters");
    bool old = data[0] == 1;
    size_t at = old ? 8 : 2;
    for (c->filter_count = 0; c->filter_count < data[1]; c->filter_count++) {
        size_t fixed = old ? 8 : 6; /* the two standard filters have no name in version 2 */
        if (message.size < at + fixed)
            return hdf5_broken(c->file, object, "a list of filters");
        unsigned id = (unsigned)hdf5_number(data + at, 2);
        if (id != FILTER_GZIP && id != FILTER_SHUFFLE)
            return error_set(c->file->error, MIEN_EUNSUPPORTED, "an HDF5 data set packed by filter %u; mien has gzip",
                             id);
        c->filters[c->filter_count] = id;
        size_t name = old ? ((size_t)hdf5_number(data + at + 2, 2) + 7) & ~(size_t)7 : 0;
        size_t values = (size_t)hdf5_number(data + at + fixed - 2, 2);
        at += fixed + name + 4 * values + (old && values % 2 ? 4 : 0);
    }
    return MIEN_OK;
}

/* Bytes that were sorted by their place within the element, put back. */
static void unshuffle(const uint8_t *from, uint8_t *to, size_t bytes, size_t element)
{
    size_t count = bytes / element;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < element; k++)
            to[i * element + k] = from[k * count + i];
    memcpy(to + count * element, from + count * element, bytes - count * element);
}

/* Undo the filters that the mask does not skip; the result is in c->plain. */
static mien_status unpack(chunks *c, const uint8_t *stored, size_t size, uint64_t mask)
{
    bool first = true;
    for (int i = c->filter_count - 1; i >= 0; i--) {
        if (mask >> i & 1)
            continue;
        const uint8_t *from = first ? stored : c->plain;
        if (c->filters[i] == FILTER_GZIP) {
            uLongf length = (uLongf)c->bytes;
            if (!first || uncompress(c->scratch, &length, from, (uLong)size) != Z_OK || length != c->bytes)
                return hdf5_broken(c->file, (uint64_t)(stored - c->file->bytes), "a packed chunk");
        } else {
            if (first && size != c->bytes)
                return hdf5_broken(c->file, (uint64_t)(stored - c->file->bytes), "a chunk of another size");
            unshuffle(from, c->scratch, c->bytes, c->set->type.size);
        }
        uint8_t *swap = c->plain;
        c->plain = c->scratch;
        c->scratch = swap;
        first = false;
    }
    if (!first)
        return MIEN_OK;
    if (size != c->bytes)
        return hdf5_broken(c->file, (uint64_t)(stored - c->file->bytes), "a chunk of another size");
    memcpy(c->plain, stored, c->bytes);
    return MIEN_OK;
}

/* Copy the unpacked chunk to its place, without what hangs over the edge, row by row of the last axis. */
static void place_chunk(chunks *c, const uint64_t *place)
{
    const hdf5_space *space = &c->set->space;
    int last = space->rank - 1;
    uint64_t index[HDF5_MAX_RANK] = {0}, inside[HDF5_MAX_RANK] = {0};
    if (last < 0 || last >= HDF5_MAX_RANK)
        return; /* read_chunk_shape refuses such a rank */
    for (int i = 0; i <= last; i++)
        inside[i] = space->dim[i] - place[i] < c->size[i] ? space->dim[i] - place[i] : c->size[i];
    for (;;) {
        uint64_t from = 0, to = 0;
        for (int i = 0; i <= last; i++) {
            from = from * c->size[i] + index[i];
            to = to * space->dim[i] + place[i] + index[i];
        }
        convert(&c->set->type, c->plain + from * c->set->type.size, (size_t)inside[last], c->numbers + to);
        int axis = last - 1;
        while (axis >= 0 && ++index[axis] == inside[axis])
            index[axis--] = 0;
        if (axis < 0)
            return;
    }
}

static mien_status read_chunk(chunks *c, const uint8_t *key, uint64_t address)
{
    uint64_t size = hdf5_number(key, 4), mask = hdf5_number(key + 4, 4), place[HDF5_MAX_RANK] = {0};
    const uint8_t *stored = hdf5_bytes(c->file, address, size);
    if (!stored)
        return MIEN_EFORMAT;
    for (int i = 0; i < c->set->space.rank; i++) {
        place[i] = hdf5_number(key + 8 + 8 * i, 8);
        if (!c->size[i] || place[i] >= c->set->space.dim[i] || place[i] % c->size[i])
            return hdf5_broken(c->file, address, "a chunk out of place");
    }
    if (!c->left--)
        return hdf5_broken(c->file, address, "more chunks than its shape has");
    mien_status status = unpack(c, stored, (size_t)size, mask);
    if (!status)
        place_chunk(c, place);
    return status;
}

static mien_status read_tree(chunks *c, uint64_t node, int level)
{
    enum { HEADER = 24, CHUNK_TREE = 1 };
    uint64_t key = 8 + 8 * ((uint64_t)c->set->space.rank + 1), pair = key + 8;
    const uint8_t *header = hdf5_bytes(c->file, node, HEADER);
    if (!header || memcmp(header, "TREE", 4) || header[4] != CHUNK_TREE)
        return hdf5_broken(c->file, node, "a tree of chunks");
    if (header[5] > MOST_TREE_DEPTH || (level >= 0 && header[5] != level))
        return hdf5_broken(c->file, node, "a tree of chunks (a cycle)");
    uint64_t count = hdf5_number(header + 6, 2);
    const uint8_t *at = hdf5_bytes(c->file, node + HEADER, count * pair);
    if (!at)
        return MIEN_EFORMAT;
    mien_status status = MIEN_OK;
    for (uint64_t i = 0; i < count && !status; i++, at += pair) {
        uint64_t child = hdf5_number(at + key, 8);
        status = hdf5_step(c->file);
        if (!status)
            status = header[5] ? read_tree(c, child, header[5] - 1) : read_chunk(c, at, child);
    }
    return status;
}

/* Sizes of the chunks, and how many the shape has. */
static mien_status read_chunk_shape(chunks *c, const hdf5_message *layout)
{
    int rank = c->set->space.rank;
    if (rank < 1 || layout->size < 11 + 4 * ((size_t)rank + 1) || layout->data[2] != rank + 1)
        return hdf5_broken(c->file, 0, "a chunked layout");
    c->bytes = c->set->type.size;
    c->left = 1;
    for (int i = 0; i < rank; i++) {
        c->size[i] = hdf5_number(layout->data + 11 + 4 * i, 4);
        if (!c->size[i] || !memory_multiply(c->bytes, (size_t)c->size[i], &c->bytes) || c->bytes > MOST_CHUNK)
            return error_set(c->file->error, MIEN_ELIMIT, "an HDF5 data set with chunks above %d bytes", MOST_CHUNK);
        c->left *= (c->set->space.dim[i] + c->size[i] - 1) / c->size[i]; /* at most space.count */
    }
    if (hdf5_number(layout->data + 11 + 4 * rank, 4) != c->set->type.size)
        return hdf5_broken(c->file, 0, "a chunked layout");
    return MIEN_OK;
}

static mien_status read_chunked(hdf5_file *file, uint64_t object, const hdf5_value *set, const hdf5_message *layout,
                                float *numbers)
{
    chunks c = {.file = file, .set = set, .numbers = numbers};
    mien_status status = read_chunk_shape(&c, layout);
    if (!status)
        status = read_filters(&c, object);
    if (status)
        return status;
    c.plain = memory_array(c.bytes, 1);
    c.scratch = memory_array(c.bytes, 1);
    if (!c.plain || !c.scratch)
        status = error_no_memory(file->error, c.bytes);
    else
        status = read_tree(&c, hdf5_number(layout->data + 3, 8), -1);
    if (!status && c.left)
        status = hdf5_broken(file, object, "a data set with chunks missing");
    memory_free(c.plain);
    memory_free(c.scratch);
    return status;
}

mien_status hdf5_floats(hdf5_file *file, uint64_t object, const hdf5_value *dataset, float *numbers)
{
    enum { COMPACT = 0, CONTIGUOUS = 1, CHUNKED = 2 };
    hdf5_message layout;
    mien_status status = hdf5_message_find(file, object, HDF5_LAYOUT, &layout);
    if (status)
        return status == MIEN_ENOTFOUND ? hdf5_broken(file, object, "a data set without content") : status;
    if (dataset->type.kind != HDF5_KIND_FLOAT)
        return error_set(file->error, MIEN_EUNSUPPORTED, "an HDF5 data set that does not hold floating numbers");
    if (layout.size < 4)
        return hdf5_broken(file, object, "a layout");
    unsigned version = layout.data[0], class = layout.data[1];
    if (version < 3 || version > 4 || class > CHUNKED || (class == CHUNKED && version == 4))
        return error_set(file->error, MIEN_EUNSUPPORTED, "an HDF5 data set with storage of kind %u.%u", version, class);
    if (class == CHUNKED)
        return read_chunked(file, object, dataset, &layout, numbers);
    if (class == COMPACT)
        return read_plain(file, dataset, layout.data + 4,
                          hdf5_number(layout.data + 2, 2) < layout.size - 4 ? hdf5_number(layout.data + 2, 2)
                                                                            : layout.size - 4,
                          numbers);
    if (layout.size < 18)
        return hdf5_broken(file, object, "a layout");
    uint64_t address = hdf5_number(layout.data + 2, 8), size = hdf5_number(layout.data + 10, 8);
    const uint8_t *data = hdf5_bytes(file, address, size);
    return data ? read_plain(file, dataset, data, size, numbers) : MIEN_EFORMAT;
}
