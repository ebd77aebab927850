/* One request and its answer from the first byte to the last: found route, limits, worker, log and counts. Independent
 * of the protocol that carries it: HTTP/1.1 and HTTP/2 each bring an exchange_carrier. */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "server/http_parser.h"
#include "server/server.h"

#include <pthread.h>

typedef struct connection connection;
typedef struct exchange exchange;

/** How the answer travels. Called on the loop's thread only; NULL carrier = the client has gone. */
typedef struct exchange_carrier {
    /** The answer is whole, in exchange->response. */
    void (*answer)(void *carrier, exchange *e);
    /** Parts of a streamed answer; `last` with the final ones. The head is in exchange->response. */
    void (*part)(void *carrier, exchange *e, const void *bytes, size_t length, bool last);
} exchange_carrier;

struct exchange {
    server_job job; /* first */
    server *server;
    const exchange_carrier *carrier_functions;
    void *carrier; /* NULL: nobody waits for the answer any more */
    http_request request;
    http_response response;
    http_head head;
    http_body decoder;
    char *head_text;
    buffer path, body;
    size_t counted; /* bytes of the body that count against MAX_BODIES_SIZE */
    const route *route;
    unsigned allowed;
    const server_mount *mount;
    void (*gone)(exchange *e); /* the client left while a mount had the request; the mount forgets the exchange */
    void *mount_state;
    uint64_t begin_ns;
    char id[17];
    char peer[48];
    atomic_bool cancelled;
    bool running;  /* handed to a worker that has not reported back */
    bool answered; /* counted and logged */
    pthread_mutex_t stream_lock;
    buffer stream; /* parts that the handler has emitted and the loop has not taken */
    bool stream_begun;
};

exchange *exchange_create(server *server, const char *peer, bool secure);
/** The client is not interested any more, or the answer has been sent. A worker may still be at it; then it is freed
 * when it reports back. */
void exchange_release(exchange *e);
/** The head is parsed (request, head): find the route and check limits. @return 0 to go on with the body, or a status
 * to refuse with at once (the response is filled in). */
int exchange_begin(exchange *e);
/** The body is whole: run the handler here or on a worker. The carrier hears of the answer, perhaps before this
 * returns. */
void exchange_run(exchange *e);
/** Fill in an error answer {"detail": …} (with the connection closed after it) and answer it. */
void exchange_refuse(exchange *e, int status);
/** The response is filled in: send it. For mounts, which answer later. */
void exchange_answer(exchange *e);
/** Count and log; the carrier calls it when it begins to send. */
void exchange_note(exchange *e);

/** Append the response's header lines, without status line and framing: type, CORS, security, request id. */
void response_fields(const exchange *e, buffer *out);
/** Compress the body when it is large text and the client accepts that. */
void response_compress(const http_request *request, http_response *response);
/** Answer a CORS preflight; false when the request is none. */
bool cors_preflight(const settings *settings, const http_request *request, unsigned allowed, http_response *response);
/** May this request open a WebSocket, which browsers let any page do? Yes without an Origin (no browser), from the same
 *  host, and from configured origins. */
bool cors_allows_socket(const settings *settings, const http_request *request);
/** Add the CORS headers that this request's origin calls for. */
void cors_fields(const settings *settings, const http_request *request, buffer *out);

#endif
