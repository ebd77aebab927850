/* What every answer carries beside its body. */
#include "server/content_policy.h"
#include "server/exchange.h"

#include <string.h>
#include <time.h>
#include <zlib.h>

enum { WORTH_COMPRESSING = 1400 }; /* below, the answer fits a packet anyway */

/* The same for a whole second, so it is formatted once. Only the loop's thread comes here. */
static const char *date(void)
{
    static time_t last;
    static char text[40];
    time_t now = time(NULL);
    if (now != last) {
        struct tm parts;
        gmtime_r(&now, &parts);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        last = now;
    }
    return text;
}

void response_fields(const exchange *e, buffer *out)
{
    const http_response *response = &e->response;
    const service *service = server_service(e->server);
    buffer_append_format(out, "date: %s\r\n", date());
    if (response->content_type)
        buffer_append_format(out, "content-type: %s\r\n", response->content_type);
    if (response->fixed_encoding)
        buffer_append_format(out, "content-encoding: %s\r\n", response->fixed_encoding);
    buffer_append_format(out, "cache-control: %s\r\nx-request-id: %s\r\n",
                         response->cache_control ? response->cache_control : "no-store", e->id);
    buffer_append_format(out,
                         "x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
                         "content-security-policy: %s\r\n",
                         response->policy ? response->policy : content_policy_strict);
    cors_fields(service->settings, &e->request, out);
    buffer_append(out, response->fields.data, response->fields.length);
}

static bool is_text(const char *type)
{
    return type && (!strncmp(type, "application/json", 16) || !strncmp(type, "text/plain", 10) ||
                    !strncmp(type, "text/html", 9));
}

void response_compress(const http_request *request, http_response *response)
{
    if (response->body.length < WORTH_COMPRESSING || response->fixed || !is_text(response->content_type) ||
        !http_request_accepts(request, "accept-encoding", "gzip"))
        return;
    z_stream stream = {0};
    if (deflateInit2(&stream, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    buffer packed = {0};
    uLong bound = deflateBound(&stream, (uLong)response->body.length);
    if (!buffer_reserve(&packed, bound)) {
        stream.next_in = response->body.data;
        stream.avail_in = (uInt)response->body.length;
        stream.next_out = packed.data;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out < response->body.length) {
            packed.length = stream.total_out;
            buffer_done(&response->body);
            response->body = packed;
            packed = (buffer){0};
            response->fixed_encoding = "gzip";
            http_response_field(response, "Vary", "Accept-Encoding");
        }
    }
    deflateEnd(&stream);
    buffer_done(&packed);
}
