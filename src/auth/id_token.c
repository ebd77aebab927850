/* The checks that Firebase and OpenID Connect Core 1.0 (3.1.3.7) ask for: RS256 by a key of the provider's set,
 * audience, issuer, a subject of 1 to 128 bytes, not expired, neither issued nor authenticated in the future. */
#include "auth/id_token.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { ID_TOKEN_SKEW_SECONDS = 60, ID_TOKEN_SUBJECT_BYTES = 128 };

static const char google_keys[] =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

struct id_token_verifier {
    char *audience, *issuer;
    bool firebase; /* not another provider, whose audience may be a list */
    bool emulator;
    key_set *keys;
};

mien_status id_token_verifier_create(const id_token_options *options, id_token_verifier **out, mien_error *error)
{
    if (!options->audience || !*options->audience)
        return error_set(error, MIEN_EINVAL, "ID tokens need a project (audience) to be checked against");
    char issuer[256];
    int length = snprintf(issuer, sizeof issuer, "https://securetoken.google.com/%s", options->audience);
    if (!options->issuer && (length < 0 || (size_t)length >= sizeof issuer))
        return error_set(error, MIEN_EINVAL, "the project's name has %zu characters", strlen(options->audience));
    id_token_verifier *v = memory_zeroed(1, sizeof *v);
    if (!v)
        return error_no_memory(error, sizeof *v);
    v->firebase = !options->issuer;
    v->emulator = options->emulator;
    v->audience = memory_text(options->audience);
    v->issuer = memory_text(options->issuer ? options->issuer : issuer);
    mien_status status = v->audience && v->issuer ? MIEN_OK : error_no_memory(error, sizeof issuer);
    if (!status)
        status = key_set_create(options->keys_url ? options->keys_url : google_keys, options->fetch,
                                options->fetch_context, &v->keys, error);
    if (status) {
        id_token_verifier_destroy(&v);
        return status;
    }
    *out = v;
    return MIEN_OK;
}

void id_token_verifier_destroy(id_token_verifier **verifier)
{
    if (!verifier || !*verifier)
        return;
    key_set_destroy(&(*verifier)->keys);
    memory_free((*verifier)->audience);
    memory_free((*verifier)->issuer);
    memory_free(*verifier);
    *verifier = NULL;
}

static bool text_is(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && !strcmp(text, wanted);
}

/* "aud" may be one text or a list (RFC 7519, 4.1.3); Firebase's is one text, and its own libraries refuse a list. */
static bool audience_matches(const id_token_verifier *v, const json_t *claims)
{
    const json_t *audience = json_object_get(claims, "aud");
    for (size_t i = 0; !v->firebase && i < json_array_size(audience); i++) {
        const char *text = json_string_value(json_array_get(audience, i));
        if (text && !strcmp(text, v->audience))
            return true;
    }
    return text_is(claims, "aud", v->audience);
}

static bool is_future(const json_t *claims, const char *key, int64_t now)
{
    return json_number_value(json_object_get(claims, key)) > (double)(now + ID_TOKEN_SKEW_SECONDS);
}

static const char *claim_problem(const id_token_verifier *v, const json_t *claims, int64_t now)
{
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    const json_t *expires = json_object_get(claims, "exp");
    if (!audience_matches(v, claims))
        return "it is meant for another project (aud)";
    if (!text_is(claims, "iss", v->issuer))
        return "another provider issued it (iss)";
    if (!subject || !*subject || strlen(subject) > ID_TOKEN_SUBJECT_BYTES)
        return "it names no subject (sub)";
    if (!json_is_number(expires) || json_number_value(expires) <= (double)now)
        return "it has expired (exp)";
    if (!json_is_number(json_object_get(claims, "iat")) || is_future(claims, "iat", now))
        return "it is from the future (iat)";
    if (is_future(claims, "auth_time", now))
        return "it is from the future (auth_time)";
    if (is_future(claims, "nbf", now))
        return "it is not valid yet (nbf)";
    return NULL;
}

static char *copy_claim(const json_t *object, const char *key)
{
    return memory_text(json_string_value(json_object_get(object, key)));
}

/* An emulator signs nothing; what is signed is checked as ever. */
static bool is_unsigned(const char *token)
{
    size_t length = strlen(token);
    return length && token[length - 1] == '.';
}

mien_status id_token_verify(id_token_verifier *verifier, const char *token, int64_t now, id_token *who,
                            mien_error *error)
{
    json_t *claims = NULL;
    mien_status status = verifier->emulator && is_unsigned(token)
                             ? jwt_read_unsigned(token, &claims, error)
                             : key_set_verify(verifier->keys, token, now, &claims, error);
    if (status)
        return status;
    const char *problem = claim_problem(verifier, claims, now);
    if (problem) {
        status = error_set(error, MIEN_EDENIED, "invalid token: %s", problem);
    } else {
        id_token found = {.subject = copy_claim(claims, "sub"),
                          .email = copy_claim(claims, "email"),
                          .name = copy_claim(claims, "name"),
                          .picture = copy_claim(claims, "picture"),
                          .sign_in_provider = copy_claim(json_object_get(claims, "firebase"), "sign_in_provider"),
                          .email_verified = json_is_true(json_object_get(claims, "email_verified"))};
        if (found.subject)
            *who = found;
        else
            status = error_no_memory(error, 0);
        if (status)
            id_token_done(&found);
    }
    json_decref(claims);
    return status;
}

void id_token_done(id_token *who)
{
    memory_free(who->subject);
    memory_free(who->email);
    memory_free(who->name);
    memory_free(who->picture);
    memory_free(who->sign_in_provider);
    *who = (id_token){0};
}
