/* Statements of the SQLite backend: every one is prepared with bound values; no text is ever pasted into SQL. */
#include "store/sqlite.h"

#include <stdarg.h>

#include "base/error.h"
#include "base/memory.h"

mien_status sqlite_failed(sqlite_backend *b, int code, const char *what, mien_error *error)
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

mien_status sqlite_first(sqlite_backend *b, sqlite3_stmt **statement, mien_error *error, const char *sql,
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

mien_status sqlite_change(sqlite_backend *b, size_t *changes, mien_error *error, const char *sql, const char *types,
                          ...)
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

char *sqlite_column(sqlite3_stmt *statement, int column, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (!text)
        return NULL;
    char *copy = memory_text_span(text, (size_t)sqlite3_column_bytes(statement, column));
    if (!copy)
        *failed = true;
    return copy;
}

void sqlite_lock(sqlite_backend *b)
{
    pthread_mutex_lock(&b->lock);
}

void sqlite_unlock(sqlite_backend *b)
{
    pthread_mutex_unlock(&b->lock);
}

mien_status sqlite_found(size_t changes, mien_status status, const char *what, mien_error *error)
{
    if (!status && !changes)
        return error_set(error, MIEN_ENOTFOUND, "there is no such %s", what);
    return status;
}
