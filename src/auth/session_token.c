/* Claims: sub, type, iat, exp, jti. A clock may differ by a minute between machines that share a secret. */
#include "auth/session_token.h"

#include <string.h>

#include "auth/secret.h"
#include "base/error.h"
#include "base/memory.h"

enum { CLOCK_SKEW_SECONDS = 60 };

static const char *type_name(session_token_type type)
{
    return type == SESSION_TOKEN_ACCESS ? "access" : "refresh";
}

mien_status session_token_issue(const jwt_key *key, session_token_type type, const char *user_id, int64_t now,
                                int64_t lifetime, buffer *token, mien_error *error)
{
    char id[SECRET_UUID_BYTES];
    mien_status status = secret_uuid(id, error);
    if (status)
        return status;
    json_t *claims = json_pack("{s:s, s:s, s:I, s:I, s:s}", "sub", user_id, "type", type_name(type), "iat",
                               (json_int_t)now, "exp", (json_int_t)(now + lifetime), "jti", id);
    if (!claims)
        return error_no_memory(error, 0);
    status = jwt_sign(key, claims, token, error);
    json_decref(claims);
    return status;
}

mien_status session_token_verify(const jwt_key *key, session_token_type type, const char *token, int64_t now,
                                 char **user_id, mien_error *error)
{
    json_t *claims = NULL;
    mien_status status = jwt_verify(key, token, &claims, error);
    if (status)
        return status;
    const json_t *issued = json_object_get(claims, "iat"), *expires = json_object_get(claims, "exp");
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    const char *kind = json_string_value(json_object_get(claims, "type"));
    if (!subject || !*subject || !kind || !json_is_integer(issued) || !json_is_integer(expires))
        status = error_set(error, MIEN_EDENIED, "invalid token: a claim is missing");
    else if (strcmp(kind, type_name(type)))
        status = error_set(error, MIEN_EDENIED, "invalid token: not a %s token", type_name(type));
    else if (json_integer_value(expires) <= now)
        status = error_set(error, MIEN_EDENIED, "invalid token: it has expired");
    else if (json_integer_value(issued) > now + CLOCK_SKEW_SECONDS)
        status = error_set(error, MIEN_EDENIED, "invalid token: it is from the future");
    char *copy = status ? NULL : memory_text(subject);
    if (!status && !copy)
        status = error_no_memory(error, 0);
    if (!status)
        *user_id = copy;
    json_decref(claims);
    return status;
}
