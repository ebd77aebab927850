/* The form parser. The body is collected first (under the body's limit), so parts are found by searching for the
 * delimiter and handed out where they lie. Long names and file names are cut, never trusted as paths: only the last
 * component is kept, as UTF-8 that can stand in an answer, and no file of that name is ever opened. */
#include "server/multipart.h"

#include "server/websocket.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Copy a parameter such as boundary=… or name="…" of a header value; false when it is absent. */
static bool parameter(const char *value, size_t length, const char *name, char *out, size_t capacity)
{
    size_t wanted = strlen(name), used = 0;
    const char *end = value + length, *at = memchr(value, ';', length);
    while (at && at < end) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        bool found = (size_t)(end - at) > wanted && at[wanted] == '=' && !strncasecmp(at, name, wanted);
        while (at < end && *at != '=' && *at != ';')
            at++;
        if (at == end || *at == ';')
            continue;
        at++;
        bool quoted = at < end && *at == '"';
        for (at += quoted; at < end && (quoted ? *at != '"' : *at != ';'); at++) {
            if (quoted && *at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\'))
                at++;
            if (found && used + 1 < capacity)
                out[used++] = *at;
        }
        if (found) {
            while (!quoted && used && (out[used - 1] == ' ' || out[used - 1] == '\t'))
                used--;
            out[used] = 0;
            return true;
        }
        at = at < end ? memchr(at, ';', (size_t)(end - at)) : NULL;
    }
    return false;
}

mien_status multipart_begin(multipart_reader *reader, const http_request *request, mien_error *error)
{
    const char *type = http_request_field(request, "content-type");
    char boundary[80];
    if (!type || !http_request_is(request, "multipart/form-data"))
        return error_set(error, MIEN_EFORMAT, "the body is not multipart/form-data");
    if (!parameter(type, strlen(type), "boundary", boundary, sizeof boundary))
        return error_set(error, MIEN_EFORMAT, "the form has no boundary");
    size_t length = strlen(boundary);
    if (!length || length > 70)
        return error_set(error, MIEN_EFORMAT, "the form's boundary is not 1 to 70 characters long");
    memcpy(reader->delimiter, "\r\n--", 4);
    memcpy(reader->delimiter + 4, boundary, length);
    reader->delimiter_length = length + 4;
    reader->parts = 0;
    reader->end = request->body + request->body_length;
    /* The first delimiter may stand at the very start, without its line end. */
    if (request->body_length >= length + 2 && !memcmp(request->body, reader->delimiter + 2, length + 2)) {
        reader->at = request->body + length + 2;
        return MIEN_OK;
    }
    const uint8_t *first = memmem(request->body, request->body_length, reader->delimiter, reader->delimiter_length);
    if (!first)
        return error_set(error, MIEN_EFORMAT, "the form's boundary does not occur in it");
    reader->at = first + reader->delimiter_length;
    return MIEN_OK;
}

/* Of too long a name the end is kept, which holds the ending. Names of no known encoding become ASCII. */
static void keep_last_component(char *given, char *filename, size_t capacity)
{
    char *last = given;
    for (char *c = given; *c; c++) {
        if (*c == '/' || *c == '\\')
            last = c + 1;
        else if ((unsigned char)*c < 0x20)
            *c = '_';
    }
    size_t length = strlen(last);
    if (length >= capacity) {
        last += length + 1 - capacity;
        while ((*last & 0xc0) == 0x80)
            last++;
        length = strlen(last);
    }
    bool known = !websocket_utf8(0, (const uint8_t *)last, length);
    for (size_t i = 0; i <= length; i++)
        filename[i] = known || (unsigned char)last[i] < 0x80 ? last[i] : '?';
}

/* filename="…", or what some libraries send in its place when it is not ASCII: filename*=utf-8''%c3%a4.png (RFC 5987)
 */
static void read_filename(const char *line, size_t length, multipart_part *part)
{
    char given[MULTIPART_MAX_NAME];
    part->has_filename = parameter(line, length, "filename", given, sizeof given);
    if (!part->has_filename && parameter(line, length, "filename*", given, sizeof given)) {
        const char *language = strchr(given, '\''), *name = language ? strchr(language + 1, '\'') : NULL;
        buffer plain;
        buffer_init(&plain, sizeof given);
        part->has_filename = name && !http_percent_decode(name + 1, strlen(name + 1), false, &plain);
        if (part->has_filename)
            snprintf(given, sizeof given, "%s", buffer_text(&plain));
        buffer_done(&plain);
    }
    if (part->has_filename)
        keep_last_component(given, part->filename, sizeof part->filename);
}

static void read_part_field(const char *line, size_t length, multipart_part *part)
{
    if (length > 20 && !strncasecmp(line, "content-disposition:", 20)) {
        parameter(line, length, "name", part->name, sizeof part->name);
        read_filename(line, length, part);
    } else if (length > 13 && !strncasecmp(line, "content-type:", 13)) {
        line += 13;
        length -= 13;
        while (length && (*line == ' ' || *line == '\t')) {
            line++;
            length--;
        }
        size_t kept = 0;
        while (kept < length && kept + 1 < sizeof part->content_type && line[kept] != ';' && line[kept] != ' ')
            kept++;
        memcpy(part->content_type, line, kept);
        part->content_type[kept] = 0;
    }
}

static mien_status cut(mien_error *error)
{
    return error_set(error, MIEN_EFORMAT, "the form ends in the middle of a part");
}

mien_status multipart_next(multipart_reader *reader, multipart_part *part, mien_error *error)
{
    const uint8_t *at = reader->at, *end = reader->end;
    if (end - at >= 2 && at[0] == '-' && at[1] == '-')
        return MIEN_ENOTFOUND;
    if (++reader->parts > MULTIPART_MAX_PARTS)
        return error_set(error, MIEN_ELIMIT, "the form has more than %d parts", MULTIPART_MAX_PARTS);
    multipart_part next = {0};
    const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end)
        return cut(error);
    at = line_end + 1; /* behind the delimiter's own line */
    const uint8_t *head = at;
    for (;;) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            return cut(error);
        if (line_end - head > MULTIPART_MAX_HEAD)
            return error_set(error, MIEN_ELIMIT, "a part's header is too long");
        size_t length = (size_t)(line_end - at);
        if (length && at[length - 1] == '\r')
            length--;
        const char *line = (const char *)at;
        at = line_end + 1;
        if (!length)
            break;
        read_part_field(line, length, &next);
    }
    next.data = at;
    /* The delimiter's CR LF may be the one that ended the header of an empty part. */
    const uint8_t *from = at >= head + 2 && at[-2] == '\r' ? at - 2 : at;
    const uint8_t *stop = memmem(from, (size_t)(end - from), reader->delimiter, reader->delimiter_length);
    if (!stop)
        return cut(error);
    next.length = stop > at ? (size_t)(stop - at) : 0;
    reader->at = stop + reader->delimiter_length;
    *part = next;
    return MIEN_OK;
}

mien_status multipart_find(const http_request *request, const char *name, multipart_part *part, mien_error *error)
{
    multipart_reader reader;
    mien_status status = multipart_begin(&reader, request, error);
    while (!status) {
        status = multipart_next(&reader, part, error);
        if (!status && !strcmp(part->name, name))
            return MIEN_OK;
    }
    return status;
}
