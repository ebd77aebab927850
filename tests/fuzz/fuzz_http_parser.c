/* Guards the HTTP/1 parser: heads and bodies in pieces. However the bytes are cut, the outcome must be the same. */
#include "server/http_parser.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const http_limits limits = {.head = 4096, .uri = 512};

typedef struct outcome {
    http_progress progress;
    int status;
    size_t used;
    buffer body;
} outcome;

static void read_body(const http_head *head, const uint8_t *bytes, size_t length, size_t piece, outcome *out)
{
    http_body body;
    http_body_begin(&body, head);
    buffer_init(&out->body, 1000);
    out->progress = HTTP_MORE;
    for (size_t at = 0; at < length && out->progress == HTTP_MORE;) {
        size_t part = length - at < piece ? length - at : piece, used = 0;
        out->progress = http_body_feed(&body, bytes + at, part, &out->body, &used, &out->status);
        at += used;
        out->used = at;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t scanned = 0, length = 0, available = 0;
    int status = 0;
    http_progress progress = HTTP_MORE;
    while (progress == HTTP_MORE && available < size) {
        available += 7 < size - available ? 7 : size - available;
        progress = http_head_find(data, available, &limits, &scanned, &length, &status);
    }
    if (progress != HTTP_READY)
        return 0;
    char *text = memory_text_span((const char *)data, length);
    http_request *request = memory_zeroed(1, sizeof *request);
    http_head head;
    buffer path = {0};
    progress = http_head_parse(text, length, &limits, &path, request, &head, &status);
    if (progress == HTTP_READY && strlen(request->path) + strlen(request->query) > size)
        abort();
    if (progress == HTTP_READY && head.framing != HTTP_NO_BODY) {
        outcome whole = {0}, cut = {0};
        read_body(&head, data + length, size - length, SIZE_MAX, &whole);
        read_body(&head, data + length, size - length, 1, &cut);
        bool same = whole.progress == cut.progress && whole.status == cut.status;
        if (!same || (whole.progress == HTTP_READY &&
                      (whole.used != cut.used || whole.body.length != cut.body.length ||
                       memcmp(buffer_text(&whole.body), buffer_text(&cut.body), cut.body.length))))
            abort();
        buffer_done(&whole.body);
        buffer_done(&cut.body);
    }
    buffer_done(&path);
    memory_free(request);
    memory_free(text);
    return 0;
}
