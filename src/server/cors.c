/* Cross-origin requests. Closed by default: no header is sent unless the origin is configured. "*" opens everything to
 * pages without credentials; a named origin may use them (the guest cookie). Source: WHATWG Fetch. */
#include "server/exchange.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef enum cors_verdict { CORS_NONE, CORS_ANY, CORS_NAMED } cors_verdict;

static cors_verdict judge(const settings *settings, const char *origin)
{
    size_t wanted = strlen(origin);
    for (const char *at = settings->cors_origins; *at;) {
        at += strspn(at, " ,");
        size_t length = strcspn(at, " ,");
        if (length == 1 && *at == '*')
            return CORS_ANY;
        bool slash = length && at[length - 1] == '/'; /* often configured so, never sent so */
        if (length - slash == wanted && wanted && !strncmp(at, origin, wanted))
            return CORS_NAMED;
        at += length;
    }
    return CORS_NONE;
}

void cors_fields(const settings *settings, const http_request *request, buffer *out)
{
    const char *origin = http_request_field(request, "origin");
    if (!origin || !*settings->cors_origins)
        return;
    cors_verdict verdict = judge(settings, origin);
    if (verdict == CORS_ANY)
        buffer_append_text(out, "access-control-allow-origin: *\r\n");
    else if (verdict == CORS_NAMED)
        buffer_append_format(out, "access-control-allow-origin: %s\r\naccess-control-allow-credentials: true\r\n",
                             origin);
    if (verdict != CORS_NONE)
        buffer_append_text(out, "access-control-expose-headers: Retry-After, X-Request-Id\r\n");
    buffer_append_text(out, "vary: Origin\r\n");
}

bool cors_preflight(const settings *settings, const http_request *request, unsigned allowed, http_response *response)
{
    const char *origin = http_request_field(request, "origin");
    if (request->method != HTTP_OPTIONS || !origin || !http_request_field(request, "access-control-request-method"))
        return false;
    char methods[80];
    router_allow(allowed, methods, sizeof methods);
    if (judge(settings, origin) == CORS_NONE) {
        http_response_text(response, 400, "text/plain; charset=utf-8", "Disallowed CORS origin");
        return true;
    }
    const char *wanted = http_request_field(request, "access-control-request-headers");
    http_response_text(response, 200, "text/plain; charset=utf-8", "OK");
    http_response_field(response, "Allow", methods);
    http_response_field(response, "access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    http_response_field(response, "access-control-max-age", "600");
    if (wanted)
        http_response_field(response, "access-control-allow-headers", wanted);
    return true;
}

bool cors_allows_socket(const settings *settings, const http_request *request)
{
    const char *origin = http_request_field(request, "origin"), *host = http_request_field(request, "host");
    if (!origin)
        return true;
    const char *authority = strstr(origin, "://");
    return (authority && host && !strcasecmp(authority + 3, host)) || judge(settings, origin) != CORS_NONE;
}
