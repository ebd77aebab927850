/* Guards src/base: checked sizes, the buffer's limit, base64 in and out, numbers in any locale, messages of whole
 * characters, random sequences that resume, the thread pool's exactly-once promise, and files that are replaced whole.
 */
#include "folder.h"

#include <fcntl.h>
#include <locale.h>
#include <stdatomic.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
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
    assert_int_equal(base64_decode_url("QR", 2, &back, &error), MIEN_EFORMAT); /* QQ, with a bit that is none */
    assert_int_equal(base64_decode_url("QUJ", 3, &back, &error), MIEN_EFORMAT);
    assert_string_equal(buffer_text(&back), "hello");
    buffer_done(&text);
    buffer_done(&back);
}

/* A locale with a decimal comma: one of the system's, else one made here; false where neither is to be had. */
static bool set_comma_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "id_ID.UTF-8", "nl_NL.UTF-8", "es_ES.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_NUMERIC, names[i]) && *localeconv()->decimal_point == ',')
            return true;
    char command[512];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s >%s 2>&1", testing_path("de_DE.UTF-8"),
             testing_path("said"));
    setenv("LOCPATH", testing_folder, 1);
    bool made = !system(command) && setlocale(LC_NUMERIC, "de_DE.UTF-8") && *localeconv()->decimal_point == ',';
    unsetenv("LOCPATH");
    return made;
}

static void test_numbers_have_a_point_in_any_locale(void **state)
{
    (void)state;
    if (!set_comma_locale()) {
        print_message("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    char text[32], *end = NULL;
    double value = 7;
    number_write(0.25, 9, text, sizeof text);
    bool comma = snprintf(text + 16, 16, "%g", 0.5) && text[17] == ',',
         parsed = number_parse("-1.5e2", -200, 0, &value);
    double read = number_read("2.5,3", &end);
    setlocale(LC_NUMERIC, "C");
    assert_true(comma); /* the locale is on, and stays on after number_write */
    assert_string_equal(text, "0.25");
    assert_true(parsed && value == -150);
    assert_true(read == 2.5 && !strcmp(end, ",3"));
}

static void test_numbers_are_whole_texts_in_range(void **state)
{
    (void)state;
    static const char *const refused[] = {"", "x", "1x", "1 ", "11", "-1", "nan", "inf", "1e999", "0,5"};
    double value = 7;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(number_parse(refused[i], 0, 10, &value));
    assert_true(value == 7);
    assert_true(number_parse("10", 0, 10, &value) && value == 10);
}

/* Every length of what stands before a character of two, three or four bytes. */
static void test_messages_end_in_whole_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "\xc3\x97", "\xe2\x80\xa6", "\xf0\x9f\x98\x80"};
    mien_error error = {0};
    for (size_t c = 0; c < sizeof characters / sizeof characters[0]; c++)
        for (int before = (int)sizeof error.message - 8; before < (int)sizeof error.message; before++) {
            error_set_at(&error, MIEN_EFORMAT, 3, "%*s%s%s", before, "", characters[c], characters[c]);
            size_t length = strlen(error.message), bytes = strlen(characters[c]);
            size_t fit = (sizeof error.message - 1 - (size_t)before) / bytes;
            assert_int_equal(length, (size_t)before + (fit < 2 ? fit : 2) * bytes);
            assert_int_equal(error_prefix(&error, MIEN_EFORMAT, "%s", characters[c]), MIEN_EFORMAT);
            assert_int_equal(error.offset, 3);
            assert_memory_equal(error.message, characters[c], bytes);
            assert_memory_equal(error.message + bytes, ": ", 2);
        }
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

static void test_files_as_large_as_allowed(void **state)
{
    (void)state;
    static const char bytes[] = "0123456789";
    mien_error error = {0};
    buffer content;
    testing_put("file", bytes, 10);
    buffer_init(&content, 10);
    assert_ok(file_read(testing_path("file"), 10, &content, &error), &error);
    assert_string_equal(buffer_text(&content), bytes);
    assert_int_equal(file_read(testing_path("file"), 10, &content, &error), MIEN_ELIMIT); /* the buffer is full */
    assert_string_equal(buffer_text(&content), bytes);
    buffer_done(&content);
}

static mode_t mode_of(const char *path)
{
    struct stat about;
    return stat(path, &about) ? 0 : about.st_mode & 0777;
}

static void test_files_keep_to_the_umask(void **state)
{
    (void)state;
    mien_error error = {0};
    mode_t before = umask(027);
    testing_put_text("file", "text");
    mien_status status = file_write_private(testing_path("private"), "text", 4, &error);
    umask(before);
    assert_ok(status, &error);
    assert_int_equal(mode_of(testing_path("file")), 0640);
    assert_int_equal(mode_of(testing_path("private")), 0600);
}

static void test_what_is_no_plain_file_stays(void **state)
{
    (void)state;
    mien_error error = {0};
    struct stat about;
    char got[16] = "";
    testing_put_text("target", "old");
    assert_int_equal(symlink("target", testing_path("link")), 0);
    testing_put_text("link", "new");
    assert_int_equal(lstat(testing_path("link"), &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    buffer content = {0};
    assert_ok(file_read(testing_path("target"), 10, &content, &error), &error);
    assert_string_equal(buffer_text(&content), "new");
    buffer_done(&content);

    assert_int_equal(mkfifo(testing_path("pipe"), 0600), 0);
    int reader = open(testing_path("pipe"), O_RDWR | O_CLOEXEC);
    testing_put_text("pipe", "hello");
    assert_int_equal(read(reader, got, sizeof got - 1), 5);
    assert_string_equal(got, "hello");
    close(reader);
    assert_int_equal(lstat(testing_path("pipe"), &about), 0);
    assert_true(S_ISFIFO(about.st_mode));
    assert_int_equal(file_write(testing_folder, "x", 1, &error), MIEN_EIO); /* a folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_do_not_wrap),
        cmocka_unit_test(test_buffer_keeps_its_limit),
        cmocka_unit_test(test_base64_round_trip_and_rubbish),
        cmocka_unit_test(test_random_resumes_and_is_fair),
        cmocka_unit_test(test_thread_pool_runs_each_part_once),
        unit_test_in_folder(test_numbers_have_a_point_in_any_locale),
        cmocka_unit_test(test_numbers_are_whole_texts_in_range),
        cmocka_unit_test(test_messages_end_in_whole_characters),
        unit_test_in_folder(test_files_are_replaced_whole),
        unit_test_in_folder(test_files_as_large_as_allowed),
        unit_test_in_folder(test_files_keep_to_the_umask),
        unit_test_in_folder(test_what_is_no_plain_file_stays),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
