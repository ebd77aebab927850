/* One translation of mien_result into JSON. A file name may hold bytes that are not UTF-8; JSON cannot, so those are
 * replaced and the rest is kept. */
#include "pipeline/result_json.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"

json_t *result_number(double value, int decimals)
{
    double scale = pow(10, decimals);
    double rounded = round(value * scale) / scale;
    return json_real(isfinite(rounded) ? rounded : 0.0);
}

json_t *result_probabilities_to_json(const float probabilities[MIEN_EMOTION_COUNT])
{
    json_t *object = json_object();
    for (int i = 0; object && i < MIEN_EMOTION_COUNT; i++) {
        if (json_object_set_new(object, mien_emotion_name((mien_emotion)i), result_number(probabilities[i], 6))) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *result_face_to_json(const mien_face *face)
{
    return json_pack("{s:[i,i,i,i], s:o, s:s, s:o, s:b, s:o, s:o}", "box", face->box.x, face->box.y, face->box.width,
                     face->box.height, "score", result_number(face->score, 6), "emotion",
                     mien_emotion_name(face->emotion), "confidence", result_number(face->confidence, 6), "uncertain",
                     face->uncertain, "quality", result_number(face->quality, 3), "probabilities",
                     result_probabilities_to_json(face->probabilities));
}

/* json_string refuses what is not UTF-8: try as it is, else byte by byte with U+FFFD for what does not fit. */
json_t *result_text(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    buffer clean = {0};
    for (const char *at = text; *at;) {
        size_t length = 1;
        while (length < 4 && at[length] && ((unsigned char)at[length] & 0xc0) == 0x80)
            length++;
        json_t *part = json_stringn(at, length);
        if (part) {
            buffer_append(&clean, at, length);
            json_decref(part);
            at += length;
        } else {
            buffer_append_text(&clean, "\xef\xbf\xbd");
            at++;
        }
    }
    string = clean.failed ? NULL : json_string(buffer_text(&clean));
    buffer_done(&clean);
    return string;
}

json_t *result_to_json(const mien_result *result, const char *file)
{
    json_t *object = json_object();
    if (!object)
        return NULL;
    int failed = file ? json_object_set_new(object, "file", result_text(file)) : 0;
    failed |= json_object_set_new(object, "width", json_integer((json_int_t)result->width));
    failed |= json_object_set_new(object, "height", json_integer((json_int_t)result->height));
    json_t *faces = json_array();
    for (size_t i = 0; faces && i < result->face_count; i++)
        failed |= json_array_append_new(faces, result_face_to_json(&result->faces[i]));
    failed |= json_object_set_new(object, "faces", faces);
    const mien_timing *timing = &result->timing;
    failed |=
        json_object_set_new(object, "timing_ms",
                            json_pack("{s:o, s:o, s:o, s:o}", "decode", result_number(timing->decode, 3), "detect",
                                      result_number(timing->detect, 3), "classify", result_number(timing->classify, 3),
                                      "total", result_number(timing->total, 3)));
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}
