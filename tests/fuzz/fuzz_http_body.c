/* Guards the handlers of every dialect: arbitrary bodies and queries to each route, recognition replaced by something
 * that finds a face in anything. Whatever comes, there is an answer with a status, and JSON answers are JSON. */
#include "server/dialects.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mien_status find_something(vision *vision, size_t worker, const void *bytes, size_t length,
                                  const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    (void)vision;
    (void)worker;
    (void)bytes;
    (void)error;
    size_t faces = options->face_boxes ? options->face_box_count : length % 3;
    mien_face *list = memory_zeroed(faces, sizeof *list);
    for (size_t i = 0; list && i < faces; i++) {
        list[i].box = options->face_boxes ? options->face_boxes[i] : (mien_rect){1, 2, 30, 40};
        list[i].probabilities[i % MIEN_EMOTION_COUNT] = 1;
    }
    memory_free(result->faces);
    *result = (mien_result){.width = length, .height = 1, .faces = list, .face_count = faces};
    return MIEN_OK;
}

static const vision_functions functions = {.analyze = find_something};
static vision stub = {.functions = &functions, .workers = 1, .model_name = "mien/stub", .model_title = "stub"};
static settings options;

static service *the_service(void)
{
    static service *made;
    mien_error error;
    if (!made && (settings_init(&options, &error) || service_create(&options, &stub, &made, &error)))
        abort();
    return made;
}

static const struct {
    const char *path;
    http_method method;
} targets[] = {
    {"/predict", HTTP_POST},
    {"/predict_file", HTTP_POST},
    {"/predict_emotion", HTTP_POST},
    {"/predict_emotion_stream", HTTP_POST},
    {"/api/detect", HTTP_POST},
    {"/api/detect/upload", HTTP_POST},
    {"/api/detect/batch", HTTP_POST},
    {"/api/models/select", HTTP_POST},
    {"/auth/verify-token", HTTP_POST},
    {"/auth/refresh-token", HTTP_POST},
    {"/auth/logout", HTTP_POST},
    {"/api/history", HTTP_GET},
    {"/", HTTP_GET},
    {"/auth/profile", HTTP_GET},
};

/* First byte: the route, and whether the body is a form. Then a line with the query or a credential, then the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t *end = memchr(data + 1, '\n', size - 1);
    size_t length = end ? (size_t)(end - data) - 1 : 0;
    char *line = memory_text_span((const char *)data + 1, length);
    size_t target = (data[0] & 0x7f) % (sizeof targets / sizeof *targets);
    http_request *request = memory_zeroed(1, sizeof *request);
    request->method = targets[target].method;
    request->path = targets[target].path;
    request->query = line;
    request->service = the_service();
    request->body = data + 1 + length + (end != NULL);
    request->body_length = size - 1 - length - (end != NULL);
    request->fields[0] =
        (http_field){"content-type", data[0] & 0x80 ? "multipart/form-data; boundary=B" : "application/json"};
    request->fields[1] = (http_field){"authorization", line};
    request->fields[2] = (http_field){"cookie", line};
    request->field_count = 3;
    http_response response;
    http_response_init(&response);
    unsigned allowed;
    const route *found = router_find(&dialects_router, request, &allowed);
    router_answer(found, allowed, request, &response);
    if (response.status < 200 || response.status > 599)
        abort();
    json_t *answer = NULL;
    size_t reading = JSON_DECODE_ANY | JSON_ALLOW_NUL; /* a body repeated in a 422 may hold one; \u0000 is JSON */
    if (response.content_type && !strcmp(response.content_type, "application/json") && !response.fixed &&
        !(answer = json_loadb((const char *)response.body.data, response.body.length, reading, NULL)))
        abort();
    json_decref(answer);
    http_response_done(&response);
    memory_free(request);
    memory_free(line);
    return 0;
}
