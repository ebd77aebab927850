/* Fuzz target: any zip archive must load as a Keras model or be refused. What is no archive is made the content of one,
 * description and weights parted by the first NUL, since checksums keep changed contents of an archive from being
 * read. */
#include "base/buffer.h"
#include "model/model.h"

#include <string.h>

#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(buffer *out, size_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buffer_append_byte(out, (uint8_t)(value >> (8 * i)));
}

static void add(buffer *archive, buffer *directory, const char *name, const uint8_t *content, size_t length)
{
    put(directory, 0x02014b50, 4);
    put(directory, 0, 8);
    put(directory, 0, 4);
    put(directory, crc32(crc32(0, NULL, 0), content, (uInt)length), 4);
    put(directory, length, 4);
    put(directory, length, 4);
    put(directory, strlen(name), 2);
    put(directory, 0, 8);
    put(directory, 0, 4);
    put(directory, archive->length, 4);
    buffer_append_text(directory, name);
    put(archive, 0x04034b50, 4);
    for (int i = 0; i < 22; i++)
        buffer_append_byte(archive, 0);
    put(archive, strlen(name), 2);
    put(archive, 0, 2);
    buffer_append_text(archive, name);
    buffer_append(archive, content, length);
}

static void wrap(const uint8_t *data, size_t size, buffer *archive)
{
    buffer directory = {0};
    const uint8_t *nul = memchr(data, 0, size);
    size_t config = nul ? (size_t)(nul - data) : size, weights = nul ? size - config - 1 : 0;
    add(archive, &directory, "config.json", data, config);
    add(archive, &directory, "model.weights.h5", data + size - weights, weights);
    size_t at = archive->length;
    buffer_append(archive, directory.data, directory.length);
    put(archive, 0x06054b50, 4);
    put(archive, 0, 4);
    put(archive, 2, 2);
    put(archive, 2, 2);
    put(archive, directory.length, 4);
    put(archive, at, 4);
    put(archive, 0, 2);
    buffer_done(&directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const model_limits limits = {.max_weight_bytes = 16 << 20, .max_items = 20000};
    model m = {0};
    mien_error error = {0};
    buffer archive = {0};
    if (!size)
        return 0;
    if (data[0] != 'P') {
        wrap(data, size, &archive);
        data = archive.data;
        size = archive.length;
    }
    if (!model_load_bytes(data, size, &limits, &m, &error))
        model_done(&m);
    buffer_done(&archive);
    return 0;
}
