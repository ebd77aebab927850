/* Names of the presets and of the precisions. */
#include <string.h>

#include <mien/analyzer.h>

#include "base/error.h"
#include "nn/plan.h"

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

_Static_assert((int)MIEN_PRECISION_BF16 == (int)NN_BF16 && (int)MIEN_PRECISION_INT8 == (int)NN_INT8,
               "one order of precisions");

const char *mien_precision_name(mien_precision precision)
{
    return nn_precision_name((nn_precision)precision);
}

mien_status mien_precision_from_name(const char *name, mien_precision *precision, mien_error *error)
{
    nn_precision found;
    if (!name || !precision)
        return error_set(error, MIEN_EINVAL, "a precision is looked up by a name, into somewhere to put it");
    if (nn_precision_from_name(name, &found)) {
        *precision = (mien_precision)found;
        return MIEN_OK;
    }
    return error_set(error, MIEN_ENOTFOUND, "there is no precision \"%s\": f32, bf16 or int8", name);
}
