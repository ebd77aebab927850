/* One allocation a packet, with room in front so that a WebSocket header is written without copying the bytes again. */
#include "proto/packet_queue.h"

#include <string.h>

#include "base/memory.h"
#include "proto/engineio.h"

uint8_t *packet_bytes(packet *p)
{
    return p->room + ENGINEIO_HEADROOM;
}

mien_status packet_queue_push(packet_queue *queue, size_t limit, char type, const void *bytes, size_t length,
                              bool binary)
{
    size_t overhead = sizeof(packet) + ENGINEIO_HEADROOM + 1, size;
    if (!memory_sum(length, overhead, &size) || size > limit || queue->bytes > limit - size)
        return MIEN_ELIMIT;
    packet *p = memory_array(size, 1);
    if (!p)
        return MIEN_ENOMEM;
    *p = (packet){.length = length + (binary ? 0 : 1), .binary = binary};
    uint8_t *to = packet_bytes(p);
    if (!binary)
        *to++ = (uint8_t)type;
    if (length)
        memcpy(to, bytes, length);
    *(queue->last ? &queue->last->next : &queue->first) = p;
    queue->last = p;
    queue->bytes += size;
    return MIEN_OK;
}

void packet_queue_pop(packet_queue *queue)
{
    packet *p = queue->first;
    queue->first = p->next;
    if (!queue->first)
        queue->last = NULL;
    queue->bytes -= p->length + sizeof(packet) + ENGINEIO_HEADROOM + (p->binary ? 1 : 0);
    memory_free(p);
}

void packet_queue_move(packet_queue *to, packet_queue *from)
{
    if (!from->first)
        return;
    *(to->last ? &to->last->next : &to->first) = from->first;
    to->last = from->last;
    to->bytes += from->bytes;
    *from = (packet_queue){0};
}

void packet_queue_done(packet_queue *queue)
{
    while (queue->first)
        packet_queue_pop(queue);
}
