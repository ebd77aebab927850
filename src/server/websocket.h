/* WebSocket frames from bytes and into bytes (RFC 6455, version 13). No sockets; fuzzed. */
#ifndef SERVER_WEBSOCKET_H
#define SERVER_WEBSOCKET_H

#include "server/http_message.h"

typedef enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
} websocket_opcode;

enum {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_BAD_DATA = 1003,
    WEBSOCKET_BAD_TEXT = 1007,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_INTERNAL = 1011
};

typedef struct websocket_reader {
    buffer message; /* the message under way, unmasked; its limit is the largest message */
    uint8_t head[14];
    size_t head_length;
    uint64_t remaining; /* payload bytes of the frame still to come */
    uint8_t control[125];
    size_t control_length;
    uint8_t mask[4];
    size_t mask_at;
    bool in_frame;
    bool in_message; /* a fragmented message has begun */
    bool final;
    uint8_t opcode;         /* of the frame */
    uint8_t message_opcode; /* of the message */
    uint32_t utf8_state;
} websocket_reader;

/** What a step of reading found. Bytes are valid until the next step. */
typedef struct websocket_event {
    websocket_opcode opcode; /* TEXT, BINARY, PING, PONG or CLOSE; CONTINUATION = nothing yet, feed more */
    const uint8_t *data;
    size_t length;
    int code; /* for CLOSE: the peer's code (1005 = none) */
} websocket_event;

void websocket_reader_init(websocket_reader *reader, size_t max_message);
void websocket_reader_done(websocket_reader *reader);
/** Take bytes until something is whole. @return 0, or the close code that the peer's mistake calls for. */
int websocket_read(websocket_reader *reader, const uint8_t *bytes, size_t available, size_t *used,
                   websocket_event *event);

/** Append one unmasked, unfragmented frame. */
mien_status websocket_write(buffer *out, websocket_opcode opcode, const void *data, size_t length);
mien_status websocket_write_close(buffer *out, int code, const char *reason);

/** Is this request a proper opening handshake? @return 0 = yes, otherwise the HTTP status to refuse with. Appends the
 *  value of Sec-WebSocket-Accept to `accept`. */
int websocket_handshake(const http_request *request, buffer *accept);

/** Continue checking UTF-8: state 0 = at a character's start (both before and after), 1 = broken. Source: RFC 3629. */
uint32_t websocket_utf8(uint32_t state, const uint8_t *bytes, size_t length);

#endif
