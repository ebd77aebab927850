/* Guards the way out of memory: every allocation of loading, of a session, of an analysis and of encoding fails in
 * turn, and each time the answer is MIEN_ENOMEM (or success, where it was not needed), with the outputs untouched and
 * nothing leaked. The linker's --wrap puts these functions between our code and the C library's; other libraries keep
 * their own. */
#include "testing.h"

#include <mien/mien.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static size_t taken, failing; /* allocations since the last reset; which of them fails, from 1; 0 = none */

static int refused(void)
{
    return ++taken == failing;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return refused() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refused() ? NULL : __real_aligned_alloc(alignment, size);
}

static void fail_at(size_t number)
{
    taken = 0;
    failing = number;
}

static void assert_says_so(mien_status status, const mien_error *error, const char *what, size_t number)
{
    if (status && status != MIEN_ENOMEM)
        fail_msg("%s, allocation %zu: %s: %s", what, number, mien_status_name(status), error->message);
}

/* Loading takes thousands; a prime step meets all kinds of them. */
static void test_loading(void **state)
{
    (void)state;
    mien_error error = {0};
    mien_analyzer *analyzer = NULL;
    fail_at(0);
    assert_ok(mien_analyzer_create(NULL, &analyzer, &error), &error);
    size_t all = taken;
    assert_true(all > 10);
    mien_analyzer_destroy(&analyzer);
    size_t step = all > 400 ? 37 : 1;
    for (size_t number = 1; number <= all; number += step) {
        fail_at(number);
        mien_status status = mien_analyzer_create(NULL, &analyzer, &error);
        fail_at(0);
        assert_says_so(status, &error, "loading", number);
        if (status)
            assert_null(analyzer);
        mien_analyzer_destroy(&analyzer);
    }
}

typedef struct setting {
    const char *name;
    mien_analyze_options options;
    const void *bytes;
    size_t length;
} setting;

/* A new session each time, so that what it keeps for the next picture is taken anew. */
static size_t analyse_failing(mien_analyzer *analyzer, const setting *s, size_t number)
{
    mien_error error = {0};
    mien_session *session = NULL;
    mien_result result = {.width = 12345};
    fail_at(number);
    mien_status status = mien_session_create(analyzer, &session, &error);
    if (status)
        assert_null(session);
    else
        status = mien_analyze_bytes(session, s->bytes, s->length, &s->options, &result, &error);
    size_t all = taken;
    fail_at(0);
    assert_says_so(status, &error, s->name, number);
    if (status)
        assert_int_equal(result.width, 12345);
    else
        assert_int_equal(result.width, 160);
    if (status && session) { /* the session is as good as new */
        assert_ok(mien_analyze_bytes(session, s->bytes, s->length, &s->options, &result, &error), &error);
        assert_int_equal(result.width, 160);
    }
    mien_result_done(&result);
    mien_session_destroy(&session);
    return all;
}

static void test_sessions_and_analyses(void **state)
{
    (void)state;
    enum { WIDTH = 160, HEIGHT = 120 };
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i >> 7);
    mien_image_view view = {pixels, WIDTH, HEIGHT, WIDTH * 3, MIEN_PIXEL_RGB8};
    mien_error error = {0};
    mien_analyzer *analyzer = NULL;
    uint8_t *encoded[2] = {NULL};
    size_t length[2] = {0};
    fail_at(0);
    assert_ok(mien_image_encode_png(&view, &encoded[0], &length[0], &error), &error);
    assert_ok(mien_image_encode_jpeg(&view, 90, &encoded[1], &length[1], &error), &error);
    assert_ok(mien_analyzer_create(NULL, &analyzer, &error), &error);

    static const mien_rect boxes[] = {{10, 10, 60, 60}, {80, 20, 50, 70}};
    for (int preset = 0; preset <= MIEN_PRESET_COUNT; preset++) {
        setting s = {.bytes = encoded[preset % 2], .length = length[preset % 2]};
        mien_analyze_default_options(&s.options);
        if (preset < MIEN_PRESET_COUNT) {
            s.options.preset = (mien_preset)preset;
            s.name = mien_preset_name(s.options.preset);
        } else {
            s.options.face_boxes = boxes;
            s.options.face_box_count = 2;
            s.name = "given boxes";
        }
        size_t all = analyse_failing(analyzer, &s, 0);
        assert_true(all > 2);
        for (size_t number = 1; number <= all; number++)
            analyse_failing(analyzer, &s, number);
    }
    mien_analyzer_destroy(&analyzer);
    mien_free(encoded[0]);
    mien_free(encoded[1]);
}

/* A picture of noise whose JPEG is larger than what is first made room for. */
static void test_encoding(void **state)
{
    (void)state;
    enum { WIDTH = 400, HEIGHT = 300 };
    static uint8_t pixels[WIDTH * HEIGHT * 4];
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)((noise = noise * 1664525 + 1013904223) >> 24);
    mien_image_view view = {pixels, WIDTH, HEIGHT, WIDTH * 4, MIEN_PIXEL_RGBA8};
    for (int png = 0; png < 2; png++) {
        size_t all = 1;
        for (size_t number = 0; number <= all; number++) {
            mien_error error = {0};
            uint8_t *bytes = NULL;
            size_t length = 12345;
            fail_at(number);
            mien_status status = png ? mien_image_encode_png(&view, &bytes, &length, &error)
                                     : mien_image_encode_jpeg(&view, 100, &bytes, &length, &error);
            all = number ? all : taken;
            fail_at(0);
            assert_says_so(status, &error, png ? "PNG" : "JPEG", number);
            assert_true(status ? !bytes && length == 12345 : bytes && length > (128 << 10));
            mien_free(bytes);
        }
        assert_true(png || all > 3); /* it grew */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_sessions_and_analyses),
        cmocka_unit_test(test_encoding),
    };
    return cmocka_run_group_tests_name("out of memory", tests, NULL, NULL);
}
