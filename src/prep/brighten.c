/* Linear change of brightness by a table of 256 results: single precision, absolute value, nearest even, saturated. */
#include "prep/prep.h"

#include <math.h>

#include "base/error.h"
#include "prep/histogram.h"
#include "prep/operand.h"

mien_status prep_brighten(const mien_image_view *source, mien_image *target, float gain, float offset,
                          mien_error *error)
{
    mien_status status = operand_check_same_format("brighten", source, target, error);
    if (status)
        return status;
    if (!isfinite(gain) || !isfinite(offset))
        return error_set(error, MIEN_EINVAL, "brighten: gain and offset must be finite");
    uint8_t table[256];
    for (int i = 0; i < 256; i++) {
        float value = fabsf((float)i * gain + offset);
        table[i] = value < 255.0f ? (uint8_t)lrintf(value) : 255;
    }
    histogram_map(source, target, table);
    return MIEN_OK;
}
