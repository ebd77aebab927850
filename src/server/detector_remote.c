/* detector: when a remote model is selected, the face goes there to be classified (cut out as JPEG), then to the other
 * remote models in turn; when none of them answers sensibly, what our own model said stands. */
#include "server/dialects.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/remote_model.h"

#include <string.h>

enum { JPEG_QUALITY = 92 };
static const double longest = 20; /* seconds for all models together, or REQUEST_TIMEOUT */

static int32_t clamp(int64_t value, int64_t low, int64_t high)
{
    return (int32_t)(value < low ? low : value > high ? high : value);
}

/* The face with a fifth of margin, as JPEG. @return false when it cannot be cut out. */
static bool cut_out(const void *bytes, size_t length, const mien_rect *box, uint8_t **jpeg, size_t *jpeg_length)
{
    mien_image image = {0};
    mien_error error;
    if (mien_image_decode(bytes, length, NULL, &image, &error))
        return false;
    int64_t width = (int64_t)image.width, height = (int64_t)image.height;
    int64_t margin_x = box->width / 5, margin_y = box->height / 5;
    int32_t left = clamp(box->x - margin_x, 0, width - 1), top = clamp(box->y - margin_y, 0, height - 1);
    int32_t right = clamp((int64_t)box->x + box->width + margin_x, left + 1, width);
    int32_t bottom = clamp((int64_t)box->y + box->height + margin_y, top + 1, height);
    mien_image_view view = mien_image_as_view(&image);
    view.data += (size_t)top * view.stride + (size_t)left * mien_pixel_bytes(view.format);
    view.width = (size_t)(right - left);
    view.height = (size_t)(bottom - top);
    mien_status status = mien_image_encode_jpeg(&view, JPEG_QUALITY, jpeg, jpeg_length, &error);
    mien_image_done(&image);
    return !status;
}

static void take_over(mien_face *face, const float probabilities[MIEN_EMOTION_COUNT])
{
    memcpy(face->probabilities, probabilities, sizeof face->probabilities);
    face->emotion = MIEN_EMOTION_ANGRY;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        if (probabilities[i] > probabilities[face->emotion])
            face->emotion = (mien_emotion)i;
    face->confidence = probabilities[face->emotion];
}

/* Ask the remote models in turn, beginning with the one picked. @return whether one answered; its name is in `name`. */
static bool ask_in_turn(service *service, size_t first, const void *bytes, size_t length, double until,
                        float probabilities[MIEN_EMOTION_COUNT], char name[VISION_NAME])
{
    const model_list *models = &service->models; /* whose remote part does not change */
    for (size_t i = 0; i < models->own; i++) {
        const char *asked = models->entries[(first + i) % models->own].name;
        double left = (until - clock_monotonic_ms()) / 1e3;
        remote_model remote = {service->settings->hf_endpoint, service->settings->hf_api_key, left};
        mien_error error = {0};
        if (left <= 0)
            return false;
        if (!remote_model_classify(&remote, asked, bytes, length, probabilities, &error)) {
            memcpy(name, asked, VISION_NAME);
            return true;
        }
        log_write(LOG_WARNING, "remote model %s: %s", asked, error.message);
    }
    return false;
}

void detector_ask_remote(service *service, model_pick *pick, const void *bytes, size_t length, mien_result *result)
{
    if (!pick->remote)
        return;
    memcpy(pick->name, pick->vision->model_name, sizeof pick->name);
    if (!result->face_count)
        return;
    mien_face *face = &result->faces[dialect_largest_face(result)];
    uint8_t *jpeg = NULL;
    size_t jpeg_length = 0;
    bool cut = cut_out(bytes, length, &face->box, &jpeg, &jpeg_length);
    double limit = service->settings->request_timeout * 0.8, until = clock_monotonic_ms();
    until += (limit < longest ? limit : longest) * 1e3;
    float probabilities[MIEN_EMOTION_COUNT];
    if (ask_in_turn(service, pick->index, cut ? jpeg : bytes, cut ? jpeg_length : length, until, probabilities,
                    pick->name))
        take_over(face, probabilities);
    mien_free(jpeg);
}
