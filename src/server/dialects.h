/* The handlers of every dialect, and the translations that several of them share. */
#ifndef SERVER_DIALECTS_H
#define SERVER_DIALECTS_H

#include "server/router.h"
#include "server/service.h"

/* Pages and checks (pages.c) */
mien_status pages_root(const http_request *request, http_response *response);
mien_status pages_static(const http_request *request, http_response *response);
mien_status pages_health(const http_request *request, http_response *response);
mien_status pages_healthz(const http_request *request, http_response *response);
mien_status pages_readyz(const http_request *request, http_response *response);
mien_status pages_metrics(const http_request *request, http_response *response);

/* neo (dialect_neo.c) */
mien_status neo_predict(const http_request *request, http_response *response);
mien_status neo_predict_file(const http_request *request, http_response *response);

/* faceml (dialect_faceml.c) */
mien_status faceml_predict(const http_request *request, http_response *response);
mien_status faceml_predict_stream(const http_request *request, http_response *response);

/* detector (dialect_detector.c, detector_models.c) */
mien_status detector_detect(const http_request *request, http_response *response);
mien_status detector_upload(const http_request *request, http_response *response);
mien_status detector_batch(const http_request *request, http_response *response);
mien_status detector_status(const http_request *request, http_response *response);
mien_status detector_models(const http_request *request, http_response *response);
mien_status detector_select(const http_request *request, http_response *response);

/** Every route of the server, for router_find(). */
extern const router dialects_router;

/** {"angry": p, …} of all seven, in mien's order. */
json_t *dialect_probabilities(const float probabilities[MIEN_EMOTION_COUNT]);
/** Index of the face with the largest box; `result` has at least one. */
size_t dialect_largest_face(const mien_result *result);
double dialect_round(double value, int decimals);
/** The HTTP status for an analysis that failed: 400 for the picture's fault, 413, 503 or 500. */
int dialect_failure_status(mien_status status);
/** Seconds since 1970 with a fraction. */
double dialect_now(void);

/** The detector's answer for one picture, as /api/detect and /ws send it. `scores` false sends null. Takes nothing. */
json_t *detector_result(const service *service, const mien_result *result, bool detected, const json_t *face_bounds,
                        bool scores, double seconds);
/** Recognise as the detector dialect does: the face in `face_bounds` (may be NULL), else all faces. A picture that
 * cannot be decoded is MIEN_EFORMAT. */
mien_status detector_recognise(service *service, size_t worker, const void *bytes, size_t length,
                               const json_t *face_bounds, mien_result *result, mien_error *error);
/** Longest picture in bytes that the dialect takes. */
size_t detector_max_bytes(const service *service);

#endif
