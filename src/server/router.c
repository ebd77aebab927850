/* A linear search through some forty routes costs less than a microsecond; patterns stay readable in one table. */
#include "server/router.h"

#include "server/static_files.h"

#include <stdio.h>
#include <string.h>

/* Does `path`, perhaps with a slash too many at its end, match `pattern`? Segments in braces are copied out. */
static bool match(const char *pattern, const char *path, char parameters[HTTP_MAX_PARAMETERS][128])
{
    size_t next = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t length = strcspn(path, "/");
        if (!length || length >= sizeof parameters[0] || next == HTTP_MAX_PARAMETERS)
            return false;
        memcpy(parameters[next], path, length);
        parameters[next++][length] = 0;
        path += length;
        pattern += strcspn(pattern, "}") + 1;
    }
    return !*path || !strcmp(path, "/");
}

const route *router_find(const router *router, http_request *request, unsigned *allowed)
{
    *allowed = 0;
    unsigned wanted = request->method == HTTP_HEAD ? HTTP_GET : (unsigned)request->method;
    for (size_t i = 0; i < router->count; i++) {
        const route *candidate = &router->routes[i];
        bool here = candidate->flags & ROUTE_STATIC ? static_files_find(request->path) != NULL
                                                    : match(candidate->path, request->path, request->parameters);
        if (!here)
            continue;
        if (candidate->methods & wanted)
            return candidate;
        *allowed |= candidate->methods;
    }
    return NULL;
}

void router_allow(unsigned allowed, char *text, size_t capacity)
{
    if (allowed & HTTP_GET)
        allowed |= HTTP_HEAD;
    allowed |= HTTP_OPTIONS;
    size_t length = 0;
    for (unsigned method = HTTP_GET; method < HTTP_OTHER; method <<= 1)
        if (allowed & method && length < capacity)
            length += (size_t)snprintf(text + length, capacity - length, "%s%s", length ? ", " : "",
                                       http_method_name(method));
}

static mien_status answer_unrouted(unsigned allowed, const http_request *request, http_response *response)
{
    if (!allowed && !(request->method == HTTP_OPTIONS && !strcmp(request->path, "*")))
        return http_response_error(response, 404, "detail", "Not Found");
    char allow[80] = "";
    router_allow(allowed, allow, sizeof allow);
    mien_status status = http_response_field(response, "Allow", allow);
    if (status)
        return status;
    if (request->method == HTTP_OPTIONS)
        return http_response_text(response, 200, "text/plain; charset=utf-8", "OK");
    return http_response_error(response, 405, "detail", "Method Not Allowed");
}

void router_answer(const route *found, unsigned allowed, const http_request *request, http_response *response)
{
    mien_status status = found ? found->handler(request, response) : answer_unrouted(allowed, request, response);
    if (!status || response->streaming)
        return;
    http_response_reset(response);
    bool busy = status == MIEN_ENOMEM || status == MIEN_EBUSY;
    if (http_response_error(response, busy ? 503 : 500, "detail",
                            busy ? "The server is short of memory" : "Internal server error"))
        response->status = 503;
}
