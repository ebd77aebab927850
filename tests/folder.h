/* A folder for the files of a test program: made before a test or a group of tests, gone afterwards with whatever lies
 * in it. Give testing_folder_make and testing_folder_remove to cmocka as setup and teardown. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <ftw.h>
#include <sys/stat.h>

#include "testing.h"

#include <mien/image.h>

#include "base/file.h"

/** Its path; empty while there is none. */
static char testing_folder[32];

static inline int testing_folder_make(void **state)
{
    (void)state;
    strcpy(testing_folder, "/tmp/mien-test-XXXXXX");
    return mkdtemp(testing_folder) ? 0 : -1;
}

static inline int testing_remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int testing_folder_remove(void **state)
{
    (void)state;
    chmod(testing_folder, 0700); /* a test may have taken the right to write away */
    int failed = nftw(testing_folder, testing_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    testing_folder[0] = '\0';
    return failed;
}

/** A test with a folder of its own. */
#define unit_test_in_folder(test) cmocka_unit_test_setup_teardown(test, testing_folder_make, testing_folder_remove)

/** Path of a file in the folder; good until the fourth call after this one. */
static inline const char *testing_path(const char *name)
{
    static char paths[4][256];
    static size_t next;
    char *path = paths[next++ % 4];
    int length = snprintf(path, sizeof paths[0], "%s/%s", testing_folder, name);
    assert_true(testing_folder[0] && length < (int)sizeof paths[0]);
    return path;
}

static inline void testing_put(const char *name, const void *bytes, size_t length)
{
    mien_error error = {0};
    assert_ok(file_write(testing_path(name), bytes, length, &error), &error);
}

static inline void testing_put_text(const char *name, const char *text)
{
    testing_put(name, text, strlen(text));
}

/** A new folder inside the folder, with those above it. */
static inline void testing_put_folder(const char *name)
{
    mien_error error = {0};
    assert_ok(file_make_folders(testing_path(name), &error), &error);
}

static inline void testing_put_png(const char *name, const mien_image *image)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    mien_error error = {0};
    mien_image_view view = mien_image_as_view(image);
    assert_ok(mien_image_encode_png(&view, &bytes, &length, &error), &error);
    testing_put(name, bytes, length);
    mien_free(bytes);
}

#endif
