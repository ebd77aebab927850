/* Socket.IO protocol 5 on top of Engine.IO 4: namespaces, events, acknowledgements both ways, binary attachments,
 * rooms. Like engineio.h it owns no socket and no clock and is used from one thread: the event loop feeds the Engine.IO
 * server that socketio_engine() names, and this layer speaks to the application through one socketio_handlers per
 * namespace.
 *
 * Binary values travel as the protocol has them: the JSON holds {"_placeholder":true,"num":n}, the bytes stand beside
 * it. Source: github.com/socketio/socket.io-protocol, revision 5. */
#ifndef PROTO_SOCKETIO_H
#define PROTO_SOCKETIO_H

#include <jansson.h>

#include "proto/engineio.h"

typedef struct socketio_server socketio_server;
typedef struct socketio_namespace socketio_namespace;
typedef struct socketio_socket socketio_socket; /* one client in one namespace */

/** Zero in any field means its default. */
typedef struct socketio_options {
    engineio_options engine;
    uint32_t connect_timeout; /* 45,000 ms for a new session to connect to some namespace */
    size_t max_packet;        /* JSON and attachments of one packet, bytes; 4 × engine.max_payload */
    size_t max_attachments;   /* 16 in one packet */
    size_t max_depth;         /* 32 levels of JSON */
    size_t max_namespaces;    /* 8 on one connection */
    size_t max_rooms;         /* 16 that one socket may join */
    size_t max_acks;          /* 64 acknowledgements awaited from one socket */
} socketio_options;

/** An attachment, borrowed. */
typedef struct socketio_binary {
    const uint8_t *bytes;
    size_t length;
} socketio_binary;

/** Arguments of an event or an acknowledgement; everything borrowed. */
typedef struct socketio_args {
    json_t *values;                     /* a JSON array; NULL when sending = [] */
    const socketio_binary *attachments; /* what the placeholders among the values stand for */
    size_t attachment_count;
} socketio_args;

typedef struct socketio_event {
    const char *name;
    socketio_args args; /* without the name; placeholders are in range */
    bool wants_ack;
    uint64_t ack; /* for socketio_acknowledge() when wants_ack */
} socketio_event;

/** What a namespace hears. `connect` must be there; the others may be NULL. */
typedef struct socketio_handlers {
    void *context;
    /** Somebody asks to come in. Call socketio_accept() or socketio_refuse(), here or later (find the socket again by
     *  its id then). `auth` is an object, {} when the client sent none; borrowed. */
    void (*connect)(void *context, socketio_socket *socket, json_t *auth, uint64_t now);
    void (*event)(void *context, socketio_socket *socket, const socketio_event *event, uint64_t now);
    /** Once for every connect(), accepted or not yet decided; not after socketio_refuse(). The socket ends here. */
    void (*disconnected)(void *context, socketio_socket *socket);
} socketio_handlers;

/** Called with the client's answer; with NULL when the socket ends before one came. */
typedef void (*socketio_ack_callback)(void *context, socketio_socket *socket, const socketio_args *args);

mien_status socketio_create(const socketio_options *options, const engineio_transport *transport,
                            socketio_server **server, mien_error *error);
void socketio_destroy(socketio_server **server);
/** The Engine.IO server to feed. */
engineio_server *socketio_engine(const socketio_server *server);

/** Open a namespace ("/" or "/name") before the first client comes. The handlers are copied. */
mien_status socketio_serve(socketio_server *server, const char *name, const socketio_handlers *handlers,
                           socketio_namespace **space, mien_error *error);

mien_status socketio_accept(socketio_socket *socket);
/** CONNECT_ERROR {"message":…}; the socket ends here, the connection stays for other namespaces. */
void socketio_refuse(socketio_socket *socket, const char *message);
/** DISCONNECT, from the server. disconnected() is called before this returns. */
void socketio_disconnect(socketio_socket *socket);

/** @return MIEN_OK, MIEN_ECANCELLED (not connected), MIEN_ELIMIT (too slow, or over a limit), MIEN_ENOMEM. */
mien_status socketio_emit(socketio_socket *socket, const char *event, const socketio_args *args);
/** The usual case: one JSON value, whose reference is taken over also on failure. */
mien_status socketio_emit_json(socketio_socket *socket, const char *event, json_t *value);
mien_status socketio_emit_with_ack(socketio_socket *socket, const char *event, const socketio_args *args,
                                   socketio_ack_callback callback, void *context);
mien_status socketio_acknowledge(socketio_socket *socket, uint64_t ack, const socketio_args *args);

/** Names of 1..128 bytes. Joining twice is fine. @return MIEN_OK, MIEN_EINVAL, MIEN_ELIMIT, MIEN_ENOMEM. */
mien_status socketio_join(socketio_socket *socket, const char *room, mien_error *error);
void socketio_leave(socketio_socket *socket, const char *room);
/** To everybody in the room but `except` (may be NULL). @return how many it was sent to. */
size_t socketio_emit_room(socketio_namespace *space, const char *room, const socketio_socket *except, const char *event,
                          const socketio_args *args);
size_t socketio_room_size(const socketio_namespace *space, const char *room);

/** The bytes that a placeholder among the arguments stands for; NULL when `value` is none. */
const socketio_binary *socketio_attachment(const socketio_args *args, const json_t *value);
/** A new {"_placeholder":true,"num":n}. */
json_t *socketio_placeholder(size_t number);

/** Unique and unguessable; what a late answer remembers a socket by. */
const char *socketio_id(const socketio_socket *socket);
/** NULL when it is gone. */
socketio_socket *socketio_find(const socketio_server *server, const char *id);
engineio_session *socketio_session(const socketio_socket *socket);
void socketio_set_user(socketio_socket *socket, void *user);
void *socketio_user(const socketio_socket *socket);

#endif
