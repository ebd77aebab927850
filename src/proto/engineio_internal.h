/* What the files of the Engine.IO server share: engineio.c (sessions, timers), engineio_http.c (requests, polling),
 * engineio_ws.c (WebSockets, the upgrade). Nobody else includes this. */
#ifndef PROTO_ENGINEIO_INTERNAL_H
#define PROTO_ENGINEIO_INTERNAL_H

#include "proto/engineio.h"
#include "proto/engineio_packet.h"
#include "proto/table.h"
#include "proto/timer_queue.h"

enum {
    ENGINEIO_ID_BYTES = 15,
    ENGINEIO_ID_TEXT = 24,
    ENGINEIO_FAREWELL = 1000, /* ms that a session closed by its client still answers a poll that was on its way */
    ENGINEIO_NOOP = 10        /* ms from a probe to letting a waiting poll go */
};

struct engineio_server {
    engineio_options options;
    engineio_transport transport;
    engineio_handlers handlers;
    table sessions, peers;
    timer_queue pings, pongs, upgrades;
    timer_queue farewells; /* sessions that linger after their client's close packet */
    timer_queue noops;     /* sessions whose waiting poll is to be let go for an upgrade */
    unsigned corked;
    engineio_session *flush; /* sessions with something for a waiting poll, while corked */
    engineio_session *dead;  /* closed sessions, freed once no call is under way */
    buffer answer;           /* body of the last response */
    buffer scratch;          /* decoded base64 */
};

/* How many sessions a client address holds. */
typedef struct engineio_peer {
    table_node node;
    size_t sessions;
    char name[ENGINEIO_PEER_BYTES];
} engineio_peer;

/* A session is either polling (ws NULL) or on a WebSocket. While a probe is under way it is still polling. */
struct engineio_session {
    table_node node;
    timer_node
        heartbeat; /* in `pings` until the next ping is due, in `pongs` while a pong is awaited, or `farewells` */
    timer_node noop;
    engineio_server *server;
    engineio_ws *ws, *probe;
    void *poll;         /* the caller's waiting GET */
    bool poll_late;     /* it came after the probing WebSocket */
    packet_queue queue; /* while polling; a WebSocket has its own */
    engineio_session *next_flush, *next_dead;
    bool flushing; /* in the server's flush list */
    bool base64;   /* the client cannot take binary frames */
    bool draining; /* closed for the application; lives until a poll has fetched the rest and `farewell` */
    const char *farewell;
    bool dead;
    void *user;
    engineio_peer *peer;
    char id[ENGINEIO_ID_TEXT];
};

struct engineio_ws {
    engineio_server *server;
    engineio_session *session; /* NULL once that has ended */
    void *connection;
    timer_node upgrade;
    packet_queue queue;
    buffer incoming; /* pieces of a message before its last */
    bool probed;     /* "2probe" was answered */
    bool closing;    /* send what is queued, then close with `code` */
    uint16_t code;
};

enum engineio_fault { /* the numbers of the reference implementation */
                      ENGINEIO_FAULT_TRANSPORT = 0,
                      ENGINEIO_FAULT_SESSION = 1,
                      ENGINEIO_FAULT_METHOD = 2,
                      ENGINEIO_FAULT_REQUEST = 3,
                      ENGINEIO_FAULT_FORBIDDEN = 4,
                      ENGINEIO_FAULT_PROTOCOL = 5
};

/* What the query of a request says. */
typedef struct engineio_query {
    char version[8], transport[16], id[ENGINEIO_ID_TEXT];
    bool has_id, base64;
} engineio_query;

/* engineio.c */
mien_status session_create(engineio_server *server, const char *peer, uint64_t now, engineio_session **session,
                           mien_error *error);
void session_handshake(const engineio_session *session, bool polling, buffer *out);
/** End it: the waiting poll gets what is queued and `farewell`; WebSockets are told to close with `code`. */
void session_end(engineio_session *session, engineio_reason reason, const char *farewell, uint16_t code);
void session_receive(engineio_session *session, const engineio_packet *p, uint64_t now);
/** Answer the waiting poll when there is something for it. */
void session_flush(engineio_session *session);

/* engineio_http.c */
engineio_query query_parse(const char *query);
engineio_session *query_session(const engineio_server *server, const engineio_query *query);
void respond_fault(engineio_server *server, enum engineio_fault fault, engineio_response *response);
/** What is queued as one payload, then `last` (may be NULL) as a packet of its own. */
void respond_payload(engineio_session *session, const char *last, engineio_response *response);

/* engineio_ws.c */
void ws_wake(engineio_ws *ws);
/** Let the connection go: it sends what it has and closes. */
void ws_finish(engineio_ws *ws, uint16_t code);

#endif
