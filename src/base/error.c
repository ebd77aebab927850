/* The error idiom: a status code for the program, a sentence for the person, a byte offset for whoever must find the
 * fault in a file. The structure belongs to the caller, so reporting never allocates. */
#include "base/error.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

const char *mien_status_name(mien_status status)
{
    static const char *const names[] = {
        [MIEN_OK] = "ok",
        [MIEN_EINVAL] = "invalid argument",
        [MIEN_ENOMEM] = "out of memory",
        [MIEN_EIO] = "input/output error",
        [MIEN_EFORMAT] = "malformed data",
        [MIEN_EUNSUPPORTED] = "not supported",
        [MIEN_ELIMIT] = "limit exceeded",
        [MIEN_ENOTFOUND] = "not found",
        [MIEN_ECONFLICT] = "conflict",
        [MIEN_EDENIED] = "not allowed",
        [MIEN_EBUSY] = "busy",
        [MIEN_ETIMEOUT] = "timed out",
        [MIEN_ECANCELLED] = "cancelled",
        [MIEN_EINTERNAL] = "internal error",
    };
    size_t index = (size_t)status;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown status";
}

const char *mien_version(void)
{
    return MIEN_VERSION;
}

static void error_fill(mien_error *error, mien_status code, size_t offset, const char *format, va_list arguments)
{
    if (!error)
        return;
    error->code = code;
    error->offset = offset;
    text_format(error->message, sizeof error->message, format, arguments);
}

mien_status(error_set)(mien_error *error, mien_status code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_fill(error, code, 0, format, arguments);
    va_end(arguments);
    return code;
}

mien_status(error_set_at)(mien_error *error, mien_status code, size_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_fill(error, code, offset, format, arguments);
    va_end(arguments);
    return code;
}

mien_status(error_prefix)(mien_error *error, mien_status code, const char *format, ...)
{
    if (!error)
        return code;
    char context[sizeof error->message], message[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    text_format(context, sizeof context, format, arguments);
    va_end(arguments);
    memcpy(message, error->message, sizeof message);
    return (error_set_at)(error, code, error->offset, "%s: %s", context, message);
}

mien_status(error_no_memory)(mien_error *error, size_t bytes)
{
    return error_set(error, MIEN_ENOMEM, "out of memory: %zu bytes asked for", bytes);
}
