/* Errors of form in the shape that FastAPI writes: 422 {"detail":[{"type","loc","msg","input"}]}. */
#ifndef SERVER_FASTAPI_H
#define SERVER_FASTAPI_H

#include "server/http_message.h"

/** Takes `place` (a JSON array such as ["body","image"]); `input` is what was given, borrowed, or NULL. */
mien_status fastapi_refuse(http_response *response, const char *type, json_t *place, const char *message,
                           const json_t *input);
/** The body is not JSON: where it stops being so, with `ctx` as FastAPI has it. */
mien_status fastapi_refuse_json(http_response *response, const http_request *request, const mien_error *error);

#endif
