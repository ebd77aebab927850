/* The HTTP/1 request parser. Written here rather than taken from libwebsockets, whose own one answers most malformed
 * requests by hanging up, does not decode chunked request bodies, and merges repeated Content-Length headers; its event
 * loop, TLS and HTTP/2 are used. Two steps: find the empty line, then cut the head up in place; bodies are decoded as
 * they stream in, so that a limit holds before memory is taken. */
#include "server/http_parser.h"

#include <string.h>
#include <strings.h>

enum { MAX_CHUNK_LINE = 256, MAX_TRAILERS = 4096 };

static http_progress refuse(int *status, int code)
{
    *status = code;
    return HTTP_REFUSED;
}

http_progress http_head_find(const uint8_t *bytes, size_t available, const http_limits *limits, size_t *scanned,
                             size_t *length, int *status)
{
    size_t from = *scanned > 3 ? *scanned - 3 : 0;
    for (const uint8_t *at = bytes + from; (at = memchr(at, '\n', available - (size_t)(at - bytes))); at++) {
        size_t next = (size_t)(at - bytes) + 1;
        size_t end = 0;
        if (next < available && bytes[next] == '\n')
            end = next + 1;
        else if (next + 1 < available && bytes[next] == '\r' && bytes[next + 1] == '\n')
            end = next + 2;
        if (end > limits->head)
            return refuse(status, 431);
        if (end) {
            *length = end;
            return HTTP_READY;
        }
    }
    *scanned = available;
    if (available > limits->uri + 32 && !memchr(bytes, '\n', available))
        return refuse(status, 414);
    return available > limits->head ? refuse(status, 431) : HTTP_MORE;
}

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_field_byte(uint8_t c)
{
    return (c >= 0x20 || c == '\t') && c != 0x7f;
}

/* host [":" port] of RFC 3986, by its letters alone; never with a user's name. */
static bool is_authority(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '#' || (!is_token(text[i]) && !strchr("(),;=:[]", text[i])))
            return false;
    return true;
}

/* Cut off the line at `*at`; its end is overwritten by NUL. NULL when there is a stray CR or NUL in it. */
static char *take_line(char **at, char *end)
{
    char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline)
        return NULL;
    *at = newline + 1;
    if (newline > line && newline[-1] == '\r')
        newline--;
    *newline = 0;
    size_t length = (size_t)(newline - line);
    return memchr(line, '\r', length) || memchr(line, 0, length) ? NULL : line;
}

/* Of "http://host/path" the path and on; the host is moved a byte down to make room for its NUL. NULL: malformed. */
static char *cut_authority(char *target, http_request *request)
{
    char *authority = strstr(target, "//") + 2;
    size_t length = strcspn(authority, "/?#");
    if (!length || !is_authority(authority, length))
        return NULL;
    memmove(authority - 1, authority, length);
    authority[length - 1] = 0;
    request->authority = authority - 1;
    return authority + length;
}

http_progress http_target_parse(char *target, const http_limits *limits, buffer *path, http_request *request,
                                int *status)
{
    if (strlen(target) > limits->uri)
        return refuse(status, 414);
    request->authority = NULL;
    if (!strncasecmp(target, "http://", 7) || !strncasecmp(target, "https://", 8))
        target = cut_authority(target, request);
    for (const char *c = target; c && *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '#')
            target = NULL;
    bool absolute = request->authority, whole = target && request->method == HTTP_OPTIONS && !strcmp(target, "*");
    if (!target || (*target != '/' && !(absolute && (!*target || *target == '?')) && !(whole && !absolute)))
        return refuse(status, 400);
    size_t length = strcspn(target, "?");
    request->query = target[length] ? target + length + 1 : target + length;
    if (!length && buffer_append_byte(path, '/'))
        return refuse(status, 503);
    mien_status decoded = http_percent_decode(target, length, false, path);
    if (decoded)
        return refuse(status, decoded == MIEN_EFORMAT ? 400 : 503);
    request->path = buffer_text(path);
    return HTTP_READY;
}

static http_progress parse_request_line(char *line, const http_limits *limits, buffer *path, http_request *request,
                                        int *status)
{
    size_t method = 0;
    while (is_token(line[method]))
        method++;
    if (!method || line[method] != ' ')
        return refuse(status, 400);
    char *target = line + method + 1, *version = strrchr(target, ' ');
    if (!version || version == target)
        return refuse(status, 400);
    *version++ = 0;
    bool formed = strlen(version) == 8 && !strncmp(version, "HTTP/", 5) && strchr("0123456789", version[5]) &&
                  version[6] == '.' && strchr("0123456789", version[7]);
    if (!formed)
        return refuse(status, 400);
    if (version[5] != '1')
        return refuse(status, 505);
    request->minor_version = version[7] > '0'; /* later minor versions are spoken to as 1.1 (RFC 9110, 2.5) */
    request->method = http_method_from_name(line, method);
    return http_target_parse(target, limits, path, request, status);
}

static http_progress parse_field(char *line, http_request *request, int *status)
{
    if (request->field_count == HTTP_MAX_FIELDS)
        return refuse(status, 431);
    size_t length = 0;
    for (; is_token(line[length]); length++)
        if (line[length] >= 'A' && line[length] <= 'Z')
            line[length] += 'a' - 'A';
    if (!length || line[length] != ':')
        return refuse(status, 400); /* folded lines and "Name :" too */
    line[length] = 0;
    char *value = line + length + 1;
    value += strspn(value, " \t");
    size_t end = strlen(value);
    while (end && (value[end - 1] == ' ' || value[end - 1] == '\t'))
        end--;
    value[end] = 0;
    for (const char *c = value; *c; c++)
        if (!is_field_byte((uint8_t)*c))
            return refuse(status, 400);
    request->fields[request->field_count++] = (http_field){line, value};
    return HTTP_READY;
}

static bool parse_length(const char *text, uint64_t *length)
{
    uint64_t value = 0;
    if (!*text || strlen(text) > 18)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *length = value;
    return true;
}

/* Every Content-Length must say the same, and none may stand beside Transfer-Encoding (RFC 9112, 6.3). */
static http_progress parse_framing(const http_request *request, http_head *head, int *status)
{
    for (size_t i = 0; i < request->field_count; i++) {
        const http_field *field = &request->fields[i];
        if (!strcmp(field->name, "content-length")) {
            uint64_t length;
            if (!parse_length(field->value, &length))
                return refuse(status, 400);
            if (head->framing == HTTP_CHUNKED || (head->framing == HTTP_LENGTH && length != head->content_length))
                return refuse(status, 400);
            head->framing = HTTP_LENGTH;
            head->content_length = length;
        } else if (!strcmp(field->name, "transfer-encoding")) {
            if (head->framing != HTTP_NO_BODY || !request->minor_version)
                return refuse(status, 400);
            if (strcasecmp(field->value, "chunked"))
                return refuse(status, 501);
            head->framing = HTTP_CHUNKED;
        }
    }
    if (head->framing == HTTP_LENGTH && !head->content_length)
        head->framing = HTTP_NO_BODY;
    return HTTP_READY;
}

static http_progress parse_meaning(http_request *request, http_head *head, int *status)
{
    http_field *host = NULL;
    for (size_t i = 0; i < request->field_count; i++) {
        http_field *field = &request->fields[i];
        if (strcmp(field->name, "host"))
            continue;
        if (host || !is_authority(field->value, strlen(field->value)))
            return refuse(status, 400);
        host = field;
    }
    if (!host && request->minor_version)
        return refuse(status, 400);
    if (host && request->authority)
        host->value = request->authority; /* RFC 9112, 3.2.2: what an absolute target says stands */
    head->keep_alive = !http_request_field_has(request, "connection", "close") &&
                       (request->minor_version || http_request_field_has(request, "connection", "keep-alive"));
    head->upgrades = request->minor_version && http_request_field_has(request, "connection", "upgrade");
    const char *expect = http_request_field(request, "expect");
    if (expect && strcasecmp(expect, "100-continue"))
        return refuse(status, 417);
    head->expects_continue = expect && request->minor_version;
    return parse_framing(request, head, status);
}

http_progress http_head_parse(char *text, size_t length, const http_limits *limits, buffer *path, http_request *request,
                              http_head *head, int *status)
{
    char *at = text, *end = text + length;
    memset(head, 0, sizeof *head);
    request->field_count = 0;
    char *line = take_line(&at, end);
    http_progress progress = line ? parse_request_line(line, limits, path, request, status) : refuse(status, 400);
    while (progress == HTTP_READY) {
        line = take_line(&at, end);
        if (!line)
            return refuse(status, 400);
        if (!*line)
            return parse_meaning(request, head, status);
        progress = parse_field(line, request, status);
    }
    return progress;
}

enum {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_END, /* the LF after a size */
    CHUNK_DATA,
    CHUNK_CR, /* the line end after a chunk's data */
    CHUNK_LF,
    TRAILER_BEGIN, /* at the start of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_END,
    BODY_END, /* the LF of the last, empty line */
    BODY_WHOLE
};

void http_body_begin(http_body *body, const http_head *head)
{
    memset(body, 0, sizeof *body);
    body->framing = head->framing;
    body->remaining = head->framing == HTTP_LENGTH ? head->content_length : 0;
    body->state = head->framing == HTTP_CHUNKED ? CHUNK_SIZE : head->framing == HTTP_LENGTH ? CHUNK_DATA : BODY_WHOLE;
}

static http_progress size_byte(http_body *body, uint8_t c, int *status)
{
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (digit >= 0 && body->line <= 15) {
        body->remaining = body->remaining * 16 + (uint64_t)digit;
        return HTTP_MORE;
    }
    bool ends = body->line > 1 && (c == '\r' || c == ';' || c == ' ' || c == '\t'); /* a size has a digit at least */
    body->state = c == '\r' ? CHUNK_SIZE_END : CHUNK_EXTENSION;
    return ends ? HTTP_MORE : refuse(status, 400);
}

/* Trailers are read to find their end, and forgotten; still, each has to look like one. */
static http_progress trailer_byte(http_body *body, uint8_t c, int *status)
{
    bool fine = false;
    if (body->state == TRAILER_BEGIN && c == '\r') {
        body->state = BODY_END;
        fine = true;
    } else if (body->state == TRAILER_BEGIN || (body->state == TRAILER_NAME && c != ':')) {
        body->state = TRAILER_NAME;
        fine = is_token((char)c);
    } else if (body->state == TRAILER_VALUE && c == '\r') {
        body->state = TRAILER_END;
        fine = true;
    } else {
        body->state = TRAILER_VALUE;
        fine = is_field_byte(c);
    }
    return fine ? HTTP_MORE : refuse(status, 400);
}

/* One byte of the lines between the data of chunks. Lines end in CR LF and in nothing else: what one server takes for
 * an end and another for an extension smuggles requests. */
static http_progress chunk_byte(http_body *body, uint8_t c, int *status)
{
    if (++body->line > (body->state < TRAILER_BEGIN ? (size_t)MAX_CHUNK_LINE : (size_t)MAX_TRAILERS))
        return refuse(status, 400);
    switch (body->state) {
    case CHUNK_SIZE:
        return size_byte(body, c, status);
    case CHUNK_EXTENSION:
        if (c == '\r')
            body->state = CHUNK_SIZE_END;
        return c == '\r' || is_field_byte(c) ? HTTP_MORE : refuse(status, 400);
    case CHUNK_SIZE_END:
        body->state = body->remaining ? CHUNK_DATA : TRAILER_BEGIN;
        body->line = 0;
        break;
    case CHUNK_CR:
        body->state = CHUNK_LF;
        return c == '\r' ? HTTP_MORE : refuse(status, 400);
    case CHUNK_LF:
        body->state = CHUNK_SIZE;
        body->line = 0;
        break;
    case TRAILER_END:
        body->state = TRAILER_BEGIN;
        break;
    case BODY_END:
        body->state = BODY_WHOLE;
        break;
    default:
        return trailer_byte(body, c, status);
    }
    return c == '\n' ? HTTP_MORE : refuse(status, 400);
}

http_progress http_body_feed(http_body *body, const uint8_t *bytes, size_t available, buffer *out, size_t *used,
                             int *status)
{
    size_t at = 0;
    http_progress progress = HTTP_MORE;
    while (at < available && body->state != BODY_WHOLE && progress == HTTP_MORE) {
        if (body->state != CHUNK_DATA) {
            progress = chunk_byte(body, bytes[at++], status);
            continue;
        }
        size_t part = available - at < body->remaining ? available - at : (size_t)body->remaining;
        mien_status stored = buffer_append(out, bytes + at, part);
        if (stored)
            return refuse(status, stored == MIEN_ELIMIT ? 413 : 503);
        at += part;
        body->remaining -= part;
        if (!body->remaining) {
            body->state = body->framing == HTTP_CHUNKED ? CHUNK_CR : BODY_WHOLE;
            body->line = 0;
        }
    }
    *used = at;
    if (progress == HTTP_REFUSED)
        return progress;
    return body->state == BODY_WHOLE ? HTTP_READY : HTTP_MORE;
}
