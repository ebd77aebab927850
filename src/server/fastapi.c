/* 422 bodies. Long inputs are not repeated: a picture in the wrong place would come back whole. */
#include "server/fastapi.h"

#include <string.h>

enum { MAX_ECHO = 200 };

static json_t *echo(const json_t *input)
{
    bool small = json_is_number(input) || json_is_boolean(input) ||
                 (json_is_string(input) && json_string_length(input) <= MAX_ECHO);
    return small ? json_deep_copy(input) : json_null();
}

mien_status fastapi_refuse(http_response *response, const char *type, json_t *place, const char *message,
                           const json_t *input)
{
    return http_response_json(
        response, 422,
        json_pack("{s[{sossssso}]}", "detail", "loc", place, "msg", message, "type", type, "input", echo(input)));
}

mien_status fastapi_refuse_json(http_response *response, const http_request *request, const mien_error *error)
{
    size_t line = 1, column = 1, end = error->offset < request->body_length ? error->offset : request->body_length;
    for (size_t i = 0; i < end; i++) {
        line += request->body[i] == '\n';
        column = request->body[i] == '\n' ? 1 : column + 1;
    }
    bool small = request->body_length <= MAX_ECHO;
    json_t *document = small ? json_stringn((const char *)request->body, request->body_length) : NULL;
    json_t *context =
        json_pack("{sssosIsIsI}", "msg", error->message, "doc", document ? document : json_string(""), "pos",
                  (json_int_t)error->offset, "lineno", (json_int_t)line, "colno", (json_int_t)column);
    json_t *place = json_pack("[sI]", "body", (json_int_t)error->offset);
    return http_response_json(response, 422,
                              json_pack("{s[{sosssssnso}]}", "detail", "loc", place, "msg", error->message, "type",
                                        "value_error.jsondecode", "input", "ctx", context));
}
