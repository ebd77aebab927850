/* A Keras 3 .keras archive into a model. */
#ifndef MODEL_KERAS_ARCHIVE_H
#define MODEL_KERAS_ARCHIVE_H

#include "model/keras_reader.h"

/** `limits` has every field set. */
mien_status keras_archive_read(const uint8_t *bytes, size_t length, const model_limits *limits, model *out,
                               mien_error *error);

/** Tell every layer of the description where the archive keeps its weights: as KERAS_PLACE in its entry. */
mien_status keras_archive_place(keras_reader *r, json_t *model);
/** As keras_tensor_find. */
mien_status keras_archive_tensor(keras_reader *r, const keras_call *call, const char *kind, keras_tensor *tensor,
                                 bool *found);

#define KERAS_PLACE "mien.place"

#endif
