/* What Keras keeps in an HDF5 file: texts, lists of texts, arrays of floats. */
#ifndef MODEL_KERAS_FILE_H
#define MODEL_KERAS_FILE_H

#include "base/buffer.h"
#include "base/memory.h"
#include "model/hdf5.h"
#include "model/model.h"

enum { KERAS_MAX_RANK = 6 };

typedef struct keras_file {
    hdf5_file hdf5;
    size_t max_bytes; /* of one array as f32 */
    size_t max_items; /* in one list */
} keras_file;

/** Numbers of a data set as f32, in the file's order (last axis fastest). */
typedef struct keras_tensor {
    int rank;
    int64_t dim[KERAS_MAX_RANK];
    size_t count;
    float *data; /* in the arena that was given */
} keras_tensor;

/** `bytes` is borrowed as long as the file is used; there is nothing to close. */
mien_status keras_file_open(const uint8_t *bytes, size_t length, const model_limits *limits, keras_file *file,
                            mien_error *error);

/** Whether there is an object at `path`; fails only when the file cannot tell. */
mien_status keras_file_has(keras_file *file, const char *path, bool *there);
/** A text attribute of the group at `path`, appended to `out`. MIEN_ENOTFOUND when there is none. */
mien_status keras_file_text(keras_file *file, const char *path, const char *attribute, buffer *out);
/** A list of texts, which Keras may have cut into "<attribute>0", "<attribute>1", …; none gives *count 0. */
mien_status keras_file_list(keras_file *file, const char *path, const char *attribute, memory_arena *arena,
                            const char ***texts, size_t *count);
/** A data set of floating numbers. */
mien_status keras_file_tensor(keras_file *file, const char *path, memory_arena *arena, keras_tensor *tensor);

#endif
