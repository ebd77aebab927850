/* Records in SQLite: one file, WAL mode (readers do not wait for the writer), foreign keys on, one connection behind a
 * mutex. A write is acknowledged after its transaction is in the log file, so it survives the death of the process. The
 * schema's version stands in PRAGMA user_version. */
#include "store/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

enum { SCHEMA_VERSION = 1, BUSY_MILLISECONDS = 2000, APPLICATION_ID = 0x6d69656e /* "mien" */ };

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
