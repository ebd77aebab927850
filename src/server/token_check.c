/* An access token of ours is tried first: it takes microseconds and no network. What fails as such may still be an ID
 * token. The client hears only that its token is not valid; why is for the log's debug level, without the token. */
#include "server/token_check.h"

#include "auth/id_token.h"
#include "auth/session_token.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

struct token_check {
    jwt_key *key;                /* NULL without SECRET_KEY */
    id_token_verifier *verifier; /* NULL without a provider */
};

static const char *set_text(const char *text)
{
    return text && *text ? text : NULL;
}

mien_status token_check_create(const settings *settings, token_check **out, mien_error *error)
{
    token_check *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    mien_status status = MIEN_OK;
    if (set_text(settings->secret_key))
        status = jwt_key_from_secret(settings->secret_key, &made->key, error);
    if (!status && set_text(settings->firebase_project)) {
        id_token_options options = {.audience = settings->firebase_project,
                                    .issuer = set_text(settings->oidc_issuer),
                                    .keys_url = set_text(settings->firebase_keys),
                                    .emulator = set_text(settings->firebase_emulator)};
        status = id_token_verifier_create(&options, &made->verifier, error);
    }
    if (status)
        token_check_destroy(&made);
    else
        *out = made;
    return status;
}

void token_check_destroy(token_check **check)
{
    if (!check || !*check)
        return;
    jwt_key_destroy(&(*check)->key);
    id_token_verifier_destroy(&(*check)->verifier);
    memory_free(*check);
    *check = NULL;
}

static mien_status verify_id_token(token_check *check, const char *token, int64_t now, char **user_id,
                                   mien_error *error)
{
    id_token who;
    mien_status status = id_token_verify(check->verifier, token, now, &who, error);
    if (status)
        return status;
    if (user_id) {
        *user_id = who.subject;
        who.subject = NULL;
    }
    id_token_done(&who);
    return MIEN_OK;
}

mien_status token_check_verify(token_check *check, const char *token, char **user_id, mien_error *error)
{
    int64_t now = clock_unix_us() / 1000000;
    mien_error why = {.message = "no key is configured"};
    mien_status status = MIEN_EDENIED;
    char *own = NULL;
    if (check->key)
        status = session_token_verify(check->key, SESSION_TOKEN_ACCESS, token, now, &own, &why);
    if (!status && user_id)
        *user_id = own;
    else
        memory_free(own);
    if (status && check->verifier)
        status = verify_id_token(check, token, now, user_id, &why);
    if (!status)
        return MIEN_OK;
    log_write(LOG_DEBUG, "a token was refused: %s", why.message);
    return error_set(error, status,
                     status == MIEN_EDENIED ? "Invalid or expired token" : "Tokens cannot be checked now");
}
