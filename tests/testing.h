/* What every cmocka test of mien includes: cmocka in the order it wants, the data beside the project, and skipping
 * aloud. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <mien/base.h>

/** Folder of photographs, data sets and foreign models that are not part of the project: $MIEN_SHARED, or ../shared. */
static inline const char *testing_shared(void)
{
    const char *set = getenv("MIEN_SHARED");
    return set ? set : MIEN_SOURCE_DIR "/../shared";
}

/** Path of a file in the shared folder, in a static buffer per call site use; skips the test aloud where it is absent.
 */
static inline const char *testing_shared_file(const char *name, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/%s", testing_shared(), name);
    if (access(path, R_OK)) {
        print_message("skipped: %s is not here\n", name);
        skip();
    }
    return path;
}

/** A failure prints mien's own message. */
#define assert_ok(status, error)                                                                                       \
    do {                                                                                                               \
        mien_status status_ = (status);                                                                                \
        if (status_)                                                                                                   \
            fail_msg("%s: %s", mien_status_name(status_), (error)->message);                                           \
    } while (0)

#endif
