/* /ws with {"type":"crops"}: the client has found the faces and sends nothing but them, side by side in one picture, so
 * the room and whoever stands at its edge never leave the client's machine. Nothing is searched: each face is
 * classified where the client says it stands in that picture, and followed by where it stands in the frame. */
#include "server/detector_crops.h"

#include "base/error.h"

#include <stdbool.h>

static const double farthest = 1e6; /* a coordinate beyond this is no pixel's */

static bool read_rect(const json_t *list, mien_rect *out)
{
    int32_t values[4];
    if (json_array_size(list) != 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        const json_t *given = json_array_get(list, i);
        double value = json_number_value(given);
        if (!json_is_number(given) || !(value >= -farthest && value <= farthest))
            return false;
        values[i] = (int32_t)value;
    }
    *out = (mien_rect){values[0], values[1], values[2], values[3]};
    return out->width > 0 && out->height > 0;
}

mien_status detector_crops_read(const json_t *list, detector_crops *out, mien_error *error)
{
    detector_crops crops = {.count = json_array_size(list)};
    if (!json_is_array(list))
        return error_set(error, MIEN_EFORMAT, "No list of faces provided");
    if (crops.count > DETECTOR_CROPS_MOST)
        return error_set(error, MIEN_ELIMIT, "More than %d faces", DETECTOR_CROPS_MOST);
    for (size_t i = 0; i < crops.count; i++) {
        const json_t *face = json_array_get(list, i);
        if (!read_rect(json_object_get(face, "crop"), &crops.in_sheet[i]) ||
            !read_rect(json_object_get(face, "box"), &crops.in_frame[i]))
            return error_set(error, MIEN_EFORMAT, "Face %zu needs crop and box as [x, y, width, height]", i + 1);
    }
    *out = crops;
    return MIEN_OK;
}

mien_status detector_crops_place(const detector_crops *crops, mien_result *result, mien_error *error)
{
    if (result->face_count != crops->count)
        return error_set(error, MIEN_EINTERNAL, "%zu of %zu faces were classified", result->face_count, crops->count);
    for (size_t i = 0; i < crops->count; i++)
        result->faces[i].box = crops->in_frame[i];
    return MIEN_OK;
}
