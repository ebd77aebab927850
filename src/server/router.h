/* Which handler answers which method and path. */
#ifndef SERVER_ROUTER_H
#define SERVER_ROUTER_H

#include "server/http_message.h"

/** Fill in `response`. Anything but MIEN_OK becomes a plain 500 (or 503 for MIEN_ENOMEM and MIEN_EBUSY). */
typedef mien_status (*route_handler)(const http_request *request, http_response *response);

enum {
    ROUTE_WORKER = 1 << 0,   /* runs on a worker: it recognises pictures or waits for a store */
    ROUTE_LIMITED = 1 << 1,  /* counts against RATE_LIMIT_REQUESTS unless RATE_LIMIT_ROUTES says otherwise */
    ROUTE_STATIC = 1 << 2,   /* exists only where a file of that name does */
    ROUTE_SHARED = 1 << 3,   /* two dialects answer: ROUTE_LIMITED counts the one that sends JSON */
    ROUTE_PICTURES = 1 << 4, /* counts against RATE_LIMIT_FACES unless RATE_LIMIT_ROUTES says otherwise */
    ROUTE_GUARDED = 1 << 5,  /* takes credentials: a small limit of its own, against guessing */
};

typedef struct route {
    unsigned methods; /* HTTP_GET includes HEAD */
    const char *path; /* "/api/history/{id}"; each {…} matches one segment */
    route_handler handler;
    unsigned flags;
} route;

typedef struct router {
    const route *routes;
    size_t count;
} router;

/** The route of the request, its {…} copied to request->parameters. NULL when there is none; then *allowed holds the
 *  methods that the path answers (0 = unknown path). HEAD finds GET routes. OPTIONS is never found: it is answered for
 *  every known path by router_options(). */
const route *router_find(const router *router, http_request *request, unsigned *allowed);
/** Text for the Allow header: "GET, HEAD, OPTIONS". */
void router_allow(unsigned allowed, char *text, size_t capacity);
/** Run the handler of the request; answers 404, 405 and OPTIONS itself. */
void router_answer(const route *found, unsigned allowed, const http_request *request, http_response *response);

#endif
