/* Reading is strict, as in the reference parser: what is not exactly a packet closes the connection. Nesting is counted
 * before the JSON parser sees the text, so depth costs nothing; integers beyond 64 bits are read as reals rather than
 * refused, since JavaScript has no others. */
#include "proto/socketio_packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool json_depth_within(const char *text, size_t length, size_t most)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{') && ++depth > most)
            return false;
        else if (!quoted && (c == ']' || c == '}') && depth)
            depth--;
    }
    return true;
}

static mien_status json_read(const char *text, size_t length, size_t max_depth, json_t **value, mien_error *error)
{
    if (!json_depth_within(text, length, max_depth))
        return error_set(error, MIEN_ELIMIT, "Socket.IO: JSON nested deeper than %zu", max_depth);
    json_error_t why;
    json_t *read = json_loadb(text, length, JSON_ALLOW_NUL, &why);
    if (!read && json_error_code(&why) == json_error_numeric_overflow)
        read = json_loadb(text, length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
    if (!read)
        return error_set(error, MIEN_EFORMAT, "Socket.IO: %.120s", why.text);
    *value = read;
    return MIEN_OK;
}

bool socketio_placeholder_number(const json_t *value, size_t *number)
{
    if (!json_is_object(value) || !json_is_true(json_object_get(value, "_placeholder")))
        return false;
    const json_t *num = json_object_get(value, "num");
    if (!json_is_integer(num) || json_integer_value(num) < 0)
        *number = SIZE_MAX;
    else
        *number = (size_t)json_integer_value(num);
    return true;
}

static bool placeholders_within(json_t *value, size_t attachments)
{
    size_t number, index;
    json_t *item;
    const char *key;
    if (socketio_placeholder_number(value, &number))
        return number < attachments;
    json_array_foreach(value, index, item)
    {
        if (!placeholders_within(item, attachments))
            return false;
    }
    json_object_foreach(value, key, item)
    {
        if (!placeholders_within(item, attachments))
            return false;
    }
    return true;
}

static bool event_name_allowed(const json_t *name)
{
    static const char *const reserved[] = {"connect",       "connect_error", "disconnect",
                                           "disconnecting", "newListener",   "removeListener"};
    if (!json_is_string(name) || strlen(json_string_value(name)) != json_string_length(name))
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strcmp(json_string_value(name), reserved[i]) == 0)
            return false;
    }
    return true;
}

static bool packet_sound(const socketio_packet *p)
{
    switch (p->type) {
    case SOCKETIO_CONNECT:
        return !p->data || json_is_object(p->data);
    case SOCKETIO_DISCONNECT:
        return !p->data;
    case SOCKETIO_EVENT:
        return event_name_allowed(json_array_get(p->data, 0));
    case SOCKETIO_BINARY_EVENT:
        return event_name_allowed(json_array_get(p->data, 0)) && placeholders_within(p->data, p->attachments);
    case SOCKETIO_ACK:
        return p->has_id && json_is_array(p->data);
    case SOCKETIO_BINARY_ACK:
        return p->has_id && json_is_array(p->data) && placeholders_within(p->data, p->attachments);
    default:
        return false; /* CONNECT_ERROR is the server's to send */
    }
}

/** Decimal digits from *at on; false when there are none or they do not fit. */
static bool read_number(const uint8_t *text, size_t length, size_t *at, uint64_t *number)
{
    size_t start = *at;
    uint64_t value = 0;
    for (; *at < length && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
        if (value > (UINT64_MAX >> 1) / 10)
            return false;
        value = value * 10 + (uint64_t)(text[*at] - '0');
    }
    *number = value;
    return *at > start;
}

static mien_status read_space(const uint8_t *text, size_t length, size_t *at, char space[SOCKETIO_SPACE_BYTES],
                              mien_error *error)
{
    if (*at >= length || text[*at] != '/') {
        memcpy(space, "/", 2);
        return MIEN_OK;
    }
    size_t start = *at, named = 0;
    bool query = false;
    for (; *at < length && text[*at] != ','; (*at)++) {
        query = query || text[*at] == '?';
        named += !query;
    }
    if (named >= SOCKETIO_SPACE_BYTES)
        return error_set(error, MIEN_ELIMIT, "Socket.IO: a namespace of %zu bytes", named);
    memcpy(space, text + start, named);
    space[named] = 0;
    *at += *at < length; /* the comma */
    return MIEN_OK;
}

static mien_status read_head(const uint8_t *text, size_t length, size_t max_attachments, size_t *at, socketio_packet *p,
                             mien_error *error)
{
    if (!length || text[0] < '0' || text[0] > '6')
        return error_set(error, MIEN_EFORMAT, "Socket.IO: unknown packet type");
    p->type = (socketio_type)(text[0] - '0');
    *at = 1;
    if (p->type == SOCKETIO_BINARY_EVENT || p->type == SOCKETIO_BINARY_ACK) {
        uint64_t count;
        if (!read_number(text, length, at, &count) || *at >= length || text[*at] != '-')
            return error_set(error, MIEN_EFORMAT, "Socket.IO: no number of attachments");
        if (count > max_attachments)
            return error_set(error, MIEN_ELIMIT, "Socket.IO: more than %zu attachments", max_attachments);
        p->attachments = (size_t)count;
        ++*at;
    }
    mien_status status = read_space(text, length, at, p->space, error);
    if (status)
        return status;
    if (*at < length && text[*at] >= '0' && text[*at] <= '9') {
        p->has_id = true;
        if (!read_number(text, length, at, &p->id))
            return error_set(error, MIEN_EFORMAT, "Socket.IO: an acknowledgement id out of range");
    }
    return MIEN_OK;
}

mien_status socketio_packet_parse(const uint8_t *text, size_t length, size_t max_attachments, size_t max_depth,
                                  socketio_packet *p, mien_error *error)
{
    socketio_packet read = {0};
    size_t at = 0;
    mien_status status = read_head(text, length, max_attachments, &at, &read, error);
    if (!status && at < length)
        status = json_read((const char *)text + at, length - at, max_depth, &read.data, error);
    if (!status && !packet_sound(&read))
        status = error_set(error, MIEN_EFORMAT, "Socket.IO: the payload does not suit packet type %d", (int)read.type);
    if (status)
        socketio_packet_done(&read);
    else
        *p = read;
    return status;
}

void socketio_packet_done(socketio_packet *p)
{
    json_decref(p->data);
    *p = (socketio_packet){0};
}

void socketio_write_head(buffer *out, socketio_type type, const char *space, size_t attachments, const uint64_t *id)
{
    buffer_append_byte(out, (uint8_t)('0' + type));
    if (type == SOCKETIO_BINARY_EVENT || type == SOCKETIO_BINARY_ACK)
        buffer_append_format(out, "%zu-", attachments);
    if (strcmp(space, "/") != 0)
        buffer_append_format(out, "%s,", space);
    if (id)
        buffer_append_format(out, "%llu", (unsigned long long)*id);
}

static int write_chunk(const char *text, size_t length, void *out)
{
    return buffer_append(out, text, length) ? -1 : 0;
}

/** The shortest of 15 or 17 digits that reads back as the same number: 0.7, not 0.69999999999999996. */
static void write_real(buffer *out, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    buffer_append_text(out, text);
    if (!strpbrk(text, ".e"))
        buffer_append_text(out, ".0"); /* it stays a real for those who tell them apart */
}

static void write_object(buffer *out, json_t *object)
{
    const char *key;
    json_t *value;
    char separator = '{';
    json_object_foreach(object, key, value)
    {
        json_t *name = json_string(key);
        buffer_append_byte(out, (uint8_t)separator);
        socketio_write_json(out, name);
        buffer_append_byte(out, ':');
        socketio_write_json(out, value);
        json_decref(name);
        separator = ',';
    }
    buffer_append_text(out, separator == '{' ? "{}" : "}");
}

void socketio_write_json(buffer *out, const json_t *value)
{
    json_t *item = (json_t *)(uintptr_t)value; /* jansson's loops do not take const */
    if (json_is_object(value)) {
        write_object(out, item);
    } else if (json_is_array(value)) {
        socketio_write_array(out, NULL, value);
    } else if (json_is_real(value)) {
        write_real(out, json_real_value(value));
    } else if (json_dump_callback(value, write_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY) && !out->failed) {
        out->failed = MIEN_ENOMEM;
    }
}

void socketio_write_array(buffer *out, const char *event, const json_t *values)
{
    size_t index;
    json_t *value, *name = event ? json_string(event) : NULL;
    if (event && !name)
        out->failed = MIEN_ENOMEM;
    buffer_append_byte(out, '[');
    if (name)
        socketio_write_json(out, name);
    json_decref(name);
    json_array_foreach(values, index, value)
    {
        if (event || index)
            buffer_append_byte(out, ',');
        socketio_write_json(out, value);
    }
    buffer_append_byte(out, ']');
}
