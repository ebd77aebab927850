/* Names of the presets and of the precisions. */
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
    if (!name || !preset)
        return error_set(error, MIEN_EINVAL, "a preset is looked up by a name, into somewhere to put it");
    for (int i = 0; i < MIEN_PRESET_COUNT; i++) {
        if (!strcmp(name, preset_names[i])) {
            *preset = (mien_preset)i;
            return MIEN_OK;
        }
    }
    return error_set(error, MIEN_ENOTFOUND, "there is no preset \"%s\": default, neo, faceml or history-api", name);
}

static const char *const precision_names[] = {
    [MIEN_PRECISION_AUTO] = "auto",
    [MIEN_PRECISION_F32] = "f32",
    [MIEN_PRECISION_BF16] = "bf16",
    [MIEN_PRECISION_INT8] = "int8",
};

enum { PRECISIONS = sizeof precision_names / sizeof *precision_names };

const char *mien_precision_name(mien_precision precision)
{
    size_t index = (size_t)precision;
    return index < PRECISIONS ? precision_names[index] : NULL;
}

mien_status mien_precision_from_name(const char *name, mien_precision *precision, mien_error *error)
{
    if (!name || !precision)
        return error_set(error, MIEN_EINVAL, "a precision is looked up by a name, into somewhere to put it");
    for (int i = 0; i < PRECISIONS; i++) {
        if (!strcmp(name, precision_names[i])) {
            *precision = (mien_precision)i;
            return MIEN_OK;
        }
    }
    return error_set(error, MIEN_ENOTFOUND, "there is no precision \"%s\": auto, f32, bf16 or int8", name);
}
