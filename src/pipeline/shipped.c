/* Which models ship and what they are called. The default is the most accurate; the small one is for cameras and small
 * machines. Their names are those that the files carry in themselves, which test_analyzer.c checks. */
#include "pipeline/shipped.h"

#include <string.h>

#include <mien/analyzer.h>

extern const unsigned char shipped_emotion_model[], shipped_emotion_model_end[];
extern const unsigned char shipped_emotion_small_model[], shipped_emotion_small_model_end[];
extern const unsigned char shipped_face_model[], shipped_face_model_end[];

static const struct {
    const char *name;
    const unsigned char *bytes, *end;
} shipped_table[] = {
    {"mien-large", shipped_emotion_model, shipped_emotion_model_end},
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

shipped_model shipped_face(void)
{
    return (shipped_model){"mien-face", shipped_face_model, (size_t)(shipped_face_model_end - shipped_face_model)};
}
