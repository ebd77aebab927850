/* The payload of HTTP long-polling: packets one after another with 0x1e between them. A packet is one type character
 * and text; a binary message is 'b' and its base64, because payloads are text. */
#include "proto/engineio_packet.h"

#include <string.h>

#include "base/base64.h"
#include "base/error.h"

/** Bytes of the sequence that starts at `s`, 0 when it is not well-formed. Table 3-7 of the Unicode standard. */
static size_t utf8_sequence(const uint8_t *s, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < size)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool engineio_is_utf8(const uint8_t *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        uint64_t eight;
        if (length - at >= sizeof eight) {
            memcpy(&eight, bytes + at, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                at += sizeof eight;
                continue;
            }
        }
        size_t size = bytes[at] < 0x80 ? 1 : utf8_sequence(bytes + at, length - at);
        if (!size)
            return false;
        at += size;
    }
    return true;
}

mien_status engineio_packet_parse(const uint8_t *bytes, size_t length, buffer *scratch, engineio_packet *p,
                                  mien_error *error)
{
    if (!length)
        return error_set(error, MIEN_EFORMAT, "Engine.IO: an empty packet");
    if (bytes[0] == 'b') {
        buffer_clear(scratch);
        mien_status status = base64_decode((const char *)bytes + 1, length - 1, scratch, error);
        if (status)
            return status;
        *p = (engineio_packet){.type = 'b', .bytes = scratch->data, .length = scratch->length};
        return MIEN_OK;
    }
    if (bytes[0] < '0' || bytes[0] > '6')
        return error_set(error, MIEN_EFORMAT, "Engine.IO: unknown packet type 0x%02x", bytes[0]);
    if (!engineio_is_utf8(bytes + 1, length - 1))
        return error_set(error, MIEN_EFORMAT, "Engine.IO: text that is not UTF-8");
    *p = (engineio_packet){.type = (char)bytes[0], .bytes = bytes + 1, .length = length - 1};
    return MIEN_OK;
}

bool engineio_payload_next(const uint8_t *bytes, size_t length, size_t *offset, const uint8_t **part,
                           size_t *part_length)
{
    if (*offset > length)
        return false;
    const uint8_t *start = bytes + *offset;
    size_t left = length - *offset;
    const uint8_t *end = left ? memchr(start, ENGINEIO_SEPARATOR, left) : NULL;
    *part = start;
    *part_length = end ? (size_t)(end - start) : left;
    *offset += *part_length + 1; /* one beyond the end behind the last packet */
    return true;
}

mien_status engineio_payload_write(packet_queue *queue, buffer *out)
{
    for (packet *p; (p = queue->first); packet_queue_pop(queue)) {
        size_t before = out->length;
        if (before)
            buffer_append_byte(out, ENGINEIO_SEPARATOR);
        if (p->binary) {
            buffer_append_byte(out, 'b');
            base64_encode(packet_bytes(p), p->length, out);
        } else {
            buffer_append(out, packet_bytes(p), p->length);
        }
        if (out->failed) {
            out->length = before;
            return out->failed;
        }
    }
    return MIEN_OK;
}
