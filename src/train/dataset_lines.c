/* Reads a text file in large pieces and hands out its lines in place. FER-2013 is 260 MB of text and 67 MB when packed,
 * so neither form is ever held whole; .xz is told by its first bytes and unpacked by liblzma's threaded decoder, which
 * is what makes reading the packed file as quick as the plain one where it was written in blocks. */
#include "train/dataset_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum {
    LINES_INPUT = 1 << 18,
    LINES_TEXT = 1 << 21, /* also the longest line */
    LINES_THREADS = 2
};
static const uint64_t lines_memory = (uint64_t)1 << 30;
static const uint8_t lines_mark[3] = {0xef, 0xbb, 0xbf}; /* spreadsheets put it before their UTF-8 */
static const uint8_t lines_xz_magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};

struct dataset_lines {
    char *path;
    int fd;
    bool packed, input_ended, ended;
    lzma_stream xz;
    uint8_t *input;
    size_t input_length; /* of the first piece, until it is used */
    char *text;
    size_t begin, end; /* what is left of the text */
    size_t number;
};

static mien_status lines_read(dataset_lines *lines, void *into, size_t capacity, size_t *got, mien_error *error)
{
    for (;;) {
        ssize_t count = read(lines->fd, into, capacity);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(error, MIEN_EIO, "%s: cannot read: %s", lines->path, strerror(errno));
        *got = (size_t)count;
        return MIEN_OK;
    }
}

static mien_status lines_start(dataset_lines *lines, mien_error *error)
{
    mien_status status = lines_read(lines, lines->input, LINES_INPUT, &lines->input_length, error);
    if (status)
        return status;
    lines->packed =
        lines->input_length >= sizeof(lines_xz_magic) && !memcmp(lines->input, lines_xz_magic, sizeof(lines_xz_magic));
    if (!lines->packed)
        return MIEN_OK;
    lzma_mt options = {.threads = LINES_THREADS,
                       .flags = LZMA_CONCATENATED,
                       .memlimit_threading = lines_memory,
                       .memlimit_stop = lines_memory};
    if (lzma_stream_decoder_mt(&lines->xz, &options) != LZMA_OK)
        return error_set(error, MIEN_ENOMEM, "%s: no memory to unpack it", lines->path);
    lines->xz.next_in = lines->input;
    lines->xz.avail_in = lines->input_length;
    return MIEN_OK;
}

mien_status dataset_lines_open(const char *path, dataset_lines **out, mien_error *error)
{
    dataset_lines *lines = memory_zeroed(1, sizeof(*lines));
    if (!lines)
        return error_no_memory(error, sizeof(*lines));
    lines->xz = (lzma_stream)LZMA_STREAM_INIT;
    lines->fd = -1;
    lines->path = memory_text(path);
    lines->input = memory_array(LINES_INPUT, 1);
    lines->text = memory_array(LINES_TEXT + 1, 1);
    mien_status status = MIEN_OK;
    if (!lines->path || !lines->input || !lines->text)
        status = error_no_memory(error, LINES_INPUT + LINES_TEXT);
    if (!status && (lines->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
        status =
            error_set(error, errno == ENOENT ? MIEN_ENOTFOUND : MIEN_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (!status)
        status = lines_start(lines, error);
    if (status)
        dataset_lines_close(&lines);
    else
        *out = lines;
    return status;
}

void dataset_lines_close(dataset_lines **lines)
{
    if (!lines || !*lines)
        return;
    lzma_end(&(*lines)->xz);
    if ((*lines)->fd >= 0)
        close((*lines)->fd);
    memory_free((*lines)->path);
    memory_free((*lines)->input);
    memory_free((*lines)->text);
    memory_free(*lines);
    *lines = NULL;
}

static mien_status lines_fill_packed(dataset_lines *lines, mien_error *error)
{
    lines->xz.next_out = (uint8_t *)lines->text + lines->end;
    lines->xz.avail_out = LINES_TEXT - lines->end;
    while (lines->xz.avail_out && !lines->ended) {
        if (!lines->xz.avail_in && !lines->input_ended) {
            size_t got = 0;
            mien_status status = lines_read(lines, lines->input, LINES_INPUT, &got, error);
            if (status)
                return status;
            lines->xz.next_in = lines->input;
            lines->xz.avail_in = got;
            lines->input_ended = !got;
        }
        lzma_ret result = lzma_code(&lines->xz, lines->input_ended ? LZMA_FINISH : LZMA_RUN);
        lines->ended = result == LZMA_STREAM_END;
        if (result == LZMA_MEM_ERROR || result == LZMA_MEMLIMIT_ERROR)
            return error_set(error, MIEN_ENOMEM, "%s: no memory to unpack it", lines->path);
        if (result != LZMA_OK && result != LZMA_STREAM_END)
            return error_set(error, MIEN_EFORMAT, "%s: the packed data is damaged or cut short", lines->path);
    }
    lines->end = LINES_TEXT - lines->xz.avail_out;
    return MIEN_OK;
}

static mien_status lines_fill_plain(dataset_lines *lines, mien_error *error)
{
    size_t got = 0;
    if (lines->input_length) {
        memcpy(lines->text, lines->input, lines->input_length);
        got = lines->input_length;
        lines->input_length = 0;
    } else {
        mien_status status = lines_read(lines, lines->text + lines->end, LINES_TEXT - lines->end, &got, error);
        if (status)
            return status;
        lines->ended = !got;
    }
    lines->end += got;
    return MIEN_OK;
}

mien_status dataset_lines_next(dataset_lines *lines, char **line, size_t *length, mien_error *error)
{
    for (;;) {
        char *begin = lines->text + lines->begin;
        size_t held = lines->end - lines->begin;
        char *newline = memchr(begin, '\n', held);
        if (newline || (lines->ended && held)) {
            size_t size = newline ? (size_t)(newline - begin) : held;
            lines->begin += size + (newline ? 1 : 0);
            if (size && begin[size - 1] == '\r')
                size--;
            begin[size] = '\0';
            if (!lines->number++ && size >= sizeof(lines_mark) && !memcmp(begin, lines_mark, sizeof(lines_mark))) {
                begin += sizeof(lines_mark);
                size -= sizeof(lines_mark);
            }
            *line = begin;
            *length = size;
            return MIEN_OK;
        }
        if (lines->ended) {
            *line = NULL;
            *length = 0;
            return MIEN_OK;
        }
        memmove(lines->text, begin, held);
        lines->begin = 0;
        lines->end = held;
        if (held == LINES_TEXT)
            return error_set(error, MIEN_ELIMIT, "%s, line %zu: longer than %d bytes", lines->path, lines->number + 1,
                             LINES_TEXT);
        mien_status status = lines->packed ? lines_fill_packed(lines, error) : lines_fill_plain(lines, error);
        if (status)
            return status;
    }
}

size_t dataset_lines_number(const dataset_lines *lines)
{
    return lines->number;
}
