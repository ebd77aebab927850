/* Guards src/base: checked sizes, the buffer's limit, base64 in and out, random sequences that resume, the thread
 * pool's exactly-once promise, and files that are replaced whole. */
#include "folder.h"

#include <stdatomic.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread_pool.h"

static void test_sizes_do_not_wrap(void **state)
{
    (void)state;
    size_t product = 7;
    assert_false(memory_multiply(SIZE_MAX / 2, 3, &product));
    assert_int_equal(product, 7);
    assert_null(memory_array(SIZE_MAX / 2, 4));
    assert_null(memory_aligned(SIZE_MAX, 1));
    memory_arena arena = {.limit = 64};
    assert_non_null(memory_arena_take(&arena, 3, 16));
    assert_null(memory_arena_take(&arena, 2, 16));
    memory_arena_done(&arena);
}

static void test_buffer_keeps_its_limit(void **state)
{
    (void)state;
    buffer b;
    buffer_init(&b, 8);
    assert_int_equal(buffer_append_text(&b, "12345"), MIEN_OK);
    assert_int_equal(buffer_append_text(&b, "6789"), MIEN_ELIMIT);
    assert_int_equal(buffer_append_text(&b, "6"), MIEN_ELIMIT);
    assert_string_equal(buffer_text(&b), "12345");
    mien_error error = {0};
    assert_int_equal(buffer_status(&b, &error), MIEN_ELIMIT);
    buffer_clear(&b);
    assert_int_equal(buffer_append_format(&b, "%d-%d", 12, 34), MIEN_OK);
    assert_string_equal(buffer_text(&b), "12-34");
    buffer_consume(&b, 3);
    assert_string_equal(buffer_text(&b), "34");
    buffer_done(&b);
}

static void test_base64_round_trip_and_rubbish(void **state)
{
    (void)state;
    mien_error error = {0};
    buffer text, back;
    buffer_init(&text, 0);
    buffer_init(&back, 0);
    uint8_t bytes[67];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        buffer_clear(&text);
        buffer_clear(&back);
        assert_int_equal(base64_encode(bytes, length, &text), MIEN_OK);
        assert_ok(base64_decode(buffer_text(&text), text.length, &back, &error), &error);
        assert_int_equal(back.length, length);
        if (length)
            assert_memory_equal(back.data, bytes, length);
        buffer_clear(&text);
        buffer_clear(&back);
        assert_int_equal(base64_encode_url(bytes, length, &text), MIEN_OK);
        assert_ok(base64_decode_url(buffer_text(&text), text.length, &back, &error), &error);
        assert_int_equal(back.length, length);
    }
    buffer_clear(&back);
    assert_ok(base64_decode("aGVs\r\n bG8=\n", 12, &back, &error), &error);
    assert_string_equal(buffer_text(&back), "hello");
    buffer_clear(&back);
    assert_ok(base64_decode("aGVsbG8", 7, &back, &error), &error);
    assert_string_equal(buffer_text(&back), "hello");
    assert_int_equal(base64_decode("aGVs*G8=", 8, &back, &error), MIEN_EFORMAT);
    assert_int_equal(error.offset, 4);
    assert_int_equal(base64_decode("aGVsb", 5, &back, &error), MIEN_EFORMAT);
    assert_int_equal(base64_decode("aGVsbG8=aGVs", 12, &back, &error), MIEN_EFORMAT);
    assert_int_equal(base64_decode("====", 4, &back, &error), MIEN_EFORMAT);
    assert_int_equal(base64_decode_url("a+8", 3, &back, &error), MIEN_EFORMAT);
    assert_string_equal(buffer_text(&back), "hello");
    buffer_done(&text);
    buffer_done(&back);
}

static void test_random_resumes_and_is_fair(void **state)
{
    (void)state;
    random_state a, b;
    random_seed(&a, 7, 1);
    random_next(&a);
    b = a;
    for (int i = 0; i < 100; i++)
        assert_true(random_next(&a) == random_next(&b));
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[random_below(&a, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    double sum = 0, squares = 0;
    for (int i = 0; i < 20000; i++) {
        double x = random_normal(&a);
        sum += x;
        squares += x * x;
    }
    assert_true(sum / 20000 < 0.03 && sum / 20000 > -0.03);
    assert_true(squares / 20000 > 0.95 && squares / 20000 < 1.05);
}

static void count_part(void *context, size_t index, size_t worker)
{
    (void)worker;
    atomic_int *counts = context;
    atomic_fetch_add(&counts[index], 1);
}

static void test_thread_pool_runs_each_part_once(void **state)
{
    (void)state;
    mien_error error = {0};
    for (size_t threads = 1; threads <= 5; threads++) {
        thread_pool *pool = NULL;
        assert_ok(thread_pool_create(threads, &pool, &error), &error);
        for (int round = 0; round < 200; round++) {
            atomic_int counts[37];
            memset(counts, 0, sizeof counts);
            thread_pool_run(pool, 37, count_part, counts);
            for (int i = 0; i < 37; i++)
                assert_int_equal(counts[i], 1);
        }
        thread_pool_destroy(&pool);
        assert_null(pool);
    }
    thread_pool *none = NULL;
    assert_int_equal(thread_pool_create(0, &none, &error), MIEN_EINVAL);
}

static void test_files_are_replaced_whole(void **state)
{
    (void)state;
    mien_error error = {0};
    testing_put_folder("a/b");
    testing_put("a/b/file", "first", 5);
    testing_put("a/b/file", "second", 6);
    const char *path = testing_path("a/b/file");
    buffer content;
    buffer_init(&content, 0);
    assert_ok(file_read(path, 100, &content, &error), &error);
    assert_string_equal(buffer_text(&content), "second");
    assert_int_equal(file_read(path, 3, &content, &error), MIEN_ELIMIT);
    assert_int_equal(file_read(testing_folder, 3, &content, &error), MIEN_EIO);
    assert_int_equal(content.length, 6);
    unlink(path);
    assert_int_equal(file_read(path, 3, &content, &error), MIEN_ENOTFOUND);
    buffer_done(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_do_not_wrap),
        cmocka_unit_test(test_buffer_keeps_its_limit),
        cmocka_unit_test(test_base64_round_trip_and_rubbish),
        cmocka_unit_test(test_random_resumes_and_is_fair),
        cmocka_unit_test(test_thread_pool_runs_each_part_once),
        unit_test_in_folder(test_files_are_replaced_whole),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
