/* The result structure as JSON: mien's own form, for the command line and for whoever has no older form to keep to. */
#ifndef PIPELINE_RESULT_JSON_H
#define PIPELINE_RESULT_JSON_H

#include <jansson.h>

#include <mien/analyzer.h>

/**
 * {"file", "width", "height", "faces":[{"box":[x,y,w,h], "score", "emotion", "confidence", "uncertain", "quality",
 * "probabilities":{…}}], "timing_ms":{…}}. `file` NULL leaves the key out. Probabilities 0..1, rounded to 6 decimals.
 * @return a new reference, NULL when memory is short.
 */
json_t *result_to_json(const mien_result *result, const char *file);
/** One face of it. */
json_t *result_face_to_json(const mien_face *face);
/** {"angry": 0.01, …}; a new reference or NULL. */
json_t *result_probabilities_to_json(const float probabilities[MIEN_EMOTION_COUNT]);
/** Text as a string, whatever bytes are in it. */
json_t *result_text(const char *text);
/** `value` rounded to `decimals`, so that a reader is not shown digits that mean nothing. */
json_t *result_number(double value, int decimals);

#endif
