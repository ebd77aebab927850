/* Requests and responses as plain data. Handlers are functions of these two only, so they are tested and fuzzed without
 * a socket, and HTTP/1.1 and HTTP/2 share them. Header lookups are linear: a request has some ten headers. */
#include "server/http_message.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool http_request_cancelled(const http_request *request)
{
    return request->cancelled && atomic_load(request->cancelled);
}

const char *http_request_field(const http_request *request, const char *name)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (!strcmp(request->fields[i].name, name))
            return request->fields[i].value;
    return NULL;
}

bool http_request_field_has(const http_request *request, const char *name, const char *token)
{
    size_t wanted = strlen(token);
    for (size_t i = 0; i < request->field_count; i++) {
        if (strcmp(request->fields[i].name, name))
            continue;
        const char *at = request->fields[i].value;
        while (*at) {
            at += strspn(at, " \t,");
            size_t length = strcspn(at, ",; \t");
            if (length == wanted && !strncasecmp(at, token, wanted))
                return true;
            at += strcspn(at, ",");
        }
    }
    return false;
}

/* Is the weight in the parameters at `text` (up to the next comma) zero? */
static bool is_ruled_out(const char *text)
{
    size_t length = strcspn(text, ",");
    for (size_t i = 0; i + 3 < length; i++) {
        if (text[i] != ';')
            continue;
        size_t at = i + 1 + strspn(text + i + 1, " \t");
        if (at + 2 < length && (text[at] | 32) == 'q' && text[at + 1] == '=')
            return strspn(text + at + 2, "0. \t") >= length - at - 2;
    }
    return false;
}

bool http_request_accepts(const http_request *request, const char *name, const char *choice)
{
    size_t wanted = strlen(choice);
    bool any = false;
    for (size_t i = 0; i < request->field_count; i++) {
        const char *at = strcmp(request->fields[i].name, name) ? "" : request->fields[i].value;
        while (*at) {
            at += strspn(at, " \t,");
            size_t length = strcspn(at, ",; \t");
            if (length == wanted && !strncasecmp(at, choice, wanted))
                return !is_ruled_out(at);
            any |= length == 1 && *at == '*' && !is_ruled_out(at);
            at += strcspn(at, ",");
        }
    }
    return any;
}

bool http_request_knows(const http_request *request, const char *etag)
{
    const char *opaque = strchr(etag, '"');
    size_t wanted = opaque ? strlen(opaque) : 0;
    for (size_t i = 0; i < request->field_count; i++) {
        const char *at = strcmp(request->fields[i].name, "if-none-match") ? "" : request->fields[i].value;
        if (!strcmp(at, "*"))
            return true;
        while (*(at += strspn(at, " \t,"))) {
            at += strncmp(at, "W/", 2) ? 0 : 2;
            size_t length = *at == '"' ? strcspn(at + 1, "\"") + 2 : 0;
            if (!length || length > strlen(at))
                break;
            if (wanted && length == wanted && !memcmp(at, opaque, wanted))
                return true;
            at += length;
        }
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

mien_status http_percent_decode(const char *text, size_t length, bool plus, buffer *out)
{
    size_t before = out->length;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = length - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = length - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                goto bad;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        } else if (c == '\0') {
            goto bad;
        }
        if (buffer_append_byte(out, (uint8_t)c))
            return out->failed;
    }
    return MIEN_OK;
bad:
    out->length = before;
    if (out->data)
        out->data[before] = 0;
    return MIEN_EFORMAT;
}

bool http_request_query(const http_request *request, const char *name, buffer *value)
{
    size_t wanted = strlen(name);
    const char *at = request->query;
    while (*at) {
        size_t length = strcspn(at, "&");
        size_t key = strcspn(at, "=&");
        if (key == wanted && !strncmp(at, name, wanted)) {
            size_t skip = key < length ? key + 1 : key;
            return http_percent_decode(at + skip, length - skip, true, value) == MIEN_OK;
        }
        at += length + (at[length] == '&');
    }
    return false;
}

bool http_request_is(const http_request *request, const char *type)
{
    const char *value = http_request_field(request, "content-type");
    if (!value)
        return false;
    value += strspn(value, " \t");
    size_t length = strcspn(value, "; \t");
    return length == strlen(type) && !strncasecmp(value, type, length);
}

void http_request_base(const http_request *request, char base[HTTP_MAX_BASE])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:[]%!$&'()*+,;=";
    const char *host = http_request_field(request, "host");
    if (!host || !*host || strlen(host) > 255 || host[strspn(host, allowed)])
        host = "localhost";
    snprintf(base, HTTP_MAX_BASE, "%s://%s", request->secure ? "https" : "http", host);
}

bool http_request_cookie(const http_request *request, const char *name, buffer *value)
{
    size_t wanted = strlen(name);
    for (size_t i = 0; i < request->field_count; i++) {
        if (strcmp(request->fields[i].name, "cookie"))
            continue;
        const char *at = request->fields[i].value;
        while (*at) {
            at += strspn(at, " ;");
            size_t length = strcspn(at, ";");
            if (length > wanted && at[wanted] == '=' && !strncmp(at, name, wanted))
                return buffer_append(value, at + wanted + 1, length - wanted - 1) == MIEN_OK;
            at += length;
        }
    }
    return false;
}

void http_response_init(http_response *response)
{
    memset(response, 0, sizeof *response);
    response->status = 200;
}

void http_response_done(http_response *response)
{
    buffer_done(&response->fields);
    buffer_done(&response->body);
}

void http_response_reset(http_response *response)
{
    http_emit emit = response->emit;
    void *context = response->emit_context;
    http_response_done(response);
    http_response_init(response);
    response->emit = emit;
    response->emit_context = context;
}

mien_status http_response_field(http_response *response, const char *name, const char *value)
{
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 && *c != '\t')
            return MIEN_EINVAL;
    return buffer_append_format(&response->fields, "%s: %s\r\n", name, value);
}

static int append_piece(const char *bytes, size_t length, void *body)
{
    return buffer_append(body, bytes, length) == MIEN_OK ? 0 : -1;
}

mien_status http_response_json(http_response *response, int status, json_t *value)
{
    buffer_clear(&response->body);
    response->status = status;
    response->content_type = "application/json";
    int failed = !value || json_dump_callback(value, append_piece, &response->body,
                                              JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    json_decref(value);
    return failed ? MIEN_ENOMEM : MIEN_OK;
}

json_t *http_text(const char *text)
{
    json_t *string = json_string(text);
    buffer plain = {0};
    for (const char *c = string ? "" : text; *c; c++)
        buffer_append_byte(&plain, (unsigned char)*c < 0x80 ? (uint8_t)*c : '?');
    if (!string)
        string = json_string(buffer_text(&plain));
    buffer_done(&plain);
    return string;
}

mien_status http_response_error(http_response *response, int status, const char *key, const char *text)
{
    return http_response_json(response, status, json_pack("{so}", key, http_text(text)));
}

mien_status http_response_text(http_response *response, int status, const char *content_type, const char *text)
{
    buffer_clear(&response->body);
    response->status = status;
    response->content_type = content_type;
    return buffer_append_text(&response->body, text);
}

mien_status http_response_emit(http_response *response, const void *bytes, size_t length)
{
    if (!response->emit)
        return buffer_append(&response->body, bytes, length);
    response->streaming = true;
    return response->emit(response->emit_context, bytes, length);
}

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

static const struct {
    http_method method;
    const char *name;
} methods[] = {{HTTP_GET, "GET"},     {HTTP_HEAD, "HEAD"},     {HTTP_POST, "POST"},      {HTTP_PUT, "PUT"},
               {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"}, {HTTP_OPTIONS, "OPTIONS"}};

const char *http_method_name(http_method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "OTHER";
}

http_method http_method_from_name(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strlen(methods[i].name) == length && !memcmp(methods[i].name, name, length))
            return methods[i].method;
    return HTTP_OTHER;
}
