/* Guards the server's parts that need no socket: forms, settings, rate limits, the cache of results, WebSocket frames.
 */
#include "folder.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/memory.h"
#include "server/multipart.h"
#include "server/rate_limit.h"
#include "server/result_cache.h"
#include "server/settings.h"
#include "server/websocket.h"

static void form(http_request *request, const char *type, const char *body)
{
    *request = (http_request){.body = (const uint8_t *)body, .body_length = strlen(body), .field_count = 1};
    request->fields[0] = (http_field){"content-type", type};
}

static void test_form_parts(void **state)
{
    (void)state;
    http_request request;
    multipart_reader reader;
    multipart_part part;
    mien_error error = {0};
    form(&request, "multipart/form-data; boundary=\"b b\"",
         "preamble\r\n--b b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
         "--b b\r\ncontent-disposition: form-data; filename=\"..\\\\..\\/x\\\"y.jpg\"; name=file\r\n"
         "Content-Type: image/jpeg; q=1\r\n\r\n\r\n--b bx\r\n--b b--\r\n");
    assert_ok(multipart_begin(&reader, &request, &error), &error);
    assert_ok(multipart_next(&reader, &part, &error), &error);
    assert_string_equal(part.name, "a");
    assert_false(part.has_filename);
    assert_int_equal(part.length, 3);
    assert_memory_equal(part.data, "one", 3);
    assert_ok(multipart_next(&reader, &part, &error), &error);
    assert_string_equal(part.name, "file");
    assert_string_equal(part.filename, "x\"y.jpg");
    assert_string_equal(part.content_type, "image/jpeg");
    assert_int_equal(multipart_find(&request, "none", &part, &error), MIEN_EFORMAT); /* "--b bx" is not a delimiter */
}

static void test_form_edges(void **state)
{
    (void)state;
    http_request request;
    multipart_part part;
    mien_error error = {0};
    form(&request, "multipart/form-data; boundary=B",
         "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n--B--\r\n");
    assert_ok(multipart_find(&request, "f", &part, &error), &error);
    assert_true(part.has_filename);
    assert_string_equal(part.filename, "");
    assert_int_equal(part.length, 0);
    assert_int_equal(multipart_find(&request, "g", &part, &error), MIEN_ENOTFOUND);
    static const char *const broken[] = {
        "", "--B", "--B\r\n", "--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nx", "--C\r\n\r\n\r\n--C--"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        form(&request, "multipart/form-data; boundary=B", broken[i]);
        assert_int_equal(multipart_find(&request, "f", &part, &error), MIEN_EFORMAT);
    }
    form(&request, "multipart/form-data", "x");
    assert_int_equal(multipart_find(&request, "f", &part, &error), MIEN_EFORMAT);
    form(&request, "application/json", "{}");
    assert_int_equal(multipart_find(&request, "f", &part, &error), MIEN_EFORMAT);
}

static void test_settings_come_from_where_they_should(void **state)
{
    (void)state;
    settings s;
    mien_error error = {0};
    testing_put_text("env", "# comment\nexport PORT=9000 # here\nHOST=\"0.0.0.0\"\nMIN_NEIGHBORS=5\nOTHER=thing\n"
                            "FLASK_DEBUG=True\n");
    assert_ok(settings_init(&s, &error), &error);
    assert_int_equal(s.port, 8000);
    assert_string_equal(s.host, "127.0.0.1");
    assert_ok(settings_read_file(&s, testing_path("env"), &error), &error);
    assert_int_equal(s.port, 9000);
    assert_string_equal(s.host, "0.0.0.0");
    assert_int_equal(s.min_neighbors, 5);
    assert_true(s.debug);
    setenv("PORT", "9001", 1);
    assert_ok(settings_read_environment(&s, &error), &error);
    assert_int_equal(s.port, 9001);
    unsetenv("PORT");
    char *flags[] = {"--port", "9002", "--min-neighbors=3", "--trust-proxy", "--store-pictures", "false", "--debug"};
    assert_ok(settings_read_flags(&s, 7, flags, &error), &error);
    assert_false(s.store_pictures);
    assert_int_equal(s.port, 9002);
    assert_int_equal(s.min_neighbors, 3);
    assert_true(s.trust_proxy);
    settings_done(&s);
}

static void refuse(const char *flag, const char *value, const char *must_name)
{
    settings s;
    mien_error error = {0};
    char *flags[] = {(char *)flag, (char *)value};
    assert_ok(settings_init(&s, &error), &error);
    assert_int_equal(settings_read_flags(&s, value ? 2 : 1, flags, &error), MIEN_EINVAL);
    assert_non_null(strstr(error.message, must_name));
    settings_done(&s);
}

static void test_wrong_settings_are_named(void **state)
{
    (void)state;
    refuse("--port", "70000", "from 0 to 65535");
    refuse("--port", "80.5", "PORT");
    refuse("--port", "", "PORT");
    refuse("--port", "0x50", "PORT");
    refuse("--confidence-threshold", "nan", "CONFIDENCE_THRESHOLD");
    refuse("--log-level", "loud", "error warning info debug");
    refuse("--trust-proxy=maybe", NULL, "true or false");
    refuse("--prot", "1", "--prot");
    refuse("--port", NULL, "needs a value");
    settings s;
    mien_error error = {0};
    assert_ok(settings_init(&s, &error), &error);
    memory_free(s.secret_key);
    s.secret_key = memory_text("your_secret_key_here_that_is_long_enough");
    assert_int_equal(settings_check(&s, &error), MIEN_EINVAL);
    assert_null(strstr(error.message, "your_secret"));
    settings_done(&s);
}

typedef struct taker {
    rate_limit *limit;
    atomic_int allowed;
} taker;

static void *take_many(void *context)
{
    taker *t = context;
    for (int i = 0; i < 500; i++)
        if (rate_limit_take(t->limit, "10.0.0.1", "/a", 100, 60, 1000).allowed)
            atomic_fetch_add(&t->allowed, 1);
    return NULL;
}

static void test_rate_limit_is_exact(void **state)
{
    (void)state;
    mien_error error = {0};
    taker t = {0};
    assert_ok(rate_limit_create(64, &t.limit, &error), &error);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &t), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(t.allowed, 100);
    uint64_t second = 1000000000u;
    rate_verdict verdict = rate_limit_take(t.limit, "10.0.0.1", "/a", 100, 60, 20 * second);
    assert_false(verdict.allowed);
    assert_true(verdict.retry_after > 39 && verdict.retry_after <= 60);
    assert_true(rate_limit_take(t.limit, "10.0.0.2", "/a", 100, 60, 20 * second).allowed);
    assert_true(rate_limit_take(t.limit, "10.0.0.1", "/b", 100, 60, 20 * second).allowed);
    verdict = rate_limit_take(t.limit, "10.0.0.1", "/a", 100, 60, 61 * second);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.remaining, 99);
    rate_limit_destroy(&t.limit);
}

static void test_cache_keeps_and_forgets(void **state)
{
    (void)state;
    result_cache *cache = NULL;
    mien_error error = {0};
    mien_face face = {.confidence = 0.5f};
    mien_result result = {.width = 7, .faces = &face, .face_count = 1}, out = {0};
    mien_analyze_options options = {.preset = MIEN_PRESET_NEO}, other = {.preset = MIEN_PRESET_FACEML};
    result_key a, b, c;
    result_cache_key("a", 1, &options, 1, &a);
    result_cache_key("a", 1, &other, 1, &b);
    result_cache_key("c", 1, &options, 1, &c);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_ok(result_cache_create(2, 10, &cache, &error), &error);
    assert_false(result_cache_get(cache, &a, 0, &out));
    result_cache_put(cache, &a, 0, &result);
    result_cache_put(cache, &b, 0, &result);
    assert_true(result_cache_get(cache, &a, 1, &out));
    assert_int_equal(out.width, 7);
    assert_ptr_not_equal(out.faces, &face);
    result_cache_put(cache, &c, 0, &result); /* b was used least recently */
    assert_false(result_cache_get(cache, &b, 1, &out));
    assert_true(result_cache_get(cache, &a, 1, &out));
    assert_true(result_cache_get(cache, &c, 1, &out));
    assert_false(result_cache_get(cache, &a, 11000000000u, &out)); /* its time has passed */
    result_cache_put(cache, &a, 11000000000u, &result);
    assert_true(result_cache_get(cache, &a, 11000000001u, &out));
    assert_int_equal(result_cache_count(cache).evictions, 1);
    memory_free(out.faces);
    result_cache_destroy(&cache);
}

static void test_utf8_across_splits(void **state)
{
    (void)state;
    const uint8_t good[] = "\xce\xba\xe2\x82\xac\xf0\x9f\x98\x80z\xed\x9f\xbf\xf4\x8f\xbf\xbf";
    for (size_t split = 0; split < sizeof good - 1; split++) {
        uint32_t utf8 = websocket_utf8(0, good, split);
        assert_int_not_equal(utf8, 1);
        assert_int_equal(websocket_utf8(utf8, good + split, sizeof good - 1 - split), 0);
    }
    static const char *const bad[] = {"\xc0\x80",         "\x80",     "\xe0\x9f\x80", "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "\xf8\x88", "\xff",         "\xc3("};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(websocket_utf8(0, (const uint8_t *)bad[i], strlen(bad[i])), 1);
}

static void test_frames_of_every_length(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        buffer text = {0}, masked = {0};
        uint8_t *payload = memory_zeroed(lengths[i] + 1, 1);
        assert_ok(websocket_write(&text, WEBSOCKET_BINARY, payload, lengths[i]), (&(mien_error){0}));
        size_t head = text.length - lengths[i];
        buffer_append(&masked, text.data, head);
        masked.data[1] |= 0x80;
        buffer_append(&masked, "\1\2\3\4", 4);
        for (size_t j = 0; j < lengths[i]; j++)
            buffer_append_byte(&masked, (uint8_t)(1 + (j & 3))); /* zeros under the mask */
        websocket_reader reader;
        websocket_event event;
        size_t used = 0;
        websocket_reader_init(&reader, 70000);
        assert_int_equal(websocket_read(&reader, masked.data, masked.length, &used, &event), 0);
        assert_int_equal(event.opcode, WEBSOCKET_BINARY);
        assert_int_equal(event.length, lengths[i]);
        assert_memory_equal(event.data, payload, lengths[i]);
        assert_int_equal(used, masked.length);
        websocket_reader_done(&reader);
        memory_free(payload);
        buffer_done(&text);
        buffer_done(&masked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form_parts),
        cmocka_unit_test(test_form_edges),
        unit_test_in_folder(test_settings_come_from_where_they_should),
        cmocka_unit_test(test_wrong_settings_are_named),
        cmocka_unit_test(test_rate_limit_is_exact),
        cmocka_unit_test(test_cache_keeps_and_forgets),
        cmocka_unit_test(test_utf8_across_splits),
        cmocka_unit_test(test_frames_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
