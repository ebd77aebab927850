/* The parts of HDF5 that Keras files use, with every size checked before it is read. */
#ifndef MODEL_KERAS_FILE_H
#define MODEL_KERAS_FILE_H

#include "base/buffer.h"
#include "base/memory.h"
#include "model/model.h"

enum { KERAS_MAX_RANK = 6 };

typedef struct keras_file keras_file;

/** Numbers of a data set as f32, in the file's order (last axis fastest). */
typedef struct keras_tensor {
    int rank;
    int64_t dim[KERAS_MAX_RANK];
    size_t count;
    float *data; /* in the arena that was given */
} keras_tensor;

/** `bytes` is borrowed until the file is closed; nothing else is ever opened, whatever the file links to. */
mien_status keras_file_open(const uint8_t *bytes, size_t length, const model_limits *limits, keras_file **file,
                            mien_error *error);
void keras_file_close(keras_file **file);

bool keras_file_has(keras_file *file, const char *path);
/** A text attribute of the group at `path`, appended to `out`. MIEN_ENOTFOUND when there is none. */
mien_status keras_file_text(keras_file *file, const char *path, const char *attribute, buffer *out, mien_error *error);
/** A list of texts, which Keras may have cut into "<attribute>0", "<attribute>1", …; none gives *count 0. */
mien_status keras_file_list(keras_file *file, const char *path, const char *attribute, memory_arena *arena,
                            const char ***texts, size_t *count, mien_error *error);
/** A data set of floating numbers. */
mien_status keras_file_tensor(keras_file *file, const char *path, memory_arena *arena, keras_tensor *tensor,
                              mien_error *error);

#endif
