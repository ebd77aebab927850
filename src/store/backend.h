/* What a backend for records does. One const struct of functions each; tests/unit/test_store.c runs the same
 * conformance test on every one. The store above adds the pictures and the checks of what comes in. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

typedef struct backend backend;

typedef struct backend_operations {
    const char *name;
    void (*close)(backend *b);
    mien_status (*check)(backend *b, mien_error *error);
    mien_status (*user_add)(backend *b, const store_user *user, mien_error *error);
    mien_status (*user_find)(backend *b, const char *column, const char *value, store_user *user, mien_error *error);
    mien_status (*user_update)(backend *b, const store_user *user, mien_error *error);
    mien_status (*user_touch)(backend *b, const char *id, int64_t now_us, mien_error *error);
    mien_status (*user_erase)(backend *b, const char *id, mien_error *error);
    mien_status (*token_add)(backend *b, const store_token *token, mien_error *error);
    mien_status (*token_find)(backend *b, const uint8_t *hash, store_token_kind kind, int64_t now_us,
                              store_token *token, mien_error *error);
    mien_status (*token_revoke)(backend *b, const uint8_t *hash, store_token_kind kind, mien_error *error);
    mien_status (*token_revoke_all)(backend *b, const char *user_id, store_token_kind kind, size_t *removed,
                                    mien_error *error);
    mien_status (*quota)(backend *b, const char *subject, int64_t now_us, int64_t window_us, int64_t limit, bool take,
                         int64_t *used, int64_t *resets_us, mien_error *error);
    mien_status (*history_add)(backend *b, const store_record *record, mien_error *error);
    mien_status (*history_get)(backend *b, const char *id, store_record *record, mien_error *error);
    mien_status (*history_list)(backend *b, const store_query *query, store_page *page, mien_error *error);
    mien_status (*history_delete)(backend *b, const char *id, mien_error *error);
    mien_status (*history_delete_all)(backend *b, const char *user_id, mien_error *error);
    mien_status (*prune)(backend *b, int64_t history_before_us, int64_t now_us, size_t *removed, mien_error *error);
    /* whether a record still needs the picture of that name; used to drop the others */
    mien_status (*picture_needed)(backend *b, const char *name, bool *needed, mien_error *error);
} backend_operations;

struct backend {
    const backend_operations *operations;
};

/** SQLite in WAL mode at `path`; ":memory:" keeps everything in this process. */
mien_status backend_sqlite_open(const char *path, backend **out, mien_error *error);

#endif
