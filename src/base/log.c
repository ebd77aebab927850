/* One callback for the whole process, set once at start: the library itself neither prints nor chooses a format. */
#include "base/log.h"

#include <stdarg.h>

#include "base/text.h"

static log_callback log_target;
static void *log_context;
static log_level log_most = LOG_INFO;

void log_set(log_callback callback, void *context, log_level most)
{
    log_target = callback;
    log_context = context;
    log_most = most;
}

void log_write(log_level level, const char *format, ...)
{
    if (!log_target || level > log_most)
        return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    text_format(line, sizeof line, format, arguments);
    va_end(arguments);
    log_target(log_context, level, line);
}
