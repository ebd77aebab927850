/* The SQLite backend, as its files share it: one connection behind a mutex, and statements with bound values. The
 * operations are those of backend_operations, by name. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>

#include "store/backend.h"

typedef struct sqlite_backend {
    backend base;
    pthread_mutex_t lock;
    sqlite3 *database;
} sqlite_backend;

void sqlite_lock(sqlite_backend *b);
void sqlite_unlock(sqlite_backend *b);

/** The error of SQLite's code; `what` says what was being done. */
mien_status sqlite_failed(sqlite_backend *b, int code, const char *what, mien_error *error);
/** First row of a query: MIEN_OK with the statement on the row (finalize it), or MIEN_ENOTFOUND. The caller holds the
 *  lock. `types` names the values that follow: t text (NULL allowed), i int64_t, h hash of STORE_HASH_BYTES. */
mien_status sqlite_first(sqlite_backend *b, sqlite3_stmt **statement, mien_error *error, const char *sql,
                         const char *types, ...);
/** A statement without rows; `changes` (may be NULL) receives how many records it touched. The caller holds the lock.
 */
mien_status sqlite_change(sqlite_backend *b, size_t *changes, mien_error *error, const char *sql, const char *types,
                          ...);
/** A copy of a text column, NULL where it has none; *failed is set where memory is short. Free with memory_free. */
char *sqlite_column(sqlite3_stmt *statement, int column, bool *failed);
/** MIEN_ENOTFOUND ("there is no such `what`") where a change that went well touched nothing. */
mien_status sqlite_found(size_t changes, mien_status status, const char *what, mien_error *error);

/* sqlite_people.c */
mien_status sqlite_user_add(backend *base, const store_user *u, mien_error *error);
mien_status sqlite_user_find(backend *base, const char *column, const char *value, store_user *user, mien_error *error);
mien_status sqlite_user_update(backend *base, const store_user *u, mien_error *error);
mien_status sqlite_user_touch(backend *base, const char *id, int64_t now_us, mien_error *error);
mien_status sqlite_user_erase(backend *base, const char *id, mien_error *error);
mien_status sqlite_token_add(backend *base, const store_token *t, mien_error *error);
mien_status sqlite_token_find(backend *base, const uint8_t *hash, store_token_kind kind, int64_t now_us,
                              store_token *token, mien_error *error);
mien_status sqlite_token_revoke(backend *base, const uint8_t *hash, store_token_kind kind, mien_error *error);
mien_status sqlite_token_revoke_all(backend *base, const char *user_id, store_token_kind kind, size_t *removed,
                                    mien_error *error);
mien_status sqlite_quota(backend *base, const char *subject, int64_t now_us, int64_t window_us, int64_t limit,
                         bool take, int64_t *used, int64_t *resets_us, mien_error *error);

/* sqlite_history.c */
mien_status sqlite_history_add(backend *base, const store_record *r, mien_error *error);
mien_status sqlite_history_get(backend *base, const char *id, store_record *record, mien_error *error);
mien_status sqlite_history_list(backend *base, const store_query *q, store_page *page, mien_error *error);
mien_status sqlite_history_delete(backend *base, const char *id, mien_error *error);
mien_status sqlite_history_delete_all(backend *base, const char *user_id, mien_error *error);
mien_status sqlite_picture_needed(backend *base, const char *name, bool *needed, mien_error *error);

#endif
