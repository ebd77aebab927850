/**
 * Status codes, errors and linkage shared by every public header.
 *
 * Error idiom: a function that can fail returns mien_status and takes an optional `mien_error *` as its last parameter.
 * On failure the error (when not NULL) is filled in and every other output is untouched; on success it is left alone.
 * NULL where something is needed is MIEN_EINVAL; functions that return no status pass over it.
 */
#ifndef MIEN_BASE_H
#define MIEN_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MIEN_API __attribute__((visibility("default")))
#define MIEN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define MIEN_API
#define MIEN_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_VERSION_MAJOR 0
#define MIEN_VERSION_MINOR 1
#define MIEN_VERSION_PATCH 0

/** What went wrong, in kinds a caller can act on. */
typedef enum mien_status {
    MIEN_OK = 0,
    MIEN_EINVAL,       /**< an argument or option is outside its documented range */
    MIEN_ENOMEM,       /**< memory could not be allocated */
    MIEN_EIO,          /**< reading or writing failed */
    MIEN_EFORMAT,      /**< the bytes are not what they claim to be: corrupt, truncated or foreign */
    MIEN_EUNSUPPORTED, /**< well-formed, but uses something mien does not implement; the message names it */
    MIEN_ELIMIT,       /**< a configured limit (bytes, pixels, depth, count) would be exceeded */
    MIEN_ENOTFOUND,    /**< no such file, record or name */
    MIEN_ECONFLICT,    /**< it exists already, or changed meanwhile */
    MIEN_EDENIED,      /**< not allowed: credentials missing, wrong, expired or revoked */
    MIEN_EBUSY,        /**< try again later: queue full, store locked */
    MIEN_ETIMEOUT,     /**< a deadline passed */
    MIEN_ECANCELLED,   /**< stopped on request */
    MIEN_EINTERNAL     /**< a defect in mien or in a library it uses */
} mien_status;

/** Filled in by the callee, owned by the caller, never allocates. `offset` is a byte position in the input, or 0. */
typedef struct mien_error {
    mien_status code;
    size_t offset;
    char message[240]; /**< UTF-8 as far as file names in it are */
} mien_error;

/** Short lower-case name of a status, "ok" or for example "invalid argument". Never NULL. Thread-safe. */
MIEN_API const char *mien_status_name(mien_status status);

/** The library's version as text, "0.1.0". */
MIEN_API const char *mien_version(void);

#ifdef __cplusplus
}
#endif
#endif
