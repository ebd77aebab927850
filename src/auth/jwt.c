/* JWT on cjose. The classic holes of such code are closed by construction: a key knows its algorithm, so "alg" in the
 * token can only be compared with it; unsigned tokens have a function of their own; a token has a greatest length.
 * cjose asserts where base64url is not quite that ("A=A"), which would end the process, so nothing reaches it that has
 * not been decoded strictly here before. */
#include "auth/jwt.h"

#include <cjose/cjose.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"

enum { JWT_SECRET_LEAST = 32, JWT_RSA_LEAST_BITS = 2048 };

struct jwt_key {
    cjose_jwk_t *jwk;
    const char *algorithm;
};

static mien_status jwt_denied(mien_error *error, const char *why)
{
    return error_set(error, MIEN_EDENIED, "invalid token: %s", why);
}

static mien_status jwt_key_wrap(cjose_jwk_t *jwk, const char *algorithm, jwt_key **key, mien_error *error)
{
    jwt_key *k = memory_zeroed(1, sizeof *k);
    if (!k) {
        cjose_jwk_release(jwk);
        return error_no_memory(error, sizeof *k);
    }
    *k = (jwt_key){.jwk = jwk, .algorithm = algorithm};
    *key = k;
    return MIEN_OK;
}

mien_status jwt_key_from_secret(const char *secret, jwt_key **key, mien_error *error)
{
    cjose_err problem = {0};
    size_t length = strlen(secret);
    if (length < JWT_SECRET_LEAST)
        return error_set(error, MIEN_EINVAL, "a signing secret has at least %d bytes", JWT_SECRET_LEAST);
    cjose_jwk_t *jwk = cjose_jwk_create_oct_spec((const uint8_t *)secret, length, &problem);
    if (!jwk)
        return error_set(error, MIEN_EINTERNAL, "the signing key cannot be used: %s", problem.message);
    return jwt_key_wrap(jwk, CJOSE_HDR_ALG_HS256, key, error);
}

/* How many bytes a text of strict base64url stands for; 0 when it is none, or is empty. */
static size_t jwt_decoded_length(const char *text, size_t length)
{
    buffer bytes;
    buffer_init(&bytes, JWT_LONGEST);
    size_t decoded = base64_decode_url(text, length, &bytes, NULL) ? 0 : bytes.length;
    buffer_done(&bytes);
    return decoded;
}

static size_t jwt_number_length(const json_t *object, const char *name)
{
    const json_t *text = json_object_get(object, name);
    return json_is_string(text) ? jwt_decoded_length(json_string_value(text), json_string_length(text)) : 0;
}

mien_status jwt_key_from_jwk(const json_t *object, jwt_key **key, mien_error *error)
{
    cjose_err problem = {0};
    const char *kind = json_string_value(json_object_get(object, "kty"));
    const char *use = json_string_value(json_object_get(object, "use"));
    if (!kind || strcmp(kind, "RSA") || (use && strcmp(use, "sig")) || json_object_get(object, "d"))
        return error_set(error, MIEN_EFORMAT, "not a public RSA key for signatures");
    if (jwt_number_length(object, "n") < JWT_RSA_LEAST_BITS / 8 || !jwt_number_length(object, "e"))
        return error_set(error, MIEN_EFORMAT, "not an RSA key of %d bits or more", JWT_RSA_LEAST_BITS);
    json_t *plain =
        json_pack("{sssOsO}", "kty", "RSA", "n", json_object_get(object, "n"), "e", json_object_get(object, "e"));
    char *text = plain ? json_dumps(plain, JSON_COMPACT) : NULL;
    json_decref(plain);
    if (!text)
        return error_no_memory(error, 0);
    cjose_jwk_t *jwk = cjose_jwk_import(text, strlen(text), &problem);
    memory_free(text);
    if (!jwk)
        return error_set(error, MIEN_EFORMAT, "not a usable key: %s", problem.message ? problem.message : "?");
    if (cjose_jwk_get_keysize(jwk, &problem) < JWT_RSA_LEAST_BITS) {
        cjose_jwk_release(jwk);
        return error_set(error, MIEN_EFORMAT, "an RSA key of fewer than %d bits", JWT_RSA_LEAST_BITS);
    }
    return jwt_key_wrap(jwk, CJOSE_HDR_ALG_RS256, key, error);
}

void jwt_key_destroy(jwt_key **key)
{
    if (!key || !*key)
        return;
    cjose_jwk_release((*key)->jwk);
    memory_free(*key);
    *key = NULL;
}

mien_status jwt_sign(const jwt_key *key, const json_t *claims, buffer *token, mien_error *error)
{
    cjose_err problem = {0};
    cjose_jws_t *jws = NULL;
    const char *compact = NULL;
    mien_status status = MIEN_OK;
    char *text = json_dumps(claims, JSON_COMPACT);
    cjose_header_t *header = cjose_header_new(&problem);
    if (!text || !header) {
        status = error_no_memory(error, 0);
        goto out;
    }
    if (!cjose_header_set(header, CJOSE_HDR_ALG, key->algorithm, &problem) ||
        !cjose_header_set(header, "typ", "JWT", &problem) ||
        !(jws = cjose_jws_sign(key->jwk, header, (const uint8_t *)text, strlen(text), &problem)) ||
        !cjose_jws_export(jws, &compact, &problem)) {
        status = error_set(error, MIEN_EINTERNAL, "a token could not be signed: %s", problem.message);
        goto out;
    }
    if (buffer_append_text(token, compact))
        status = buffer_status(token, error);
out:
    cjose_jws_release(jws);
    cjose_header_release(header);
    memory_free(text);
    return status;
}

/* One of the dot-separated parts as a JSON object. */
static mien_status jwt_part(const char *part, size_t length, json_t **object, mien_error *error)
{
    buffer bytes;
    buffer_init(&bytes, JWT_LONGEST);
    json_t *parsed = NULL;
    if (!base64_decode_url(part, length, &bytes, NULL))
        parsed = json_loadb(buffer_text(&bytes), bytes.length, JSON_REJECT_DUPLICATES, NULL);
    buffer_done(&bytes);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return jwt_denied(error, "it is malformed");
    }
    *object = parsed;
    return MIEN_OK;
}

/* Cut a compact token at its two dots. */
static mien_status jwt_split(const char *token, const char **payload, const char **signature, mien_error *error)
{
    size_t length = strnlen(token, JWT_LONGEST + 1);
    const char *first = length <= JWT_LONGEST ? strchr(token, '.') : NULL;
    const char *second = first ? strchr(first + 1, '.') : NULL;
    if (!second || strchr(second + 1, '.'))
        return jwt_denied(error, "it has not three parts");
    *payload = first + 1;
    *signature = second + 1;
    return MIEN_OK;
}

mien_status jwt_peek_header(const char *token, json_t **header, mien_error *error)
{
    const char *payload = token, *signature = token;
    mien_status status = jwt_split(token, &payload, &signature, error);
    return status ? status : jwt_part(token, (size_t)(payload - 1 - token), header, error);
}

static mien_status jwt_check_algorithm(const char *token, const char *wanted, mien_error *error)
{
    json_t *header = NULL;
    mien_status status = jwt_peek_header(token, &header, error);
    if (status)
        return status;
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    /* "crit" lists extensions that must be understood; none is (RFC 7515, 4.1.11) */
    if (!algorithm || strcmp(algorithm, wanted) || json_object_get(header, "crit"))
        status = jwt_denied(error, "another algorithm is expected");
    json_decref(header);
    return status;
}

mien_status jwt_verify(const jwt_key *key, const char *token, json_t **claims, mien_error *error)
{
    const char *payload = token, *signature = token;
    cjose_err problem = {0};
    mien_status status = jwt_split(token, &payload, &signature, error);
    if (!status)
        status = jwt_check_algorithm(token, key->algorithm, error);
    if (status)
        return status;
    if (!jwt_decoded_length(token, (size_t)(payload - 1 - token)) ||
        !jwt_decoded_length(payload, (size_t)(signature - 1 - payload)) ||
        !jwt_decoded_length(signature, strlen(signature)))
        return jwt_denied(error, "it is malformed");
    cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &problem);
    if (!jws)
        return jwt_denied(error, "it is malformed");
    if (!cjose_jws_verify(jws, key->jwk, &problem))
        status = jwt_denied(error, "the signature is wrong");
    cjose_jws_release(jws);
    return status ? status : jwt_part(payload, (size_t)(signature - 1 - payload), claims, error);
}

mien_status jwt_read_unsigned(const char *token, json_t **claims, mien_error *error)
{
    const char *payload = token, *signature = token;
    mien_status status = jwt_split(token, &payload, &signature, error);
    if (!status)
        status = jwt_check_algorithm(token, "none", error);
    if (!status && *signature)
        status = jwt_denied(error, "an unsigned token has no signature");
    return status ? status : jwt_part(payload, (size_t)(signature - 1 - payload), claims, error);
}
