/* The state behind all dialects. Recognition goes through one function, so that every front door shares the cache and
 * is counted the same way. */
#include "server/service.h"

#include "server/content_policy.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIMITED_CLIENTS = 16384 };

mien_status service_create(const settings *settings, vision *vision, service **out, mien_error *error)
{
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT))
        return error_set(error, MIEN_EINTERNAL, "libsodium or libcurl does not start");
    service *created = memory_zeroed(1, sizeof *created);
    if (!created)
        return error_no_memory(error, sizeof *created);
    created->settings = settings;
    created->workers = vision->workers;
    created->started_ns = clock_monotonic_ns();
    model_list_init(&created->models, settings);
    mien_status status = model_list_add(&created->models, vision, error);
    if (!status)
        status = metrics_create(&created->metrics, error);
    if (!status)
        status = rate_limit_create(LIMITED_CLIENTS, &created->limits, error);
    if (!status)
        status = people_create(settings, &created->people, error);
    if (!status)
        status = content_policy_page(settings, &created->page_policy, error);
    if (!status && settings->cache_size && settings->cache_ttl > 0)
        status = result_cache_create((size_t)settings->cache_size, settings->cache_ttl, &created->cache, error);
    if (status)
        service_destroy(&created);
    else
        *out = created;
    return status;
}

void service_destroy(service **service)
{
    if (!*service)
        return;
    buffer_done(&(*service)->page_policy);
    people_destroy(&(*service)->people);
    result_cache_destroy(&(*service)->cache);
    rate_limit_destroy(&(*service)->limits);
    metrics_destroy(&(*service)->metrics);
    model_list_done(&(*service)->models);
    memory_free(*service);
    *service = NULL;
}

void service_options(const service *service, mien_preset preset, mien_analyze_options *options)
{
    const settings *settings = service->settings;
    memset(options, 0, sizeof *options);
    options->preset = preset;
    options->limits.max_pixels = (uint64_t)settings->max_pixels;
    options->min_confidence = (float)settings->confidence_threshold;
    options->min_face = (int32_t)settings->min_face;
    options->scale_factor = settings->scale_factor;
    options->min_neighbors = (int)settings->min_neighbors;
}

mien_status service_analyze(service *service, vision *vision, size_t worker, const void *bytes, size_t length,
                            const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    uint64_t begin = clock_monotonic_ns();
    result_key key;
    if (service->cache) {
        result_cache_key(bytes, length, options, vision->load, &key);
        if (result_cache_get(service->cache, &key, begin, result)) {
            result->timing = (mien_timing){.total = (double)(clock_monotonic_ns() - begin) / 1e6};
            return MIEN_OK;
        }
    }
    mien_status status = vision->functions->analyze(vision, worker, bytes, length, options, result, error);
    uint64_t end = clock_monotonic_ns();
    if (status)
        return status;
    metrics_inference(service->metrics, (double)(end - begin) / 1e9, result->face_count);
    if (service->cache)
        result_cache_put(service->cache, &key, end, result);
    return MIEN_OK;
}

double service_memory(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

double service_uptime(const service *service)
{
    return (double)(clock_monotonic_ns() - service->started_ns) / 1e9;
}
