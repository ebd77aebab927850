/* Reading settings. Values are checked one by one against their table entry when they are set, so that a message can
 * name the setting, where it came from and the allowed range; secrets are never repeated in a message. */
#include "server/settings.h"

#include "auth/secret.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_SETTINGS_FILE = 1 << 20 };

static void *member(const settings *settings, const setting *entry)
{
    return (char *)settings + entry->offset;
}

static bool word_in(const char *words, const char *word, bool any_case)
{
    size_t wanted = strlen(word);
    for (const char *at = words; wanted && *at;) {
        size_t length = strcspn(at, " ");
        if (length == wanted && !(any_case ? strncasecmp(at, word, wanted) : strncmp(at, word, wanted)))
            return true;
        at += length;
        at += strspn(at, " ");
    }
    return false;
}

static mien_status set_text(char **target, const setting *entry, const char *value, const char *source,
                            mien_error *error)
{
    if (entry->choices && !word_in(entry->choices, value, true))
        return error_set(error, MIEN_EINVAL, "%s (%s) is \"%.40s\", but must be one of: %s", entry->name, source, value,
                         entry->choices);
    char *copy = memory_text(value);
    if (!copy)
        return error_no_memory(error, strlen(value));
    for (char *c = copy; entry->choices && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    memory_free(*target);
    *target = copy;
    return MIEN_OK;
}

static mien_status set_switch(bool *target, const setting *entry, const char *value, const char *source,
                              mien_error *error)
{
    if (word_in("1 true yes on", value, true))
        *target = true;
    else if (word_in("0 false no off", value, true))
        *target = false;
    else
        return error_set(error, MIEN_EINVAL, "%s (%s) is \"%.40s\", but must be true or false", entry->name, source,
                         value);
    return MIEN_OK;
}

static mien_status set_number(void *target, const setting *entry, const char *value, const char *source,
                              mien_error *error)
{
    char *end = NULL;
    bool whole = entry->kind == SETTING_INTEGER;
    errno = 0;
    double number = strtod(value, &end);
    bool fits = end != value && !*end && !errno && isfinite(number) && number >= entry->low && number <= entry->high;
    if (!fits || (whole && (number != floor(number) || strpbrk(value, ".eExX"))))
        return error_set(error, MIEN_EINVAL, "%s (%s) is \"%.40s\", but must be a%s number from %.12g to %.12g",
                         entry->name, source, value, whole ? " whole" : "", entry->low, entry->high);
    if (whole)
        *(long *)target = (long)number;
    else
        *(double *)target = number;
    return MIEN_OK;
}

mien_status settings_set(settings *settings, const setting *entry, const char *value, const char *source,
                         mien_error *error)
{
    void *target = member(settings, entry);
    if (target == &settings->environment)
        settings->environment_given = strcmp(source, "default") != 0;
    switch (entry->kind) {
    case SETTING_TEXT:
    case SETTING_SECRET:
    case SETTING_PATHS:
        return set_text(target, entry, value, source, error);
    case SETTING_SWITCH:
        return set_switch(target, entry, value, source, error);
    default:
        return set_number(target, entry, value, source, error);
    }
}

mien_status settings_init(settings *settings, mien_error *error)
{
    memset(settings, 0, sizeof *settings);
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < settings_count && !status; i++)
        status = settings_set(settings, &settings_table[i], settings_table[i].standard, "default", error);
    if (status)
        settings_done(settings);
    return status;
}

void settings_done(settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        const setting *entry = &settings_table[i];
        if (entry->kind < SETTING_INTEGER) {
            char **text = member(settings, entry);
            memory_free(*text);
            *text = NULL;
        }
    }
}

static const setting *find_by_name(const char *name)
{
    for (size_t i = 0; i < settings_count; i++)
        if (!strcmp(settings_table[i].name, name) || word_in(settings_table[i].aliases, name, false))
            return &settings_table[i];
    return NULL;
}

/* Cut white space off both ends, in place. */
static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length && strchr(" \t\r", text[length - 1]))
        text[--length] = 0;
    return text;
}

/* One line of a .env file, cut up in place. */
static mien_status read_line(settings *settings, char *line, const char *path, size_t number, mien_error *error)
{
    line = trim(line);
    if (!*line || *line == '#')
        return MIEN_OK;
    if (!strncmp(line, "export ", 7))
        line = trim(line + 7);
    char *equals = strchr(line, '=');
    if (!equals)
        return error_set(error, MIEN_EFORMAT, "%s line %zu is not NAME=value", path, number);
    *equals = 0;
    char *name = trim(line), *value = trim(equals + 1);
    if (*value == '"' || *value == '\'') {
        char *closing = strchr(value + 1, *value);
        if (!closing)
            return error_set(error, MIEN_EFORMAT, "%s line %zu has an unclosed quote", path, number);
        *closing = 0;
        value++;
    } else {
        char *comment = strstr(value, " #");
        if (comment)
            *comment = 0;
        value = trim(value);
    }
    const setting *entry = find_by_name(name);
    bool empty_number = entry && !*value && entry->kind >= SETTING_INTEGER;
    return entry && !empty_number ? settings_set(settings, entry, value, path, error) : MIEN_OK;
}

mien_status settings_read_file(settings *settings, const char *path, mien_error *error)
{
    buffer text;
    buffer_init(&text, 0);
    mien_status status = file_read(path, MAX_SETTINGS_FILE, &text, error);
    char *at = text.data ? (char *)text.data : "";
    for (size_t number = 1; !status && *at; number++) {
        char *end = strchr(at, '\n'), *next = end ? end + 1 : at + strlen(at);
        if (end)
            *end = 0;
        status = read_line(settings, at, path, number, error);
        at = next;
    }
    buffer_done(&text);
    return status;
}

mien_status settings_read_environment(settings *settings, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < settings_count && !status; i++) {
        const setting *entry = &settings_table[i];
        const char *value = getenv(entry->name);
        char alias[64];
        for (const char *at = entry->aliases; !value && *at;) {
            size_t length = strcspn(at, " ");
            if (length < sizeof alias) {
                memcpy(alias, at, length);
                alias[length] = 0;
                value = getenv(alias);
            }
            at += length;
            at += strspn(at, " ");
        }
        if (value && (*value || entry->kind < SETTING_INTEGER))
            status = settings_set(settings, entry, value, "environment", error);
    }
    return status;
}

static const setting *find_by_flag(const char *argument, const char **value)
{
    char name[64];
    size_t length = strcspn(argument, "=");
    if (!length || length >= sizeof name)
        return NULL;
    memcpy(name, argument, length);
    name[length] = 0;
    *value = argument[length] ? argument + length + 1 : NULL;
    for (size_t i = 0; i < settings_count; i++)
        if (settings_table[i].flag && word_in(settings_table[i].flag, name, false))
            return &settings_table[i];
    return NULL;
}

/* The first flag of a list replaces what came from elsewhere, further ones add to it. */
static mien_status set_from_flag(settings *settings, const setting *entry, const char *value, bool again,
                                 mien_error *error)
{
    char flag[64];
    snprintf(flag, sizeof flag, "%.*s", (int)strcspn(entry->flag, " "), entry->flag);
    if (entry->kind != SETTING_PATHS || !again)
        return settings_set(settings, entry, value, flag, error);
    buffer joined = {0};
    buffer_append_format(&joined, "%s:%s", *(char **)member(settings, entry), value);
    mien_status status = buffer_status(&joined, error);
    if (!status)
        status = settings_set(settings, entry, buffer_text(&joined), flag, error);
    buffer_done(&joined);
    return status;
}

mien_status settings_read_flags(settings *settings, int count, char **arguments, mien_error *error)
{
    mien_status status = MIEN_OK;
    bool seen[128] = {false};
    for (int i = 0; i < count && !status; i++) {
        const char *value = NULL;
        const setting *entry = find_by_flag(arguments[i], &value);
        if (!entry)
            return error_set(error, MIEN_EINVAL, "unknown option %.*s; see mien serve --help",
                             (int)strcspn(arguments[i], "="), arguments[i]); /* what follows may be a secret */
        bool stated = i + 1 < count && word_in("1 true yes on 0 false no off", arguments[i + 1], true);
        if (!value && entry->kind == SETTING_SWITCH && !stated)
            value = "true";
        else if (!value && i + 1 < count)
            value = arguments[++i];
        if (!value)
            return error_set(error, MIEN_EINVAL, "option %.100s needs a value", arguments[i]);
        size_t index = (size_t)(entry - settings_table) % (sizeof seen / sizeof *seen);
        status = set_from_flag(settings, entry, value, seen[index], error);
        seen[index] = true;
    }
    return status;
}

static mien_status check_identity(const settings *settings, mien_error *error)
{
    if (!*settings->firebase_emulator)
        return MIEN_OK;
    if (!*settings->firebase_project)
        return error_set(error, MIEN_EINVAL, "FIREBASE_AUTH_EMULATOR_HOST needs FIREBASE_PROJECT_ID");
    if (settings->environment_given && !strcasecmp(settings->environment, "production"))
        return error_set(error, MIEN_EINVAL,
                         "FIREBASE_AUTH_EMULATOR_HOST accepts unsigned tokens, which ENVIRONMENT=production forbids");
    return MIEN_OK;
}

mien_status settings_check(const settings *settings, mien_error *error)
{
    if (!*settings->tls_certificate != !*settings->tls_key)
        return error_set(error, MIEN_EINVAL, "TLS_CERTIFICATE and TLS_KEY must be given together");
    if (settings->scale_factor && settings->scale_factor < 1.01)
        return error_set(error, MIEN_EINVAL, "SCALE_FACTOR must be 0 or a number from 1.01 to 4");
    if (*settings->secret_key && secret_check_configured("SECRET_KEY", settings->secret_key, error))
        return MIEN_EINVAL;
    if (*settings->hf_api_key && secret_is_example(settings->hf_api_key))
        return error_set(error, MIEN_EINVAL, "HF_API_KEY is an example value; leave it unset to use local models");
    return check_identity(settings, error);
}

mien_status settings_help(buffer *out)
{
    for (size_t i = 0; i < settings_count; i++) {
        const setting *entry = &settings_table[i];
        buffer_append_text(out, "  ");
        for (const char *at = entry->flag ? entry->flag : ""; *at; at += strspn(at, " ")) {
            size_t length = strcspn(at, " ");
            buffer_append_format(out, "%.*s, ", (int)length, at);
            at += length;
        }
        buffer_append_format(out, "%s\n      %s\n      Default: %s", entry->name, entry->help,
                             *entry->standard ? entry->standard : "not set");
        if (entry->kind == SETTING_INTEGER || entry->kind == SETTING_NUMBER)
            buffer_append_format(out, "; from %.12g to %.12g", entry->low, entry->high);
        if (entry->choices)
            buffer_append_format(out, "; one of: %s", entry->choices);
        if (*entry->aliases)
            buffer_append_format(out, "; also read from: %s", entry->aliases);
        buffer_append_text(out, "\n");
    }
    return buffer_status(out, NULL);
}
