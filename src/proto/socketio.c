/* The Socket.IO server: namespaces, the sockets in them, and everything that goes out. A connection is one Engine.IO
 * session; it may hold one socket in each of several namespaces. Ended sockets are kept until the event loop calls in
 * again: an application that emits twice must not find its socket freed because the first emit found the client too
 * slow. */
#include "proto/socketio.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "proto/socketio_internal.h"

static socketio_options options_complete(const socketio_options *given)
{
    socketio_options o = given ? *given : (socketio_options){0};
    size_t payload = o.engine.max_payload ? o.engine.max_payload : 1000000;
    o.connect_timeout = o.connect_timeout ? o.connect_timeout : 45000;
    o.max_packet = o.max_packet ? o.max_packet : payload > SIZE_MAX / 4 ? SIZE_MAX : payload * 4;
    o.max_attachments = o.max_attachments ? o.max_attachments : 16;
    if (o.max_attachments > SOCKETIO_MOST_ATTACHMENTS)
        o.max_attachments = SOCKETIO_MOST_ATTACHMENTS;
    o.max_depth = o.max_depth ? o.max_depth : 32;
    o.max_namespaces = o.max_namespaces ? o.max_namespaces : 8;
    o.max_rooms = o.max_rooms ? o.max_rooms : 16;
    o.max_acks = o.max_acks ? o.max_acks : 64;
    return o;
}

static void handle_opened(void *context, engineio_session *session, uint64_t now)
{
    socketio_server *server = context;
    connection *c = memory_zeroed(1, sizeof *c);
    if (!c) {
        engineio_close(session);
        return;
    }
    c->server = server;
    c->session = session;
    engineio_session_set_user(session, c);
    timer_start(&server->connects, &c->timer, now);
}

static void handle_message(void *context, engineio_session *session, const uint8_t *bytes, size_t length, bool binary,
                           uint64_t now)
{
    connection *c = engineio_session_user(session);
    (void)context;
    if (!c)
        return;
    if (binary)
        connection_binary(c, bytes, length, now);
    else
        connection_text(c, bytes, length, now);
}

static void handle_closed(void *context, engineio_session *session, engineio_reason reason)
{
    connection *c = engineio_session_user(session);
    (void)context;
    (void)reason;
    if (!c)
        return;
    engineio_session_set_user(session, NULL);
    c->session = NULL;
    while (c->sockets)
        socket_end(c->sockets, true);
    timer_stop(&c->timer);
    partial_destroy(&c->partial);
    memory_free(c);
}

static void sockets_reap(socketio_server *server)
{
    for (socketio_socket *socket; (socket = server->dead);) {
        server->dead = socket->next;
        memory_free(socket);
    }
}

static void close_expired(timer_queue *queue, uint64_t now)
{
    for (timer_node *node; (node = timer_expired(queue, now));) {
        connection *c = (connection *)(void *)((char *)node - offsetof(connection, timer));
        engineio_close(c->session);
    }
}

static void handle_tick(void *context, uint64_t now)
{
    socketio_server *server = context;
    sockets_reap(server);
    server->now = now;
    close_expired(&server->connects, now);
    close_expired(&server->lingers, now);
}

static uint64_t handle_deadline(void *context)
{
    const socketio_server *server = context;
    uint64_t first = timer_deadline(&server->connects), other = timer_deadline(&server->lingers);
    return other < first ? other : first;
}

mien_status socketio_create(const socketio_options *options, const engineio_transport *transport,
                            socketio_server **server, mien_error *error)
{
    socketio_server *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->options = options_complete(options);
    made->connects.delay = made->options.connect_timeout;
    made->lingers.delay = SOCKETIO_LINGER;
    engineio_handlers handlers = {made, handle_opened, handle_message, handle_closed, handle_tick, handle_deadline};
    mien_status status = engineio_create(&made->options.engine, transport, &handlers, &made->engine, error);
    if (!status)
        status = random_secret(&made->sockets.seed, sizeof made->sockets.seed, error);
    if (status) {
        socketio_destroy(&made);
        return status;
    }
    *server = made;
    return MIEN_OK;
}

void socketio_destroy(socketio_server **server)
{
    if (!server || !*server)
        return;
    socketio_server *s = *server;
    engineio_destroy(&s->engine);
    sockets_reap(s);
    for (socketio_namespace *space; (space = s->spaces);) {
        s->spaces = space->next;
        table_done(&space->rooms);
        memory_free(space);
    }
    table_done(&s->sockets);
    buffer_done(&s->text);
    memory_free(s);
    *server = NULL;
}

engineio_server *socketio_engine(const socketio_server *server)
{
    return server->engine;
}

socketio_namespace *space_find(const socketio_server *server, const char *name)
{
    for (socketio_namespace *space = server->spaces; space; space = space->next) {
        if (strcmp(space->name, name) == 0)
            return space;
    }
    return NULL;
}

mien_status socketio_serve(socketio_server *server, const char *name, const socketio_handlers *handlers,
                           socketio_namespace **space, mien_error *error)
{
    if (name[0] != '/' || strlen(name) >= SOCKETIO_SPACE_BYTES || strpbrk(name, ",?") || !handlers->connect)
        return error_set(error, MIEN_EINVAL, "Socket.IO: \"%.40s\" cannot be a namespace", name);
    if (space_find(server, name))
        return error_set(error, MIEN_ECONFLICT, "Socket.IO: namespace \"%.40s\" is served already", name);
    socketio_namespace *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->server = server;
    made->handlers = *handlers;
    made->rooms.seed = server->sockets.seed;
    snprintf(made->name, sizeof made->name, "%s", name);
    made->next = server->spaces;
    server->spaces = made;
    if (space)
        *space = made;
    return MIEN_OK;
}

static mien_status socket_name(socketio_socket *socket)
{
    uint8_t secret[SOCKETIO_ID_BYTES];
    buffer text;
    buffer_init(&text, SOCKETIO_ID_TEXT);
    mien_status status = random_secret(secret, sizeof secret, NULL);
    if (!status)
        status = base64_encode_url(secret, sizeof secret, &text);
    if (!status)
        snprintf(socket->id, sizeof socket->id, "%s", buffer_text(&text));
    buffer_done(&text);
    return status;
}

mien_status socket_create(connection *c, socketio_namespace *space, socketio_socket **socket)
{
    socketio_socket *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return MIEN_ENOMEM;
    made->connection = c;
    made->space = space;
    mien_status status = socket_name(made);
    if (!status)
        status = table_put(&c->server->sockets, &made->node, made->id);
    if (status) {
        memory_free(made);
        return status;
    }
    made->next = c->sockets;
    c->sockets = made;
    c->count++;
    *socket = made;
    return MIEN_OK;
}

static void acks_abandon(socketio_socket *socket)
{
    for (pending_ack *ack; (ack = socket->acks);) {
        socket->acks = ack->next;
        ack->callback(ack->context, socket, NULL);
        memory_free(ack);
    }
    socket->ack_count = 0;
}

void socket_end(socketio_socket *socket, bool tell)
{
    connection *c = socket->connection;
    socketio_server *server = c->server;
    socketio_socket **at = &c->sockets;
    while (*at != socket)
        at = &(*at)->next;
    *at = socket->next;
    c->count--;
    if (!c->count && c->greeted && c->session)
        timer_start(&server->lingers, &c->timer, server->now);
    table_remove(&server->sockets, &socket->node);
    socket->connected = false;
    socket->connection = NULL;
    rooms_leave_all(socket);
    acks_abandon(socket);
    if (tell && socket->space->handlers.disconnected)
        socket->space->handlers.disconnected(socket->space->handlers.context, socket);
    socket->next = server->dead;
    server->dead = socket;
}

/** The text of a packet, then its attachments, as one run of messages. */
static mien_status socket_write(socketio_socket *socket, const buffer *text, const socketio_args *args)
{
    engineio_session *session = socket->connection->session;
    engineio_server *engine = socket->connection->server->engine;
    if (!session)
        return MIEN_ECANCELLED; /* another socket of a connection that is just ending */
    engineio_cork(engine);
    mien_status status = text->failed;
    if (!status)
        status = engineio_send(session, text->data, text->length, false);
    for (size_t i = 0; !status && args && i < args->attachment_count; i++)
        status = engineio_send(session, args->attachments[i].bytes, args->attachments[i].length, true);
    engineio_uncork(engine);
    return status;
}

static buffer *text_begin(socketio_server *server)
{
    buffer_clear(&server->text);
    return &server->text;
}

mien_status socketio_accept(socketio_socket *socket)
{
    connection *c = socket->connection;
    if (!c || socket->connected)
        return MIEN_ECANCELLED;
    socket->connected = true;
    c->greeted = true;
    timer_stop(&c->timer);
    buffer *text = text_begin(c->server);
    socketio_write_head(text, SOCKETIO_CONNECT, socket->space->name, 0, NULL);
    buffer_append_format(text, "{\"sid\":\"%s\"}", socket->id);
    return socket_write(socket, text, NULL);
}

void send_connect_error(connection *c, const char *space, const char *message)
{
    json_t *reason = json_pack("{s:s}", "message", message);
    buffer *text = text_begin(c->server);
    socketio_write_head(text, SOCKETIO_CONNECT_ERROR, space, 0, NULL);
    if (reason)
        socketio_write_json(text, reason);
    if (reason && !text->failed && c->session)
        engineio_send(c->session, text->data, text->length, false);
    json_decref(reason);
}

void socketio_refuse(socketio_socket *socket, const char *message)
{
    connection *c = socket->connection;
    if (!c || socket->connected)
        return;
    socket_end(socket, false);
    send_connect_error(c, socket->space->name, message);
}

void socketio_disconnect(socketio_socket *socket)
{
    connection *c = socket->connection;
    if (!c)
        return;
    if (socket->connected) {
        buffer *text = text_begin(c->server);
        socketio_write_head(text, SOCKETIO_DISCONNECT, socket->space->name, 0, NULL);
        socket_write(socket, text, NULL);
    }
    if (socket->connection) /* else the session broke down over it, and took the socket along */
        socket_end(socket, true);
}

static mien_status emit(socketio_socket *socket, const char *event, const socketio_args *args, const uint64_t *ack)
{
    if (!socket->connected)
        return MIEN_ECANCELLED;
    bool binary = args && args->attachment_count;
    socketio_type type = event    ? binary ? SOCKETIO_BINARY_EVENT : SOCKETIO_EVENT
                         : binary ? SOCKETIO_BINARY_ACK
                                  : SOCKETIO_ACK;
    buffer *text = text_begin(socket->connection->server);
    socketio_write_head(text, type, socket->space->name, binary ? args->attachment_count : 0, ack);
    socketio_write_array(text, event, args ? args->values : NULL);
    return socket_write(socket, text, args);
}

mien_status socketio_emit(socketio_socket *socket, const char *event, const socketio_args *args)
{
    return emit(socket, event, args, NULL);
}

mien_status socketio_emit_json(socketio_socket *socket, const char *event, json_t *value)
{
    json_t *values = json_array();
    if (!values || !value) {
        json_decref(value);
        json_decref(values);
        return MIEN_ENOMEM;
    }
    mien_status status = MIEN_ENOMEM;
    if (!json_array_append_new(values, value))
        status = emit(socket, event, &(socketio_args){.values = values}, NULL);
    json_decref(values);
    return status;
}

mien_status socketio_emit_with_ack(socketio_socket *socket, const char *event, const socketio_args *args,
                                   socketio_ack_callback callback, void *context)
{
    if (!socket->connected)
        return MIEN_ECANCELLED;
    if (socket->ack_count >= socket->connection->server->options.max_acks)
        return MIEN_ELIMIT;
    pending_ack *ack = memory_zeroed(1, sizeof *ack);
    if (!ack)
        return MIEN_ENOMEM;
    uint64_t id = socket->next_ack++;
    *ack = (pending_ack){.next = socket->acks, .id = id, .callback = callback, .context = context};
    mien_status status = emit(socket, event, args, &id);
    if (status) {
        memory_free(ack);
        return status;
    }
    socket->acks = ack;
    socket->ack_count++;
    return MIEN_OK;
}

mien_status socketio_acknowledge(socketio_socket *socket, uint64_t ack, const socketio_args *args)
{
    return emit(socket, NULL, args, &ack);
}

const socketio_binary *socketio_attachment(const socketio_args *args, const json_t *value)
{
    size_t number;
    if (!socketio_placeholder_number(value, &number) || number >= args->attachment_count)
        return NULL;
    return &args->attachments[number];
}

json_t *socketio_placeholder(size_t number)
{
    return json_pack("{s:b,s:I}", "_placeholder", 1, "num", (json_int_t)number);
}

const char *socketio_id(const socketio_socket *socket)
{
    return socket->id;
}

socketio_socket *socketio_find(const socketio_server *server, const char *id)
{
    return (socketio_socket *)(void *)table_find(&server->sockets, id); /* its node comes first */
}

engineio_session *socketio_session(const socketio_socket *socket)
{
    return socket->connection ? socket->connection->session : NULL;
}

void socketio_set_user(socketio_socket *socket, void *user)
{
    socket->user = user;
}

void *socketio_user(const socketio_socket *socket)
{
    return socket->user;
}
