/* What the files of the Socket.IO server share: socketio.c (the server, sockets, output), socketio_input.c (packets
 * that come in) and socketio_room.c. Nobody else includes this. */
#ifndef PROTO_SOCKETIO_INTERNAL_H
#define PROTO_SOCKETIO_INTERNAL_H

#include "proto/socketio.h"
#include "proto/socketio_packet.h"
#include "proto/table.h"
#include "proto/timer_queue.h"

enum { SOCKETIO_ID_BYTES = 15, SOCKETIO_ID_TEXT = 24, SOCKETIO_LINGER = 1000, SOCKETIO_MOST_ATTACHMENTS = 64 };

typedef struct connection connection;

struct socketio_namespace {
    socketio_namespace *next;
    socketio_server *server;
    socketio_handlers handlers;
    table rooms;
    char name[SOCKETIO_SPACE_BYTES];
};

struct socketio_server {
    socketio_options options;
    engineio_server *engine;
    socketio_namespace *spaces;
    table sockets;
    timer_queue connects; /* connections that have not reached any namespace yet */
    timer_queue lingers;  /* connections whose last namespace was left */
    socketio_socket
        *dead;    /* ended sockets; freed when the event loop calls next, so a caller's pointer lasts its turn */
    uint64_t now; /* of the last call from outside: lingering starts from it */
    buffer text;  /* the packet that is being written */
};

/* A binary packet whose attachments are still arriving. */
typedef struct partial {
    socketio_packet packet;
    buffer bytes;
    size_t lengths[SOCKETIO_MOST_ATTACHMENTS];
    size_t count;
} partial;

/* One Engine.IO session and what hangs on it. */
struct connection {
    socketio_server *server;
    engineio_session *session;
    timer_node timer;
    socketio_socket *sockets;
    size_t count;
    partial *partial;
    bool greeted; /* has been in some namespace */
};

typedef struct pending_ack {
    struct pending_ack *next;
    uint64_t id;
    socketio_ack_callback callback;
    void *context;
} pending_ack;

struct socketio_socket {
    table_node node;
    connection *connection; /* NULL once the socket has ended */
    socketio_namespace *space;
    socketio_socket *next; /* in the connection, later among the dead */
    bool connected;
    pending_ack *acks;
    size_t ack_count;
    uint64_t next_ack;
    struct membership *rooms;
    size_t room_count;
    void *user;
    char id[SOCKETIO_ID_TEXT];
};

/* socketio.c */
mien_status socket_create(connection *c, socketio_namespace *space, socketio_socket **socket);
/** Take it out of everything; `tell` the application through disconnected(). */
void socket_end(socketio_socket *socket, bool tell);
socketio_namespace *space_find(const socketio_server *server, const char *name);
void send_connect_error(connection *c, const char *space, const char *message);

/* socketio_input.c */
void connection_text(connection *c, const uint8_t *bytes, size_t length, uint64_t now);
void connection_binary(connection *c, const uint8_t *bytes, size_t length, uint64_t now);
void partial_destroy(partial **p);

/* socketio_room.c */
void rooms_leave_all(socketio_socket *socket);

#endif
