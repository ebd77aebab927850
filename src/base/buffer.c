/* Growth by doubling, a limit that is checked before memory is taken, and a sticky failure. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { BUFFER_FIRST_BYTES = 256 };

void buffer_init(buffer *b, size_t limit)
{
    *b = (buffer){.limit = limit};
}

void buffer_done(buffer *b)
{
    if (!b)
        return;
    free(b->data);
    *b = (buffer){.limit = b->limit};
}

void buffer_clear(buffer *b)
{
    b->length = 0;
    b->failed = MIEN_OK;
    if (b->data)
        b->data[0] = 0;
}

static mien_status buffer_fail(buffer *b, mien_status status)
{
    b->failed = status;
    return status;
}

mien_status buffer_reserve(buffer *b, size_t extra)
{
    size_t needed;
    if (!memory_sum(b->length, extra, &needed) || (b->limit && needed > b->limit))
        return buffer_fail(b, MIEN_ELIMIT);
    if (!memory_sum(needed, 1, &needed))
        return buffer_fail(b, MIEN_ELIMIT);
    if (needed <= b->capacity)
        return MIEN_OK;
    size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST_BYTES;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    uint8_t *data = realloc(b->data, capacity);
    if (!data)
        return buffer_fail(b, MIEN_ENOMEM);
    b->data = data;
    b->capacity = capacity;
    return MIEN_OK;
}

mien_status buffer_append(buffer *b, const void *bytes, size_t length)
{
    if (b->failed)
        return b->failed;
    mien_status status = buffer_reserve(b, length);
    if (status)
        return status;
    if (length)
        memcpy(b->data + b->length, bytes, length);
    b->length += length;
    b->data[b->length] = 0;
    return MIEN_OK;
}

mien_status buffer_append_text(buffer *b, const char *text)
{
    return buffer_append(b, text, strlen(text));
}

mien_status buffer_append_byte(buffer *b, uint8_t byte)
{
    return buffer_append(b, &byte, 1);
}

mien_status buffer_append_format(buffer *b, const char *format, ...)
{
    if (b->failed)
        return b->failed;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    mien_status status = length < 0 ? buffer_fail(b, MIEN_ENOMEM) : buffer_reserve(b, (size_t)length);
    if (!status) {
        vsnprintf((char *)b->data + b->length, (size_t)length + 1, format, again);
        b->length += (size_t)length;
    }
    va_end(again);
    return status;
}

void buffer_consume(buffer *b, size_t length)
{
    if (length >= b->length) {
        b->length = 0;
    } else {
        memmove(b->data, b->data + length, b->length - length);
        b->length -= length;
    }
    if (b->data)
        b->data[b->length] = 0;
}

uint8_t *buffer_take(buffer *b, size_t *length)
{
    uint8_t *data = b->data;
    *length = b->length;
    *b = (buffer){.limit = b->limit};
    return data;
}

const char *buffer_text(const buffer *b)
{
    return b->data ? (const char *)b->data : "";
}

mien_status buffer_status(const buffer *b, mien_error *error)
{
    if (b->failed == MIEN_ELIMIT)
        return error_set(error, MIEN_ELIMIT, "more than %zu bytes", b->limit);
    if (b->failed)
        return error_no_memory(error, b->capacity);
    return MIEN_OK;
}
