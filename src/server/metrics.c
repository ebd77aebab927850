/* Metrics. The set of series is bounded: endpoints are route patterns and statuses are few, so nobody can make the
 * server remember things by asking for odd paths. One lock; an update costs some ten nanoseconds. */
#include "server/metrics.h"

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>
#include <string.h>

enum { MAX_SERIES = 512, BUCKETS = 12 };

static const double limits[BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};

typedef struct histogram {
    uint64_t bucket[BUCKETS + 1];
    uint64_t count;
    double sum;
} histogram;

typedef struct series {
    const char *method, *endpoint;
    int status;
    uint64_t count;
} series;

struct metrics {
    pthread_mutex_t lock;
    series series[MAX_SERIES];
    size_t series_count;
    histogram requests, inference;
    uint64_t faces, dropped;
};

mien_status metrics_create(metrics **out, mien_error *error)
{
    metrics *created = memory_zeroed(1, sizeof *created);
    if (!created)
        return error_no_memory(error, sizeof *created);
    pthread_mutex_init(&created->lock, NULL);
    *out = created;
    return MIEN_OK;
}

void metrics_destroy(metrics **pointer)
{
    if (!*pointer)
        return;
    pthread_mutex_destroy(&(*pointer)->lock);
    memory_free(*pointer);
    *pointer = NULL;
}

static void observe(histogram *histogram, double seconds)
{
    size_t i = 0;
    while (i < BUCKETS && seconds > limits[i])
        i++;
    histogram->bucket[i]++;
    histogram->count++;
    histogram->sum += seconds;
}

void metrics_request(metrics *metrics, const char *method, const char *endpoint, int status, double seconds)
{
    pthread_mutex_lock(&metrics->lock);
    series *found = NULL;
    for (size_t i = 0; i < metrics->series_count && !found; i++) {
        series *at = &metrics->series[i];
        if (at->status == status && at->endpoint == endpoint && !strcmp(at->method, method))
            found = at;
    }
    if (!found && metrics->series_count < MAX_SERIES) {
        found = &metrics->series[metrics->series_count++];
        *found = (series){.method = method, .endpoint = endpoint, .status = status};
    }
    if (found)
        found->count++;
    observe(&metrics->requests, seconds);
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_inference(metrics *metrics, double seconds, size_t faces)
{
    pthread_mutex_lock(&metrics->lock);
    observe(&metrics->inference, seconds);
    metrics->faces += faces;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_dropped(metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    metrics->dropped++;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_write_value(buffer *out, const char *name, const char *type, const char *help, double value)
{
    buffer_append_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

static void write_histogram(buffer *out, const char *name, const char *help, const histogram *histogram)
{
    buffer_append_format(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
    uint64_t sum = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        sum += histogram->bucket[i];
        buffer_append_format(out, "%s_bucket{le=\"%g\"} %llu\n", name, limits[i], (unsigned long long)sum);
    }
    buffer_append_format(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", name,
                         (unsigned long long)histogram->count, name, histogram->sum, name,
                         (unsigned long long)histogram->count);
}

mien_status metrics_write(metrics *metrics, buffer *out)
{
    pthread_mutex_lock(&metrics->lock);
    buffer_append_text(out, "# HELP http_requests_total Total HTTP requests\n# TYPE http_requests_total counter\n");
    for (size_t i = 0; i < metrics->series_count; i++) {
        const series *at = &metrics->series[i];
        buffer_append_format(out, "http_requests_total{endpoint=\"%s\",http_status=\"%d\",method=\"%s\"} %llu\n",
                             at->endpoint, at->status, at->method, (unsigned long long)at->count);
    }
    write_histogram(out, "http_request_duration_seconds", "Time from a whole request to its answer",
                    &metrics->requests);
    write_histogram(out, "mien_inference_duration_seconds", "Time to recognise one picture", &metrics->inference);
    metrics_write_value(out, "mien_faces_total", "counter", "Faces found", (double)metrics->faces);
    metrics_write_value(out, "mien_frames_dropped_total", "counter", "Frames replaced by newer ones",
                        (double)metrics->dropped);
    pthread_mutex_unlock(&metrics->lock);
    return buffer_status(out, NULL);
}
