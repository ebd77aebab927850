/* Guards the form parser: any body under any boundary. Every byte of every part handed out is touched. */
#include "server/multipart.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line is the Content-Type, the rest the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char type[200] = "";
    const uint8_t *end = memchr(data, '\n', size);
    size_t length = end ? (size_t)(end - data) : 0;
    if (length >= sizeof type)
        return 0;
    memcpy(type, data, length);
    http_request request = {.field_count = 1};
    request.fields[0] = (http_field){"content-type", type};
    request.body = data + length + (end != NULL);
    request.body_length = size - length - (end != NULL);
    multipart_reader reader;
    multipart_part part;
    mien_error error;
    volatile uint8_t sum = 0;
    if (multipart_begin(&reader, &request, &error))
        return 0;
    while (!multipart_next(&reader, &part, &error))
        for (size_t i = 0; i < part.length; i++)
            sum = (uint8_t)(sum + part.data[i]);
    return 0;
}
