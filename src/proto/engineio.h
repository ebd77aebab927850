/* Engine.IO protocol 4 on the server's side: sessions over HTTP long-polling and WebSocket and the upgrade between
 * them. Bytes in, bytes out: no sockets, no threads, no clock. Whoever owns the sockets calls the functions below from
 * one thread and passes the time as monotonic milliseconds; output comes through engineio_transport.
 *
 *   HTTP request   engineio_http()                    answered now, or later through transport.poll_answer
 *   WebSocket      engineio_ws_check(), _open(), _receive(), _next(), _sent(), _closed()
 *   timer          engineio_tick(), engineio_deadline()
 *   application    engineio_send(), engineio_close(), engineio_handlers
 *
 * Callbacks may call engineio_send() and engineio_close(); they may not call the HTTP, WebSocket and timer functions.
 * Source: github.com/socketio/engine.io-protocol, revision 4. */
#ifndef PROTO_ENGINEIO_H
#define PROTO_ENGINEIO_H

#include <mien/base.h>

#include <stdbool.h>

typedef struct engineio_server engineio_server;
typedef struct engineio_session engineio_session;
typedef struct engineio_ws engineio_ws; /* one WebSocket connection: a session's transport, or a probe for one */

enum {
    ENGINEIO_HEADROOM = 32, /* writable bytes in front of every WebSocket frame's bytes, for the sender's own header */
    ENGINEIO_PEER_BYTES = 64
};

/** Milliseconds and bytes. Zero in any field means its default. */
typedef struct engineio_options {
    uint32_t ping_interval;   /* 25,000 */
    uint32_t ping_timeout;    /* 20,000 */
    uint32_t upgrade_timeout; /* 10,000: from a probing WebSocket's opening to its "5" */
    size_t max_payload;       /* 1,000,000: one POST body or WebSocket message from a client */
    size_t max_queue;         /* 8 MiB waiting for one client; beyond that the session is closed as too slow */
    size_t max_sessions;      /* 10,000 */
    size_t max_peer_sessions; /* of one client address; as many as max_sessions */
    bool assume_polling;      /* a request that names no transport polls, where Engine.IO would refuse it */
} engineio_options;

typedef enum engineio_reason {
    ENGINEIO_CLOSED_BY_CLIENT, /* its close packet */
    ENGINEIO_CLOSED_BY_SERVER, /* engineio_close() or the server's end */
    ENGINEIO_PING_TIMEOUT,
    ENGINEIO_TRANSPORT_LOST, /* the WebSocket or the waiting poll broke off */
    ENGINEIO_BAD_PACKET,     /* not the protocol, overlapping polls, or over max_payload */
    ENGINEIO_TOO_SLOW,       /* max_queue reached, or memory ran out */
} engineio_reason;

/** An answer to an HTTP request. The body is borrowed: valid until the next call into the server. */
typedef struct engineio_response {
    int status;
    const char *content_type;
    const uint8_t *body;
    size_t length;
} engineio_response;

/** How output leaves. Both are called with the caller's own handles and must not call back into the server. */
typedef struct engineio_transport {
    void *context;
    /** Answer the HTTP request that engineio_http() left waiting; the handle is not used again. */
    void (*poll_answer)(void *context, void *poll, const engineio_response *response);
    /** engineio_ws_next() has something for this connection: ask the event loop for a "writable" turn. */
    void (*ws_wake)(void *context, void *connection);
} engineio_transport;

/** What the application hears. Any may be NULL. */
typedef struct engineio_handlers {
    void *context;
    void (*opened)(void *context, engineio_session *session, uint64_t now);
    /** One message; text is valid UTF-8 (not NUL-terminated), borrowed for the call. */
    void (*message)(void *context, engineio_session *session, const uint8_t *bytes, size_t length, bool binary,
                    uint64_t now);
    /** Once per session; the session must not be used afterwards. */
    void (*closed)(void *context, engineio_session *session, engineio_reason reason);
    /** The application's own timers, run by engineio_tick(). */
    void (*tick)(void *context, uint64_t now);
    /** When tick() is next due; UINT64_MAX = never. */
    uint64_t (*deadline)(void *context);
} engineio_handlers;

mien_status engineio_create(const engineio_options *options, const engineio_transport *transport,
                            const engineio_handlers *handlers, engineio_server **server, mien_error *error);
/** Closes every session (closed() is called) and answers waiting polls. WebSockets still open stay valid, and end with
 *  engineio_ws_closed() as always, which must come before this call: destroy the server last. Accepts a pointer to
 * NULL. */
void engineio_destroy(engineio_server **server);
/** Close every session, for a graceful stop: the farewells are queued, so run the event loop a little longer. */
void engineio_close_all(engineio_server *server);

size_t engineio_session_count(const engineio_server *server);
/** The largest POST body worth reading. */
size_t engineio_max_payload(const engineio_server *server);

typedef struct engineio_request {
    const char *method; /* "GET", "POST", … */
    const char *query;  /* what follows '?', still percent-encoded; NULL = none */
    const char *peer;   /* the client's address for logs and limits; copied when a session opens; NULL = unknown */
    const uint8_t *body;
    size_t length;
    void *poll; /* the caller's handle, given back by poll_answer */
} engineio_request;

/**
 * One HTTP request to the Engine.IO path (the caller answers OPTIONS and adds the CORS headers).
 * @param waiting  [out] the session when the answer comes later through poll_answer, else NULL. Should the HTTP
 *                 connection break before that: engineio_poll_lost(session).
 * @param response [out] the answer when *waiting is NULL.
 */
void engineio_http(engineio_server *server, const engineio_request *request, uint64_t now, engineio_session **waiting,
                   engineio_response *response);
void engineio_poll_lost(engineio_session *session);

/** Before accepting a WebSocket: false = refuse the upgrade with this HTTP answer. */
bool engineio_ws_check(engineio_server *server, const char *query, uint64_t now, engineio_response *refusal);
/** An accepted WebSocket. @param connection the caller's handle for ws_wake. @param ws [out] until
 * engineio_ws_closed(). */
mien_status engineio_ws_open(engineio_server *server, const char *query, const char *peer, void *connection,
                             uint64_t now, engineio_ws **ws, mien_error *error);
/** A piece of a message as it arrives; `final` marks a message's last piece. Pieces are joined here, up to max_payload.
 */
void engineio_ws_receive(engineio_ws *ws, const uint8_t *bytes, size_t length, bool binary, bool final, uint64_t now);

typedef enum engineio_ws_action { ENGINEIO_WS_IDLE, ENGINEIO_WS_SEND, ENGINEIO_WS_CLOSE } engineio_ws_action;

typedef struct engineio_frame {
    uint8_t *bytes; /* for SEND: one whole message, with ENGINEIO_HEADROOM writable bytes in front; NULL for CLOSE */
    size_t length;
    bool binary;
    uint16_t code; /* for CLOSE: the WebSocket close code */
} engineio_frame;

/** What to do now that the connection is writable. After SEND call engineio_ws_sent(), then ask again. */
engineio_ws_action engineio_ws_next(engineio_ws *ws, engineio_frame *frame);
void engineio_ws_sent(engineio_ws *ws);
/** The connection is gone, by whichever side; frees `ws`. Accepts NULL. */
void engineio_ws_closed(engineio_ws *ws);

/** Send pings, drop the silent. @return when it wants to be called next; UINT64_MAX = nothing is due. */
uint64_t engineio_tick(engineio_server *server, uint64_t now);
/** The same without doing anything: ask again after every call that opens a session. */
uint64_t engineio_deadline(const engineio_server *server);

/** Queue a message. @return MIEN_OK; MIEN_ECANCELLED (closing); MIEN_ELIMIT or MIEN_ENOMEM (the session is closed). */
mien_status engineio_send(engineio_session *session, const void *bytes, size_t length, bool binary);
/** Say farewell after what is queued. closed() is called before this returns, unless the session is closed already. */
void engineio_close(engineio_session *session);
/** Between these, messages to a waiting poll are gathered into one answer. Nests. */
void engineio_cork(engineio_server *server);
void engineio_uncork(engineio_server *server);

const char *engineio_session_id(const engineio_session *session);
const char *engineio_session_peer(const engineio_session *session);
/** True while HTTP long-polling is the transport. */
bool engineio_session_polling(const engineio_session *session);
void engineio_session_set_user(engineio_session *session, void *user);
void *engineio_session_user(const engineio_session *session);

#endif
