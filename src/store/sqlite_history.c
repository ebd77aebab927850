/* Past results in SQLite, newest first, and which stored pictures they still need. */
#include "store/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

mien_status sqlite_history_add(backend *base, const store_record *r, mien_error *error)
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

mien_status sqlite_history_get(backend *base, const char *id, store_record *record, mien_error *error)
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

mien_status sqlite_history_list(backend *base, const store_query *q, store_page *page, mien_error *error)
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

mien_status sqlite_history_delete(backend *base, const char *id, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    size_t changes = 0;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, &changes, error, "DELETE FROM history WHERE id=?", "t", id);
    sqlite_unlock(b);
    return sqlite_found(changes, status, "record", error);
}

mien_status sqlite_history_delete_all(backend *base, const char *user_id, mien_error *error)
{
    sqlite_backend *b = (sqlite_backend *)base;
    sqlite_lock(b);
    mien_status status = sqlite_change(b, NULL, error, "DELETE FROM history WHERE user_id=?", "t", user_id);
    sqlite_unlock(b);
    return status;
}

mien_status sqlite_picture_needed(backend *base, const char *name, bool *needed, mien_error *error)
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
