/* The models that the detector dialect offers: the server's own, and remote ones where a key is configured. */
#ifndef SERVER_MODEL_LIST_H
#define SERVER_MODEL_LIST_H

#include "server/settings.h"
#include "server/vision.h"

#include <stdatomic.h>

enum { MODEL_LIST_MOST = 8 };

typedef struct model_list {
    char names[MODEL_LIST_MOST][96]; /* in order of preference; the first is the one at start */
    size_t count;
    size_t local;       /* which of them is the server's own */
    atomic_size_t used; /* the one selected */
} model_list;

void model_list_init(model_list *models, const settings *settings, const vision *vision);
/** Select by name; false when there is none of that name. */
bool model_list_select(model_list *models, const char *name);
const char *model_list_selected(const model_list *models);

#endif
