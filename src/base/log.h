/* Log lines go to a callback that the program sets; code under src/ never prints. No face, token or key is ever logged.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <mien/base.h>

typedef enum log_level { LOG_ERROR = 0, LOG_WARNING, LOG_INFO, LOG_DEBUG } log_level;

/** Called from any thread; must be thread-safe itself. `message` is one line without a newline, borrowed. */
typedef void (*log_callback)(void *context, log_level level, const char *message);

/** Set before other threads start. NULL (the default) drops everything. */
void log_set(log_callback callback, void *context, log_level most);
void log_write(log_level level, const char *format, ...) MIEN_PRINTF(2, 3);

#endif
