/* The files of a zip archive in memory: what Keras 3 saves models as. */
#ifndef MODEL_ZIP_H
#define MODEL_ZIP_H

#include "base/buffer.h"

typedef struct zip_file {
    const uint8_t *packed; /* in the archive */
    size_t packed_length, length;
    unsigned method;
    uint32_t checksum;
} zip_file;

bool zip_is_archive(const uint8_t *bytes, size_t length);
/** Look a file up by its whole name. MIEN_ENOTFOUND, MIEN_EFORMAT, MIEN_EUNSUPPORTED (encrypted, zip64, several
 *  disks). */
mien_status zip_find(const uint8_t *bytes, size_t length, const char *name, zip_file *file, mien_error *error);
/** Its content of at most `limit` bytes: in the archive itself where it is not packed, else unpacked into `room`, which
 *  is empty and must live as long as the content. */
mien_status zip_content(const zip_file *file, size_t limit, buffer *room, const uint8_t **content, mien_error *error);

#endif
