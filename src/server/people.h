/* Who is asking, and what the server remembers of them: accounts, tokens, API keys, guests, their quota and history.
 * All calls may block on the store: on workers only. Thread-safe. */
#ifndef SERVER_PEOPLE_H
#define SERVER_PEOPLE_H

#include "server/http_message.h"
#include "server/settings.h"
#include "server/signature.h"
#include "store/store.h"

typedef struct people people;

/** One who asks; for a guest `user` holds only the id and what a guest has. */
typedef struct person {
    bool guest;
    store_user user;
} person;

/** Open the store of DATA_DIR (or one in memory), find or make the signing key. */
mien_status people_create(const settings *settings, people **people, mien_error *error);
void people_destroy(people **people);
store *people_store(people *people);
/** What links to pictures are signed with; lives as long as `people`. */
const signature_key *people_picture_key(const people *people);
/** For /readyz. */
mien_status people_check(people *people, mien_error *error);
/** Delete what has outlived HISTORY_TTL, and expired tokens; call now and then. */
void people_prune(people *people);

/** Who sent this request: a bearer token, an API key (Authorization or X-API-Key), else the guest of the cookie, else a
 * new guest. Wrong credentials make a guest, too. For guests the cookie is set on the response.
 *  @return MIEN_OK or what the store says. */
mien_status people_identify(people *people, const http_request *request, http_response *response, person *who,
                            mien_error *error);
void person_done(person *who);
/** The token or key that a request carries, not checked; NULL when there is none. */
const char *people_credential(const http_request *request);

/** The user of an access token or API key. @return MIEN_OK, MIEN_EDENIED, or what the store says. */
mien_status people_authenticate(people *people, const char *credential, person *who, mien_error *error);
/** Verify a provider's ID token and find or make its user. MIEN_EDENIED says why not. */
mien_status people_sign_in_with(people *people, const char *id_token, person *who, mien_error *error);
/** Embedded accounts. MIEN_EINVAL (email, password), MIEN_ECONFLICT (taken). */
mien_status people_register(people *people, const char *email, const char *password, const char *name, person *who,
                            mien_error *error);
/** MIEN_EDENIED for an unknown address and for a wrong password alike. */
mien_status people_sign_in(people *people, const char *email, const char *password, person *who, mien_error *error);

/** A new pair of tokens; the refresh token is remembered by its hash. */
mien_status people_issue_tokens(people *people, const char *user_id, buffer *access, buffer *refresh,
                                mien_error *error);
/** A new access token for a refresh token that is valid and not revoked. MIEN_EDENIED. */
mien_status people_refresh(people *people, const char *refresh_token, buffer *access, mien_error *error);
/** Revoke one refresh token of anybody who has it. */
mien_status people_sign_out(people *people, const char *refresh_token, mien_error *error);
/** A new API key; it is shown this once. */
mien_status people_issue_api_key(people *people, const char *user_id, const char *label, char key[64],
                                 mien_error *error);

/** Take one of a guest's detections. @param remaining, retry_after [out] also on MIEN_ELIMIT. */
mien_status people_take_quota(people *people, const char *guest_id, long *remaining, double *retry_after,
                              mien_error *error);
/** How many a guest has used. */
mien_status people_quota_used(people *people, const char *guest_id, long *used, mien_error *error);

#endif
