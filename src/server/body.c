/* Request bodies. A picture in JSON is megabytes of base64 in one string; jansson copies that once, and base64_decode
 * reads it where it lies. JSON's depth is bounded by jansson itself (2,048 levels), its size by the body's limit. */
#include "server/body.h"

#include "base/base64.h"
#include "base/error.h"

#include <math.h>
#include <string.h>
#include <strings.h>

mien_status body_json(const http_request *request, json_t **value, mien_error *error)
{
    json_error_t problem;
    json_t *parsed = json_loadb((const char *)request->body, request->body_length,
                                JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (!parsed)
        return error_set_at(error, MIEN_EFORMAT, problem.position > 0 ? (size_t)problem.position : 0, "%s",
                            problem.text);
    *value = parsed;
    return MIEN_OK;
}

mien_status body_picture(const char *text, size_t length, buffer *picture, mien_error *error)
{
    size_t lead = 0;
    while (lead < length && strchr(" \t\r\n", text[lead]))
        lead++;
    if (length - lead > 5 && !strncasecmp(text + lead, "data:", 5)) {
        const char *comma = memchr(text + lead, ',', length - lead);
        if (!comma)
            return error_set(error, MIEN_EFORMAT, "the data URL has no comma");
        lead = (size_t)(comma - text) + 1;
    }
    mien_status status = base64_decode(text + lead, length - lead, picture, error);
    if (!status && !picture->length)
        status = error_set(error, MIEN_EFORMAT, "the picture is empty");
    return status;
}

bool body_coordinate(const json_t *object, const char *key, double *value)
{
    const json_t *number = json_object_get(object, key);
    if (!json_is_number(number) || !(fabs(json_number_value(number)) <= 1e6))
        return false;
    *value = json_number_value(number);
    return true;
}
