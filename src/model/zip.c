/* Zip archives as Python's zipfile writes them (APPNOTE 6.3.10 of PKWARE), files stored or deflated. Numbers are
 * little-endian:
 *
 *   file       "PK\3\4", version 2, flags 2, method 2, time 4, checksum 4, packed size 4, size 4, name length 2,
 *              extra length 2, name, extra, content
 *   directory  for each file "PK\1\2", versions 4, flags 2, method 2, time 4, checksum 4, packed size 4, size 4,
 *              name length 2, extra length 2, comment length 2, disk 2, attributes 6, offset of the file 4, name,
 *              extra, comment
 *   end        "PK\5\6", disk 2, directory's disk 2, entries here 2, entries 2, directory's size 4, its offset 4,
 *              comment length 2, comment
 *
 * Only the directory's sizes are believed: those before the content are often not known when they are written.
 */
#include "model/zip.h"

#include "base/error.h"

#include <string.h>

#include <zlib.h>

enum { FILE_BYTES = 30, ENTRY_BYTES = 46, END_BYTES = 22, MOST_COMMENT = 65535 };
enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1, BEST_RATIO = 1100 /* deflate packs at most 1032 bytes into one */ };

static size_t number(const uint8_t *at, int bytes)
{
    size_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (size_t)at[i] << (8 * i);
    return value;
}

static bool is_signed(const uint8_t *at, uint8_t third, uint8_t fourth)
{
    return at[0] == 'P' && at[1] == 'K' && at[2] == third && at[3] == fourth;
}

bool zip_is_archive(const uint8_t *bytes, size_t length)
{
    return length >= FILE_BYTES && is_signed(bytes, 3, 4);
}

/* The end stands before a comment of any length. */
static const uint8_t *find_end(const uint8_t *bytes, size_t length)
{
    if (length < END_BYTES)
        return NULL;
    for (size_t comment = 0; comment <= MOST_COMMENT && comment <= length - END_BYTES; comment++) {
        const uint8_t *at = bytes + length - END_BYTES - comment;
        if (is_signed(at, 5, 6) && number(at + 20, 2) == comment)
            return at;
    }
    return NULL;
}

/* From the directory's entry to the content. */
static mien_status read_entry(const uint8_t *bytes, size_t length, const uint8_t *entry, zip_file *file,
                              mien_error *error)
{
    zip_file found = {.method = (unsigned)number(entry + 10, 2),
                      .checksum = (uint32_t)number(entry + 16, 4),
                      .packed_length = number(entry + 20, 4),
                      .length = number(entry + 24, 4)};
    size_t at = number(entry + 42, 4);
    if (number(entry + 8, 2) & ENCRYPTED)
        return error_set(error, MIEN_EUNSUPPORTED, "the archive is encrypted");
    if (found.packed_length == UINT32_MAX || found.length == UINT32_MAX || at == UINT32_MAX)
        return error_set(error, MIEN_EUNSUPPORTED, "a zip64 archive");
    if (at > length || length - at < FILE_BYTES || !is_signed(bytes + at, 3, 4))
        return error_set_at(error, MIEN_EFORMAT, at, "the archive's directory points to no file");
    size_t begin = at + FILE_BYTES + number(bytes + at + 26, 2) + number(bytes + at + 28, 2);
    if (begin > length || found.packed_length > length - begin)
        return error_set_at(error, MIEN_EFORMAT, at, "a file leaves the archive");
    found.packed = bytes + begin;
    *file = found;
    return MIEN_OK;
}

mien_status zip_find(const uint8_t *bytes, size_t length, const char *name, zip_file *file, mien_error *error)
{
    const uint8_t *end = find_end(bytes, length);
    if (!end)
        return error_set(error, MIEN_EFORMAT, "the archive's end is missing");
    size_t count = number(end + 10, 2), at = number(end + 16, 4), before = (size_t)(end - bytes);
    if (number(end + 4, 4) || number(end + 8, 2) != count)
        return error_set(error, MIEN_EUNSUPPORTED, "an archive on several disks");
    for (size_t i = 0; i < count; i++) {
        if (at > before || before - at < ENTRY_BYTES || !is_signed(bytes + at, 1, 2))
            return error_set_at(error, MIEN_EFORMAT, at, "the archive's directory is broken");
        const uint8_t *entry = bytes + at;
        size_t own = number(entry + 28, 2), rest = number(entry + 30, 2) + number(entry + 32, 2);
        if (own + rest > before - at - ENTRY_BYTES)
            return error_set_at(error, MIEN_EFORMAT, at, "the archive's directory is broken");
        if (own == strlen(name) && !memcmp(entry + ENTRY_BYTES, name, own))
            return read_entry(bytes, length, entry, file, error);
        at += ENTRY_BYTES + own + rest;
    }
    return error_set(error, MIEN_ENOTFOUND, "the archive holds no %.80s", name);
}

static mien_status inflate_into(const zip_file *file, buffer *room, mien_error *error)
{
    if (buffer_reserve(room, file->length))
        return buffer_status(room, error);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)file->packed,
                       .avail_in = (uInt)file->packed_length,
                       .next_out = room->data,
                       .avail_out = (uInt)file->length};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) /* no header */
        return error_no_memory(error, file->length);
    int outcome = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (outcome != Z_STREAM_END || stream.avail_out)
        return error_set(error, MIEN_EFORMAT, "a packed file is broken");
    room->length = file->length;
    return MIEN_OK;
}

mien_status zip_content(const zip_file *file, size_t limit, buffer *room, const uint8_t **content, mien_error *error)
{
    if (file->length > limit)
        return error_set(error, MIEN_ELIMIT, "a file of %zu bytes; the limit is %zu", file->length, limit);
    if (file->method != STORED && file->method != DEFLATED)
        return error_set(error, MIEN_EUNSUPPORTED, "files packed by method %u", file->method);
    if (file->method == STORED ? file->length != file->packed_length : file->length / BEST_RATIO > file->packed_length)
        return error_set(error, MIEN_EFORMAT, "%zu bytes do not unpack into %zu", file->packed_length, file->length);
    mien_status status = file->method == DEFLATED ? inflate_into(file, room, error) : MIEN_OK;
    const uint8_t *unpacked = file->method == DEFLATED ? room->data : file->packed;
    if (!status && crc32(crc32(0, NULL, 0), unpacked, (uInt)file->length) != file->checksum)
        status = error_set(error, MIEN_EFORMAT, "a file of the archive is damaged (checksum)");
    if (!status)
        *content = unpacked;
    return status;
}
