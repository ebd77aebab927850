/* The WebSocket codec. A byte-in byte-out state machine: partial frames, fragments and interleaved control frames are
 * all the same loop, and text is checked as UTF-8 while it arrives, so a bad byte closes at once (code 1007). */
#include "server/websocket.h"

#include "base/base64.h"

#include <libwebsockets.h>
#include <string.h>

void websocket_reader_init(websocket_reader *reader, size_t max_message)
{
    memset(reader, 0, sizeof *reader);
    buffer_init(&reader->message, max_message);
}

void websocket_reader_done(websocket_reader *reader)
{
    buffer_done(&reader->message);
}

/* The state packs how many continuation bytes are due (bits 1..2) and the range allowed for the next one. */
uint32_t websocket_utf8(uint32_t state, const uint8_t *bytes, size_t length)
{
    uint32_t due = state >> 1 & 3, low = state >> 8 & 0xff, high = state >> 16 & 0xff;
    if (state == 1)
        return 1;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = bytes[i];
        if (due) {
            if (c < low || c > high)
                return 1;
            due--;
            low = 0x80;
            high = 0xbf;
            continue;
        }
        if (c < 0x80)
            continue;
        low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        due = c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
        if (!due)
            return 1;
    }
    return due ? due << 1 | low << 8 | high << 16 : 0;
}

/* Bytes of the frame head, once its first two bytes are known. */
static size_t head_size(const websocket_reader *reader)
{
    if (reader->head_length < 2)
        return 2;
    uint8_t length = reader->head[1] & 127;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

static int check_opcode(websocket_reader *reader, uint64_t length)
{
    bool control = reader->opcode >= 8;
    if (control ? reader->opcode > WEBSOCKET_PONG || !reader->final || length > 125
                : reader->opcode > WEBSOCKET_BINARY || reader->in_message == (reader->opcode != 0))
        return WEBSOCKET_PROTOCOL_ERROR;
    if (!control && length > reader->message.limit - reader->message.length)
        return WEBSOCKET_TOO_BIG;
    return 0;
}

static int begin_frame(websocket_reader *reader)
{
    const uint8_t *head = reader->head;
    uint64_t length = head[1] & 127;
    size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (extra) {
        length = 0;
        for (size_t i = 0; i < extra; i++)
            length = length << 8 | head[2 + i];
        bool shortest = length > (extra == 2 ? 125 : 65535); /* RFC 6455, 5.2 */
        if (!shortest || length >> 63)
            return WEBSOCKET_PROTOCOL_ERROR;
    }
    reader->final = head[0] >> 7;
    reader->opcode = head[0] & 15;
    int code = check_opcode(reader, length);
    if (code)
        return code;
    memcpy(reader->mask, head + 2 + extra, 4);
    reader->mask_at = 0;
    reader->remaining = length;
    reader->in_frame = true;
    reader->head_length = 0;
    if (reader->opcode >= 8) {
        reader->control_length = 0;
    } else if (reader->opcode) {
        reader->message_opcode = reader->opcode;
        reader->in_message = true;
        reader->utf8_state = 0;
        buffer_clear(&reader->message);
    }
    return 0;
}

static void unmask(websocket_reader *reader, uint8_t *bytes, size_t length)
{
    uint8_t turned[4];
    for (size_t i = 0; i < 4; i++)
        turned[i] = reader->mask[(reader->mask_at + i) & 3];
    uint32_t word;
    memcpy(&word, turned, 4);
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        uint32_t four;
        memcpy(&four, bytes + i, 4);
        four ^= word;
        memcpy(bytes + i, &four, 4);
    }
    for (; i < length; i++)
        bytes[i] ^= turned[i & 3];
    reader->mask_at += length;
}

static int take_payload(websocket_reader *reader, const uint8_t *bytes, size_t length)
{
    reader->remaining -= length;
    if (reader->opcode >= 8) {
        memcpy(reader->control + reader->control_length, bytes, length);
        unmask(reader, reader->control + reader->control_length, length);
        reader->control_length += length;
        return 0;
    }
    size_t before = reader->message.length;
    if (buffer_append(&reader->message, bytes, length))
        return reader->message.failed == MIEN_ELIMIT ? WEBSOCKET_TOO_BIG : WEBSOCKET_INTERNAL;
    unmask(reader, reader->message.data + before, length);
    if (reader->message_opcode != WEBSOCKET_TEXT)
        return 0;
    reader->utf8_state = websocket_utf8(reader->utf8_state, reader->message.data + before, length);
    return reader->utf8_state == 1 ? WEBSOCKET_BAD_TEXT : 0;
}

static int end_control(websocket_reader *reader, websocket_event *event)
{
    event->opcode = reader->opcode;
    event->data = reader->control;
    event->length = reader->control_length;
    if (reader->opcode != WEBSOCKET_CLOSE)
        return 0;
    if (reader->control_length == 1)
        return WEBSOCKET_PROTOCOL_ERROR;
    event->code = 1005;
    if (!reader->control_length)
        return 0;
    int code = event->code = reader->control[0] << 8 | reader->control[1];
    bool known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
    if (!known)
        return WEBSOCKET_PROTOCOL_ERROR;
    return websocket_utf8(0, reader->control + 2, reader->control_length - 2) ? WEBSOCKET_BAD_TEXT : 0;
}

static int end_frame(websocket_reader *reader, websocket_event *event)
{
    reader->in_frame = false;
    if (reader->opcode >= 8)
        return end_control(reader, event);
    if (!reader->final)
        return 0;
    reader->in_message = false;
    if (reader->message_opcode == WEBSOCKET_TEXT && reader->utf8_state)
        return WEBSOCKET_BAD_TEXT;
    event->opcode = reader->message_opcode;
    event->data = reader->message.length ? reader->message.data : (const uint8_t *)"";
    event->length = reader->message.length;
    reader->message.length = 0; /* the bytes stay until the next step */
    return 0;
}

int websocket_read(websocket_reader *reader, const uint8_t *bytes, size_t available, size_t *used,
                   websocket_event *event)
{
    *event = (websocket_event){.opcode = WEBSOCKET_CONTINUATION};
    size_t at = 0;
    int code = 0;
    while (!code && event->opcode == WEBSOCKET_CONTINUATION) {
        if (reader->in_frame) {
            size_t part = available - at < reader->remaining ? available - at : (size_t)reader->remaining;
            if (part)
                code = take_payload(reader, bytes + at, part);
            at += part;
            if (code || reader->remaining)
                break;
            code = end_frame(reader, event);
        } else if (at < available) {
            reader->head[reader->head_length++] = bytes[at++];
            if (reader->head_length == 2 && ((reader->head[0] & 0x70) || !(reader->head[1] & 0x80)))
                code = WEBSOCKET_PROTOCOL_ERROR; /* no extension was agreed on, and clients must mask */
            else if (reader->head_length == head_size(reader))
                code = begin_frame(reader);
        } else {
            break;
        }
    }
    *used = at;
    return code;
}

mien_status websocket_write(buffer *out, websocket_opcode opcode, const void *data, size_t length)
{
    uint8_t head[10] = {(uint8_t)(0x80 | opcode)};
    size_t size = 2;
    if (length < 126) {
        head[1] = (uint8_t)length;
    } else if (length < 65536) {
        head[1] = 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
        size = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
        size = 10;
    }
    mien_status status = buffer_reserve(out, size + length);
    if (!status)
        status = buffer_append(out, head, size);
    return status ? status : buffer_append(out, data, length);
}

mien_status websocket_write_close(buffer *out, int code, const char *reason)
{
    uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t length = 2;
    while (length < sizeof payload && reason[length - 2]) {
        payload[length] = (uint8_t)reason[length - 2];
        length++;
    }
    return websocket_write(out, WEBSOCKET_CLOSE, payload, length);
}

/* Sixteen bytes in base64. */
static bool is_nonce(const char *key)
{
    buffer bytes;
    buffer_init(&bytes, 32);
    bool nonce = !base64_decode(key, strlen(key), &bytes, NULL) && bytes.length == 16;
    buffer_done(&bytes);
    return nonce;
}

int websocket_handshake(const http_request *request, buffer *accept)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = http_request_field(request, "sec-websocket-key");
    const char *version = http_request_field(request, "sec-websocket-version");
    if (request->method != HTTP_GET || !key || strlen(key) != 24 || !is_nonce(key) ||
        !http_request_field_has(request, "upgrade", "websocket"))
        return 400;
    if (!version || strcmp(version, "13"))
        return 426;
    unsigned char text[24 + sizeof magic], digest[20];
    memcpy(text, key, 24);
    memcpy(text + 24, magic, sizeof magic - 1);
    lws_SHA1(text, 24 + sizeof magic - 1, digest);
    return base64_encode(digest, sizeof digest, accept) ? 503 : 0;
}
