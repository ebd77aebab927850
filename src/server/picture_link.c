/* The original hands out public addresses of a picture host, and its clients put them into <img>; these stand in for
 * them without making pictures public. The end is a midnight (UTC), so that a picture keeps its address through a day.
 */
#include "server/picture_link.h"
#include "server/service.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DAY = 86400, SIGNED_TEXT = 200 };

static void signed_text(const char *id, int64_t expires, char text[SIGNED_TEXT])
{
    snprintf(text, SIGNED_TEXT, "%" PRId64 " %.150s", expires, id);
}

static int64_t now_seconds(void)
{
    return clock_unix_us() / 1000000;
}

mien_status picture_link_write(const http_request *request, const char *id, buffer *link)
{
    char base[HTTP_MAX_BASE], text[SIGNED_TEXT], signature[SIGNATURE_TEXT];
    int64_t expires = (now_seconds() / DAY + 2) * DAY;
    http_request_base(request, base);
    signed_text(id, expires, text);
    signature_make(people_picture_key(request->service->people), text, signature);
    return buffer_append_format(link, "%s/api/history/%s/picture?expires=%" PRId64 "&signature=%s", base, id, expires,
                                signature);
}

bool picture_link_good(const http_request *request, const char *id)
{
    char text[SIGNED_TEXT];
    buffer expires, signature;
    buffer_init(&expires, 32);
    buffer_init(&signature, 64);
    bool good =
        http_request_query(request, "expires", &expires) && http_request_query(request, "signature", &signature);
    if (good) {
        int64_t until = strtoll(buffer_text(&expires), NULL, 10);
        signed_text(id, until, text);
        good = until > now_seconds() &&
               signature_matches(people_picture_key(request->service->people), text, buffer_text(&signature));
    }
    buffer_done(&expires);
    buffer_done(&signature);
    return good;
}
