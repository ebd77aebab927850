/* Recognition by libmien. The analyzer is immutable and shared; sessions hold what changes during a run, one per
 * worker, so workers never wait for each other, and none is made before it is needed: of several models most are seldom
 * asked. What finds faces is the same for all models and by far the larger part, so a worker has one of it, whichever
 * model it then asks. Each run uses one thread: with a picture per worker, more would only contend. */
#include "server/vision.h"

#include "base/error.h"
#include "base/memory.h"
#include "pipeline/model_card.h"
#include "pipeline/session.h"

#include <stdio.h>
#include <string.h>

struct vision_search {
    finder *finder;
    finder_session **sessions; /* a worker's, touched by that worker only */
    size_t workers;
    memory_gate *gate; /* borrowed; NULL = none */
};

typedef struct local_vision {
    vision base;
    vision_search *search; /* borrowed */
    mien_analyzer *analyzer;
    mien_session **sessions;
} local_vision;

/* What one analysis holds of the gate. */
typedef struct gate_taking {
    memory_gate *gate;
    uint64_t bytes;
} gate_taking;

static mien_status take(void *context, uint64_t bytes, mien_error *error)
{
    gate_taking *taking = context;
    mien_status status = memory_gate_take(taking->gate, bytes, error);
    if (!status)
        taking->bytes = bytes;
    return status;
}

static mien_analyze_options asking(const mien_analyze_options *options, gate_taking *taking)
{
    mien_analyze_options wanted = *options;
    wanted.reserve = taking->gate ? take : NULL;
    wanted.reserve_context = taking;
    return wanted;
}

static void give_back(const gate_taking *taking)
{
    if (taking->gate)
        memory_gate_give(taking->gate, taking->bytes);
}

void vision_search_destroy(vision_search **search)
{
    vision_search *s = *search;
    if (!s)
        return;
    for (size_t i = 0; s->sessions && i < s->workers; i++)
        finder_session_destroy(&s->sessions[i]);
    finder_destroy(&s->finder);
    memory_free(s->sessions);
    memory_free(s);
    *search = NULL;
}

mien_status vision_search_create(const mien_analyzer_options *options, size_t workers, memory_gate *gate,
                                 vision_search **search, mien_error *error)
{
    vision_search *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->workers = workers;
    made->gate = gate;
    made->sessions = memory_zeroed(workers, sizeof *made->sessions);
    mien_status status = made->sessions ? finder_create(options, &made->finder, error)
                                        : error_no_memory(error, workers * sizeof *made->sessions);
    if (!status) /* dialects search with it: better refused at the start than at a client's request */
        status = finder_check_cascade(made->finder, error);
    if (status)
        vision_search_destroy(&made);
    else
        *search = made;
    return status;
}

/* On that worker's thread. */
static mien_status need_session(local_vision *local, size_t worker, mien_error *error)
{
    vision_search *search = local->search;
    mien_session **session = &local->sessions[worker];
    mien_status status = MIEN_OK;
    if (!*session && !search->sessions[worker])
        status = finder_session_create(search->finder, &search->sessions[worker], error);
    if (!*session && !status)
        status = session_create_with(local->analyzer, search->sessions[worker], session, error);
    return status;
}

static mien_status local_analyze(vision *base, size_t worker, const void *bytes, size_t length,
                                 const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    local_vision *local = (local_vision *)base;
    mien_status status = need_session(local, worker, error);
    gate_taking taking = {.gate = local->search->gate};
    mien_analyze_options wanted = asking(options, &taking);
    if (!status)
        status = mien_analyze_bytes(local->sessions[worker], bytes, length, &wanted, result, error);
    give_back(&taking);
    return status;
}

static void local_destroy(vision *base)
{
    local_vision *local = (local_vision *)base;
    for (size_t i = 0; local->sessions && i < base->workers; i++)
        mien_session_destroy(&local->sessions[i]);
    mien_analyzer_destroy(&local->analyzer);
    json_decref(base->card);
    memory_free(local->sessions);
    memory_free(local);
}

static mien_status local_analyze_frame(vision *base, size_t worker, mien_tracker *tracker, const void *bytes,
                                       size_t length, double timestamp_ms, const mien_analyze_options *options,
                                       mien_frame_result *result, mien_error *error)
{
    local_vision *local = (local_vision *)base;
    mien_status status = need_session(local, worker, error);
    gate_taking taking = {.gate = local->search->gate};
    mien_analyze_options wanted = asking(options, &taking);
    if (!status)
        status =
            mien_analyze_frame(local->sessions[worker], tracker, bytes, length, timestamp_ms, &wanted, result, error);
    give_back(&taking);
    return status;
}

static const vision_functions local_functions = {local_analyze, local_destroy, local_analyze_frame};

/** Without a tracker's help: the whole frame, then who is who by motion. */
static mien_status analyze_and_track(vision *vision, size_t worker, mien_tracker *tracker, const void *bytes,
                                     size_t length, double timestamp_ms, const mien_analyze_options *options,
                                     mien_frame_result *result, mien_error *error)
{
    mien_frame_result made = {.full_search = 1};
    mien_status status = vision->functions->analyze(vision, worker, bytes, length, options, &made.result, error);
    if (status)
        return status;
    made.tracks = memory_zeroed(made.result.face_count, sizeof *made.tracks);
    status = made.tracks ? mien_tracker_update(tracker, made.result.faces, made.result.face_count, timestamp_ms, NULL,
                                               made.tracks, error)
                         : error_no_memory(error, made.result.face_count * sizeof *made.tracks);
    mien_frame_result_done(status ? &made : result);
    if (!status)
        *result = made;
    return status;
}

mien_status vision_analyze_frame(vision *vision, size_t worker, mien_tracker *tracker, const void *bytes, size_t length,
                                 double timestamp_ms, const mien_analyze_options *options, mien_frame_result *result,
                                 mien_error *error)
{
    if (vision->functions->analyze_frame)
        return vision->functions->analyze_frame(vision, worker, tracker, bytes, length, timestamp_ms, options, result,
                                                error);
    return analyze_and_track(vision, worker, tracker, bytes, length, timestamp_ms, options, result, error);
}

/* The part of a path that names the file, without its last ending. */
static void file_name_of(const char *path, char name[VISION_NAME])
{
    const char *slash = strrchr(path, '/'), *begin = slash ? slash + 1 : path, *dot = strrchr(begin, '.');
    int length = dot && dot > begin ? (int)(dot - begin) : (int)strlen(begin);
    snprintf(name, VISION_NAME, "%.*s", length, begin);
}

/* By the model's own name, else by its file's. In the name that clients use, as in a URL, only what needs no escape. */
static void name_model(vision *vision, const char *path)
{
    const char *own = json_string_value(json_object_get(vision->card, "name"));
    if (path)
        file_name_of(path, vision->file_name);
    const char *title = own && *own ? own : *vision->file_name ? vision->file_name : "model";
    snprintf(vision->model_title, sizeof vision->model_title, "%s", title);
    snprintf(vision->model_name, sizeof vision->model_name, "mien/%.64s", title);
    for (char *at = vision->model_name + strlen("mien/"); *at; at++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *at))
            *at = '-';
}

/* A model that cannot run is found out when it is loaded. In a session of its own: the workers' may be in use. */
static mien_status try_out(mien_analyzer *analyzer, mien_error *error)
{
    mien_session *session = NULL;
    mien_status status = mien_session_create(analyzer, &session, error);
    mien_session_destroy(&session);
    return status;
}

mien_status vision_create(const mien_analyzer_options *options, vision_search *search, vision **out, mien_error *error)
{
    local_vision *local = memory_zeroed(1, sizeof *local);
    if (!local)
        return error_no_memory(error, sizeof *local);
    local->base.functions = &local_functions;
    local->base.workers = search->workers;
    local->search = search;
    local->sessions = memory_zeroed(search->workers, sizeof *local->sessions);
    mien_status status = local->sessions ? MIEN_OK : error_no_memory(error, search->workers * sizeof *local->sessions);
    if (!status)
        status = analyzer_create_with(options, search->finder, &local->analyzer, error);
    if (!status)
        status = try_out(local->analyzer, error);
    if (status) {
        local_destroy(&local->base);
        return status;
    }
    local->base.card = analyzer_card(local->analyzer);
    name_model(&local->base, options->model_path);
    *out = &local->base;
    return MIEN_OK;
}

vision *vision_ref(vision *vision)
{
    if (vision)
        atomic_fetch_add(&vision->users, 1);
    return vision;
}

void vision_unref(vision **vision)
{
    if (*vision && !atomic_fetch_sub(&(*vision)->users, 1))
        (*vision)->functions->destroy(*vision);
    *vision = NULL;
}
