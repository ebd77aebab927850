/* The side file is flattened into the same key and value texts that ONNX metadata has: nested objects become dots,
 * lists become commas, true and false 1 and 0. */
#include "model/sidecar.h"

#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

enum { MOST_BYTES = 1 << 20, MOST_DEPTH = 4 };

/* A member that is not an object, as text. */
static mien_status append_value(const json_t *value, buffer *text, mien_error *error)
{
    if (json_is_string(value))
        buffer_append_text(text, json_string_value(value));
    else if (json_is_number(value))
        buffer_append_format(text, "%.17g", json_number_value(value));
    else if (json_is_boolean(value))
        buffer_append_byte(text, json_is_true(value) ? '1' : '0');
    else
        return error_set(error, MIEN_EFORMAT, "a value is neither text, number, list nor object");
    return buffer_status(text, error);
}

static mien_status set_value(model_info *info, const char *key, const json_t *value, mien_error *error)
{
    buffer text = {0};
    mien_status status = MIEN_OK;
    if (!json_is_array(value))
        status = append_value(value, &text, error);
    for (size_t i = 0; i < json_array_size(value) && !status; i++) {
        if (i)
            buffer_append_byte(&text, ',');
        status = append_value(json_array_get(value, i), &text, error);
    }
    if (!status)
        status = model_info_set(info, key, buffer_text(&text), error);
    buffer_done(&text);
    return status;
}

static mien_status set_object(model_info *info, const char *prefix, const json_t *object, int depth, mien_error *error)
{
    const char *key;
    json_t *value;
    mien_status status = MIEN_OK;
    if (depth > MOST_DEPTH)
        return error_set(error, MIEN_EFORMAT, "objects nested more than %d deep", MOST_DEPTH);
    json_object_foreach((json_t *)object, key, value)
    {
        buffer name = {0};
        buffer_append_format(&name, "%s%s%s", prefix, *prefix ? "." : "", key);
        status = buffer_status(&name, error);
        if (!status && json_is_object(value))
            status = set_object(info, buffer_text(&name), value, depth + 1, error);
        else if (!status)
            status = set_value(info, buffer_text(&name), value, error);
        buffer_done(&name);
        if (status)
            break;
    }
    return status;
}

static mien_status apply(const buffer *bytes, model_info *info, mien_error *error)
{
    json_error_t why;
    json_t *object = json_loadb(buffer_text(bytes), bytes->length, 0, &why);
    if (!object)
        return error_set_at(error, MIEN_EFORMAT, (size_t)why.position, "%.120s", why.text);
    mien_status status = json_is_object(object) ? set_object(info, "", object, 0, error)
                                                : error_set(error, MIEN_EFORMAT, "it is not a JSON object");
    json_decref(object);
    return status;
}

mien_status sidecar_read(const char *path, model_info *info, mien_error *error)
{
    buffer name = {0}, bytes = {0};
    mien_error why = {0}; /* no side file is no error, and leaves none behind */
    buffer_append_format(&name, "%s.json", path);
    mien_status status = strcmp(path, "-") ? buffer_status(&name, error) : MIEN_ENOTFOUND;
    if (!status)
        status = file_read(buffer_text(&name), MOST_BYTES, &bytes, &why);
    if (status && status != MIEN_ENOTFOUND)
        error_set(error, status, "%s", why.message);
    if (!status) {
        status = apply(&bytes, info, error);
        if (status)
            error_prefix(error, status == MIEN_EINVAL ? MIEN_EFORMAT : status, "%.120s.json", path);
        status = status == MIEN_EINVAL ? MIEN_EFORMAT : status;
    }
    buffer_done(&bytes);
    buffer_done(&name);
    return status == MIEN_ENOTFOUND ? MIEN_OK : status;
}
