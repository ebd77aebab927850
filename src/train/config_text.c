/* The little language of the settings' file: lines of `key = value`, # begins a comment, double quotes keep what would
 * otherwise be lost of a value. What config_write writes, config_parse reads back to the same structure: a run's own
 * configuration and its checkpoint depend on it. */
#include "train/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "train/quoted.h"

enum { CONFIG_FILE_MOST = 1 << 20, CONFIG_LINE_MOST = 2048 };

static char *config_trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t length = strlen(text);
    while (length && strchr(" \t\r", text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* A # begins a comment at the start of a line and behind a blank. */
static void config_cut_comment(char *text, const char *line)
{
    for (char *at = text; *at; at++)
        if (*at == '#' && (at == line || at[-1] == ' ' || at[-1] == '\t')) {
            *at = '\0';
            return;
        }
}

/* A value in double quotes keeps its blanks and its #; a quote inside is doubled. */
static mien_status config_unquote(char *value, mien_error *error)
{
    bool closed;
    char *rest = quoted_read(value, &closed);
    if (!closed)
        return error_set(error, MIEN_EFORMAT, "the closing quote is missing");
    config_cut_comment(rest, NULL);
    if (*config_trim(rest))
        return error_set(error, MIEN_EFORMAT, "something stands behind the closing quote");
    return MIEN_OK;
}

static mien_status config_parse_line(train_config *config, char *line, mien_error *error)
{
    char *equals = strchr(line, '='), *value = equals ? equals + 1 + strspn(equals + 1, " \t") : NULL;
    bool quoted = value && *value == '"' && strcspn(line, "#") > (size_t)(equals - line);
    if (quoted) {
        mien_status status = config_unquote(value, error);
        if (status)
            return status;
    } else {
        config_cut_comment(line, line);
        line = config_trim(line);
        if (!*line)
            return MIEN_OK;
        equals = strchr(line, '=');
        if (!equals)
            return error_set(error, MIEN_EFORMAT, "'%s' is not of the form key = value", line);
        value = config_trim(equals + 1);
    }
    *equals = '\0';
    return config_set(config, config_trim(line), value, error);
}

mien_status config_parse(train_config *config, const char *text, const char *path, mien_error *error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors put it before UTF-8 */
    train_config parsed = *config;
    int number = 0;
    for (const char *at = text + (strncmp(text, mark, strlen(mark)) ? 0 : strlen(mark)); *at;) {
        const char *end = strchrnul(at, '\n');
        size_t length = (size_t)(end - at);
        char line[CONFIG_LINE_MOST];
        number++;
        if (length >= sizeof(line))
            return error_set(error, MIEN_EFORMAT, "%s, line %d: longer than %d characters", path, number,
                             CONFIG_LINE_MOST - 1);
        memcpy(line, at, length);
        line[length] = '\0';
        mien_status status = config_parse_line(&parsed, line, error);
        if (status)
            return error_prefix(error, status, "%s, line %d", path, number);
        at = *end ? end + 1 : end;
    }
    *config = parsed;
    return MIEN_OK;
}

mien_status config_read(train_config *config, const char *path, mien_error *error)
{
    buffer text = {0};
    mien_status status = file_read(path, CONFIG_FILE_MOST, &text, error);
    if (!status && text.length && memchr(text.data, '\0', text.length))
        status = error_set(error, MIEN_EFORMAT, "%s: is not text in UTF-8: it holds zero bytes", path);
    if (!status)
        status = config_parse(config, buffer_text(&text), path, error);
    buffer_done(&text);
    return status;
}

/* As short as can be read back to the same value. */
static void config_write_number(float value, buffer *out)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    buffer_append_text(out, text);
}

/* Quoted where it would not be read back as it is. */
static void config_write_text(const char *value, buffer *out)
{
    size_t length = strlen(value);
    bool plain = !length || (!strchr(" \t\"#", *value) && !strchr(" \t", value[length - 1]) && !strstr(value, " #") &&
                             !strstr(value, "\t#"));
    if (plain) {
        buffer_append_text(out, value);
        return;
    }
    buffer_append_byte(out, '"');
    for (; *value; value++)
        buffer_append_format(out, "%s%c", *value == '"' ? "\"" : "", *value);
    buffer_append_byte(out, '"');
}

mien_status config_write(const train_config *config, buffer *out)
{
    size_t count;
    const config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        const void *field = (const char *)config + keys[i].offset;
        buffer_append_format(out, "%s = ", keys[i].name);
        switch (keys[i].kind) {
        case CONFIG_STRING:
            config_write_text(field, out);
            break;
        case CONFIG_INTEGER:
            buffer_append_format(out, "%d", *(const int *)field);
            break;
        case CONFIG_LONG:
            buffer_append_format(out, "%lld", (long long)*(const int64_t *)field);
            break;
        case CONFIG_NUMBER:
            config_write_number(*(const float *)field, out);
            break;
        case CONFIG_SWITCH:
            buffer_append_text(out, *(const bool *)field ? "on" : "off");
            break;
        }
        buffer_append_byte(out, '\n');
    }
    return out->failed;
}
