/* Which models ship and what they are called. The default is the most accurate; the small one is for cameras and small
 * machines. Their names are those that the files carry in themselves, which test_analyzer.c checks. */
#include "pipeline/shipped.h"

#include <string.h>

#include <mien/analyzer.h>

#include "base/error.h"

extern const unsigned char shipped_emotion_model[], shipped_emotion_model_end[];
extern const unsigned char shipped_emotion_small_model[], shipped_emotion_small_model_end[];
extern const unsigned char shipped_face_model[], shipped_face_model_end[];

static const struct {
    const char *name;
    const unsigned char *bytes, *end;
} shipped_table[] = {
    {"mien-wide", shipped_emotion_model, shipped_emotion_model_end},
    {"mien-small", shipped_emotion_small_model, shipped_emotion_small_model_end},
};

enum { SHIPPED_COUNT = sizeof shipped_table / sizeof shipped_table[0] };

const char *mien_shipped_model(size_t index)
{
    return index < SHIPPED_COUNT ? shipped_table[index].name : NULL;
}

shipped_model shipped_emotion(const char *name)
{
    for (size_t i = 0; i < SHIPPED_COUNT; i++)
        if (!name || !strcmp(name, shipped_table[i].name))
            return (shipped_model){shipped_table[i].name, shipped_table[i].bytes,
                                   (size_t)(shipped_table[i].end - shipped_table[i].bytes)};
    return (shipped_model){0};
}

mien_status shipped_load(const char *path, model *m, mien_error *error)
{
    bool named = !path || !strpbrk(path, "/.");
    shipped_model shipped = named ? shipped_emotion(path) : (shipped_model){0};
    if (!path || shipped.length)
        return model_load_bytes(shipped.bytes, shipped.length, NULL, m, error);
    mien_status status = model_load(path, NULL, m, error);
    if (status == MIEN_ENOTFOUND && named)
        return error_set(error, status, "%.64s: no such file, nor a model that ships (%s, %s)", path,
                         mien_shipped_model(0), mien_shipped_model(1));
    if (status && !strstr(error ? error->message : path, path))
        error_prefix(error, status, "%s", path);
    return status;
}

shipped_model shipped_face(void)
{
    return (shipped_model){"mien-face", shipped_face_model, (size_t)(shipped_face_model_end - shipped_face_model)};
}
