/* The models that answer: the server's own, which may be exchanged while it runs, and remote ones where a key is
 * configured. Clients choose by name; a name is never a path.
 *
 * Whoever recognises takes a model for that one use. A model that was exchanged meanwhile lives until its last user has
 * given it back. Any thread. */
#ifndef SERVER_MODEL_LIST_H
#define SERVER_MODEL_LIST_H

#include "server/settings.h"
#include "server/vision.h"

#include <pthread.h>

enum { MODEL_LIST_MOST = 24, MODEL_LIST_FORMER = 4 };

typedef struct model_entry {
    char name[VISION_NAME];
    char former[MODEL_LIST_FORMER][VISION_NAME]; /* names before an exchange: clients may still ask by them */
    vision *vision;                              /* NULL: remote */
} model_entry;

typedef struct model_list {
    pthread_mutex_t lock;
    model_entry entries[MODEL_LIST_MOST]; /* in order of preference: remote ones, then our own */
    size_t count;
    size_t own;     /* the first of our own */
    size_t used;    /* the one that the detector dialect has selected */
    uint64_t loads; /* models taken up so far */
} model_list;

/** One model for one use. */
typedef struct model_pick {
    vision *vision; /* that finds the faces, and judges them unless `remote` */
    char name[VISION_NAME];
    size_t index; /* in the list */
    bool remote;
} model_pick;

typedef enum model_scope {
    MODEL_OWN,     /* our own; by default the first */
    MODEL_DETECTOR /* remote ones too; by default the one selected */
} model_scope;

void model_list_init(model_list *models, const settings *settings);
void model_list_done(model_list *models);
/** Offer one more of our own. Names are made unique. MIEN_ELIMIT when there are too many. */
mien_status model_list_add(model_list *models, vision *vision, mien_error *error);
/** Put `with` where the `nth` of our own (from 0) stood: from now on requests get it. */
void model_list_exchange(model_list *models, size_t nth, vision *with);

/** `name`: as listed, of our own also without the owner, by the file's name without ending, or by a former name; NULL
 *  or "" for the default. @return MIEN_OK, MIEN_ENOTFOUND (`pick` is untouched). */
mien_status model_list_pick(model_list *models, const char *name, model_scope scope, model_pick *pick,
                            mien_error *error);
void model_pick_done(model_pick *pick);

/** Select for the detector dialect; false when there is none of that name. */
bool model_list_select(model_list *models, const char *name);
void model_list_selected(model_list *models, char name[VISION_NAME]);
/** The list as it is now, its models held. @return how many; `used` is the one selected. */
size_t model_list_copy(model_list *models, model_entry entries[MODEL_LIST_MOST], size_t *used);
void model_list_release(model_entry *entries, size_t count);

#endif
