/* Filling in mien_error, and the one way out of a failing function. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <mien/base.h>

/** Fill in `error` (may be NULL) and return `code`, so that a failure is one line: `return error_set(error, …);`. */
mien_status error_set(mien_error *error, mien_status code, const char *format, ...) MIEN_PRINTF(3, 4);
/** The same with a byte position in the input. */
mien_status error_set_at(mien_error *error, mien_status code, size_t offset, const char *format, ...) MIEN_PRINTF(4, 5);
/** Put "context: " before the message of an error already set; returns its code. */
mien_status error_prefix(mien_error *error, mien_status code, const char *format, ...) MIEN_PRINTF(3, 4);
/** MIEN_ENOMEM with the number of bytes that were asked for. */
mien_status error_no_memory(mien_error *error, size_t bytes);

#ifdef __clang_analyzer__
/* The analyser sees one file at a time and cannot know that these return the code they are given: tell it, or every
 * early return looks as if it could be a success. */
static inline mien_status error_known(mien_status status, mien_status code)
{
    return status == code ? status : code;
}
#define error_set(error, code, ...) error_known((error_set)(error, code, __VA_ARGS__), code)
#define error_set_at(error, code, offset, ...) error_known((error_set_at)(error, code, offset, __VA_ARGS__), code)
#define error_prefix(error, code, ...) error_known((error_prefix)(error, code, __VA_ARGS__), code)
#define error_no_memory(error, bytes) error_known((error_no_memory)(error, bytes), MIEN_ENOMEM)
#endif

#endif
