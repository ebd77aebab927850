/* One client connection of HTTP/1.1 or WebSocket, on the loop's thread only. Internal to the network side. */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/exchange.h"
#include "server/h2_session.h"
#include "server/tls_session.h"
#include "server/websocket.h"

struct lws;

typedef enum connection_state {
    CONNECTION_HEAD,      /* between requests, or in the middle of a request's head */
    CONNECTION_BODY,      /* a request's body is arriving */
    CONNECTION_WAITING,   /* a worker has the request */
    CONNECTION_STREAMING, /* the answer comes in parts */
    CONNECTION_CLOSING,   /* nothing more is read; the rest of the output, then the end */
    CONNECTION_WEBSOCKET,
    CONNECTION_HTTP2
} connection_state;

typedef struct channel channel;

struct connection {
    server *server;
    struct lws *wsi;
    struct connection *next, *previous;
    uint8_t address[16]; /* IPv6, or IPv4 mapped into it */
    char peer[48];
    bool secure;
    connection_state state;
    buffer in;
    size_t scanned;   /* of `in`, in search of the head's end */
    buffer out;       /* what is to be said */
    buffer wire;      /* the same encrypted, with TLS */
    size_t sent;      /* of what goes to the socket: `wire` with TLS, else `out` */
    tls_session *tls; /* NULL = none */
    h2_session *h2;   /* NULL = HTTP/1 or WebSocket */
    struct exchange *exchange;
    bool shut;   /* our side is shut down; waiting for the peer to hang up */
    bool paused; /* reading is off until output drains */
    bool idle;   /* HTTP/2: there was no stream when last looked */
    uint64_t deadline_ns, body_begin_ns;
    uint64_t body_received;
    channel *channel; /* of a WebSocket */
};

/** Take what was received. @return false to close the connection. */
bool connection_receive(connection *c, const uint8_t *bytes, size_t length);
/** The socket can be written to. @return false to close. */
bool connection_writable(connection *c);
/** Its deadline has passed. @return false to close. */
bool connection_expired(connection *c, uint64_t now_ns);
/** The server is stopping: @return false when nothing is under way and it can be closed now. */
bool connection_stopping(connection *c);
/** Free what it holds; the connection itself is the server's. */
void connection_done(connection *c);
const settings *connection_settings(const connection *c);
/** Bytes that wait to be sent. */
size_t connection_pending(const connection *c);
/** Append to the output and ask for a turn to write. */
void connection_send(connection *c, const void *bytes, size_t length);
/** End after the output has been sent. */
void connection_close(connection *c);
/** Set the deadline; the server's sweep is told when it is near. */
void connection_set_deadline(connection *c, double seconds);

#endif
