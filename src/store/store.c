/* The store: checks what comes in, puts the picture before its record and removes it after the last one, so that a
 * death in between leaves at most a picture that nobody needs (the next pruning drops it), never a record without its
 * picture. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/backend.h"
#include "store/pictures.h"

enum { STORE_DEFAULT_PICTURE_BYTES = 32 << 20 };

struct store {
    backend *backend;
    char *pictures; /* folder; NULL = pictures are not kept */
    size_t max_picture_bytes;
    int claim;                    /* the open lock file; -1 = memory only */
    pthread_mutex_t picture_lock; /* a picture may not be dropped between being written and being needed */
};

void store_default_options(store_options *options)
{
    *options = (store_options){.keep_pictures = true, .max_picture_bytes = STORE_DEFAULT_PICTURE_BYTES};
}

/* The kernel gives the lock back when the process ends, however it ends. */
static mien_status store_claim(store *s, const char *folder, mien_error *error)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lock", folder) >= PATH_MAX)
        return error_set(error, MIEN_EINVAL, "%s: the path is too long", folder);
    s->claim = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->claim < 0) {
        bool denied = errno == EACCES || errno == EPERM || errno == EROFS;
        return error_set(error, denied ? MIEN_EDENIED : MIEN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    if (flock(s->claim, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return error_set(error, MIEN_EBUSY, "%s: in use by another mien", folder);
    return MIEN_OK; /* a file system without locks is not refused */
}

/* SQLite would make the file for everybody's eyes; its log takes over what the file has. */
static void store_make_private(const char *database)
{
    int made = open(database, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made >= 0) /* otherwise SQLite says what is wrong */
        close(made);
}

static mien_status store_open_folder(store *s, const store_options *options, char *database, mien_error *error)
{
    char folder[PATH_MAX];
    if (snprintf(database, PATH_MAX, "%s/mien.db", options->folder) >= PATH_MAX ||
        snprintf(folder, sizeof folder, "%s/pictures", options->folder) >= PATH_MAX)
        return error_set(error, MIEN_EINVAL, "%s: the path is too long", options->folder);
    bool made = access(options->folder, F_OK) != 0;
    mien_status status = file_make_folders(options->folder, error);
    if (status)
        return status;
    if (made) /* what people look like is nobody else's business; a folder that was there is its owner's to close */
        chmod(options->folder, 0700);
    status = store_claim(s, options->folder, error);
    if (status)
        return status;
    store_make_private(database);
    if (!options->keep_pictures)
        return MIEN_OK;
    s->pictures = memory_text(folder);
    return s->pictures ? MIEN_OK : error_no_memory(error, sizeof folder);
}

mien_status store_open(const store_options *options, store **out, mien_error *error)
{
    char database[PATH_MAX] = ":memory:";
    if (sodium_init() < 0)
        return error_set(error, MIEN_EINTERNAL, "libsodium could not be initialised");
    store *s = memory_zeroed(1, sizeof *s);
    if (!s)
        return error_no_memory(error, sizeof *s);
    pthread_mutex_init(&s->picture_lock, NULL);
    s->claim = -1;
    s->max_picture_bytes = options->max_picture_bytes ? options->max_picture_bytes : STORE_DEFAULT_PICTURE_BYTES;
    mien_status status = options->folder ? store_open_folder(s, options, database, error) : MIEN_OK;
    if (!status)
        status = backend_sqlite_open(database, &s->backend, error);
    if (status) {
        store_close(&s);
        return status;
    }
    *out = s;
    return MIEN_OK;
}

void store_close(store **s)
{
    if (!s || !*s)
        return;
    if ((*s)->backend)
        (*s)->backend->operations->close((*s)->backend);
    if ((*s)->claim >= 0)
        close((*s)->claim);
    pthread_mutex_destroy(&(*s)->picture_lock);
    memory_free((*s)->pictures);
    memory_free(*s);
    *s = NULL;
}

mien_status store_check(store *s, mien_error *error)
{
    return s->backend->operations->check(s->backend, error);
}

static mien_status store_check_id(const char *id, const char *what, mien_error *error)
{
    size_t length = id ? strnlen(id, STORE_ID_BYTES) : 0;
    if (!length || length == STORE_ID_BYTES)
        return error_set(error, MIEN_EINVAL, "%s: 1 to %d characters are wanted", what, STORE_ID_BYTES - 1);
    return MIEN_OK;
}

mien_status store_user_add(store *s, const store_user *user, mien_error *error)
{
    mien_status status = store_check_id(user->id, "user id", error);
    return status ? status : s->backend->operations->user_add(s->backend, user, error);
}

mien_status store_user_by_id(store *s, const char *id, store_user *user, mien_error *error)
{
    return s->backend->operations->user_find(s->backend, "id", id, user, error);
}

mien_status store_user_by_email(store *s, const char *email, store_user *user, mien_error *error)
{
    return s->backend->operations->user_find(s->backend, "email", email, user, error);
}

mien_status store_user_update(store *s, const store_user *user, mien_error *error)
{
    return s->backend->operations->user_update(s->backend, user, error);
}

mien_status store_user_touch(store *s, const char *id, int64_t now_us, mien_error *error)
{
    return s->backend->operations->user_touch(s->backend, id, now_us, error);
}

void store_user_done(store_user *user)
{
    memory_free(user->id);
    memory_free(user->email);
    memory_free(user->display_name);
    memory_free(user->photo_url);
    memory_free(user->password_hash);
    memory_free(user->providers);
    *user = (store_user){0};
}

mien_status store_token_add(store *s, const store_token *token, mien_error *error)
{
    return s->backend->operations->token_add(s->backend, token, error);
}

mien_status store_token_find(store *s, const uint8_t hash[STORE_HASH_BYTES], store_token_kind kind, int64_t now_us,
                             store_token *token, mien_error *error)
{
    return s->backend->operations->token_find(s->backend, hash, kind, now_us, token, error);
}

mien_status store_token_revoke(store *s, const uint8_t hash[STORE_HASH_BYTES], store_token_kind kind, mien_error *error)
{
    return s->backend->operations->token_revoke(s->backend, hash, kind, error);
}

mien_status store_token_revoke_all(store *s, const char *user_id, store_token_kind kind, size_t *removed,
                                   mien_error *error)
{
    return s->backend->operations->token_revoke_all(s->backend, user_id, kind, removed, error);
}

void store_token_done(store_token *token)
{
    memory_free(token->user_id);
    memory_free(token->label);
    *token = (store_token){0};
}

mien_status store_quota_take(store *s, const char *subject, int64_t now_us, int64_t window_us, int64_t limit,
                             int64_t *used, int64_t *resets_us, mien_error *error)
{
    return s->backend->operations->quota(s->backend, subject, now_us, window_us, limit, true, used, resets_us, error);
}

mien_status store_quota_look(store *s, const char *subject, int64_t now_us, int64_t window_us, int64_t *used,
                             int64_t *resets_us, mien_error *error)
{
    return s->backend->operations->quota(s->backend, subject, now_us, window_us, 0, false, used, resets_us, error);
}

mien_status store_history_add(store *s, const store_record *record, const void *picture, size_t picture_length,
                              mien_error *error)
{
    mien_status status = store_check_id(record->id, "record id", error);
    if (!status)
        status = store_check_id(record->user_id, "user id", error);
    if (status)
        return status;
    store_record kept = *record;
    char name[PICTURES_NAME_BYTES];
    bool keep = picture && picture_length && s->pictures;
    kept.picture = NULL;
    if (keep && picture_length > s->max_picture_bytes)
        return error_set(error, MIEN_ELIMIT, "the picture is larger than %zu bytes", s->max_picture_bytes);
    if (keep)
        pthread_mutex_lock(&s->picture_lock);
    if (keep) {
        status = pictures_put(s->pictures, picture, picture_length, name, error);
        kept.picture = name;
    }
    if (!status)
        status = s->backend->operations->history_add(s->backend, &kept, error);
    if (keep)
        pthread_mutex_unlock(&s->picture_lock);
    return status;
}

mien_status store_history_get(store *s, const char *id, store_record *record, mien_error *error)
{
    return s->backend->operations->history_get(s->backend, id, record, error);
}

mien_status store_history_list(store *s, const store_query *query, store_page *page, mien_error *error)
{
    if (query->limit < 1 || query->limit > STORE_MAX_PAGE)
        return error_set(error, MIEN_EINVAL, "limit: %zu is not within 1..%d", query->limit, STORE_MAX_PAGE);
    if (query->skip > INT64_MAX / 2)
        return error_set(error, MIEN_EINVAL, "skip: %zu is too large", query->skip);
    return s->backend->operations->history_list(s->backend, query, page, error);
}

/* Called with the picture lock held. */
static mien_status store_drop_picture(store *s, const char *name, mien_error *error)
{
    bool needed = true;
    mien_status status = s->backend->operations->picture_needed(s->backend, name, &needed, error);
    if (!status && !needed)
        status = pictures_remove(s->pictures, name, error);
    return status;
}

static mien_status store_visit_picture(void *context, const char *name, mien_error *error)
{
    return store_drop_picture(context, name, error);
}

static mien_status store_drop_unneeded(store *s, mien_error *error)
{
    return s->pictures ? pictures_each(s->pictures, store_visit_picture, s, error) : MIEN_OK;
}

mien_status store_history_delete(store *s, const char *id, mien_error *error)
{
    store_record record = {0};
    pthread_mutex_lock(&s->picture_lock);
    mien_status status = store_history_get(s, id, &record, error);
    if (!status)
        status = s->backend->operations->history_delete(s->backend, id, error);
    if (!status && record.picture && s->pictures)
        status = store_drop_picture(s, record.picture, error);
    pthread_mutex_unlock(&s->picture_lock);
    store_record_done(&record);
    return status;
}

mien_status store_history_delete_all(store *s, const char *user_id, mien_error *error)
{
    pthread_mutex_lock(&s->picture_lock);
    mien_status status = s->backend->operations->history_delete_all(s->backend, user_id, error);
    if (!status)
        status = store_drop_unneeded(s, error);
    pthread_mutex_unlock(&s->picture_lock);
    return status;
}

mien_status store_user_erase(store *s, const char *id, mien_error *error)
{
    pthread_mutex_lock(&s->picture_lock);
    mien_status status = s->backend->operations->user_erase(s->backend, id, error);
    if (!status)
        status = store_drop_unneeded(s, error);
    pthread_mutex_unlock(&s->picture_lock);
    return status;
}

mien_status store_prune(store *s, int64_t history_before_us, int64_t now_us, size_t *removed, mien_error *error)
{
    pthread_mutex_lock(&s->picture_lock);
    mien_status status = s->backend->operations->prune(s->backend, history_before_us, now_us, removed, error);
    if (!status)
        status = store_drop_unneeded(s, error);
    pthread_mutex_unlock(&s->picture_lock);
    return status;
}

void store_record_done(store_record *record)
{
    memory_free(record->id);
    memory_free(record->user_id);
    memory_free(record->file_name);
    memory_free(record->emotion);
    memory_free(record->result);
    memory_free(record->picture);
    *record = (store_record){0};
}

void store_page_done(store_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        store_record_done(&page->records[i]);
    memory_free(page->records);
    *page = (store_page){0};
}

mien_status store_picture_read(store *s, const char *name, buffer *bytes, mien_error *error)
{
    if (!s->pictures)
        return error_set(error, MIEN_ENOTFOUND, "there is no such picture");
    return pictures_read(s->pictures, name, s->max_picture_bytes, bytes, error);
}
