/* Models of the transformers library: recognised, so that the refusal says what to do. */
#ifndef MODEL_HUGGING_FACE_H
#define MODEL_HUGGING_FACE_H

#include "model/model.h"

/** Whether these are the first bytes of a safetensors file of that length: the header's size 8, then a JSON object. */
bool hugging_face_is_safetensors(const uint8_t *bytes, size_t length);
/** If `path` is a folder with a config.json, or a safetensors file beside one, its architecture goes into `error` and
 *  MIEN_EUNSUPPORTED is returned; otherwise MIEN_OK and nothing is changed. */
mien_status hugging_face_refuse(const char *path, const uint8_t *bytes, size_t length, mien_error *error);

#endif
