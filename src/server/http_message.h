/* One HTTP request and its answer, as handlers see them: plain data, no sockets, no library types. */
#ifndef SERVER_HTTP_MESSAGE_H
#define SERVER_HTTP_MESSAGE_H

#include "base/buffer.h"

#include <jansson.h>
#include <stdatomic.h>

typedef enum http_method {
    HTTP_GET = 1 << 0,
    HTTP_HEAD = 1 << 1,
    HTTP_POST = 1 << 2,
    HTTP_PUT = 1 << 3,
    HTTP_PATCH = 1 << 4,
    HTTP_DELETE = 1 << 5,
    HTTP_OPTIONS = 1 << 6,
    HTTP_OTHER = 1 << 7 /* well-formed, but nothing here answers it */
} http_method;

/** NUL-terminated texts; names are lower case. Borrowed from the bytes that were parsed. */
typedef struct http_field {
    const char *name;
    const char *value;
} http_field;

enum { HTTP_MAX_FIELDS = 100, HTTP_MAX_PARAMETERS = 2, HTTP_MAX_BASE = 272 };

typedef struct http_request {
    http_method method;
    const char *path;      /* percent-decoded, without the query */
    const char *authority; /* of an absolute target, in place of Host's; NULL = none */
    const char *query;     /* as sent, without the question mark; "" when there is none */
    int minor_version;     /* of HTTP/1; 2 for HTTP/2 */
    http_field fields[HTTP_MAX_FIELDS];
    size_t field_count;
    const uint8_t *body; /* whole, never NULL */
    size_t body_length;
    const char *peer;                          /* address in text */
    const char *id;                            /* this request's id in logs and in X-Request-Id */
    bool secure;                               /* came over TLS, also where a trusted proxy says so */
    char parameters[HTTP_MAX_PARAMETERS][128]; /* what the route's {…} matched */
    struct service *service;                   /* what the program knows; NULL in tests of plain handlers */
    size_t worker;                             /* which worker runs the handler, 0.. */
    const atomic_bool *cancelled;              /* nobody waits for the answer any more; NULL in tests */
} http_request;

/** True when the answer will reach nobody: the client has left, or was told 504. What is worth a look between the parts
 *  of a long piece of work. */
bool http_request_cancelled(const http_request *request);
/** The value of a header; `name` in lower case. NULL when absent. The first of several. */
const char *http_request_field(const http_request *request, const char *name);
/** True when the comma-separated header holds `token` (case does not matter; parameters after ';' are ignored). */
bool http_request_field_has(const http_request *request, const char *name, const char *token);
/** True when the header lists `choice`, or "*", without ruling it out by q=0 (RFC 9110, 12.4.2). */
bool http_request_accepts(const http_request *request, const char *name, const char *choice);
/** True when If-None-Match names the entity tag `etag`, by the weak comparison (RFC 9110, 13.1.2). */
bool http_request_knows(const http_request *request, const char *etag);
/** Append the decoded query parameter to `value`; false (and nothing appended) when it is absent or malformed. */
bool http_request_query(const http_request *request, const char *name, buffer *value);
/** True when the body's media type is `type`, for example "application/json". */
bool http_request_is(const http_request *request, const char *type);
/** How the client names this server: "https://host:port", "http://localhost" where its Host cannot stand in a link. */
void http_request_base(const http_request *request, char base[HTTP_MAX_BASE]);
/** Append the cookie's value; false when it is absent. */
bool http_request_cookie(const http_request *request, const char *name, buffer *value);

/** Parts of an answer that come one after another (server-sent events): called by the handler, taken to the client at
 *  once. @return MIEN_OK, MIEN_ECANCELLED (the client has gone), MIEN_ENOMEM. */
typedef mien_status (*http_emit)(void *context, const void *bytes, size_t length);

typedef struct http_response {
    int status;
    const char *content_type; /* static text; NULL = none */
    buffer fields;            /* further header lines, each with CR LF */
    buffer body;
    const uint8_t *fixed; /* when not NULL: a body that lives as long as the program, instead of `body` */
    size_t fixed_length;
    const char *fixed_encoding; /* "gzip" when the fixed body is compressed; NULL = plain */
    const char *cache_control;  /* static text; NULL = no-store */
    const char *policy;         /* content policy, living as long as the service; NULL = the strict one */
    bool close;                 /* end the connection after this answer */
    http_emit emit;             /* set before the handler runs; NULL where nothing can be streamed */
    void *emit_context;
    bool streaming; /* the handler has begun to emit: head and parts are on their way already */
} http_response;

void http_response_init(http_response *response);
void http_response_done(http_response *response);
/** Forget what was set so far, for an error answer in its place. Keeps emit. */
void http_response_reset(http_response *response);
/** Add a header line; a value with control characters is refused (nothing is added). */
mien_status http_response_field(http_response *response, const char *name, const char *value);
/** Set the body to `value` as compact JSON; takes the reference (NULL means memory was short). */
mien_status http_response_json(http_response *response, int status, json_t *value);
/** A JSON text of what may repeat a client's words, cut anywhere: what is not UTF-8 becomes question marks. */
json_t *http_text(const char *text);
/** {"<key>": "<text>"} */
mien_status http_response_error(http_response *response, int status, const char *key, const char *text);
mien_status http_response_text(http_response *response, int status, const char *content_type, const char *text);
/** Send a part; begins the stream (status and content_type must be set) with the first one. */
mien_status http_response_emit(http_response *response, const void *bytes, size_t length);

/** "Not Found" for 404; "Unknown" where there is none. */
const char *http_reason(int status);
const char *http_method_name(http_method method);
http_method http_method_from_name(const char *name, size_t length);
/** Percent-decode; with `plus`, '+' is a blank. MIEN_EFORMAT on a bad escape or a NUL. */
mien_status http_percent_decode(const char *text, size_t length, bool plus, buffer *out);

#endif
