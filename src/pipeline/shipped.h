/* The models that ship, linked into the library: an installed program needs no search path and cannot lose them. */
#ifndef PIPELINE_SHIPPED_H
#define PIPELINE_SHIPPED_H

#include "model/model.h"

#include <stddef.h>

typedef struct shipped_model {
    const char *name; /* as the model's own description has it */
    const unsigned char *bytes;
    size_t length;
} shipped_model;

/** The emotion model of that name; NULL = the default one. @return {0} where none is called so. */
shipped_model shipped_emotion(const char *name);
/** A file, or a model that ships, by its name; NULL = the default one. A name is looked up first only where no file can
 * be meant. Free with model_done. */
mien_status shipped_load(const char *path, model *m, mien_error *error);
/** The face network; length 0 where none ships. */
shipped_model shipped_face(void);

#endif
