/* history-api: what a user's history holds. Only the owner sees or deletes a record; ids of others answer 403, as the
 * original does. */
#include "server/dialects.h"
#include "server/fastapi.h"
#include "server/picture_link.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_PAGE = 10 };

/* A whole number of the query; *refused after answering 422. */
static mien_status query_number(const http_request *request, const char *name, long low, long high, long *number,
                                http_response *response, bool *refused)
{
    buffer text;
    buffer_init(&text, 64);
    mien_status status = MIEN_OK;
    if (http_request_query(request, name, &text)) {
        char *end;
        errno = 0;
        long value = strtol(buffer_text(&text), &end, 10);
        json_t *place = json_pack("[ss]", "query", name), *given = json_string(buffer_text(&text));
        *refused = true;
        if (errno || *end || end == buffer_text(&text))
            status = fastapi_refuse(response, "type_error.integer", place, "value is not a valid integer", given);
        else if (value < low)
            status = fastapi_refuse(response, "value_error.number.not_ge", place, "ensure this value is large enough",
                                    given);
        else if (value > high)
            status = fastapi_refuse(response, "value_error.number.not_le", place, "ensure this value is small enough",
                                    given);
        else
            *refused = false;
        if (!*refused) {
            *number = value;
            json_decref(place);
        }
        json_decref(given);
    }
    buffer_done(&text);
    return status;
}

/* What was answered then, with a link to the picture that is good now. NULL: memory was short. */
static json_t *record_object(const http_request *request, const store_record *record)
{
    json_t *object = record->result ? json_loads(record->result, 0, NULL) : NULL;
    buffer link = {0};
    bool failed = record->picture && picture_link_write(request, record->id, &link);
    json_t *url = record->picture ? json_string(buffer_text(&link)) : json_null();
    buffer_done(&link);
    if (failed || json_object_set_new(object, "image_url", url)) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static mien_status answer_page(const http_request *request, const store_query *query, http_response *response)
{
    store_page page = {0};
    mien_error error = {0};
    mien_status status = store_history_list(people_store(request->service->people), query, &page, &error);
    if (status)
        return dialect_store_failure(response, status, &error);
    json_t *list = json_array();
    for (size_t i = 0; i < page.count; i++)
        json_array_append_new(list, record_object(request, &page.records[i]));
    char total[24];
    snprintf(total, sizeof total, "%zu", page.total);
    http_response_field(response, "X-Total-Count", total);
    store_page_done(&page);
    return http_response_json(response, 200, list);
}

mien_status history_list(const http_request *request, http_response *response)
{
    person who;
    bool refused;
    long skip = 0, limit = USUAL_PAGE, from = 0, until = 0;
    buffer emotion;
    buffer_init(&emotion, 32);
    mien_status status = dialect_require_user(request, response, &who, &refused);
    if (!refused)
        status = query_number(request, "skip", 0, 1000000000, &skip, response, &refused);
    if (!refused)
        status = query_number(request, "limit", 1, STORE_MAX_PAGE, &limit, response, &refused);
    if (!refused)
        status = query_number(request, "from", 0, 100000000000, &from, response, &refused);
    if (!refused)
        status = query_number(request, "until", 0, 100000000000, &until, response, &refused);
    if (!refused) {
        bool one = http_request_query(request, "emotion", &emotion);
        store_query query = {.user_id = who.user.id,
                             .emotion = one ? buffer_text(&emotion) : NULL,
                             .from_us = (int64_t)from * 1000000,
                             .until_us = (int64_t)until * 1000000,
                             .skip = (size_t)skip,
                             .limit = (size_t)limit};
        status = answer_page(request, &query, response);
    }
    buffer_done(&emotion);
    person_done(&who);
    return status;
}

/* The record that the path names, if it is the asker's; otherwise *refused after answering. */
static mien_status own_record(const http_request *request, http_response *response, const char *verb,
                              store_record *record, bool *refused)
{
    person who;
    mien_error error = {0};
    char detail[200];
    mien_status status = dialect_require_user(request, response, &who, refused);
    if (!*refused) {
        const char *id = request->parameters[0];
        mien_status found = store_history_get(people_store(request->service->people), id, record, &error);
        *refused = true;
        if (found == MIEN_ENOTFOUND || found == MIEN_EINVAL) {
            snprintf(detail, sizeof detail, "Detection with ID %s not found", id);
            status = http_response_error(response, 404, "detail", detail);
        } else if (found) {
            status = dialect_store_failure(response, found, &error);
        } else if (strcmp(record->user_id, who.user.id)) {
            snprintf(detail, sizeof detail, "You don't have permission to %s this detection", verb);
            status = http_response_error(response, 403, "detail", detail);
            store_record_done(record);
        } else {
            *refused = false;
        }
    }
    person_done(&who);
    return status;
}

mien_status history_get(const http_request *request, http_response *response)
{
    store_record record = {0};
    bool refused;
    mien_status status = own_record(request, response, "access", &record, &refused);
    if (refused)
        return status;
    json_t *object = record_object(request, &record);
    store_record_done(&record);
    return http_response_json(response, 200, object);
}

static const char *picture_type(const buffer *bytes)
{
    const uint8_t *b = bytes->data;
    if (bytes->length > 3 && b[0] == 0xff && b[1] == 0xd8)
        return "image/jpeg";
    if (bytes->length > 8 && !memcmp(b, "\x89PNG", 4))
        return "image/png";
    if (bytes->length > 6 && !memcmp(b, "GIF8", 4))
        return "image/gif";
    if (bytes->length > 12 && !memcmp(b + 8, "WEBP", 4))
        return "image/webp";
    if (bytes->length > 2 && !memcmp(b, "BM", 2))
        return "image/bmp";
    return "application/octet-stream";
}

/* The record of a picture, for its owner and for whoever has a link to it; otherwise *refused after answering. */
static mien_status pictured_record(const http_request *request, http_response *response, store_record *record,
                                   bool *refused)
{
    mien_error error = {0};
    const char *id = request->parameters[0];
    if (!picture_link_good(request, id))
        return own_record(request, response, "access", record, refused);
    mien_status status = store_history_get(people_store(request->service->people), id, record, &error);
    *refused = status;
    if (status == MIEN_ENOTFOUND || status == MIEN_EINVAL)
        return http_response_error(response, 404, "detail", "The picture was deleted");
    return status ? dialect_store_failure(response, status, &error) : MIEN_OK;
}

mien_status history_picture(const http_request *request, http_response *response)
{
    store_record record = {0};
    bool refused;
    mien_error error = {0};
    mien_status status = pictured_record(request, response, &record, &refused);
    if (refused)
        return status;
    status = record.picture
                 ? store_picture_read(people_store(request->service->people), record.picture, &response->body, &error)
                 : MIEN_ENOTFOUND;
    store_record_done(&record);
    if (status == MIEN_ENOTFOUND)
        return http_response_error(response, 404, "detail", "The picture was not kept");
    if (status)
        return dialect_store_failure(response, status, &error);
    response->content_type = picture_type(&response->body);
    response->cache_control = "private, no-store";
    return MIEN_OK;
}

mien_status history_delete(const http_request *request, http_response *response)
{
    store_record record = {0};
    bool refused;
    mien_error error = {0};
    mien_status status = own_record(request, response, "delete", &record, &refused);
    if (refused)
        return status;
    status = store_history_delete(people_store(request->service->people), record.id, &error);
    store_record_done(&record);
    if (status)
        return dialect_store_failure(response, status, &error);
    response->status = 204;
    return MIEN_OK;
}

mien_status history_delete_all(const http_request *request, http_response *response)
{
    person who;
    bool refused;
    mien_error error = {0};
    mien_status status = dialect_require_user(request, response, &who, &refused);
    if (!refused) {
        status = store_history_delete_all(people_store(request->service->people), who.user.id, &error);
        if (status)
            status = dialect_store_failure(response, status, &error);
        else
            response->status = 204;
    }
    person_done(&who);
    return status;
}

/* Every detection is answered when it is done, so there is nothing else to say; the original does the same. */
mien_status history_status(const http_request *request, http_response *response)
{
    return http_response_json(response, 200,
                              json_pack("{soss}", "detection_id", http_text(request->parameters[0]), "status", "done"));
}
