/* How the server recognises: one const struct of functions, so that tests and fuzzers put something simple in its
 * place. */
#ifndef SERVER_VISION_H
#define SERVER_VISION_H

#include "server/memory_gate.h"

#include <jansson.h>
#include <mien/tracker.h>

#include <stdatomic.h>
#include <stdbool.h>

typedef struct vision vision;

enum { VISION_NAME = 96 };

typedef struct vision_functions {
    /** As mien_analyze_bytes(). Called by several workers at once, each with its own number. */
    mien_status (*analyze)(vision *vision, size_t worker, const void *bytes, size_t length,
                           const mien_analyze_options *options, mien_result *result, mien_error *error);
    void (*destroy)(vision *vision);
    /** As mien_analyze_frame(). NULL = analyze() and mien_tracker_update() in its place. */
    mien_status (*analyze_frame)(vision *vision, size_t worker, mien_tracker *tracker, const void *bytes, size_t length,
                                 double timestamp_ms, const mien_analyze_options *options, mien_frame_result *result,
                                 mien_error *error);
} vision_functions;

/** What every implementation begins with. */
struct vision {
    const vision_functions *functions;
    size_t workers;
    char model_name[VISION_NAME];  /* as clients see it, owner/name */
    char model_title[VISION_NAME]; /* for people */
    char file_name[VISION_NAME];   /* of the model's file, without folder and ending; "" = none */
    json_t *card;                  /* what the model says about itself; owned, NULL = nothing */
    uint64_t load;                 /* tells one load from the next; set by who offers it */
    atomic_size_t users;           /* besides whoever made it */
};

/** What all real ones of a server share: how faces are found, and for each worker the memory in which it does so. */
typedef struct vision_search vision_search;

/** Load the face finder that the options name. Pictures are read with the gate's leave (NULL = without asking). */
mien_status vision_search_create(const mien_analyzer_options *options, size_t workers, memory_gate *gate,
                                 vision_search **search, mien_error *error);
/** What was made with it must be gone. Accepts a pointer to NULL. */
void vision_search_destroy(vision_search **search);

/** The real one: an emotion model shared by all workers and one session for each, made when the worker first needs it.
 *  The caller's reference ends with vision_unref(). `search` is borrowed. */
mien_status vision_create(const mien_analyzer_options *options, vision_search *search, vision **vision,
                          mien_error *error);
/** Accepts NULL. @return the same. */
vision *vision_ref(vision *vision);
/** The last one destroys it. Accepts a pointer to NULL. */
void vision_unref(vision **vision);
/** One frame of a stream, by whichever way the implementation has. The tracker is the caller's for the call. */
mien_status vision_analyze_frame(vision *vision, size_t worker, mien_tracker *tracker, const void *bytes, size_t length,
                                 double timestamp_ms, const mien_analyze_options *options, mien_frame_result *result,
                                 mien_error *error);

#endif
