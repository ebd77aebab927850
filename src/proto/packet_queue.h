/* What waits to be sent to one client: packets in order, with a limit on their bytes. */
#ifndef PROTO_PACKET_QUEUE_H
#define PROTO_PACKET_QUEUE_H

#include <mien/base.h>

#include <stdbool.h>

/** Text packets are held as they stand on the wire ("4hello"), binary ones without any type. */
typedef struct packet {
    struct packet *next;
    size_t length;
    bool binary;
    uint8_t room[]; /* ENGINEIO_HEADROOM bytes for the sender's header, then `length` bytes */
} packet;

/** Zero-initialised means empty. */
typedef struct packet_queue {
    packet *first, *last;
    size_t bytes; /* of all packets, their own bookkeeping included */
} packet_queue;

/** `type` is put in front of a text packet; binary ones ignore it. @return MIEN_OK, MIEN_ENOMEM, MIEN_ELIMIT. */
mien_status packet_queue_push(packet_queue *queue, size_t limit, char type, const void *bytes, size_t length,
                              bool binary);
uint8_t *packet_bytes(packet *p);
void packet_queue_pop(packet_queue *queue);
/** Put all of `from` behind `to`. */
void packet_queue_move(packet_queue *to, packet_queue *from);
void packet_queue_done(packet_queue *queue);

#endif
