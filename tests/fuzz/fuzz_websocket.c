/* Guards the WebSocket reader: any bytes, whole and one at a time, give the same messages and the same end. */
#include "server/websocket.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that was read, as one run of bytes. @return the close code. */
static int read_all(const uint8_t *data, size_t size, size_t piece, buffer *seen)
{
    websocket_reader reader;
    websocket_reader_init(&reader, 4096);
    int code = 0;
    for (size_t at = 0; at < size && !code;) {
        size_t part = size - at < piece ? size - at : piece, used = 0;
        websocket_event event;
        code = websocket_read(&reader, data + at, part, &used, &event);
        at += used;
        if (!code && event.opcode != WEBSOCKET_CONTINUATION) {
            buffer_append_byte(seen, (uint8_t)event.opcode);
            if (event.length)
                buffer_append(seen, event.data, event.length);
        }
    }
    websocket_reader_done(&reader);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    buffer whole = {0}, cut = {0};
    int first = read_all(data, size, SIZE_MAX, &whole), second = read_all(data, size, 1, &cut);
    if (first != second || whole.length != cut.length || (whole.length && memcmp(whole.data, cut.data, whole.length)))
        abort();
    buffer_done(&whole);
    buffer_done(&cut);
    return 0;
}
