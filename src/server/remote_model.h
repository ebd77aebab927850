/* Classification by a model at Hugging Face's inference endpoint, or whatever speaks its wire format. */
#ifndef SERVER_REMOTE_MODEL_H
#define SERVER_REMOTE_MODEL_H

#include <mien/analyzer.h>

typedef struct remote_model {
    const char *endpoint; /* "https://…/models"; plain HTTP only to a loopback address */
    const char *key;
    double seconds; /* for everything: requests, waiting for a model to load, retries */
} remote_model;

/** Post a picture and read `[{"label","score"}]` into probabilities that sum to 1. A model that is still loading (503)
 * is waited for as long as it says, within the time. Blocking; thread-safe.
 *  @return MIEN_OK, MIEN_ETIMEOUT, MIEN_EIO (no connection, an error status), MIEN_EFORMAT (an answer that makes no
 * sense), MIEN_EDENIED (the key is not accepted). `probabilities` is untouched on failure. */
mien_status remote_model_classify(const remote_model *remote, const char *name, const void *picture, size_t length,
                                  float probabilities[MIEN_EMOTION_COUNT], mien_error *error);

/** Read an answer. For tests. */
mien_status remote_model_read(const char *text, size_t length, float probabilities[MIEN_EMOTION_COUNT],
                              mien_error *error);

#endif
