/* Packets from clients: who wants in, what they say, what they answer. A packet with attachments waits here until they
 * have all come; nothing else may come in between. Whatever breaks the rules closes the whole connection, as the
 * reference implementation does, except that words to a namespace which has just been left are dropped quietly. */
#include <string.h>

#include "base/memory.h"
#include "proto/socketio_internal.h"

void partial_destroy(partial **p)
{
    if (!*p)
        return;
    socketio_packet_done(&(*p)->packet);
    buffer_done(&(*p)->bytes);
    memory_free(*p);
    *p = NULL;
}

static socketio_socket *socket_in(const connection *c, const char *space)
{
    for (socketio_socket *socket = c->sockets; socket; socket = socket->next) {
        if (strcmp(socket->space->name, space) == 0)
            return socket;
    }
    return NULL;
}

static void receive_connect(connection *c, const socketio_packet *p, uint64_t now)
{
    socketio_namespace *space = space_find(c->server, p->space);
    if (!space) {
        send_connect_error(c, p->space, "Invalid namespace");
        return;
    }
    if (socket_in(c, p->space))
        return; /* it is in, or being looked at */
    if (c->count >= c->server->options.max_namespaces) {
        send_connect_error(c, p->space, "Too many namespaces");
        return;
    }
    socketio_socket *socket;
    json_t *auth = p->data ? json_incref(p->data) : json_object();
    if (!auth || socket_create(c, space, &socket)) {
        send_connect_error(c, p->space, "Out of memory");
    } else {
        if (c->timer.queue == &c->server->lingers)
            timer_start(&c->server->connects, &c->timer, now); /* time to decide about it */
        space->handlers.connect(space->handlers.context, socket, auth, now);
    }
    json_decref(auth);
}

static void receive_event(socketio_socket *socket, const socketio_packet *p, socketio_args args, uint64_t now)
{
    const socketio_handlers *handlers = &socket->space->handlers;
    if (!handlers->event)
        return;
    json_t *name = json_incref(json_array_get(p->data, 0));
    json_array_remove(p->data, 0);
    socketio_event event = {.name = json_string_value(name), .args = args, .wants_ack = p->has_id, .ack = p->id};
    handlers->event(handlers->context, socket, &event, now);
    json_decref(name);
}

static void receive_ack(socketio_socket *socket, uint64_t id, const socketio_args *args)
{
    for (pending_ack **at = &socket->acks, *ack; (ack = *at); at = &ack->next) {
        if (ack->id != id)
            continue;
        *at = ack->next;
        socket->ack_count--;
        ack->callback(ack->context, socket, args);
        memory_free(ack);
        return;
    }
}

static void receive(connection *c, socketio_packet *p, const socketio_binary *attachments, uint64_t now)
{
    if (p->type == SOCKETIO_CONNECT) {
        receive_connect(c, p, now);
        return;
    }
    socketio_socket *socket = socket_in(c, p->space);
    if (!socket || !socket->connected) {
        if (!c->greeted && !socket)
            engineio_close(c->session); /* the first word has to be CONNECT */
        return;
    }
    socketio_args args = {.values = p->data, .attachments = attachments, .attachment_count = p->attachments};
    if (p->type == SOCKETIO_DISCONNECT)
        socket_end(socket, true);
    else if (p->type == SOCKETIO_ACK || p->type == SOCKETIO_BINARY_ACK)
        receive_ack(socket, p->id, &args);
    else
        receive_event(socket, p, args, now);
}

static bool partial_begin(connection *c, const socketio_packet *p, size_t length)
{
    size_t most = c->server->options.max_packet;
    if (length >= most)
        return false;
    c->partial = memory_zeroed(1, sizeof *c->partial);
    if (!c->partial)
        return false;
    c->partial->packet = *p;
    buffer_init(&c->partial->bytes, most - length);
    return true;
}

void connection_text(connection *c, const uint8_t *bytes, size_t length, uint64_t now)
{
    const socketio_options *o = &c->server->options;
    socketio_packet p;
    if (c->partial || socketio_packet_parse(bytes, length, o->max_attachments, o->max_depth, &p, NULL)) {
        engineio_close(c->session);
        return;
    }
    if (!p.attachments) {
        receive(c, &p, NULL, now);
        socketio_packet_done(&p);
    } else if (!partial_begin(c, &p, length)) {
        socketio_packet_done(&p);
        engineio_close(c->session);
    }
}

void connection_binary(connection *c, const uint8_t *bytes, size_t length, uint64_t now)
{
    partial *part = c->partial;
    if (!part || (length && buffer_append(&part->bytes, bytes, length))) {
        engineio_close(c->session);
        return;
    }
    part->lengths[part->count++] = length;
    if (part->count < part->packet.attachments)
        return;
    c->partial = NULL; /* the handler may close the connection */
    socketio_binary attachments[SOCKETIO_MOST_ATTACHMENTS];
    const uint8_t *at = part->bytes.data ? part->bytes.data : (const uint8_t *)"";
    for (size_t i = 0; i < part->count; i++) {
        attachments[i] = (socketio_binary){at, part->lengths[i]};
        at += part->lengths[i];
    }
    receive(c, &part->packet, attachments, now);
    partial_destroy(&part);
}
