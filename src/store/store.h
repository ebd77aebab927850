/* What mien remembers: users, tokens, guests' quota, history and the pictures behind it.
 *
 *     store ── backend (const struct of functions)  records: SQLite, or memory for one process' life
 *          └── pictures                            files named by the SHA-256 of their content, under the data folder
 *
 * A store may be used from several threads, but a folder belongs to one process at a time: a picture is dropped with
 * the last record that needs it, and nobody else may be adding one just then. Every acknowledged write survives the
 * death of the process. Times are microseconds since 1970 UTC and always given by the caller, so that nothing here
 * depends on a clock. Texts in the structures are borrowed on the way in; on the way out they belong to the structure
 * (…_done frees them).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buffer.h"

enum { STORE_ID_BYTES = 129, STORE_HASH_BYTES = 32, STORE_MAX_PAGE = 1000 };

typedef struct store store;

typedef struct store_options {
    const char *folder;       /* data folder; NULL = memory only: nothing survives the process and no picture is kept */
    bool keep_pictures;       /* default true */
    size_t max_picture_bytes; /* default 32 MiB */
} store_options;

/** Account. Absent texts are NULL. */
typedef struct store_user {
    char *id;    /* at most STORE_ID_BYTES - 1 bytes */
    char *email; /* unique, lower case */
    char *display_name;
    char *photo_url;
    char *password_hash; /* argon2id in text form; NULL for accounts that sign in elsewhere */
    char *providers;     /* JSON array of texts */
    bool email_verified;
    int64_t created_us;
    int64_t last_used_us;
    int64_t usage_count;
} store_user;

typedef enum store_token_kind { STORE_TOKEN_REFRESH = 1, STORE_TOKEN_API_KEY = 2 } store_token_kind;

/** A secret, known only by its hash. */
typedef struct store_token {
    uint8_t hash[STORE_HASH_BYTES];
    store_token_kind kind;
    char *user_id;
    char *label; /* what the key is for; NULL for refresh tokens */
    int64_t created_us;
    int64_t expires_us; /* 0 = never */
} store_token;

/** One analysis. */
typedef struct store_record {
    char *id;
    char *user_id;
    int64_t created_us;
    char *file_name; /* as the client called it; NULL = none */
    char *emotion;   /* of the surest face, for searching; NULL = no face */
    char *result;    /* JSON, as the dialect answers it */
    char *picture;   /* name in the picture store; NULL = not kept */
} store_record;

typedef struct store_query {
    const char *user_id;
    const char *emotion;       /* NULL = all */
    int64_t from_us, until_us; /* from ≤ created < until; 0 = open */
    size_t skip, limit;        /* limit 1..STORE_MAX_PAGE */
} store_query;

typedef struct store_page {
    store_record *records; /* latest first: in the order of adding, whatever the clock said */
    size_t count;
    size_t total; /* that match, whatever skip and limit */
} store_page;

void store_default_options(store_options *options);
/** @return MIEN_OK, MIEN_EDENIED (the folder cannot be written), MIEN_EBUSY (another process has it), MIEN_EFORMAT
 * (the file is not a mien store, or of a newer version), MIEN_EIO, MIEN_ENOMEM. */
mien_status store_open(const store_options *options, store **out, mien_error *error);
void store_close(store **s);
/** MIEN_OK when records can be written now; for /readyz. */
mien_status store_check(store *s, mien_error *error);

/* Users. MIEN_ECONFLICT: id or email exists already. MIEN_ENOTFOUND: no such user. */
mien_status store_user_add(store *s, const store_user *user, mien_error *error);
mien_status store_user_by_id(store *s, const char *id, store_user *user, mien_error *error);
mien_status store_user_by_email(store *s, const char *email, store_user *user, mien_error *error);
/** Replace everything but id, creation time and usage count. */
mien_status store_user_update(store *s, const store_user *user, mien_error *error);
/** Count one use at that time. */
mien_status store_user_touch(store *s, const char *id, int64_t now_us, mien_error *error);
/** The user, their tokens, their history and the pictures that nobody else's history needs. */
mien_status store_user_erase(store *s, const char *id, mien_error *error);
void store_user_done(store_user *user);

mien_status store_token_add(store *s, const store_token *token, mien_error *error);
/** MIEN_ENOTFOUND also for a token that has expired at `now_us`. */
mien_status store_token_find(store *s, const uint8_t hash[STORE_HASH_BYTES], store_token_kind kind, int64_t now_us,
                             store_token *token, mien_error *error);
/** MIEN_ENOTFOUND when there was none: of two callers who revoke the same token only one succeeds. */
mien_status store_token_revoke(store *s, const uint8_t hash[STORE_HASH_BYTES], store_token_kind kind,
                               mien_error *error);
/** @param removed [out] how many; may be NULL. */
mien_status store_token_revoke_all(store *s, const char *user_id, store_token_kind kind, size_t *removed,
                                   mien_error *error);
void store_token_done(store_token *token);

/** Take one of `limit` uses that `subject` has in a window that begins with its first use. Exact under concurrency.
 *  @param used [out] uses in this window, this one included.  @param resets_us [out] when the window ends.
 *  @return MIEN_OK, MIEN_ELIMIT (none left; both outputs are set), MIEN_EIO … */
mien_status store_quota_take(store *s, const char *subject, int64_t now_us, int64_t window_us, int64_t limit,
                             int64_t *used, int64_t *resets_us, mien_error *error);
/** The same without taking one. */
mien_status store_quota_look(store *s, const char *subject, int64_t now_us, int64_t window_us, int64_t *used,
                             int64_t *resets_us, mien_error *error);

/** `picture` (may be NULL) is written before the record, `record->picture` is ignored. */
mien_status store_history_add(store *s, const store_record *record, const void *picture, size_t picture_length,
                              mien_error *error);
mien_status store_history_get(store *s, const char *id, store_record *record, mien_error *error);
mien_status store_history_list(store *s, const store_query *query, store_page *page, mien_error *error);
/** The record and, when no other record needs it, its picture. */
mien_status store_history_delete(store *s, const char *id, mien_error *error);
mien_status store_history_delete_all(store *s, const char *user_id, mien_error *error);
/** Everything older, expired tokens and closed quota windows included. @param removed [out] records, may be NULL. */
mien_status store_prune(store *s, int64_t history_before_us, int64_t now_us, size_t *removed, mien_error *error);
void store_record_done(store_record *record);
void store_page_done(store_page *page);

/** The bytes of a kept picture. `name` comes from a client: anything but a name made by the store is MIEN_ENOTFOUND. */
mien_status store_picture_read(store *s, const char *name, buffer *bytes, mien_error *error);

#endif
