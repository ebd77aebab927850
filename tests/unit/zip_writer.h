/* Writes zip archives as Python's zipfile would, and wrong ones on request: for the tests of their reader. */
#ifndef TESTS_UNIT_ZIP_WRITER_H
#define TESTS_UNIT_ZIP_WRITER_H

#include "testing.h"

#include "base/buffer.h"

#include <zlib.h>

typedef struct zip_writer {
    unsigned count;
    buffer bytes, directory;
    bool pack;            /* deflate what comes next */
    unsigned flags;       /* of what comes next: 1 = encrypted */
    unsigned method;      /* said in place of the true one; 0 = the true one */
    uint32_t wrong;       /* added to the checksum */
    int32_t longer;       /* added to the size that the directory says */
    const char *comment;  /* behind the end; NULL = none */
    unsigned disks, lost; /* said by the end: disks before, entries that are not there */
} zip_writer;

static inline void zip_number(buffer *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buffer_append_byte(out, (uint8_t)(value >> (8 * i)));
}

static inline size_t zip_pack(const uint8_t *content, size_t length, uint8_t *packed, size_t room)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)content;
    stream.avail_in = (uInt)length;
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

/* The sizes before the content are left at 0 and follow it, as in a stream: the directory has the true ones. */
static inline void zip_add(zip_writer *w, const char *name, const void *content, size_t length)
{
    uint32_t at = (uint32_t)w->bytes.length;
    uint32_t checksum = (uint32_t)crc32(crc32(0, NULL, 0), content, (uInt)length) + w->wrong;
    size_t room = length + length / 8 + 64, packed = length, own = strlen(name);
    unsigned method = w->method ? w->method : w->pack ? 8 : 0;
    uint8_t *squeezed = malloc(room);
    assert_non_null(squeezed);
    if (w->pack)
        packed = zip_pack(content, length, squeezed, room);
    buffer_append(&w->bytes, "PK\3\4\24\0", 6);
    zip_number(&w->bytes, w->flags | 8, 2);
    zip_number(&w->bytes, method, 2);
    for (int i = 0; i < 4; i++)
        zip_number(&w->bytes, 0, 4);
    zip_number(&w->bytes, (uint32_t)own, 2);
    zip_number(&w->bytes, 4, 2);
    buffer_append_text(&w->bytes, name);
    zip_number(&w->bytes, 0xcafe, 4); /* an extra field of nothing */
    buffer_append(&w->bytes, w->pack ? squeezed : content, packed);
    buffer_append(&w->bytes, "PK\7\10", 4);
    zip_number(&w->bytes, checksum, 4);
    zip_number(&w->bytes, (uint32_t)packed, 4);
    zip_number(&w->bytes, (uint32_t)length, 4);
    free(squeezed);

    buffer_append(&w->directory, "PK\1\2\24\3\24\0", 8);
    zip_number(&w->directory, w->flags | 8, 2);
    zip_number(&w->directory, method, 2);
    zip_number(&w->directory, 0, 4);
    zip_number(&w->directory, checksum, 4);
    zip_number(&w->directory, (uint32_t)packed, 4);
    zip_number(&w->directory, (uint32_t)length + (uint32_t)w->longer, 4);
    zip_number(&w->directory, (uint32_t)own, 2);
    for (int i = 0; i < 3; i++)
        zip_number(&w->directory, 0, 4);
    zip_number(&w->directory, at, 4);
    buffer_append_text(&w->directory, name);
    w->count++;
}

/* The archive's bytes; the writer is empty again. */
static inline void zip_bytes(zip_writer *w, buffer *out)
{
    size_t at = w->bytes.length;
    buffer_append(&w->bytes, w->directory.data, w->directory.length);
    buffer_append(&w->bytes, "PK\5\6", 4);
    zip_number(&w->bytes, w->disks, 4);
    zip_number(&w->bytes, w->count + w->lost, 2);
    zip_number(&w->bytes, w->count + w->lost, 2);
    zip_number(&w->bytes, (uint32_t)w->directory.length, 4);
    zip_number(&w->bytes, (uint32_t)at, 4);
    zip_number(&w->bytes, w->comment ? (uint32_t)strlen(w->comment) : 0, 2);
    if (w->comment)
        buffer_append_text(&w->bytes, w->comment);
    assert_int_equal(w->bytes.failed, MIEN_OK);
    buffer_done(&w->directory);
    *out = w->bytes;
    *w = (zip_writer){0};
}

#endif
