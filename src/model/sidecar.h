/* Information beside a model file that cannot hold it itself. */
#ifndef MODEL_SIDECAR_H
#define MODEL_SIDECAR_H

#include "model/model.h"

/** Apply `<path>.json` to `info`, where there is such a file: {"labels": ["angry", …], "input": {"scale": 1}, …}, the
 *  keys of model.h without "mien.", dots as nested objects or as they are. */
mien_status sidecar_read(const char *path, model_info *info, mien_error *error);

#endif
