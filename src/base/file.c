/* POSIX files. Writing goes through a temporary file, fsync and rename (the only sequence that survives both a crash
 * and a full disk); reading checks the limit as it goes, since a pipe does not tell its length. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { FILE_CHUNK_BYTES = 1 << 16 };

static mien_status file_failed(mien_error *error, const char *path, const char *what)
{
    int code = errno;
    mien_status status = code == ENOENT || code == ENOTDIR                  ? MIEN_ENOTFOUND
                         : code == EACCES || code == EPERM || code == EROFS ? MIEN_EDENIED
                         : code == ENOMEM                                   ? MIEN_ENOMEM
                                                                            : MIEN_EIO;
    return error_set(error, status, "%s: %s: %s", path, what, strerror(code));
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
    if (!fstat(fd, &about) && S_ISDIR(about.st_mode)) {
        status = error_set(error, MIEN_EIO, "%s: is a directory", path);
        goto out;
    }
    if (!fstat(fd, &about) && S_ISREG(about.st_mode) && about.st_size > 0 && (uint64_t)about.st_size > limit) {
        status = error_set(error, MIEN_ELIMIT, "%s: larger than the limit of %zu bytes", path, limit);
        goto out;
    }
    for (;;) {
        status = buffer_reserve(out, FILE_CHUNK_BYTES);
        if (status) {
            buffer_status(out, error);
            goto out;
        }
        ssize_t got = read(fd, out->data + out->length, FILE_CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = file_failed(error, path, "cannot read");
            goto out;
        }
        if (!got)
            break;
        out->length += (size_t)got;
        out->data[out->length] = 0;
        if (out->length - start > limit) {
            status = error_set(error, MIEN_ELIMIT, "%s: larger than the limit of %zu bytes", path, limit);
            goto out;
        }
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

static mien_status file_write_as(const char *path, const void *bytes, size_t length, mode_t mode, mien_error *error)
{
    size_t space = strlen(path) + 16;
    char *temporary = memory_array(space, 1);
    if (!temporary)
        return error_no_memory(error, space);
    snprintf(temporary, space, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        mien_status status = file_failed(error, path, "cannot create");
        memory_free(temporary);
        return status;
    }
    mien_status status = MIEN_OK;
    if (file_write_all(fd, bytes, length) || fchmod(fd, mode) || fsync(fd))
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

mien_status file_write(const char *path, const void *bytes, size_t length, mien_error *error)
{
    return file_write_as(path, bytes, length, 0644, error);
}

mien_status file_write_private(const char *path, const void *bytes, size_t length, mien_error *error)
{
    return file_write_as(path, bytes, length, 0600, error);
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
