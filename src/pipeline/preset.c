/* Names of the presets. */
#include <string.h>

#include <mien/analyzer.h>

#include "base/error.h"

static const char *const preset_names[MIEN_PRESET_COUNT] = {"default", "neo", "faceml", "history-api"};

const char *mien_preset_name(mien_preset preset)
{
    size_t index = (size_t)preset;
    return index < MIEN_PRESET_COUNT ? preset_names[index] : NULL;
}

mien_status mien_preset_from_name(const char *name, mien_preset *preset, mien_error *error)
{
    for (int i = 0; i < MIEN_PRESET_COUNT; i++) {
        if (!strcmp(name, preset_names[i])) {
            *preset = (mien_preset)i;
            return MIEN_OK;
        }
    }
    return error_set(error, MIEN_ENOTFOUND, "there is no preset \"%s\": default, neo, faceml or history-api", name);
}
