/* Reading what requests carry: JSON objects and the pictures in them, and forms. Shared by the dialects. */
#ifndef SERVER_BODY_H
#define SERVER_BODY_H

#include "server/http_message.h"

/** Parse the body as JSON, whatever its Content-Type says. MIEN_EFORMAT with the position and jansson's words. */
mien_status body_json(const http_request *request, json_t **value, mien_error *error);
/** The picture in a JSON text: a data URL or bare base64. Appends its bytes to `picture`, whose limit holds.
 *  @return MIEN_OK, MIEN_EFORMAT, MIEN_ELIMIT, MIEN_ENOMEM. */
mien_status body_picture(const char *text, size_t length, buffer *picture, mien_error *error);
/** A number of a JSON object as a pixel coordinate; false when it is missing, no number or beyond ±1e6. */
bool body_coordinate(const json_t *object, const char *key, double *value);

#endif
