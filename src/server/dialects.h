/* The handlers of every dialect, and the translations that several of them share. */
#ifndef SERVER_DIALECTS_H
#define SERVER_DIALECTS_H

#include "server/router.h"
#include "server/service.h"

/* Pages and checks (pages.c) */
mien_status pages_root(const http_request *request, http_response *response);
mien_status pages_document(const http_request *request, http_response *response);
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

/* mien's own (dialect_native.c) */
mien_status native_faces(const http_request *request, http_response *response);
mien_status native_notice(const http_request *request, http_response *response);

/* Accounts (dialect_auth.c) */
mien_status auth_verify_token(const http_request *request, http_response *response);
mien_status auth_register(const http_request *request, http_response *response);
mien_status auth_sign_in(const http_request *request, http_response *response);
mien_status auth_sign_out(const http_request *request, http_response *response);
mien_status auth_profile(const http_request *request, http_response *response);
mien_status auth_usage(const http_request *request, http_response *response);
mien_status auth_refresh(const http_request *request, http_response *response);
mien_status auth_reset(const http_request *request, http_response *response);
mien_status auth_api_key(const http_request *request, http_response *response);
mien_status auth_revoke_api_keys(const http_request *request, http_response *response);
mien_status auth_erase(const http_request *request, http_response *response);

/* history-api (dialect_history.c, history_records.c) */
mien_status history_detect(const http_request *request, http_response *response);
mien_status history_batch(const http_request *request, http_response *response);
mien_status history_list(const http_request *request, http_response *response);
mien_status history_get(const http_request *request, http_response *response);
mien_status history_picture(const http_request *request, http_response *response);
mien_status history_delete(const http_request *request, http_response *response);
mien_status history_delete_all(const http_request *request, http_response *response);
mien_status history_status(const http_request *request, http_response *response);

/* Paths that two dialects share, told apart by the body's type (routes.c) */
mien_status shared_detect(const http_request *request, http_response *response);
mien_status shared_batch(const http_request *request, http_response *response);

/** Every route of the server, for router_find(). */
extern const router dialects_router;

/** {"angry": p, …} of all seven, in mien's order. */
json_t *dialect_probabilities(const float probabilities[MIEN_EMOTION_COUNT]);
/** Index of the face with the largest box; `result` has at least one. */
size_t dialect_largest_face(const mien_result *result);
double dialect_round(double value, int decimals);
/** What ?model= says; "" when it is not there. Cut off where no model's name is as long. */
void dialect_model_name(const http_request *request, char name[VISION_NAME]);
/** The model that a request asks for with ?model=, or the default. MIEN_ENOTFOUND. */
mien_status dialect_pick(const http_request *request, model_scope scope, model_pick *pick, mien_error *error);
/** Analyse with the model that the request asks for. `name` (may be NULL) becomes the name of the one that answered. */
mien_status dialect_analyze(const http_request *request, const void *bytes, size_t length,
                            const mien_analyze_options *options, mien_result *result, char name[VISION_NAME],
                            mien_error *error);
/** The HTTP status for an analysis that failed: 400 for the picture's fault, 413, 503 or 500. */
int dialect_failure_status(mien_status status);
/** Seconds since 1970 with a fraction. */
double dialect_now(void);

/** A user's time stamp as history-api writes it: UTC, "2026-11-20T18:53:26.760373+00:00". */
json_t *dialect_time(int64_t unix_us);
/** HTTP status of a store's failure: 503 where it may pass, 507 where nothing can be written, 500. */
int dialect_store_status(mien_status status);
/** What went wrong below, as {"detail": …} with that status; the store's own words are not for clients. */
mien_status dialect_store_failure(http_response *response, mien_status status, const mien_error *error);
/** Who asks, when it must be a user: sets *refused after answering 401 to a guest. */
mien_status dialect_require_user(const http_request *request, http_response *response, person *who, bool *refused);
/** A text member of a JSON body; NULL when it is missing or no text. */
const char *dialect_text(const json_t *object, const char *key);

/** The detector's answer for one picture, as /api/detect and /ws send it. `scores` false sends null. Takes nothing. */
json_t *detector_result(const char *model, const mien_result *result, bool detected, const json_t *face_bounds,
                        bool scores, double seconds);
/** Recognise as the detector dialect does: the face in `face_bounds` (may be NULL), else all faces. A picture that
 * cannot be decoded is MIEN_EFORMAT. The pick's name becomes that of the model that answered. */
mien_status detector_recognise(service *service, size_t worker, model_pick *pick, const void *bytes, size_t length,
                               const json_t *face_bounds, mien_result *result, mien_error *error);
/** How the dialect recognises a picture. */
void detector_options(const service *service, mien_analyze_options *options);
/** Let the remote model of the pick judge the largest face (detector_remote.c). The pick's name becomes that of the
 * model whose word stands. */
void detector_ask_remote(service *service, model_pick *pick, const void *bytes, size_t length, mien_result *result);
/** Longest picture in bytes that the dialect takes. */
size_t detector_max_bytes(const service *service);

#endif
