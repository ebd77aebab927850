/* Guards the Socket.IO parser and server against any sequence of packets. The input is packets with 0xff between them;
 * one that starts with 0xfe is binary. An application answers everything, leaves, joins and asks back. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/socketio.h"

static socketio_namespace *rooms;

static void on_poll_answer(void *context, void *poll, const engineio_response *response)
{
    (void)context, (void)poll, (void)response;
    abort();
}

static void on_wake(void *context, void *connection)
{
    (void)context, (void)connection;
}

static void on_ack(void *context, socketio_socket *socket, const socketio_args *args)
{
    (void)context;
    if (args)
        socketio_emit(socket, "acknowledged", args);
}

static void on_connect(void *context, socketio_socket *socket, json_t *auth, uint64_t now)
{
    (void)context, (void)now;
    if (json_object_get(auth, "no")) {
        socketio_refuse(socket, "no");
        return;
    }
    socketio_accept(socket);
    socketio_emit_json(socket, "auth", json_incref(auth));
    socketio_emit_with_ack(socket, "question", NULL, on_ack, NULL);
}

static void on_event(void *context, socketio_socket *socket, const socketio_event *event, uint64_t now)
{
    (void)context, (void)now;
    socketio_emit(socket, "back", &event->args);
    if (event->wants_ack)
        socketio_acknowledge(socket, event->ack, &event->args);
    const socketio_binary *bytes = socketio_attachment(&event->args, json_array_get(event->args.values, 0));
    if (bytes && bytes->length && bytes->bytes[0] == 0xff)
        abort(); /* the separator never gets here: proves that the bytes are readable */
    if (event->name[0] == 'j')
        socketio_join(socket, event->name, NULL);
    else if (event->name[0] == 'l')
        socketio_leave(socket, "join");
    else if (event->name[0] == 'r')
        socketio_emit_room(rooms, "join", socket, event->name, &event->args);
    else if (event->name[0] == 'd')
        socketio_disconnect(socket);
    else if (event->name[0] == 'c' && socketio_session(socket))
        engineio_close(socketio_session(socket));
}

static void on_end(void *context, socketio_socket *socket)
{
    (void)context;
    socketio_emit(socket, "late", NULL);
}

static void drain(engineio_ws *ws)
{
    engineio_frame frame;
    while (engineio_ws_next(ws, &frame) == ENGINEIO_WS_SEND)
        engineio_ws_sent(ws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    socketio_server *server;
    socketio_options options = {.engine = {.max_payload = 4096, .max_queue = 16384},
                                .max_packet = 8192,
                                .max_attachments = 4,
                                .max_depth = 8,
                                .max_namespaces = 2,
                                .max_rooms = 2,
                                .max_acks = 2};
    engineio_transport transport = {NULL, on_poll_answer, on_wake};
    socketio_handlers handlers = {NULL, on_connect, on_event, on_end};
    if (socketio_create(&options, &transport, &server, NULL))
        return 0;
    socketio_serve(server, "/", &handlers, &rooms, NULL);
    socketio_serve(server, "/custom", &handlers, NULL, NULL);
    engineio_ws *ws = NULL;
    uint64_t now = 1;
    if (!engineio_ws_open(socketio_engine(server), "EIO=4&transport=websocket", "peer", NULL, now, &ws, NULL)) {
        engineio_ws_receive(ws, (const uint8_t *)"40", 2, false, true, now);
        while (size) {
            const uint8_t *end = memchr(data, 0xff, size);
            size_t length = end ? (size_t)(end - data) : size;
            bool binary = length && data[0] == 0xfe;
            engineio_ws_receive(ws, data + binary, length - binary, binary, true, now += 10);
            if (length & 1)
                drain(ws);
            data += length + (end != NULL);
            size -= length + (end != NULL);
        }
        engineio_ws_closed(ws);
    }
    socketio_destroy(&server);
    return 0;
}
