/* HDF5 types, shapes and attributes.
 *
 *   data type    class and version 1, bit field 3, size 4, properties (a float: bit offset 2, precision 2, exponent
 *                place and size, fraction place and size, bias 4)
 *   data space   version, rank, flags, [0 or kind] …, sizes of 8 bytes each
 *   attribute    version, flags, name size 2, type size 2, space size 2, [character set]; name, type, space (each
 *                padded to 8 in version 1), content
 *   global heap  "GCOL", version, 0 3, size 8; objects: index 2, references 2, 0 4, size 8, content padded to 8
 *
 * A variable text is its length 4, the heap's address 8 and the object's index 4.
 */
#include "model/hdf5.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

static bool is_plain_float(const uint8_t *data, size_t bytes)
{
    static const struct {
        uint8_t size, precision, exponent_at, exponent, fraction;
        uint16_t bias;
    } known[] = {{2, 16, 10, 5, 10, 15}, {4, 32, 23, 8, 23, 127}, {8, 64, 52, 11, 52, 1023}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (bytes == known[i].size)
            return !hdf5_number(data + 8, 2) && hdf5_number(data + 10, 2) == known[i].precision &&
                   data[12] == known[i].exponent_at && data[13] == known[i].exponent && !data[14] &&
                   data[15] == known[i].fraction && hdf5_number(data + 16, 4) == known[i].bias;
    }
    return false;
}

mien_status hdf5_type_parse(hdf5_file *file, const uint8_t *data, size_t size, hdf5_type *type)
{
    enum { CLASS_FLOAT = 1, CLASS_TEXT = 3, CLASS_VARIABLE = 9, FLOAT_BYTES = 20, BIG_ENDIAN_BIT = 1, VAX_BIT = 0x40 };
    if (size < 8)
        return hdf5_broken(file, 0, "a data type");
    unsigned class = data[0] & 15;
    *type = (hdf5_type){.size = (size_t)hdf5_number(data + 4, 4), .big_endian = data[1] & BIG_ENDIAN_BIT};
    if (!type->size)
        return hdf5_broken(file, 0, "a data type");
    if (class == CLASS_FLOAT && size >= FLOAT_BYTES && !(data[1] & VAX_BIT) && is_plain_float(data, type->size))
        type->kind = HDF5_KIND_FLOAT;
    else if (class == CLASS_TEXT)
        type->kind = HDF5_KIND_TEXT;
    else if (class == CLASS_VARIABLE && (data[1] & 15) == 1 && type->size == 16)
        type->kind = HDF5_KIND_VARIABLE_TEXT;
    return MIEN_OK;
}

mien_status hdf5_space_parse(hdf5_file *file, const uint8_t *data, size_t size, hdf5_space *space)
{
    enum { NULL_SPACE = 2 };
    if (size < 4 || data[0] < 1 || data[0] > 2)
        return hdf5_broken(file, 0, "a shape");
    size_t at = data[0] == 1 ? 8 : 4;
    *space = (hdf5_space){.rank = data[1], .count = data[0] == 2 && data[3] == NULL_SPACE ? 0 : 1};
    if (space->rank > HDF5_MAX_RANK)
        return error_set(file->error, MIEN_ELIMIT, "an HDF5 data set of rank %d", space->rank);
    if (size < at + (size_t)space->rank * 8)
        return hdf5_broken(file, 0, "a shape");
    for (int i = 0; i < space->rank; i++) {
        space->dim[i] = hdf5_number(data + at + (size_t)i * 8, 8);
        if (space->dim[i] > INT32_MAX || !memory_multiply(space->count, (size_t)space->dim[i], &space->count))
            return hdf5_broken(file, 0, "an absurd shape");
    }
    return MIEN_OK;
}

/* ---- attributes ---- */

typedef struct parts {
    const uint8_t *name, *type, *space, *data;
    size_t name_size, type_size, space_size, data_size;
} parts;

static size_t padded(size_t size, unsigned version)
{
    return version == 1 ? (size + 7) & ~(size_t)7 : size;
}

static bool split_attribute(const hdf5_message *message, parts *p)
{
    const uint8_t *data = message->data;
    if (message->size < 9 || data[0] < 1 || data[0] > 3)
        return false;
    unsigned version = data[0];
    size_t at = version == 3 ? 9 : 8;
    p->name_size = (size_t)hdf5_number(data + 2, 2);
    p->type_size = (size_t)hdf5_number(data + 4, 2);
    p->space_size = (size_t)hdf5_number(data + 6, 2);
    p->name = data + at;
    at += padded(p->name_size, version);
    p->type = data + at;
    at += padded(p->type_size, version);
    p->space = data + at;
    at += padded(p->space_size, version);
    if (at > message->size)
        return false;
    p->data = data + at;
    p->data_size = message->size - at;
    return version == 1 || !(data[1] & 3); /* else type or space are shared */
}

static mien_status parse_attribute(hdf5_file *file, const parts *p, hdf5_value *attribute)
{
    hdf5_value parsed = {.data = p->data, .size = p->data_size};
    mien_status status = hdf5_type_parse(file, p->type, p->type_size, &parsed.type);
    if (!status)
        status = hdf5_space_parse(file, p->space, p->space_size, &parsed.space);
    size_t bytes;
    if (!status && (!memory_multiply(parsed.space.count, parsed.type.size, &bytes) || bytes > parsed.size))
        status = hdf5_broken(file, 0, "an attribute shorter than its shape");
    if (!status)
        *attribute = parsed;
    return status;
}

/* Attribute info: version, flags, [largest order 2], heap address 8: where many attributes of the new style lie. */
static mien_status check_attribute_info(hdf5_file *file, const hdf5_message *message)
{
    size_t at = message->size >= 2 && message->data[1] & 1 ? 4 : 2;
    if (message->size < at + 8)
        return hdf5_broken(file, 0, "a list of attributes");
    if (hdf5_number(message->data + at, 8) == UINT64_MAX)
        return MIEN_OK;
    return error_set(file->error, MIEN_EUNSUPPORTED, "an HDF5 file with many attributes in the newest style");
}

mien_status hdf5_attribute(hdf5_file *file, uint64_t object, const char *name, hdf5_value *attribute)
{
    hdf5_cursor cursor;
    hdf5_message message;
    size_t length = strlen(name);
    mien_status status = hdf5_cursor_open(file, object, &cursor);
    while (!status) {
        status = hdf5_cursor_next(file, &cursor, &message);
        if (!status && message.type == HDF5_ATTRIBUTE_INFO)
            status = check_attribute_info(file, &message);
        if (status || message.type != HDF5_ATTRIBUTE || message.shared)
            continue;
        parts p;
        if (!split_attribute(&message, &p))
            return hdf5_broken(file, 0, "an attribute");
        if (strnlen((const char *)p.name, p.name_size) == length && !memcmp(p.name, name, length))
            return parse_attribute(file, &p, attribute);
    }
    return status;
}

static mien_status heap_object(hdf5_file *file, uint64_t address, uint64_t index, const uint8_t **data, uint64_t *size)
{
    enum { HEADER = 16 };
    const uint8_t *heap = hdf5_bytes(file, address, HEADER);
    if (!heap || memcmp(heap, "GCOL", 4))
        return hdf5_broken(file, address, "a heap of texts");
    uint64_t length = hdf5_number(heap + 8, 8), at = HEADER;
    if (!hdf5_bytes(file, address, length))
        return MIEN_EFORMAT;
    while (at + HEADER <= length) {
        mien_status status = hdf5_step(file);
        if (status)
            return status;
        uint64_t here = hdf5_number(heap + at, 2), bytes = hdf5_number(heap + at + 8, 8);
        if (bytes > length - at - HEADER)
            break;
        if (here == index && index) {
            *data = heap + at + HEADER;
            *size = bytes;
            return MIEN_OK;
        }
        at += HEADER + ((bytes + 7) & ~(uint64_t)7);
    }
    return hdf5_broken(file, address, "a text that is not in its heap");
}

mien_status hdf5_text(hdf5_file *file, const hdf5_value *attribute, size_t index, const char **text, size_t *length)
{
    const hdf5_type *type = &attribute->type;
    if (index >= attribute->space.count || (type->kind != HDF5_KIND_TEXT && type->kind != HDF5_KIND_VARIABLE_TEXT))
        return hdf5_broken(file, 0, "an attribute that is not text");
    const uint8_t *at = attribute->data + index * type->size;
    if (type->kind == HDF5_KIND_TEXT) {
        *text = (const char *)at;
        *length = strnlen(*text, type->size);
        return MIEN_OK;
    }
    const uint8_t *data = at;
    uint64_t size = 0, wanted = hdf5_number(at, 4);
    mien_status status =
        wanted ? heap_object(file, hdf5_number(at + 4, 8), hdf5_number(at + 12, 4), &data, &size) : MIEN_OK;
    if (!status && wanted > size)
        status = hdf5_broken(file, 0, "a text longer than its place");
    if (status)
        return status;
    *text = (const char *)data;
    *length = strnlen(*text, (size_t)wanted);
    return MIEN_OK;
}
