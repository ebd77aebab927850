/* The model files that the settings name: loaded at the start, and again when the program is told to, without a request
 * noticing. */
#ifndef SERVER_OWN_MODELS_H
#define SERVER_OWN_MODELS_H

#include "server/model_list.h"

typedef struct own_models own_models;

/** Load them all: MODEL_PATH's files and folders in order, what ships where it names none. `settings` is
 * borrowed.
 *  @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EFORMAT and what else loading can say; the message names the file. */
mien_status own_models_open(const settings *settings, size_t workers, memory_gate *gate, own_models **out,
                            mien_error *error);
/** The caller must have closed what used them. Accepts a pointer to NULL. */
void own_models_close(own_models **own);
/** The one that answers when none is asked for. Borrowed. */
vision *own_models_first(const own_models *own);
/** Offer the others. */
mien_status own_models_offer(const own_models *own, model_list *models, mien_error *error);

/**
 * Read every file again, and files that are new in a folder. Each model that loads takes the place of the one before
 * for requests that begin from now on; one that does not load leaves the one before where it is. Both are logged. One
 * thread at a time; the server may run meanwhile.
 * @return how many files could not be taken over.
 */
size_t own_models_reload(own_models *own, model_list *models);

#endif
