/* protobuf-c parses recursively and gives every two-byte empty sub-message a structure of a hundred bytes and more, so
 * a small hostile file could exhaust the stack or the memory. This walk over the wire format (tag = field number << 3 |
 * wire type; 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes) follows the same descriptors as the parser
 * will, counts, and refuses before anything is allocated. It also gives the byte offset of a fault, which the parser
 * does not.
 */
#include "model/onnx_scan.h"

#include "base/error.h"

#include <stdbool.h>

enum { MAX_DEPTH = 24 };

typedef struct scan {
    const uint8_t *bytes;
    size_t items, max_items;
    mien_error *error;
} scan;

static bool read_varint(const uint8_t *bytes, size_t end, size_t *at, uint64_t *value)
{
    uint64_t result = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = bytes[(*at)++];
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = result;
            return true;
        }
    }
    return false;
}

static mien_status scan_message(scan *s, const ProtobufCMessageDescriptor *type, size_t at, size_t end, int depth);

static mien_status scan_bytes(scan *s, const ProtobufCMessageDescriptor *type, uint64_t number, size_t *at, size_t end,
                              int depth)
{
    size_t start = *at;
    uint64_t length;
    if (!read_varint(s->bytes, end, at, &length) || length > end - *at)
        return error_set_at(s->error, MIEN_EFORMAT, start, "a field is longer than the file");
    const ProtobufCFieldDescriptor *field =
        number <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(type, (unsigned)number) : NULL;
    size_t from = *at;
    *at += (size_t)length;
    if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return MIEN_OK;
    return scan_message(s, field->descriptor, from, *at, depth + 1);
}

static mien_status scan_field(scan *s, const ProtobufCMessageDescriptor *type, size_t *at, size_t end, int depth)
{
    static const uint8_t fixed_size[8] = {[1] = 8, [5] = 4};
    size_t start = *at;
    uint64_t tag, ignored;
    if (++s->items > s->max_items)
        return error_set_at(s->error, MIEN_ELIMIT, start, "more than %zu fields", s->max_items);
    if (!read_varint(s->bytes, end, at, &tag) || tag >> 3 == 0)
        return error_set_at(s->error, MIEN_EFORMAT, start, "not a protobuf field");
    unsigned wire = tag & 7;
    if (wire == 2)
        return scan_bytes(s, type, tag >> 3, at, end, depth);
    if (wire == 0 && read_varint(s->bytes, end, at, &ignored))
        return MIEN_OK;
    if (!fixed_size[wire] || fixed_size[wire] > end - *at)
        return error_set_at(s->error, MIEN_EFORMAT, start, "not a protobuf field");
    *at += fixed_size[wire];
    return MIEN_OK;
}

static mien_status scan_message(scan *s, const ProtobufCMessageDescriptor *type, size_t at, size_t end, int depth)
{
    if (depth > MAX_DEPTH)
        return error_set_at(s->error, MIEN_ELIMIT, at, "messages nested more than %d deep", MAX_DEPTH);
    mien_status status = MIEN_OK;
    while (at < end && !status)
        status = scan_field(s, type, &at, end, depth);
    return status;
}

mien_status onnx_scan(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length, size_t max_items,
                      mien_error *error)
{
    scan s = {bytes, 0, max_items, error};
    return scan_message(&s, type, 0, length, 0);
}
