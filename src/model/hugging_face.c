/* What people of transformers call a model is a folder: config.json names the architecture, model.safetensors holds the
 * numbers, and the network itself is Python. The emotion models published that way are vision transformers, whose
 * operators the graph does not have. So the kind is recognised, the architecture named, and the way out said: ONNX.
 */
#include "model/hugging_face.h"

#include "base/error.h"
#include "base/file.h"

#include <string.h>

#include <jansson.h>

enum { MOST_CONFIG = 4 << 20, LENGTH_BYTES = 8 };

bool hugging_face_is_safetensors(const uint8_t *bytes, size_t length)
{
    uint64_t header = 0;
    if (length <= LENGTH_BYTES)
        return false;
    for (int i = 0; i < LENGTH_BYTES; i++)
        header |= (uint64_t)bytes[i] << (8 * i);
    return bytes[LENGTH_BYTES] == '{' && header >= 2 && header <= length - LENGTH_BYTES;
}

/* The text of <folder>/config.json as JSON, NULL when there is none. */
static json_t *read_config(const char *folder, size_t length)
{
    buffer name = {0}, bytes = {0};
    mien_error ignored;
    json_t *config = NULL;
    buffer_append(&name, folder, length);
    buffer_append_text(&name, length ? "/config.json" : "config.json");
    if (!name.failed && !file_read(buffer_text(&name), MOST_CONFIG, &bytes, &ignored))
        config = json_loadb(buffer_text(&bytes), bytes.length, 0, NULL);
    buffer_done(&bytes);
    buffer_done(&name);
    return config;
}

mien_status hugging_face_refuse(const char *path, const uint8_t *bytes, size_t length, mien_error *error)
{
    bool tensors = bytes && hugging_face_is_safetensors(bytes, length);
    const char *slash = strrchr(path, '/');
    size_t folder = !tensors ? strlen(path) : slash ? (size_t)(slash - path) : 0;
    json_t *config = tensors || !bytes ? read_config(path, folder) : NULL;
    if (!config && !tensors)
        return MIEN_OK;
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const char *name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    mien_status status =
        error_set(error, MIEN_EUNSUPPORTED,
                  "%.100s: a transformers model (%.60s); mien reads ONNX and Keras models, export it to ONNX", path,
                  name   ? name
                  : type ? type
                         : "architecture not said");
    json_decref(config);
    return status;
}
