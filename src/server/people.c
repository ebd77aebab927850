/* Accounts and credentials on top of store/ and auth/. Secrets are known to the store by their hashes alone. The
 * signing key comes from SECRET_KEY, else from a file in the data folder that is made once, else it lives as long as
 * the process. */
#include "server/people.h"

#include "auth/id_token.h"
#include "auth/password.h"
#include "auth/secret.h"
#include "auth/session_token.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "server/guest_cookie.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct people {
    const settings *settings;
    store *store;
    jwt_key *key;
    signature_key cookie_key, picture_key;
    id_token_verifier *verifier; /* NULL: no identity provider */
};

static const int64_t million = 1000000;

store *people_store(people *people)
{
    return people->store;
}

static mien_status make_secret(const char *path, buffer *secret, mien_error *error)
{
    uint8_t bytes[48];
    mien_status status = random_secret(bytes, sizeof bytes, error);
    if (!status)
        status = base64_encode_url(bytes, sizeof bytes, secret);
    return !status && path ? file_write_private(path, secret->data, secret->length, error) : status;
}

static mien_status find_secret(const settings *settings, buffer *secret, mien_error *error)
{
    if (*settings->secret_key)
        return buffer_append_text(secret, settings->secret_key);
    if (!*settings->data_folder)
        return make_secret(NULL, secret, error);
    char path[4096];
    if (snprintf(path, sizeof path, "%s/secret_key", settings->data_folder) >= (int)sizeof path)
        return error_set(error, MIEN_EINVAL, "DATA_DIR is too long");
    mien_status status = file_read(path, 4096, secret, error);
    return status == MIEN_ENOTFOUND ? make_secret(path, secret, error) : status;
}

static mien_status create_verifier(people *people, mien_error *error)
{
    const settings *settings = people->settings;
    if (!*settings->firebase_project)
        return MIEN_OK;
    id_token_options options = {
        .audience = settings->firebase_project,
        .issuer = *settings->oidc_issuer ? settings->oidc_issuer : NULL,
        .keys_url = *settings->firebase_keys ? settings->firebase_keys : NULL,
        .emulator = *settings->firebase_emulator,
    };
    if (options.emulator)
        log_write(LOG_WARNING, "FIREBASE_AUTH_EMULATOR_HOST is set: unsigned ID tokens are accepted, so anybody can be "
                               "anybody. Never do this where strangers can reach the server.");
    return id_token_verifier_create(&options, &people->verifier, error);
}

mien_status people_create(const settings *settings, people **out, mien_error *error)
{
    people *created = memory_zeroed(1, sizeof *created);
    if (!created)
        return error_no_memory(error, sizeof *created);
    created->settings = settings;
    buffer secret = {0};
    store_options options;
    store_default_options(&options);
    options.folder = *settings->data_folder ? settings->data_folder : NULL;
    options.keep_pictures = settings->store_pictures;
    options.max_picture_bytes = (size_t)settings->max_upload;
    mien_status status = store_open(&options, &created->store, error);
    if (!status)
        status = find_secret(settings, &secret, error);
    if (!status)
        status = jwt_key_from_secret(buffer_text(&secret), &created->key, error);
    if (!status) {
        signature_make_key("mien guest cookie", secret.data, secret.length, &created->cookie_key);
        signature_make_key("mien picture link", secret.data, secret.length, &created->picture_key);
    }
    if (!status)
        status = create_verifier(created, error);
    buffer_done(&secret);
    if (status)
        people_destroy(&created);
    else
        *out = created;
    return status;
}

void people_destroy(people **pointer)
{
    people *people = *pointer;
    if (!people)
        return;
    id_token_verifier_destroy(&people->verifier);
    jwt_key_destroy(&people->key);
    store_close(&people->store);
    memory_free(people);
    *pointer = NULL;
}

const signature_key *people_picture_key(const people *people)
{
    return &people->picture_key;
}

mien_status people_check(people *people, mien_error *error)
{
    return store_check(people->store, error);
}

void people_prune(people *people)
{
    mien_error error = {0};
    size_t removed = 0;
    int64_t now = clock_unix_us();
    double life = people->settings->history_ttl;
    int64_t before = life > 0 ? now - (int64_t)(life * 1e6) : INT64_MIN;
    if (store_prune(people->store, before, now, &removed, &error))
        log_write(LOG_WARNING, "pruning the store failed: %s", error.message);
    else if (removed)
        log_write(LOG_INFO, "%zu records outlived HISTORY_TTL", removed);
}

void person_done(person *who)
{
    store_user_done(&who->user);
}

mien_status people_authenticate(people *people, const char *credential, person *who, mien_error *error)
{
    char *user_id = NULL;
    mien_status status;
    who->guest = false;
    if (!strncmp(credential, "mien_", 5)) {
        uint8_t hash[SECRET_HASH_BYTES];
        store_token token = {0};
        secret_hash(credential, strlen(credential), hash);
        status = store_token_find(people->store, hash, STORE_TOKEN_API_KEY, clock_unix_us(), &token, error);
        if (!status)
            user_id = memory_text(token.user_id);
        store_token_done(&token);
    } else {
        status = session_token_verify(people->key, SESSION_TOKEN_ACCESS, credential, clock_unix_us() / million,
                                      &user_id, error);
    }
    if (!status)
        status = user_id ? store_user_by_id(people->store, user_id, &who->user, error) : MIEN_ENOMEM;
    memory_free(user_id);
    return status == MIEN_ENOTFOUND ? error_set(error, MIEN_EDENIED, "the token is not valid") : status;
}

const char *people_credential(const http_request *request)
{
    const char *value = http_request_field(request, "authorization");
    if (value && !strncasecmp(value, "bearer ", 7))
        return value + 7 + strspn(value + 7, " ");
    return http_request_field(request, "x-api-key");
}

static mien_status become_guest(people *people, const http_request *request, http_response *response, person *who,
                                mien_error *error)
{
    char id[64];
    int64_t now = clock_unix_us();
    mien_status status = guest_cookie_read(&people->cookie_key, request, id, sizeof id)
                             ? MIEN_OK
                             : guest_cookie_new_id(id, sizeof id, error);
    if (status)
        return status;
    long used = 0;
    who->guest = true;
    who->user = (store_user){.id = memory_text(id),
                             .email = memory_text("guest@example.com"),
                             .providers = memory_text("[]"),
                             .last_used_us = now};
    if (!who->user.id || !who->user.email || !who->user.providers)
        return error_no_memory(error, sizeof id);
    status = people_quota_used(people, id, &used, error);
    who->user.usage_count = used;
    return status ? status : guest_cookie_write(&people->cookie_key, id, now, request->secure, response);
}

mien_status people_identify(people *people, const http_request *request, http_response *response, person *who,
                            mien_error *error)
{
    const char *credential = people_credential(request);
    memset(who, 0, sizeof *who);
    if (credential) {
        mien_status status = people_authenticate(people, credential, who, error);
        if (status != MIEN_EDENIED)
            return status;
    }
    return become_guest(people, request, response, who, error);
}

static bool plausible_email(const char *email)
{
    const char *at = strchr(email, '@');
    size_t length = strlen(email);
    return at && at != email && strchr(at + 1, '.') && !strchr(at + 1, '@') && length < 255 &&
           !strpbrk(email, " \t\r\n\"<>");
}

static char *lower_case(const char *text)
{
    char *copy = memory_text(text);
    for (char *c = copy; c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    return copy;
}

mien_status people_register(people *people, const char *email, const char *password, const char *name, person *who,
                            mien_error *error)
{
    char id[SECRET_UUID_BYTES], hash[PASSWORD_HASH_BYTES];
    if (!plausible_email(email))
        return error_set(error, MIEN_EINVAL, "that is not an e-mail address");
    mien_status status = password_hash(password, hash, error);
    if (!status)
        status = secret_uuid(id, error);
    char *address = lower_case(email);
    int64_t now = clock_unix_us();
    store_user user = {.id = id,
                       .email = address,
                       .display_name = (char *)name,
                       .password_hash = hash,
                       .providers = "[\"password\"]",
                       .created_us = now,
                       .last_used_us = now};
    if (!status)
        status = address ? store_user_add(people->store, &user, error) : error_no_memory(error, strlen(email));
    memory_free(address);
    return status ? status : store_user_by_id(people->store, id, &who->user, error);
}

mien_status people_sign_in(people *people, const char *email, const char *password, person *who, mien_error *error)
{
    char *address = lower_case(email);
    if (!address)
        return error_no_memory(error, strlen(email));
    store_user user = {0};
    mien_status status = store_user_by_email(people->store, address, &user, error);
    memory_free(address);
    if (status && status != MIEN_ENOTFOUND)
        return status;
    bool right = password_matches(password, status ? NULL : user.password_hash);
    if (right && !status) {
        who->user = user;
        return MIEN_OK;
    }
    store_user_done(&user);
    return error_set(error, MIEN_EDENIED, "e-mail address or password is wrong");
}

static mien_status store_identity(store *store, const store_user *user, mien_error *error)
{
    mien_status status = store_user_update(store, user, error);
    return status == MIEN_ENOTFOUND ? store_user_add(store, user, error) : status;
}

/* Find the provider's user, or make one; what the provider says now replaces what it said before. An address that
 * another account has stays with it: whoever registered it here never proved that it is theirs, so the two are not made
 * one. */
static mien_status adopt_identity(people *people, const id_token *token, person *who, mien_error *error)
{
    char providers[80];
    snprintf(providers, sizeof providers, "[\"%.60s\"]",
             token->sign_in_provider && !strpbrk(token->sign_in_provider, "\"\\") ? token->sign_in_provider : "custom");
    int64_t now = clock_unix_us();
    store_user user = {.id = token->subject,
                       .email = token->email,
                       .display_name = token->name,
                       .photo_url = token->picture,
                       .providers = providers,
                       .email_verified = token->email_verified,
                       .created_us = now,
                       .last_used_us = now};
    mien_status status = store_identity(people->store, &user, error);
    if (status == MIEN_ECONFLICT) {
        user.email = NULL;
        status = store_identity(people->store, &user, error);
    }
    return status ? status : store_user_by_id(people->store, token->subject, &who->user, error);
}

mien_status people_sign_in_with(people *people, const char *text, person *who, mien_error *error)
{
    if (!people->verifier)
        return error_set(error, MIEN_EDENIED, "no identity provider is configured (FIREBASE_PROJECT_ID)");
    id_token token = {0};
    mien_status status = id_token_verify(people->verifier, text, clock_unix_us() / million, &token, error);
    if (status == MIEN_EIO || status == MIEN_ETIMEOUT) /* nothing is wrong with the store, nor with the token */
        return error_set(error, MIEN_ETIMEOUT, "the identity provider's keys cannot be had");
    if (status)
        return status;
    status = adopt_identity(people, &token, who, error);
    id_token_done(&token);
    return status;
}

mien_status people_issue_tokens(people *people, const char *user_id, buffer *access, buffer *refresh, mien_error *error)
{
    int64_t now = clock_unix_us(), refresh_life = (int64_t)(people->settings->refresh_days * 86400);
    int64_t access_life = (int64_t)(people->settings->access_minutes * 60);
    mien_status status =
        session_token_issue(people->key, SESSION_TOKEN_ACCESS, user_id, now / million, access_life, access, error);
    if (!status)
        status = session_token_issue(people->key, SESSION_TOKEN_REFRESH, user_id, now / million, refresh_life, refresh,
                                     error);
    if (status)
        return status;
    store_token token = {.kind = STORE_TOKEN_REFRESH,
                         .user_id = (char *)user_id,
                         .created_us = now,
                         .expires_us = now + refresh_life * million};
    secret_hash(buffer_text(refresh), refresh->length, token.hash);
    return store_token_add(people->store, &token, error);
}

mien_status people_refresh(people *people, const char *refresh_token, buffer *access, mien_error *error)
{
    char *user_id = NULL;
    uint8_t hash[SECRET_HASH_BYTES];
    store_token token = {0};
    int64_t now = clock_unix_us();
    mien_status status =
        session_token_verify(people->key, SESSION_TOKEN_REFRESH, refresh_token, now / million, &user_id, error);
    if (status)
        return status;
    secret_hash(refresh_token, strlen(refresh_token), hash);
    status = store_token_find(people->store, hash, STORE_TOKEN_REFRESH, now, &token, error);
    store_token_done(&token);
    if (!status)
        status = session_token_issue(people->key, SESSION_TOKEN_ACCESS, user_id, now / million,
                                     (int64_t)(people->settings->access_minutes * 60), access, error);
    memory_free(user_id);
    return status == MIEN_ENOTFOUND ? error_set(error, MIEN_EDENIED, "the token has been revoked") : status;
}

mien_status people_sign_out(people *people, const char *refresh_token, mien_error *error)
{
    uint8_t hash[SECRET_HASH_BYTES];
    secret_hash(refresh_token, strlen(refresh_token), hash);
    return store_token_revoke(people->store, hash, STORE_TOKEN_REFRESH, error);
}

mien_status people_issue_api_key(people *people, const char *user_id, const char *label, char key[64],
                                 mien_error *error)
{
    mien_status status = secret_api_key(key, error);
    if (status)
        return status;
    store_token token = {
        .kind = STORE_TOKEN_API_KEY, .user_id = (char *)user_id, .label = (char *)label, .created_us = clock_unix_us()};
    secret_hash(key, strlen(key), token.hash);
    return store_token_add(people->store, &token, error);
}

mien_status people_take_quota(people *people, const char *guest_id, long *remaining, double *retry_after,
                              mien_error *error)
{
    int64_t now = clock_unix_us(), used = 0, resets = now;
    const settings *settings = people->settings;
    mien_status status = store_quota_take(people->store, guest_id, now, (int64_t)(settings->guest_window * 1e6),
                                          settings->guest_max_usage, &used, &resets, error);
    *remaining = settings->guest_max_usage > used ? settings->guest_max_usage - (long)used : 0;
    *retry_after = (double)(resets - now) / 1e6;
    return status;
}

mien_status people_quota_used(people *people, const char *guest_id, long *used, mien_error *error)
{
    int64_t count = 0, resets = 0;
    mien_status status = store_quota_look(people->store, guest_id, clock_unix_us(),
                                          (int64_t)(people->settings->guest_window * 1e6), &count, &resets, error);
    *used = (long)count;
    return status;
}
