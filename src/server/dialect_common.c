/* What several dialects translate the same way. */
#include "server/dialects.h"

#include "base/clock.h"

#include <math.h>

json_t *dialect_probabilities(const float probabilities[MIEN_EMOTION_COUNT])
{
    json_t *object = json_object();
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        json_object_set_new(object, mien_emotion_name((mien_emotion)i), json_real(probabilities[i]));
    return object;
}

size_t dialect_largest_face(const mien_result *result)
{
    size_t best = 0;
    int64_t most = -1;
    for (size_t i = 0; i < result->face_count; i++) {
        int64_t area = (int64_t)result->faces[i].box.width * result->faces[i].box.height;
        if (area > most) {
            most = area;
            best = i;
        }
    }
    return best;
}

double dialect_round(double value, int decimals)
{
    double scale = pow(10, decimals);
    return round(value * scale) / scale;
}

int dialect_failure_status(mien_status status)
{
    switch (status) {
    case MIEN_EFORMAT:
    case MIEN_EUNSUPPORTED:
    case MIEN_EINVAL:
        return 400;
    case MIEN_ELIMIT:
        return 413;
    case MIEN_ENOMEM:
    case MIEN_EBUSY:
        return 503;
    case MIEN_ETIMEOUT:
        return 504;
    default:
        return 500;
    }
}

double dialect_now(void)
{
    return (double)clock_unix_us() / 1e6;
}
