/* Guards an analyser on a machine without opencv-data: it is made all the same, mien's own preset works, what searches
 * with the cascade names what is missing, and a cascade that the caller names must be there. The linker's --wrap hides
 * the file from the library. */
#include "testing.h"

#include <mien/mien.h>

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "server/vision.h"

mien_status __real_file_read(const char *path, size_t limit, buffer *out, mien_error *error);
mien_status __wrap_file_read(const char *path, size_t limit, buffer *out, mien_error *error);

static const char file_name[] = "haarcascade_frontalface_default.xml";
static const char advice[] = "haarcascade_frontalface_default.xml is missing: install opencv-data";
static mien_status hidden_as = MIEN_ENOTFOUND;
static mien_error error;

mien_status __wrap_file_read(const char *path, size_t limit, buffer *out, mien_error *why)
{
    if (strstr(path, file_name))
        return error_set(why, hidden_as, "%s: hidden", path);
    return __real_file_read(path, limit, out, why);
}

static uint8_t pixels[64 * 64];
static const mien_image_view grey = {pixels, 64, 64, 64, MIEN_PIXEL_GREY8};

static mien_status allow(void *context, uint64_t bytes, mien_error *why)
{
    (void)bytes;
    (void)why;
    ++*(int *)context;
    return MIEN_OK;
}

static void assert_missing(mien_status status)
{
    assert_int_equal(status, MIEN_ENOTFOUND);
    assert_int_equal(error.code, MIEN_ENOTFOUND);
    if (!strstr(error.message, advice))
        fail_msg("no advice: %s", error.message);
    error = (mien_error){0};
}

static void test_only_what_needs_it_fails(void **state)
{
    (void)state;
    mien_analyzer *analyzer = NULL;
    mien_session *session = NULL;
    mien_tracker *tracker = NULL;
    mien_result result = {0};
    mien_frame_result frame = {0};
    mien_analyze_options options;
    uint8_t *png = NULL;
    size_t length = 0;
    int asked = 0;
    assert_ok(mien_image_encode_png(&grey, &png, &length, &error), &error);
    assert_ok(mien_analyzer_create(NULL, &analyzer, &error), &error);
    assert_ok(mien_session_create(analyzer, &session, &error), &error);
    assert_ok(mien_tracker_create(NULL, &tracker, &error), &error);
    mien_analyze_default_options(&options);
    options.reserve = allow;
    options.reserve_context = &asked;
    assert_ok(mien_analyze_bytes(session, png, length, &options, &result, &error), &error);
    assert_ok(mien_analyze_frame(session, tracker, png, length, 0, &options, &frame, &error), &error);
    assert_int_equal(asked, 2);
    for (mien_preset preset = MIEN_PRESET_NEO; preset < MIEN_PRESET_COUNT; preset++) {
        options.preset = preset;
        assert_missing(mien_analyze_view(session, &grey, &options, &result, &error));
        assert_missing(mien_analyze_bytes(session, png, length, &options, &result, &error));
        assert_missing(mien_analyze_frame(session, tracker, png, length, 1, &options, &frame, &error));
    }
    assert_int_equal(asked, 2); /* found out before the picture is read */
    mien_rect box = {8, 8, 48, 48};
    options.face_boxes = &box;
    options.face_box_count = 1;
    assert_ok(mien_analyze_bytes(session, png, length, &options, &result, &error), &error); /* nothing to search */
    assert_int_equal(result.face_count, 1);
    assert_missing(mien_analyze_frame(session, tracker, png, length, 1, &options, &frame, &error)); /* takes no boxes */
    mien_free(png);
    mien_result_done(&result);
    mien_frame_result_done(&frame);
    mien_tracker_destroy(&tracker);
    mien_session_destroy(&session);
    mien_analyzer_destroy(&analyzer);
}

static void test_a_named_one_must_be_there(void **state)
{
    (void)state;
    mien_analyzer_options options;
    mien_analyzer *analyzer = NULL;
    mien_analyzer_default_options(&options);
    options.cascade_path = "/nowhere/faces.xml";
    assert_int_equal(mien_analyzer_create(&options, &analyzer, &error), MIEN_ENOTFOUND);
    assert_non_null(strstr(error.message, "/nowhere/faces.xml"));
    assert_null(analyzer);
}

/* A file that is there and cannot be read is no file that is missing. */
static void test_an_unreadable_one_is_told(void **state)
{
    (void)state;
    mien_analyzer *analyzer = NULL;
    hidden_as = MIEN_EDENIED;
    mien_status status = mien_analyzer_create(NULL, &analyzer, &error);
    hidden_as = MIEN_ENOTFOUND;
    assert_int_equal(status, MIEN_EDENIED);
    assert_non_null(strstr(error.message, "hidden"));
    assert_null(analyzer);
}

/* The server offers the presets to everybody. */
static void test_a_server_needs_it(void **state)
{
    (void)state;
    mien_analyzer_options options;
    vision_search *search = NULL;
    mien_analyzer_default_options(&options);
    assert_missing(vision_search_create(&options, 1, NULL, &search, &error));
    assert_null(search);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_needs_it_fails),
        cmocka_unit_test(test_a_named_one_must_be_there),
        cmocka_unit_test(test_an_unreadable_one_is_told),
        cmocka_unit_test(test_a_server_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
