/* Engine.IO packets and the payload that carries several of them over HTTP. */
#ifndef PROTO_ENGINEIO_PACKET_H
#define PROTO_ENGINEIO_PACKET_H

#include "base/buffer.h"
#include "proto/packet_queue.h"

enum { ENGINEIO_SEPARATOR = 0x1e };

/** '0'..'6', or 'b' for a binary message. */
typedef struct engineio_packet {
    char type;
    const uint8_t *bytes; /* borrowed from the input or from the scratch buffer */
    size_t length;
} engineio_packet;

/** Read one text packet ("4hello", "bAQID"). `scratch` is overwritten by binary ones.
 *  @return MIEN_OK, MIEN_EFORMAT (empty, unknown type, bad base64, text not UTF-8), MIEN_ENOMEM. */
mien_status engineio_packet_parse(const uint8_t *bytes, size_t length, buffer *scratch, engineio_packet *p,
                                  mien_error *error);

/** The next packet of a payload from *offset on, which moves behind it; false at the end. */
bool engineio_payload_next(const uint8_t *bytes, size_t length, size_t *offset, const uint8_t **part,
                           size_t *part_length);

/** Move all packets into one payload; what does not fit into memory stays queued. */
mien_status engineio_payload_write(packet_queue *queue, buffer *out);

/** Strictly RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF. */
bool engineio_is_utf8(const uint8_t *bytes, size_t length);

#endif
