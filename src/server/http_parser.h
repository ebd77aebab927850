/* HTTP/1.0 and 1.1 requests from bytes: the head, then the body. No sockets, no memory of its own, so it can be fuzzed.
 * Source: RFC 9110 and 9112; strict where leniency lets requests be smuggled (lengths, folding, bare CR). */
#ifndef SERVER_HTTP_PARSER_H
#define SERVER_HTTP_PARSER_H

#include "server/http_message.h"

typedef enum http_progress {
    HTTP_MORE, /* feed more bytes */
    HTTP_READY,
    HTTP_REFUSED /* answer with the status and close */
} http_progress;

typedef struct http_limits {
    size_t head; /* bytes of request line and headers together: 431 beyond */
    size_t uri;  /* bytes of the request target: 414 beyond */
    size_t body; /* bytes of the body: 413 beyond */
} http_limits;

/** Look for the end of the head in `bytes`. `*scanned` remembers how far earlier calls looked (start with 0).
 *  @return HTTP_READY with *length of the head, its empty line included; HTTP_MORE; HTTP_REFUSED with *status 414/431.
 */
http_progress http_head_find(const uint8_t *bytes, size_t available, const http_limits *limits, size_t *scanned,
                             size_t *length, int *status);

typedef enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED } http_framing;

typedef struct http_head {
    http_framing framing;
    uint64_t content_length;
    bool keep_alive;
    bool expects_continue;
    bool upgrades; /* Connection: upgrade */
} http_head;

/** Cut a request target in two, in place: request->path (decoded into `path`) and request->query. HTTP/2 has these too.
 *  @return HTTP_READY or HTTP_REFUSED with *status 400, 414. */
http_progress http_target_parse(char *target, const http_limits *limits, buffer *path, http_request *request,
                                int *status);

/** Parse a whole head in place: `text` (length bytes) is cut up with NULs and must outlive the request. `path` receives
 *  the decoded path, which request->path points into.
 *  @return HTTP_READY or HTTP_REFUSED with *status 400, 414, 431, 501, 505. */
http_progress http_head_parse(char *text, size_t length, const http_limits *limits, buffer *path, http_request *request,
                              http_head *head, int *status);

/** The body's decoder; plain data. */
typedef struct http_body {
    http_framing framing;
    uint64_t remaining; /* of the body or of the chunk */
    int state;
    size_t line; /* bytes of the chunk-size line or of the trailers so far */
} http_body;

void http_body_begin(http_body *body, const http_head *head);
/** Decode into `out`, whose limit is the body's. `*used` bytes were taken.
 *  @return HTTP_READY when the body is whole, HTTP_MORE, HTTP_REFUSED with *status 400 or 413. */
http_progress http_body_feed(http_body *body, const uint8_t *bytes, size_t available, buffer *out, size_t *used,
                             int *status);

#endif
