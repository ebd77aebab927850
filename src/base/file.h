/* Whole files: read with a limit, written so that a crash leaves the old or the new one, never half of one. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"

/** Append the whole file, which may have `limit` bytes, to `out`; "-" is standard input.
 *  @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EDENIED, MIEN_EIO (a directory, a read error), MIEN_ELIMIT (of the call or
 *  of `out`). */
mien_status file_read(const char *path, size_t limit, buffer *out, mien_error *error);

/** Write to a temporary name beside `path`, flush to the disk, rename over it. A full disk leaves the old file. The
 *  process's umask holds; behind a symbolic link the target is replaced; a device or a pipe is written to. */
mien_status file_write(const char *path, const void *bytes, size_t length, mien_error *error);
/** The same, readable for the owner alone at every moment. */
mien_status file_write_private(const char *path, const void *bytes, size_t length, mien_error *error);

/** Remove the temporary files that writers of `path` left when they were killed. Only for a path that nobody else is
 *  writing at the moment. */
void file_clear_leftovers(const char *path);

/** Create the folder and those above it; an existing folder is fine. */
mien_status file_make_folders(const char *path, mien_error *error);

#endif
