/* Content-addressed files. A name is made only by hashing, and a name from outside is used only when it looks exactly
 * like one, so no path trick reaches the file system. Two hundred and fifty-six folders keep each of them small. */
#include "store/pictures.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

bool pictures_is_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == PICTURES_NAME_BYTES - 1 && name[PICTURES_NAME_BYTES - 1] == '\0';
}

/* What file_write leaves behind when the process dies in the middle: a picture's name with an ending. */
static bool pictures_is_unfinished(const char *name)
{
    return strspn(name, "0123456789abcdef") == PICTURES_NAME_BYTES - 1 && name[PICTURES_NAME_BYTES - 1] == '.';
}

static mien_status pictures_path(const char *folder, const char *name, char *path, mien_error *error)
{
    if (snprintf(path, PATH_MAX, "%s/%.2s/%s", folder, name, name) >= PATH_MAX)
        return error_set(error, MIEN_EINVAL, "the data folder's path is too long");
    return MIEN_OK;
}

mien_status pictures_put(const char *folder, const void *bytes, size_t length, char name[PICTURES_NAME_BYTES],
                         mien_error *error)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char made[PICTURES_NAME_BYTES], path[PATH_MAX];
    crypto_hash_sha256(hash, bytes, length);
    sodium_bin2hex(made, sizeof made, hash, sizeof hash);
    mien_status status = pictures_path(folder, made, path, error);
    if (!status && access(path, F_OK)) {
        char *slash = strrchr(path, '/');
        *slash = '\0';
        status = file_make_folders(path, error);
        *slash = '/';
        if (!status)
            status = file_write_private(path, bytes, length, error);
    }
    if (!status)
        memcpy(name, made, sizeof made);
    return status;
}

mien_status pictures_read(const char *folder, const char *name, size_t limit, buffer *bytes, mien_error *error)
{
    char path[PATH_MAX];
    if (!pictures_is_name(name))
        return error_set(error, MIEN_ENOTFOUND, "there is no such picture");
    mien_status status = pictures_path(folder, name, path, error);
    if (!status)
        status = file_read(path, limit, bytes, error);
    if (status == MIEN_ENOTFOUND)
        return error_set(error, MIEN_ENOTFOUND, "there is no such picture");
    return status;
}

mien_status pictures_remove(const char *folder, const char *name, mien_error *error)
{
    char path[PATH_MAX];
    if (!pictures_is_name(name))
        return MIEN_OK;
    mien_status status = pictures_path(folder, name, path, error);
    if (!status && unlink(path) && errno != ENOENT)
        return error_set(error, MIEN_EIO, "a picture could not be removed: %s", strerror(errno));
    return status;
}

static mien_status pictures_each_in(const char *folder, const char *below,
                                    mien_status (*visit)(void *context, const char *name, mien_error *error),
                                    void *context, mien_error *error)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, below) >= PATH_MAX)
        return error_set(error, MIEN_EINVAL, "the data folder's path is too long");
    DIR *open = opendir(path);
    mien_status status = MIEN_OK;
    for (struct dirent *entry; open && !status && (entry = readdir(open));) {
        if (pictures_is_name(entry->d_name))
            status = visit(context, entry->d_name, error);
        else if (pictures_is_unfinished(entry->d_name))
            unlinkat(dirfd(open), entry->d_name, 0);
    }
    if (open)
        closedir(open);
    return status;
}

mien_status pictures_each(const char *folder, mien_status (*visit)(void *context, const char *name, mien_error *error),
                          void *context, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (unsigned i = 0; i < 256 && !status; i++) {
        char below[3];
        snprintf(below, sizeof below, "%02x", i);
        status = pictures_each_in(folder, below, visit, context, error);
    }
    return status;
}
