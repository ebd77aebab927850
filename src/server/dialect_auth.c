/* /auth/…: who one is. Provider's ID tokens are exchanged for our own; without a provider there are embedded accounts.
 * Profile and usage answer guests too, and give them their cookie. */
#include "server/body.h"
#include "server/dialects.h"
#include "server/fastapi.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *user_object(const person *who)
{
    const store_user *user = &who->user;
    json_t *providers = json_loads(user->providers ? user->providers : "[]", 0, NULL);
    return json_pack("{sssosososbsbsosIsoso}", "user_id", user->id, "email", text_or_null(user->email), "display_name",
                     text_or_null(user->display_name), "photo_url", text_or_null(user->photo_url), "is_guest",
                     who->guest, "is_email_verified", user->email_verified, "providers",
                     providers ? providers : json_array(), "usage_count", (json_int_t)user->usage_count, "last_used",
                     user->last_used_us ? dialect_time(user->last_used_us) : json_null(), "created_at",
                     user->created_us ? dialect_time(user->created_us) : json_null());
}

/* Parse the body and check that it is an object with these texts. Sets *refused after answering. */
static mien_status read_body(const http_request *request, http_response *response, const char *const *needed,
                             json_t **body, bool *refused)
{
    mien_error error = {0};
    *refused = true;
    if (body_json(request, body, &error))
        return fastapi_refuse_json(response, request, &error);
    mien_status status = MIEN_OK;
    bool fine = json_is_object(*body);
    if (!fine)
        status =
            fastapi_refuse(response, "type_error.dict", json_pack("[s]", "body"), "value is not a valid dict", *body);
    for (; fine && *needed; needed++) {
        const json_t *value = json_object_get(*body, *needed);
        json_t *place = json_pack("[ss]", "body", *needed);
        fine = json_is_string(value);
        if (fine)
            json_decref(place);
        else if (!value)
            status = fastapi_refuse(response, "value_error.missing", place, "field required", NULL);
        else
            status = fastapi_refuse(response, "type_error.str", place, "str type expected", NULL);
    }
    *refused = !fine;
    if (!fine) {
        json_decref(*body);
        *body = NULL;
    }
    return status;
}

static mien_status answer_signed_in(people *people, const person *who, const char *message, http_response *response)
{
    mien_error error = {0};
    buffer access = {0}, refresh = {0};
    mien_status status = people_issue_tokens(people, who->user.id, &access, &refresh, &error);
    if (status)
        status = dialect_store_failure(response, status, &error);
    else
        status = http_response_json(response, 200,
                                    json_pack("{sssossssss}", "message", message, "user", user_object(who),
                                              "access_token", buffer_text(&access), "refresh_token",
                                              buffer_text(&refresh), "token_type", "bearer"));
    buffer_done(&access);
    buffer_done(&refresh);
    return status;
}

/* One way of signing in: what the body must hold, how it is tried, what is said when it works and when it is refused.
 */
typedef struct entrance {
    const char *const *needed; /* texts of the body, NULL at the end */
    const char *message;
    mien_status (*attempt)(people *people, const json_t *body, person *who, mien_error *error);
    /* Answer a refusal; a status that is none of its own goes to dialect_store_failure. */
    mien_status (*refuse)(http_response *response, mien_status status, const mien_error *error);
} entrance;

static mien_status enter(const http_request *request, http_response *response, const entrance *way)
{
    json_t *body = NULL;
    bool refused;
    mien_status status = read_body(request, response, way->needed, &body, &refused);
    if (refused)
        return status;
    people *people = request->service->people;
    person who = {0};
    mien_error error = {0};
    status = way->attempt(people, body, &who, &error);
    status = status ? way->refuse(response, status, &error) : answer_signed_in(people, &who, way->message, response);
    person_done(&who);
    json_decref(body);
    return status;
}

static mien_status attempt_token(people *people, const json_t *body, person *who, mien_error *error)
{
    return people_sign_in_with(people, dialect_text(body, "id_token"), who, error);
}

static mien_status refuse_token(http_response *response, mien_status status, const mien_error *error)
{
    char detail[300];
    if (status == MIEN_ETIMEOUT) {
        http_response_field(response, "Retry-After", "5");
        return http_response_error(response, 503, "detail", "The identity provider cannot be reached");
    }
    if (status != MIEN_EDENIED)
        return dialect_store_failure(response, status, error);
    snprintf(detail, sizeof detail, "Invalid token: %s", error->message);
    return http_response_error(response, 401, "detail", detail);
}

static mien_status attempt_register(people *people, const json_t *body, person *who, mien_error *error)
{
    return people_register(people, dialect_text(body, "email"), dialect_text(body, "password"),
                           dialect_text(body, "display_name"), who, error);
}

static mien_status refuse_register(http_response *response, mien_status status, const mien_error *error)
{
    if (status == MIEN_EINVAL)
        return http_response_error(response, 422, "detail", error->message);
    if (status == MIEN_ECONFLICT)
        return http_response_error(response, 409, "detail", "This e-mail address has an account already");
    return dialect_store_failure(response, status, error);
}

static mien_status attempt_password(people *people, const json_t *body, person *who, mien_error *error)
{
    return people_sign_in(people, dialect_text(body, "email"), dialect_text(body, "password"), who, error);
}

static mien_status refuse_password(http_response *response, mien_status status, const mien_error *error)
{
    if (status == MIEN_EDENIED)
        return http_response_error(response, 401, "detail", "E-mail address or password is wrong");
    return dialect_store_failure(response, status, error);
}

static const char *const needs_token[] = {"id_token", NULL};
static const char *const needs_password[] = {"email", "password", NULL};

mien_status auth_verify_token(const http_request *request, http_response *response)
{
    static const entrance way = {needs_token, "Token verified", attempt_token, refuse_token};
    return enter(request, response, &way);
}

mien_status auth_register(const http_request *request, http_response *response)
{
    static const entrance way = {needs_password, "Account created", attempt_register, refuse_register};
    return enter(request, response, &way);
}

mien_status auth_sign_in(const http_request *request, http_response *response)
{
    static const entrance way = {needs_password, "Signed in", attempt_password, refuse_password};
    return enter(request, response, &way);
}

mien_status auth_sign_out(const http_request *request, http_response *response)
{
    static const char *const needed[] = {"refresh_token", NULL};
    json_t *body = NULL;
    bool refused;
    mien_status status = read_body(request, response, needed, &body, &refused);
    if (refused)
        return status;
    mien_error error = {0};
    status = people_sign_out(request->service->people, dialect_text(body, "refresh_token"), &error);
    json_decref(body);
    if (status && status != MIEN_ENOTFOUND)
        return dialect_store_failure(response, status, &error);
    return http_response_error(response, 200, "message", "Signed out");
}

mien_status auth_profile(const http_request *request, http_response *response)
{
    person who;
    mien_error error = {0};
    mien_status status = people_identify(request->service->people, request, response, &who, &error);
    status =
        status ? dialect_store_failure(response, status, &error) : http_response_json(response, 200, user_object(&who));
    person_done(&who);
    return status;
}

mien_status auth_usage(const http_request *request, http_response *response)
{
    person who;
    mien_error error = {0};
    mien_status status = people_identify(request->service->people, request, response, &who, &error);
    if (status) {
        status = dialect_store_failure(response, status, &error);
    } else {
        json_t *most = who.guest ? json_integer(request->service->settings->guest_max_usage) : json_null();
        status = http_response_json(response, 200,
                                    json_pack("{sssbsIso}", "user_id", who.user.id, "is_guest", who.guest,
                                              "usage_count", (json_int_t)who.user.usage_count, "max_usage", most));
    }
    person_done(&who);
    return status;
}

mien_status auth_refresh(const http_request *request, http_response *response)
{
    static const char *const needed[] = {"refresh_token", NULL};
    json_t *body = NULL;
    bool refused;
    mien_status status = read_body(request, response, needed, &body, &refused);
    if (refused)
        return status;
    mien_error error = {0};
    buffer access = {0};
    status = people_refresh(request->service->people, dialect_text(body, "refresh_token"), &access, &error);
    if (!status)
        status = http_response_json(response, 200,
                                    json_pack("{ssss}", "access_token", buffer_text(&access), "token_type", "bearer"));
    else if (status == MIEN_EDENIED)
        status = http_response_error(response, 401, "detail", "Invalid refresh token");
    else
        status = dialect_store_failure(response, status, &error);
    buffer_done(&access);
    json_decref(body);
    return status;
}

/* Revoke all of a user's tokens of one kind. */
static mien_status revoke_all(const http_request *request, http_response *response, store_token_kind kind,
                              const char *what)
{
    person who;
    bool refused;
    mien_status status = dialect_require_user(request, response, &who, &refused);
    if (!refused) {
        mien_error error = {0};
        size_t removed = 0;
        char message[160];
        status = store_token_revoke_all(people_store(request->service->people), who.user.id, kind, &removed, &error);
        snprintf(message, sizeof message, "Deleted %zu %s for user %s", removed, what, who.user.id);
        status = status ? dialect_store_failure(response, status, &error)
                        : http_response_error(response, 200, "message", message);
    }
    person_done(&who);
    return status;
}

mien_status auth_reset(const http_request *request, http_response *response)
{
    return revoke_all(request, response, STORE_TOKEN_REFRESH, "refresh tokens");
}

mien_status auth_revoke_api_keys(const http_request *request, http_response *response)
{
    return revoke_all(request, response, STORE_TOKEN_API_KEY, "API keys");
}

mien_status auth_api_key(const http_request *request, http_response *response)
{
    person who;
    bool refused;
    mien_status status = dialect_require_user(request, response, &who, &refused);
    if (!refused) {
        json_t *body = json_loadb((const char *)request->body, request->body_length, 0, NULL);
        const char *label = dialect_text(body, "label");
        char key[64];
        mien_error error = {0};
        status = people_issue_api_key(request->service->people, who.user.id, label, key, &error);
        status = status ? dialect_store_failure(response, status, &error)
                        : http_response_json(response, 201,
                                             json_pack("{sssoss}", "api_key", key, "label", text_or_null(label),
                                                       "message", "Keep it: it is not shown again"));
        json_decref(body);
    }
    person_done(&who);
    return status;
}

mien_status auth_erase(const http_request *request, http_response *response)
{
    person who;
    bool refused;
    mien_status status = dialect_require_user(request, response, &who, &refused);
    if (!refused) {
        mien_error error = {0};
        status = store_user_erase(people_store(request->service->people), who.user.id, &error);
        if (status)
            status = dialect_store_failure(response, status, &error);
        else
            response->status = 204;
    }
    person_done(&who);
    return status;
}
