/* What the program knows while it serves: settings, recognition, caches, limits and counts. Handlers reach it through
 * their request; it has no sockets. */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include "server/http_message.h"
#include "server/job_queue.h"
#include "server/metrics.h"
#include "server/model_list.h"
#include "server/people.h"
#include "server/rate_limit.h"
#include "server/result_cache.h"
#include "server/settings.h"
#include "server/vision.h"

#include <stdatomic.h>

typedef struct service {
    const settings *settings;
    metrics *metrics;
    rate_limit *limits;
    result_cache *cache; /* NULL = off */
    people *people;
    buffer page_policy; /* content policy of the page */
    model_list models;
    size_t workers;
    job_queue *queue; /* set by the server; NULL in tests */
    uint64_t started_ns;
    atomic_bool stopping;
    atomic_long connections; /* open ones, for /metrics */
    atomic_long sockets;     /* open WebSockets */
} service;

/** `settings` is borrowed and must outlive the service. `vision` is the first model, for as many workers as the server
 *  will have; further ones join with model_list_add(). */
mien_status service_create(const settings *settings, vision *vision, service **service, mien_error *error);
void service_destroy(service **service);

/** The options of a preset under the settings. */
void service_options(const service *service, mien_preset preset, mien_analyze_options *options);
/** Analyse through the cache, and count it. `result` must be initialised; its timing.total is what this call took. */
mien_status service_analyze(service *service, vision *vision, size_t worker, const void *bytes, size_t length,
                            const mien_analyze_options *options, mien_result *result, mien_error *error);

/** Resident memory of this process in MiB. */
double service_memory(void);
double service_uptime(const service *service);

#endif
