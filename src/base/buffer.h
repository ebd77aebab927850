/* A growing run of bytes with a hard limit. The one buffer of the project: text, JSON, sockets and files use it. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <mien/base.h>

#include <stdbool.h>

/** Zero-initialised means empty with no limit. After a failed append the buffer keeps what it had and `failed` is set,
 *  so a writer may append many times and look once at the end. */
typedef struct buffer {
    uint8_t *data; /* always followed by a NUL once anything was appended */
    size_t length;
    size_t capacity;
    size_t limit;       /* most bytes it may hold; 0 = no limit */
    mien_status failed; /* MIEN_OK, MIEN_ENOMEM or MIEN_ELIMIT */
} buffer;

void buffer_init(buffer *b, size_t limit);
void buffer_done(buffer *b);
/** Length to 0 and `failed` to MIEN_OK; the memory is kept. */
void buffer_clear(buffer *b);
/** Room for `extra` more bytes; returns MIEN_OK, MIEN_ENOMEM or MIEN_ELIMIT. */
mien_status buffer_reserve(buffer *b, size_t extra);
mien_status buffer_append(buffer *b, const void *bytes, size_t length);
mien_status buffer_append_text(buffer *b, const char *text);
mien_status buffer_append_byte(buffer *b, uint8_t byte);
mien_status buffer_append_format(buffer *b, const char *format, ...) MIEN_PRINTF(2, 3);
/** Remove the first `length` bytes. */
void buffer_consume(buffer *b, size_t length);
/** Hand the bytes to the caller, who frees them with memory_free; the buffer becomes empty. */
uint8_t *buffer_take(buffer *b, size_t *length);
/** The content as text; "" when empty. */
const char *buffer_text(const buffer *b);
/** Describe `failed` in `error`; MIEN_OK when nothing failed. */
mien_status buffer_status(const buffer *b, mien_error *error);

#endif
