/* Counters and histograms in Prometheus' text format. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "base/buffer.h"

typedef struct metrics metrics;

mien_status metrics_create(metrics **metrics, mien_error *error);
void metrics_destroy(metrics **metrics);

/** One answered request. `endpoint` is the route's pattern (static text; "" = no route), never what a client sent. */
void metrics_request(metrics *metrics, const char *method, const char *endpoint, int status, double seconds);
/** One recognition and the faces that it found. */
void metrics_inference(metrics *metrics, double seconds, size_t faces);
/** A frame of a stream that a newer one replaced before it was looked at. */
void metrics_dropped(metrics *metrics);

/** A gauge or counter whose value is known elsewhere. */
void metrics_write_value(buffer *out, const char *name, const char *type, const char *help, double value);
mien_status metrics_write(metrics *metrics, buffer *out);

#endif
