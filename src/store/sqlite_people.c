/* Who somebody is and how much they may still ask for, in SQLite: accounts, tokens (only their hashes) and quotas. An
 * account goes with everything that is its own, in one transaction. */
#include "store/sqlite.h"

#include <string.h>

#include "base/error.h"

mien_status sqlite_user_add(backend *base, const store_user *u, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, NULL, error, "INSERT INTO users VALUES(?,?,?,?,?,?,?,?,?,?)", "ttttttiiii",
                                       u->id, u->email, u->display_name, u->photo_url, u->password_hash, u->providers,
                                       (int64_t)u->email_verified, u->created_us, u->last_used_us, u->usage_count);
    sqlite_unlock(b);
    if (status == MIEN_ECONFLICT)
        return error_set(error, MIEN_ECONFLICT, "this account exists already");
    return status;
}

mien_status sqlite_user_find(backend *base, const char *column, const char *value, store_user *user, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite3_stmt *row = NULL;
    const char *sql = !strcmp(column, "email") ? "SELECT * FROM users WHERE email=?" : "SELECT * FROM users WHERE id=?";
    sqlite_lock(b);
    mien_status status = sqlite_first(b, &row, error, sql, "t", value);
    if (!status) {
        bool failed = false;
        store_user u = {.id = sqlite_column(row, 0, &failed),
                        .email = sqlite_column(row, 1, &failed),
                        .display_name = sqlite_column(row, 2, &failed),
                        .photo_url = sqlite_column(row, 3, &failed),
                        .password_hash = sqlite_column(row, 4, &failed),
                        .providers = sqlite_column(row, 5, &failed),
                        .email_verified = sqlite3_column_int(row, 6) != 0,
                        .created_us = sqlite3_column_int64(row, 7),
                        .last_used_us = sqlite3_column_int64(row, 8),
                        .usage_count = sqlite3_column_int64(row, 9)};
        sqlite3_finalize(row);
        if (failed) {
            store_user_done(&u);
            status = error_no_memory(error, 0);
        } else {
            *user = u;
        }
    }
    sqlite_unlock(b);
    return status;
}

mien_status sqlite_user_update(backend *base, const store_user *u, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(
        b, &changes, error,
        "UPDATE users SET email=?,display_name=?,photo_url=?,password_hash=?,providers=?,email_verified=?,"
        "last_used_us=? WHERE id=?",
        "tttttiit", u->email, u->display_name, u->photo_url, u->password_hash, u->providers, (int64_t)u->email_verified,
        u->last_used_us, u->id);
    sqlite_unlock(b);
    return sqlite_found(changes, status, "user", error);
}

mien_status sqlite_user_touch(backend *base, const char *id, int64_t now_us, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(
        b, &changes, error, "UPDATE users SET usage_count=usage_count+1,last_used_us=? WHERE id=?", "it", now_us, id);
    sqlite_unlock(b);
    return sqlite_found(changes, status, "user", error);
}

mien_status sqlite_user_erase(backend *base, const char *id, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, NULL, error, "BEGIN IMMEDIATE", "");
    if (status)
        goto out;
    status = sqlite_change(b, NULL, error, "DELETE FROM tokens WHERE user_id=?", "t", id);
    if (!status)
        status = sqlite_change(b, NULL, error, "DELETE FROM history WHERE user_id=?", "t", id);
    if (!status)
        status = sqlite_change(b, NULL, error, "DELETE FROM quotas WHERE subject=?", "t", id);
    if (!status)
        status = sqlite_change(b, &changes, error, "DELETE FROM users WHERE id=?", "t", id);
    if (!status)
        status = sqlite_change(b, NULL, error, "COMMIT", "");
    if (status)
        sqlite_change(b, NULL, NULL, "ROLLBACK", "");
out:
    sqlite_unlock(b);
    return sqlite_found(changes, status, "user", error);
}

mien_status sqlite_token_add(backend *base, const store_token *t, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(
        b, NULL, error, "INSERT INTO tokens(hash,kind,user_id,label,created_us,expires_us) VALUES(?,?,?,?,?,?)",
        "hittii", t->hash, (int64_t)t->kind, t->user_id, t->label, t->created_us, t->expires_us);
    sqlite_unlock(b);
    return status;
}

mien_status sqlite_token_find(backend *base, const uint8_t *hash, store_token_kind kind, int64_t now_us,
                              store_token *token, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite3_stmt *row = NULL;
    sqlite_lock(b);
    mien_status status = sqlite_first(b, &row, error,
                                      "SELECT user_id,label,created_us,expires_us FROM tokens WHERE kind=? AND hash=? "
                                      "AND (expires_us=0 OR expires_us>?)",
                                      "ihi", (int64_t)kind, hash, now_us);
    if (!status) {
        bool failed = false;
        store_token t = {.kind = kind,
                         .user_id = sqlite_column(row, 0, &failed),
                         .label = sqlite_column(row, 1, &failed),
                         .created_us = sqlite3_column_int64(row, 2),
                         .expires_us = sqlite3_column_int64(row, 3)};
        memcpy(t.hash, hash, STORE_HASH_BYTES);
        sqlite3_finalize(row);
        if (failed) {
            store_token_done(&t);
            status = error_no_memory(error, 0);
        } else {
            *token = t;
        }
    }
    sqlite_unlock(b);
    return status;
}

mien_status sqlite_token_revoke(backend *base, const uint8_t *hash, store_token_kind kind, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status =
        sqlite_change(b, &changes, error, "DELETE FROM tokens WHERE kind=? AND hash=?", "ih", (int64_t)kind, hash);
    sqlite_unlock(b);
    return sqlite_found(changes, status, "token", error);
}

mien_status sqlite_token_revoke_all(backend *base, const char *user_id, store_token_kind kind, size_t *removed,
                                    mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status =
        sqlite_change(b, removed, error, "DELETE FROM tokens WHERE user_id=? AND kind=?", "ti", user_id, (int64_t)kind);
    sqlite_unlock(b);
    return status;
}

/* A window that has ended, or that starts in the future because the clock was set back, counts as none. */
static mien_status sqlite_quota_read(sqlite_backend *b, const char *subject, int64_t now_us, int64_t window_us,
                                     int64_t *used, int64_t *resets_us, mien_error *error)
{
    sqlite3_stmt *row = NULL;
    mien_status status =
        sqlite_first(b, &row, error, "SELECT used,ends_us FROM quotas WHERE subject=? AND ends_us>? AND started_us<=?",
                     "tii", subject, now_us, now_us);
    *used = 0;
    *resets_us = now_us + window_us;
    if (status == MIEN_ENOTFOUND)
        return MIEN_OK;
    if (!status) {
        *used = sqlite3_column_int64(row, 0);
        *resets_us = sqlite3_column_int64(row, 1);
        sqlite3_finalize(row);
    }
    return status;
}

mien_status sqlite_quota(backend *base, const char *subject, int64_t now_us, int64_t window_us, int64_t limit,
                         bool take, int64_t *used, int64_t *resets_us, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    int64_t count = 0, ends = 0;
    sqlite_lock(b);
    mien_status status = take ? sqlite_change(b, NULL, error, "BEGIN IMMEDIATE", "") : MIEN_OK;
    if (status)
        goto out;
    status = sqlite_quota_read(b, subject, now_us, window_us, &count, &ends, error);
    bool full = take && count >= limit;
    if (!status && take && !full) {
        count++;
        status = count == 1
                     ? sqlite_change(b, NULL, error, "INSERT OR REPLACE INTO quotas VALUES(?,?,?,1)", "tii", subject,
                                     now_us, ends)
                     : sqlite_change(b, NULL, error, "UPDATE quotas SET used=? WHERE subject=?", "it", count, subject);
    }
    if (take && !status)
        status = sqlite_change(b, NULL, error, "COMMIT", "");
    else if (take)
        sqlite_change(b, NULL, NULL, "ROLLBACK", "");
    if (!status) {
        *used = count;
        *resets_us = ends;
        if (full)
            status = error_set(error, MIEN_ELIMIT, "all %lld uses are taken", (long long)limit);
    }
out:
    sqlite_unlock(b);
    return status;
}
