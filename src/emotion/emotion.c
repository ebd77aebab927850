/* Names of the seven classes. Data sets and foreign models spell them in many ways; the table holds every spelling that
 * the systems mien replaces and their models use, so that a label is understood in one place only. */
#include "emotion/emotion.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

const char *mien_emotion_name(mien_emotion emotion)
{
    static const char *const names[MIEN_EMOTION_COUNT] = {"angry", "disgust",  "fear",   "happy",
                                                          "sad",   "surprise", "neutral"};
    size_t index = (size_t)emotion;
    return index < MIEN_EMOTION_COUNT ? names[index] : NULL;
}

mien_emotion emotion_from_label(const char *label, size_t length)
{
    static const struct {
        const char *label;
        mien_emotion emotion;
    } table[] = {
        {"angry", MIEN_EMOTION_ANGRY},       {"anger", MIEN_EMOTION_ANGRY},
        {"disgust", MIEN_EMOTION_DISGUST},   {"disgusted", MIEN_EMOTION_DISGUST},
        {"contempt", MIEN_EMOTION_DISGUST},  {"fear", MIEN_EMOTION_FEAR},
        {"fearful", MIEN_EMOTION_FEAR},      {"afraid", MIEN_EMOTION_FEAR},
        {"scared", MIEN_EMOTION_FEAR},       {"happy", MIEN_EMOTION_HAPPY},
        {"happiness", MIEN_EMOTION_HAPPY},   {"joy", MIEN_EMOTION_HAPPY},
        {"sad", MIEN_EMOTION_SAD},           {"sadness", MIEN_EMOTION_SAD},
        {"surprise", MIEN_EMOTION_SURPRISE}, {"surprised", MIEN_EMOTION_SURPRISE},
        {"neutral", MIEN_EMOTION_NEUTRAL},   {"neutrality", MIEN_EMOTION_NEUTRAL},
        {"calm", MIEN_EMOTION_NEUTRAL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strlen(table[i].label) == length && !strncasecmp(table[i].label, label, length))
            return table[i].emotion;
    return MIEN_EMOTION_COUNT;
}

mien_status mien_emotion_from_name(const char *name, mien_emotion *emotion, mien_error *error)
{
    if (!name || !emotion)
        return error_set(error, MIEN_EINVAL, "an expression is looked up by a name, into somewhere to put it");
    mien_emotion found = emotion_from_label(name, strlen(name));
    if (found == MIEN_EMOTION_COUNT)
        return error_set(error, MIEN_ENOTFOUND, "\"%.60s\" is none of the seven expressions", name);
    *emotion = found;
    return MIEN_OK;
}
