/* Request bodies. A picture in JSON is megabytes of base64 in one string; jansson copies that once, and base64_decode
 * reads it where it lies. JSON's depth is bounded by jansson itself (2,048 levels), its size by the body's limit. */
#include "server/body.h"

#include "base/base64.h"
#include "base/error.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { MAX_PREFIX = 1024 };

mien_status body_json(const http_request *request, json_t **value, mien_error *error)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'}; /* byte order mark, which some libraries write */
    json_error_t problem;
    const char *text = (const char *)request->body;
    size_t length = request->body_length, skip = length >= 3 && !memcmp(text, mark, 3) ? 3 : 0;
    json_t *parsed = json_loadb(text + skip, length - skip, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (!parsed)
        return error_set_at(error, MIEN_EFORMAT, problem.position > 0 ? (size_t)problem.position : 0, "%s",
                            problem.text);
    *value = parsed;
    return MIEN_OK;
}

mien_status body_picture(const char *text, size_t length, buffer *picture, mien_error *error)
{
    /* "data:image/jpeg;base64,", and whatever else clients leave in front of a comma, which base64 has none of. */
    const char *comma = memchr(text, ',', length < MAX_PREFIX ? length : MAX_PREFIX);
    size_t lead = comma ? (size_t)(comma - text) + 1 : 0;
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
