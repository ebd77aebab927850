/* POSIX files. Writing goes through a temporary file, fsync and rename (the only sequence that survives both a crash
 * and a full disk); reading checks the limit as it goes, since a pipe does not tell its length. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

enum { FILE_CHUNK_BYTES = 1 << 16, FILE_SUFFIX_BYTES = 16, FILE_ATTEMPTS = 100 };

static mien_status file_failed(mien_error *error, const char *path, const char *what)
{
    int code = errno;
    mien_status status = code == ENOENT || code == ENOTDIR                  ? MIEN_ENOTFOUND
                         : code == EACCES || code == EPERM || code == EROFS ? MIEN_EDENIED
                         : code == ENOMEM                                   ? MIEN_ENOMEM
                                                                            : MIEN_EIO;
    return error_set(error, status, "%s: %s: %s", path, what, strerror(code));
}

/* How many bytes may be read next. */
static size_t file_room(const buffer *out, size_t start, size_t limit)
{
    size_t left = limit - (out->length - start);
    if (out->limit && out->limit - out->length < left)
        left = out->limit - out->length;
    return left < FILE_CHUNK_BYTES ? left : FILE_CHUNK_BYTES;
}

mien_status file_read(const char *path, size_t limit, buffer *out, mien_error *error)
{
    bool standard_input = !strcmp(path, "-");
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_failed(error, path, "cannot open");

    mien_status status = MIEN_OK;
    size_t start = out->length;
    struct stat about;
    bool known = !fstat(fd, &about);
    if (known && S_ISDIR(about.st_mode)) {
        status = error_set(error, MIEN_EIO, "%s: is a directory", path);
        goto out;
    }
    if (known && S_ISREG(about.st_mode) && about.st_size > 0 && (uint64_t)about.st_size > limit) {
        status = error_set(error, MIEN_ELIMIT, "%s: larger than the limit of %zu bytes", path, limit);
        goto out;
    }
    for (;;) {
        uint8_t beyond;
        size_t room = file_room(out, start, limit);
        status = room ? buffer_reserve(out, room) : MIEN_OK;
        if (status) {
            buffer_status(out, error);
            goto out;
        }
        ssize_t got = read(fd, room ? out->data + out->length : &beyond, room ? room : 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = file_failed(error, path, "cannot read");
            goto out;
        }
        if (!got)
            break;
        if (!room) {
            status = error_set(error, MIEN_ELIMIT, "%s: larger than the limit of %zu bytes", path, limit);
            goto out;
        }
        out->length += (size_t)got;
        out->data[out->length] = 0;
    }
out:
    if (status)
        out->length = start;
    if (!standard_input)
        close(fd);
    return status;
}

static int file_write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length) {
        ssize_t wrote = write(fd, bytes, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        bytes += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

/* After a rename the folder itself must reach the disk; a file system that cannot do that is not an error. */
static void file_sync_folder(const char *path)
{
    char *folder = memory_text(path);
    if (!folder)
        return;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    memory_free(folder);
}

/* A new file beside `path`, of a name nobody else has; the process's umask takes its part of `mode`. `temporary` holds
 * `space` bytes. */
static int file_open_temporary(const char *path, mode_t mode, char *temporary, size_t space)
{
    for (int attempt = 0; attempt < FILE_ATTEMPTS; attempt++) {
        uint32_t number;
        if (random_secret(&number, sizeof number, NULL)) {
            errno = EIO;
            return -1;
        }
        snprintf(temporary, space, "%s.%08x", path, (unsigned)number);
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static mien_status file_replace(const char *path, const void *bytes, size_t length, mode_t mode, mien_error *error)
{
    size_t space = strlen(path) + FILE_SUFFIX_BYTES;
    char *temporary = memory_array(space, 1);
    if (!temporary)
        return error_no_memory(error, space);
    int fd = file_open_temporary(path, mode, temporary, space);
    if (fd < 0) {
        mien_status status = file_failed(error, path, "cannot create");
        memory_free(temporary);
        return status;
    }
    mien_status status = MIEN_OK;
    if (file_write_all(fd, bytes, length) || fsync(fd))
        status = file_failed(error, path, "cannot write");
    if (close(fd) && !status)
        status = file_failed(error, path, "cannot write");
    if (!status && rename(temporary, path))
        status = file_failed(error, path, "cannot replace");
    if (status)
        unlink(temporary);
    else
        file_sync_folder(path);
    memory_free(temporary);
    return status;
}

/* A device, a pipe or a socket is written to: to rename a file over /dev/stdout would take it away from everybody. */
static mien_status file_write_into(const char *path, const void *bytes, size_t length, mien_error *error)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_failed(error, path, "cannot open");
    mien_status status = MIEN_OK;
    if (file_write_all(fd, bytes, length))
        status = file_failed(error, path, "cannot write");
    if (close(fd) && !status)
        status = file_failed(error, path, "cannot write");
    return status;
}

/* Behind a symbolic link its target is replaced and the link stays. */
static mien_status file_write_as(const char *path, const void *bytes, size_t length, mode_t mode, mien_error *error)
{
    struct stat about;
    if (stat(path, &about))
        return file_replace(path, bytes, length, mode, error);
    if (!S_ISREG(about.st_mode))
        return file_write_into(path, bytes, length, error);
    char *target = realpath(path, NULL);
    if (!target)
        return file_failed(error, path, "cannot be found");
    mien_status status = file_replace(target, bytes, length, mode, error);
    free(target);
    return status;
}

mien_status file_write(const char *path, const void *bytes, size_t length, mien_error *error)
{
    return file_write_as(path, bytes, length, 0644, error);
}

mien_status file_write_private(const char *path, const void *bytes, size_t length, mien_error *error)
{
    return file_write_as(path, bytes, length, 0600, error);
}

/* Whether `name` is "<base>.<eight hexadecimal digits>", as file_open_temporary makes them. */
static bool file_is_temporary(const char *name, const char *base)
{
    size_t length = strlen(base);
    return !strncmp(name, base, length) && name[length] == '.' && strlen(name) == length + 9 &&
           strspn(name + length + 1, "0123456789abcdef") == 8;
}

void file_clear_leftovers(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char *folder = memory_text_span(path, (size_t)(base - path));
    DIR *list = folder ? opendir(*folder ? folder : ".") : NULL;
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (file_is_temporary(entry->d_name, base))
            unlinkat(dirfd(list), entry->d_name, 0);
    if (list)
        closedir(list);
    memory_free(folder);
}

mien_status file_make_folders(const char *path, mien_error *error)
{
    char *partial = memory_text(path);
    if (!partial)
        return error_no_memory(error, strlen(path) + 1);
    mien_status status = MIEN_OK;
    for (char *at = partial + 1; !status; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        struct stat about;
        if (mkdir(partial, 0777) && (errno != EEXIST || stat(partial, &about) || !S_ISDIR(about.st_mode)))
            status = file_failed(error, partial, "cannot create folder");
        *at = kept;
        if (!kept)
            break;
    }
    memory_free(partial);
    return status;
}
