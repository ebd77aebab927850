/* Records in SQLite: one file, WAL mode (readers do not wait for the writer), foreign keys on, one connection behind a
 * mutex. Every statement is prepared with bound values; no text is ever pasted into SQL. A write is acknowledged after
 * its transaction is in the log file, so it survives the death of the process. The schema's version stands in
 * PRAGMA user_version. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "store/backend.h"

enum { SCHEMA_VERSION = 1, BUSY_MILLISECONDS = 2000, APPLICATION_ID = 0x6d69656e /* "mien" */ };

typedef struct sqlite_backend {
    backend base;
    pthread_mutex_t lock;
    sqlite3 *database;
} sqlite_backend;

static const char schema[] =
    "CREATE TABLE users(id TEXT PRIMARY KEY, email TEXT UNIQUE, display_name TEXT, photo_url TEXT, password_hash TEXT,"
    " providers TEXT, email_verified INTEGER NOT NULL, created_us INTEGER NOT NULL, last_used_us INTEGER NOT NULL,"
    " usage_count INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE tokens(hash BLOB NOT NULL, kind INTEGER NOT NULL, user_id TEXT NOT NULL, label TEXT,"
    " created_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, PRIMARY KEY(kind, hash)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tokens_by_user ON tokens(user_id, kind);"
    "CREATE TABLE quotas(subject TEXT PRIMARY KEY, started_us INTEGER NOT NULL, ends_us INTEGER NOT NULL,"
    " used INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE history(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, file_name TEXT, emotion TEXT, result TEXT NOT NULL, picture TEXT) STRICT;"
    "CREATE INDEX history_by_user ON history(user_id, number);"
    "CREATE INDEX history_by_time ON history(created_us);"
    "CREATE INDEX history_by_picture ON history(picture);";

static mien_status sqlite_failed(sqlite_backend *b, int code, const char *what, mien_error *error)
{
    mien_status status;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = MIEN_EBUSY;
        break;
    case SQLITE_CONSTRAINT:
        status = MIEN_ECONFLICT;
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        status = MIEN_EDENIED;
        break;
    case SQLITE_NOMEM:
        status = MIEN_ENOMEM;
        break;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        status = MIEN_EFORMAT;
        break;
    default:
        status = MIEN_EIO;
    }
    return error_set(error, status, "store: %s: %s", what,
                     b->database ? sqlite3_errmsg(b->database) : sqlite3_errstr(code));
}

/* Prepare and bind. `types`: t text (NULL allowed), i int64_t, h hash of STORE_HASH_BYTES. */
static mien_status sqlite_prepare(sqlite_backend *b, sqlite3_stmt **statement, mien_error *error, const char *sql,
                                  const char *types, va_list values)
{
    int code = sqlite3_prepare_v2(b->database, sql, -1, statement, NULL);
    for (int i = 0; code == SQLITE_OK && types[i]; i++) {
        if (types[i] == 't') {
            const char *text = va_arg(values, const char *);
            code = text ? sqlite3_bind_text(*statement, i + 1, text, -1, SQLITE_TRANSIENT)
                        : sqlite3_bind_null(*statement, i + 1);
        } else if (types[i] == 'h') {
            code =
                sqlite3_bind_blob(*statement, i + 1, va_arg(values, const void *), STORE_HASH_BYTES, SQLITE_TRANSIENT);
        } else {
            code = sqlite3_bind_int64(*statement, i + 1, va_arg(values, int64_t));
        }
    }
    if (code == SQLITE_OK)
        return MIEN_OK;
    mien_status status = sqlite_failed(b, code, "preparing", error);
    sqlite3_finalize(*statement);
    *statement = NULL;
    return status;
}

/* First row of a query: MIEN_OK with the statement on the row, or MIEN_ENOTFOUND. The caller holds the lock. */
static mien_status sqlite_first(sqlite_backend *b, sqlite3_stmt **statement, mien_error *error, const char *sql,
                                const char *types, ...)
{
    va_list values;
    va_start(values, types);
    mien_status status = sqlite_prepare(b, statement, error, sql, types, values);
    va_end(values);
    if (status)
        return status;
    int code = sqlite3_step(*statement);
    if (code == SQLITE_ROW)
        return MIEN_OK;
    status = code == SQLITE_DONE ? error_set(error, MIEN_ENOTFOUND, "there is no such record")
                                 : sqlite_failed(b, code, "reading", error);
    sqlite3_finalize(*statement);
    *statement = NULL;
    return status;
}

/* A statement without rows; `changes` (may be NULL) receives how many records it touched. The caller holds the lock. */
static mien_status sqlite_change(sqlite_backend *b, size_t *changes, mien_error *error, const char *sql,
                                 const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list values;
    va_start(values, types);
    mien_status status = sqlite_prepare(b, &statement, error, sql, types, values);
    va_end(values);
    if (status)
        return status;
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        status = sqlite_failed(b, code, "writing", error);
    else if (changes)
        *changes = (size_t)sqlite3_changes(b->database);
    sqlite3_finalize(statement);
    return status;
}

static char *sqlite_column(sqlite3_stmt *statement, int column, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (!text)
        return NULL;
    char *copy = memory_text_span(text, (size_t)sqlite3_column_bytes(statement, column));
    if (!copy)
        *failed = true;
    return copy;
}

static void sqlite_lock(sqlite_backend *b)
{
    pthread_mutex_lock(&b->lock);
}

static void sqlite_unlock(sqlite_backend *b)
{
    pthread_mutex_unlock(&b->lock);
}

static void sqlite_close(backend *base)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite3_close(b->database);
    pthread_mutex_destroy(&b->lock);
    memory_free(b);
}

static mien_status sqlite_check(backend *base, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, NULL, error, "BEGIN IMMEDIATE", "");
    if (!status)
        status = sqlite_change(b, NULL, error, "ROLLBACK", "");
    sqlite_unlock(b);
    return status;
}

static mien_status sqlite_user_add(backend *base, const store_user *u, mien_error *error)
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

static mien_status sqlite_user_find(backend *base, const char *column, const char *value, store_user *user,
                                    mien_error *error)
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

static mien_status not_found_unless(size_t changes, mien_status status, const char *what, mien_error *error)
{
    if (!status && !changes)
        return error_set(error, MIEN_ENOTFOUND, "there is no such %s", what);
    return status;
}

static mien_status sqlite_user_update(backend *base, const store_user *u, mien_error *error)
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
    return not_found_unless(changes, status, "user", error);
}

static mien_status sqlite_user_touch(backend *base, const char *id, int64_t now_us, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(
        b, &changes, error, "UPDATE users SET usage_count=usage_count+1,last_used_us=? WHERE id=?", "it", now_us, id);
    sqlite_unlock(b);
    return not_found_unless(changes, status, "user", error);
}

static mien_status sqlite_user_erase(backend *base, const char *id, mien_error *error)
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
    return not_found_unless(changes, status, "user", error);
}

static mien_status sqlite_token_add(backend *base, const store_token *t, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(
        b, NULL, error, "INSERT INTO tokens(hash,kind,user_id,label,created_us,expires_us) VALUES(?,?,?,?,?,?)",
        "hittii", t->hash, (int64_t)t->kind, t->user_id, t->label, t->created_us, t->expires_us);
    sqlite_unlock(b);
    return status;
}

static mien_status sqlite_token_find(backend *base, const uint8_t *hash, store_token_kind kind, int64_t now_us,
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

static mien_status sqlite_token_revoke(backend *base, const uint8_t *hash, store_token_kind kind, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status =
        sqlite_change(b, &changes, error, "DELETE FROM tokens WHERE kind=? AND hash=?", "ih", (int64_t)kind, hash);
    sqlite_unlock(b);
    return not_found_unless(changes, status, "token", error);
}

static mien_status sqlite_token_revoke_all(backend *base, const char *user_id, store_token_kind kind, size_t *removed,
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

static mien_status sqlite_quota(backend *base, const char *subject, int64_t now_us, int64_t window_us, int64_t limit,
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

static mien_status sqlite_history_add(backend *base, const store_record *r, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(
        b, NULL, error,
        "INSERT INTO history(id,user_id,created_us,file_name,emotion,result,picture) VALUES(?,?,?,?,?,?,?)", "ttitttt",
        r->id, r->user_id, r->created_us, r->file_name, r->emotion, r->result, r->picture);
    sqlite_unlock(b);
    return status;
}

/* Columns: id, user_id, created_us, file_name, emotion, result, picture. */
static mien_status sqlite_record(sqlite3_stmt *row, store_record *record, mien_error *error)
{
    bool failed = false;
    store_record r = {.id = sqlite_column(row, 0, &failed),
                      .user_id = sqlite_column(row, 1, &failed),
                      .created_us = sqlite3_column_int64(row, 2),
                      .file_name = sqlite_column(row, 3, &failed),
                      .emotion = sqlite_column(row, 4, &failed),
                      .result = sqlite_column(row, 5, &failed),
                      .picture = sqlite_column(row, 6, &failed)};
    if (failed) {
        store_record_done(&r);
        return error_no_memory(error, 0);
    }
    *record = r;
    return MIEN_OK;
}

static mien_status sqlite_history_get(backend *base, const char *id, store_record *record, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite3_stmt *row = NULL;
    sqlite_lock(b);
    mien_status status =
        sqlite_first(b, &row, error,
                     "SELECT id,user_id,created_us,file_name,emotion,result,picture FROM history WHERE id=?", "t", id);
    if (!status)
        status = sqlite_record(row, record, error);
    sqlite3_finalize(row);
    sqlite_unlock(b);
    return status;
}

#define HISTORY_MATCHES                                                                                                \
    "FROM history WHERE user_id=?1 AND (?2 IS NULL OR emotion=?2) AND (?3=0 OR created_us>=?3) "                       \
    "AND (?4=0 OR created_us<?4)"

static mien_status sqlite_history_list(backend *base, const store_query *q, store_page *page, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite3_stmt *row = NULL;
    store_page found = {.records = memory_zeroed(q->limit, sizeof(store_record))};
    if (!found.records)
        return error_no_memory(error, q->limit * sizeof(store_record));
    sqlite_lock(b);
    mien_status status = sqlite_first(b, &row, error, "SELECT count(*) " HISTORY_MATCHES, "ttii", q->user_id,
                                      q->emotion, q->from_us, q->until_us);
    if (status)
        goto out;
    found.total = (size_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    row = NULL;
    status =
        sqlite_first(b, &row, error,
                     "SELECT id,user_id,created_us,file_name,emotion,result,picture " HISTORY_MATCHES
                     " ORDER BY number DESC LIMIT ?5 OFFSET ?6",
                     "ttiiii", q->user_id, q->emotion, q->from_us, q->until_us, (int64_t)q->limit, (int64_t)q->skip);
    if (status == MIEN_ENOTFOUND)
        status = MIEN_OK; /* an empty page */
    for (int code = SQLITE_ROW; !status && row && code == SQLITE_ROW && found.count < q->limit;) {
        status = sqlite_record(row, &found.records[found.count], error);
        if (status)
            break;
        found.count++;
        code = sqlite3_step(row);
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            status = sqlite_failed(b, code, "reading", error);
    }
out:
    sqlite3_finalize(row);
    sqlite_unlock(b);
    if (status)
        store_page_done(&found);
    else
        *page = found;
    return status;
}

static mien_status sqlite_history_delete(backend *base, const char *id, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, &changes, error, "DELETE FROM history WHERE id=?", "t", id);
    sqlite_unlock(b);
    return not_found_unless(changes, status, "record", error);
}

static mien_status sqlite_history_delete_all(backend *base, const char *user_id, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, NULL, error, "DELETE FROM history WHERE user_id=?", "t", user_id);
    sqlite_unlock(b);
    return status;
}

static mien_status sqlite_prune(backend *base, int64_t before_us, int64_t now_us, size_t *removed, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t records = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, &records, error, "DELETE FROM history WHERE created_us<?", "i", before_us);
    if (!status)
        status = sqlite_change(b, NULL, error, "DELETE FROM tokens WHERE expires_us>0 AND expires_us<=?", "i", now_us);
    if (!status)
        status = sqlite_change(b, NULL, error, "DELETE FROM quotas WHERE ends_us<=?", "i", now_us);
    sqlite_unlock(b);
    if (!status && removed)
        *removed = records;
    return status;
}

static mien_status sqlite_picture_needed(backend *base, const char *name, bool *needed, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite3_stmt *row = NULL;
    sqlite_lock(b);
    mien_status status = sqlite_first(b, &row, error, "SELECT 1 FROM history WHERE picture=? LIMIT 1", "t", name);
    sqlite3_finalize(row);
    sqlite_unlock(b);
    if (status && status != MIEN_ENOTFOUND)
        return status;
    *needed = !status;
    return MIEN_OK;
}

static const backend_operations sqlite_operations = {
    .name = "sqlite",
    .close = sqlite_close,
    .check = sqlite_check,
    .user_add = sqlite_user_add,
    .user_find = sqlite_user_find,
    .user_update = sqlite_user_update,
    .user_touch = sqlite_user_touch,
    .user_erase = sqlite_user_erase,
    .token_add = sqlite_token_add,
    .token_find = sqlite_token_find,
    .token_revoke = sqlite_token_revoke,
    .token_revoke_all = sqlite_token_revoke_all,
    .quota = sqlite_quota,
    .history_add = sqlite_history_add,
    .history_get = sqlite_history_get,
    .history_list = sqlite_history_list,
    .history_delete = sqlite_history_delete,
    .history_delete_all = sqlite_history_delete_all,
    .prune = sqlite_prune,
    .picture_needed = sqlite_picture_needed,
};

static mien_status sqlite_number(sqlite_backend *b, const char *sql, int64_t *number, mien_error *error)
{
    sqlite3_stmt *row = NULL;
    mien_status status = sqlite_first(b, &row, error, sql, "");
    if (!status)
        *number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return status;
}

/* A new file gets the schema; a file of mien's is used as it is; anything else is refused untouched. */
static mien_status sqlite_prepare_schema(sqlite_backend *b, const char *path, mien_error *error)
{
    int64_t version = 0, application = 0, tables = 0;
    mien_status status = sqlite_number(b, "PRAGMA user_version", &version, error);
    if (!status)
        status = sqlite_number(b, "PRAGMA application_id", &application, error);
    if (!status)
        status = sqlite_number(b, "SELECT count(*) FROM sqlite_master", &tables, error);
    if (status)
        return status;
    if (tables && application != APPLICATION_ID)
        return error_set(error, MIEN_EFORMAT, "%s: a database of another program", path);
    if (version > SCHEMA_VERSION)
        return error_set(error, MIEN_EFORMAT, "%s: made by a newer mien (schema %lld, this one knows %d)", path,
                         (long long)version, SCHEMA_VERSION);
    if (version == SCHEMA_VERSION)
        return MIEN_OK;
    char stamp[96];
    sqlite3_snprintf(sizeof stamp, stamp, "PRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT;", APPLICATION_ID,
                     SCHEMA_VERSION);
    int code = sqlite3_exec(b->database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(b->database, schema, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(b->database, stamp, NULL, NULL, NULL);
    return code == SQLITE_OK ? MIEN_OK : sqlite_failed(b, code, "creating the tables", error);
}

mien_status backend_sqlite_open(const char *path, backend **out, mien_error *error)
{
    sqlite_backend *b = memory_zeroed(1, sizeof *b);
    if (!b)
        return error_no_memory(error, sizeof *b);
    b->base.operations = &sqlite_operations;
    pthread_mutex_init(&b->lock, NULL);
    mien_status status = MIEN_OK;
    int code =
        sqlite3_open_v2(path, &b->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(b->database, BUSY_MILLISECONDS);
    if (code == SQLITE_OK)
        code = sqlite3_exec(b->database,
                            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;"
                            "PRAGMA trusted_schema=OFF;PRAGMA secure_delete=ON",
                            NULL, NULL, NULL);
    if (code != SQLITE_OK)
        status = sqlite_failed(b, code, path, error);
    if (!status)
        status = sqlite_prepare_schema(b, path, error);
    if (status) {
        sqlite_close(&b->base);
        return status;
    }
    *out = &b->base;
    return MIEN_OK;
}
