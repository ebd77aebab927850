/* Socket.IO packets as text: <type>[<attachments>-][<namespace>,][<id>][<JSON>]. */
#ifndef PROTO_SOCKETIO_PACKET_H
#define PROTO_SOCKETIO_PACKET_H

#include <jansson.h>

#include "base/buffer.h"

enum { SOCKETIO_SPACE_BYTES = 128 };

typedef enum socketio_type {
    SOCKETIO_CONNECT = 0,
    SOCKETIO_DISCONNECT,
    SOCKETIO_EVENT,
    SOCKETIO_ACK,
    SOCKETIO_CONNECT_ERROR,
    SOCKETIO_BINARY_EVENT,
    SOCKETIO_BINARY_ACK
} socketio_type;

typedef struct socketio_packet {
    socketio_type type;
    char space[SOCKETIO_SPACE_BYTES]; /* "/" or "/name"; a query after it is dropped */
    bool has_id;
    uint64_t id;
    size_t attachments;
    json_t *data; /* owned; NULL when there is none */
} socketio_packet;

/** A packet from a client. @return MIEN_OK, MIEN_EFORMAT (not a packet that a client may send), MIEN_ELIMIT. */
mien_status socketio_packet_parse(const uint8_t *text, size_t length, size_t max_attachments, size_t max_depth,
                                  socketio_packet *p, mien_error *error);
void socketio_packet_done(socketio_packet *p);

/** The head of a packet to a client, up to where the JSON begins. `id` may be NULL. */
void socketio_write_head(buffer *out, socketio_type type, const char *space, size_t attachments, const uint64_t *id);
/** Any JSON value, compact. */
void socketio_write_json(buffer *out, const json_t *value);
/** ["event", values…]; `event` NULL leaves it out (acknowledgements). */
void socketio_write_array(buffer *out, const char *event, const json_t *values);

/** The number in {"_placeholder":true,"num":n}; false when `value` is something else. */
bool socketio_placeholder_number(const json_t *value, size_t *number);

#endif
