/* Guards src/auth: passwords, the two session tokens, ID tokens with every way of forging one, key rotation, secrets.
 */
#include "testing.h"

#include <cjose/cjose.h>
#include <stdbool.h>

#include "auth/fetch.h"
#include "auth/id_token.h"
#include "auth/password.h"
#include "auth/secret.h"
#include "auth/session_token.h"
#include "base/base64.h"
#include "base/memory.h"

enum { NOW = 1800000000 };
static const char secret[] = "0a9d8f7b6c5e4d3c2b1a0f9e8d7c6b5a";
static mien_error error;

static void test_passwords(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_BYTES], again[PASSWORD_HASH_BYTES];
    assert_ok(password_hash("correct horse", hash, &error), &error);
    assert_ok(password_hash("correct horse", again, &error), &error);
    assert_string_not_equal(hash, again);
    assert_memory_equal(hash, "$argon2id$", 10);
    assert_true(password_matches("correct horse", hash));
    assert_false(password_matches("correct horsf", hash));
    assert_false(password_matches("", hash));
    assert_false(password_matches("no such account", NULL));
    assert_int_equal(password_hash("short", hash, &error), MIEN_EINVAL);
}

static void test_session_tokens_do_not_pass_for_each_other(void **state)
{
    (void)state;
    jwt_key *key = NULL, *other = NULL;
    char *user = NULL;
    buffer access = {0}, refresh = {0};
    assert_ok(jwt_key_from_secret(secret, &key, &error), &error);
    assert_ok(jwt_key_from_secret("ffffffffffffffffffffffffffffffff", &other, &error), &error);
    assert_int_equal(jwt_key_from_secret("short", &other, &error), MIEN_EINVAL);
    assert_ok(session_token_issue(key, SESSION_TOKEN_ACCESS, "u1", NOW, 60, &access, &error), &error);
    assert_ok(session_token_issue(key, SESSION_TOKEN_REFRESH, "u1", NOW, 60, &refresh, &error), &error);
    assert_ok(session_token_verify(key, SESSION_TOKEN_ACCESS, buffer_text(&access), NOW, &user, &error), &error);
    assert_string_equal(user, "u1");
    memory_free(user);
    assert_int_equal(session_token_verify(key, SESSION_TOKEN_REFRESH, buffer_text(&access), NOW, &user, &error),
                     MIEN_EDENIED);
    assert_int_equal(session_token_verify(key, SESSION_TOKEN_ACCESS, buffer_text(&refresh), NOW, &user, &error),
                     MIEN_EDENIED);
    assert_int_equal(session_token_verify(key, SESSION_TOKEN_ACCESS, buffer_text(&access), NOW + 60, &user, &error),
                     MIEN_EDENIED);
    assert_int_equal(session_token_verify(key, SESSION_TOKEN_ACCESS, buffer_text(&access), NOW - 61, &user, &error),
                     MIEN_EDENIED);
    assert_int_equal(session_token_verify(other, SESSION_TOKEN_ACCESS, buffer_text(&access), NOW, &user, &error),
                     MIEN_EDENIED);
    for (size_t i = 0; i < access.length; i++) {
        uint8_t kept = access.data[i];
        access.data[i] = kept == 'A' ? 'B' : 'A';
        mien_status status = session_token_verify(key, SESSION_TOKEN_ACCESS, buffer_text(&access), NOW, &user, &error);
        assert_int_equal(status, MIEN_EDENIED);
        access.data[i] = kept;
    }
    /* base64url that is none where only the signature's decoder looks */
    static const char *const odd[] = {
        "", "=", "A=A", "A===", "AAAAA=AA", "AAAAA===", "A", "AA==", "AAAA ", "AAAA+", "AAA*"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char token[128];
        snprintf(token, sizeof token, "eyJhbGciOiJIUzI1NiJ9.e30.%s", odd[i]);
        assert_int_equal(session_token_verify(key, SESSION_TOKEN_ACCESS, token, NOW, &user, &error), MIEN_EDENIED);
        snprintf(token, sizeof token, "eyJhbGciOiJIUzI1NiJ9.%s.AAAA", odd[i]);
        assert_int_equal(session_token_verify(key, SESSION_TOKEN_ACCESS, token, NOW, &user, &error), MIEN_EDENIED);
        snprintf(token, sizeof token, "%s.e30.AAAA", odd[i]);
        assert_int_equal(session_token_verify(key, SESSION_TOKEN_ACCESS, token, NOW, &user, &error), MIEN_EDENIED);
    }
    buffer_done(&access);
    buffer_done(&refresh);
    jwt_key_destroy(&key);
    jwt_key_destroy(&other);
}

/* A provider: two keys, of which `served` are in the set; counts how often it was asked. */
struct provider {
    cjose_jwk_t *keys[2];
    int served, fetches;
    bool down;
};

static mien_status provide(void *context, const char *url, buffer *body, int64_t *max_age, mien_error *problem)
{
    (void)url;
    struct provider *p = context;
    p->fetches++;
    if (p->down) {
        problem->code = MIEN_EIO;
        return MIEN_EIO;
    }
    buffer_append_text(body, "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"curve\"}");
    for (int i = 0; i < p->served; i++) {
        char *json = cjose_jwk_to_json(p->keys[i], false, NULL);
        buffer_append_text(body, ",");
        buffer_append_text(body, json);
        free(json);
    }
    buffer_append_text(body, "]}");
    *max_age = 3600;
    return MIEN_OK;
}

static char *sign(struct provider *p, int key, const char *kid, const char *algorithm, const char *claims)
{
    cjose_header_t *header = cjose_header_new(NULL);
    const char *compact = NULL;
    cjose_header_set(header, "alg", algorithm, NULL);
    if (kid)
        cjose_header_set(header, "kid", kid, NULL);
    cjose_jws_t *jws = cjose_jws_sign(p->keys[key], header, (const uint8_t *)claims, strlen(claims), NULL);
    assert_non_null(jws);
    assert_true(cjose_jws_export(jws, &compact, NULL));
    char *token = memory_text(compact);
    cjose_jws_release(jws);
    cjose_header_release(header);
    return token;
}

static const char *claims_with(const char *aud, const char *iss, const char *sub, long iat, long exp)
{
    static char text[512];
    snprintf(text, sizeof text,
             "{\"aud\":\"%s\",\"iss\":\"%s\",\"sub\":\"%s\",\"iat\":%ld,\"exp\":%ld,\"email\":\"ann@example.org\","
             "\"email_verified\":true,\"firebase\":{\"sign_in_provider\":\"password\"}}",
             aud, iss, sub, iat, exp);
    return text;
}

#define ISSUER "https://securetoken.google.com/project"

static mien_status verify_once(id_token_verifier *v, char *token, long now, id_token *who)
{
    mien_status status = id_token_verify(v, token, now, who, &error);
    memory_free(token);
    return status;
}

static void test_id_tokens(void **state)
{
    (void)state;
    struct provider p = {.served = 1};
    for (int i = 0; i < 2; i++) {
        uint8_t exponent[] = {1, 0, 1};
        p.keys[i] = cjose_jwk_create_RSA_random(2048, exponent, sizeof exponent, NULL);
        assert_non_null(p.keys[i]);
        assert_true(cjose_jwk_set_kid(p.keys[i], i ? "second" : "first", i ? 6 : 5, NULL));
    }
    id_token_options options = {.audience = "project", .fetch = provide, .fetch_context = &p};
    id_token_verifier *v = NULL;
    id_token who = {0};
    assert_ok(id_token_verifier_create(&options, &v, &error), &error);
    const char *good = claims_with("project", ISSUER, "u1", NOW - 10, NOW + 3600);
    assert_ok(verify_once(v, sign(&p, 0, "first", "RS256", good), NOW, &who), &error);
    assert_string_equal(who.subject, "u1");
    assert_string_equal(who.email, "ann@example.org");
    assert_string_equal(who.sign_in_provider, "password");
    assert_true(who.email_verified);
    id_token_done(&who);
    assert_int_equal(p.fetches, 1);

    /* each check by itself */
    static const struct {
        const char *aud, *iss, *sub;
        long iat, exp;
    } bad[] = {
        {"other", ISSUER, "u1", NOW, NOW + 60},
        {"project", "https://evil.example", "u1", NOW, NOW + 60},
        {"project", ISSUER, "", NOW, NOW + 60},
        {"project", ISSUER, "u1", NOW - 60, NOW},
        {"project", ISSUER, "u1", NOW + 3600, NOW + 7200},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *token =
            sign(&p, 0, "first", "RS256", claims_with(bad[i].aud, bad[i].iss, bad[i].sub, bad[i].iat, bad[i].exp));
        assert_int_equal(verify_once(v, token, NOW, &who), MIEN_EDENIED);
    }
    good = claims_with("project", ISSUER, "u1", NOW - 10, NOW + 3600);
    assert_int_equal(verify_once(v, sign(&p, 1, "first", "RS256", good), NOW, &who), MIEN_EDENIED); /* other key */
    assert_int_equal(verify_once(v, sign(&p, 0, "first", "RS512", good), NOW, &who), MIEN_EDENIED);
    assert_int_equal(verify_once(v, sign(&p, 0, NULL, "RS256", good), NOW, &who), MIEN_EDENIED);
    assert_int_equal(id_token_verify(v, "a.b", NOW, &who, &error), MIEN_EDENIED);
    assert_int_equal(id_token_verify(v, "", NOW, &who, &error), MIEN_EDENIED);

    /* unsigned, and signed with the public key as if it were a secret */
    char token[1024];
    buffer text = {0};
    base64_encode_url("{\"alg\":\"none\",\"kid\":\"first\"}", 28, &text);
    buffer_append_text(&text, ".");
    base64_encode_url(good, strlen(good), &text);
    snprintf(token, sizeof token, "%s.", buffer_text(&text));
    assert_int_equal(id_token_verify(v, token, NOW, &who, &error), MIEN_EDENIED);

    /* rotation: an unknown key is looked for, but only a few times a minute */
    assert_int_equal(p.fetches, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(verify_once(v, sign(&p, 1, "second", "RS256", good), NOW + 30 + i, &who), MIEN_EDENIED);
    assert_int_equal(p.fetches, 1 + 5);
    p.served = 2;
    assert_ok(verify_once(v, sign(&p, 1, "second", "RS256", good), NOW + 91, &who), &error);
    id_token_done(&who);
    assert_int_equal(p.fetches, 1 + 5 + 1);
    /* a provider that is away does not invalidate known keys, and a clock set back does no harm */
    p.down = true;
    good = claims_with("project", ISSUER, "u1", NOW - 10, NOW + 36000);
    assert_ok(verify_once(v, sign(&p, 0, "first", "RS256", good), NOW + 7200, &who), &error);
    id_token_done(&who);
    assert_ok(verify_once(v, sign(&p, 0, "first", "RS256", good), NOW, &who), &error);
    id_token_done(&who);
    id_token_verifier_destroy(&v);

    /* no keys at all: the provider's fault, however often one asks, and it is not asked that often */
    assert_ok(id_token_verifier_create(&options, &v, &error), &error);
    p.fetches = 0;
    for (int i = 0; i < 20; i++)
        assert_int_equal(verify_once(v, sign(&p, 0, "first", "RS256", good), NOW, &who), MIEN_EIO);
    assert_true(p.fetches <= 6);
    id_token_verifier_destroy(&v);

    options.emulator = true;
    assert_ok(id_token_verifier_create(&options, &v, &error), &error);
    assert_ok(id_token_verify(v, token, NOW, &who, &error), &error);
    assert_string_equal(who.subject, "u1");
    id_token_done(&who);
    snprintf(token, sizeof token, "%s.c2lnbmVk", buffer_text(&text));
    assert_int_equal(id_token_verify(v, token, NOW, &who, &error), MIEN_EDENIED);
    id_token_verifier_destroy(&v);
    options.audience = NULL;
    assert_int_equal(id_token_verifier_create(&options, &v, &error), MIEN_EINVAL);
    buffer_done(&text);
    for (int i = 0; i < 2; i++)
        cjose_jwk_release(p.keys[i]);
}

static void test_plain_http_only_to_this_machine(void **state)
{
    (void)state;
    static const char *const here[] = {"http://127.0.0.1", "http://127.0.0.1:9099/keys", "http://localhost:80/",
                                       "http://[::1]:8000/x"};
    static const char *const elsewhere[] = {"http://127.0.0.1.example.org/",
                                            "http://localhost.example.org",
                                            "http://127.0.0.1@example.org/",
                                            "http://example.org/127.0.0.1",
                                            "http://[::1].example.org/",
                                            "",
                                            "not a url"};
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
        assert_true(fetch_is_loopback(here[i]));
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        assert_false(fetch_is_loopback(elsewhere[i]));
}

static void test_secrets(void **state)
{
    (void)state;
    char a[SECRET_KEY_BYTES], b[SECRET_KEY_BYTES], uuid[SECRET_UUID_BYTES];
    assert_ok(secret_api_key(a, &error), &error);
    assert_ok(secret_api_key(b, &error), &error);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 48);
    assert_ok(secret_uuid(uuid, &error), &error);
    assert_int_equal(strlen(uuid), 36);
    assert_int_equal(uuid[14], '4');
    assert_ok(secret_check_configured("SECRET_KEY", secret, &error), &error);
    assert_int_equal(secret_check_configured("SECRET_KEY", "tooshort", &error), MIEN_EINVAL);
    assert_int_equal(secret_check_configured("SECRET_KEY", "your-secret-key-change-this-in-production", &error),
                     MIEN_EINVAL);
    assert_null(strstr(error.message, "this-in-production"));
    assert_true(secret_equal("abc", "abc", 3));
    assert_false(secret_equal("abc", "abd", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwords), cmocka_unit_test(test_session_tokens_do_not_pass_for_each_other),
        cmocka_unit_test(test_id_tokens), cmocka_unit_test(test_plain_http_only_to_this_machine),
        cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
