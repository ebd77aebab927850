/* Guards the base64 kernels: every version takes as much as plain C and writes the same bytes and no more, for every
 * length, in both alphabets, with a foreign character at every place. Reading stays inside the text (its end lies
 * before a forbidden page). Versions that this machine lacks are left out aloud. */
#include "levels.h"

#include "base/base64_kernels.h"
#include "base/random.h"

enum { MOST = 300, PAGE = 4096, GUARD = 64 };

static base64_kernels plain, fast;
static random_state numbers;
static uint8_t *fence; /* a page that a forbidden one follows */
static uint8_t outputs[2][2 * MOST + GUARD];

static void fill(unsigned flags)
{
    base64_kernels_fill(&fast, flags);
}

static void check_encode(void)
{
    for (size_t length = 0; length <= MOST; length++)
        for (int url_safe = 0; url_safe < 2; url_safe++) {
            uint8_t *bytes = fence + PAGE - length;
            for (size_t i = 0; i < length; i++)
                bytes[i] = (uint8_t)random_next(&numbers);
            memset(outputs, 0xa5, sizeof outputs);
            size_t taken = plain.encode(bytes, length, (char *)outputs[0], url_safe);
            assert_int_equal(taken, length / 3 * 3);
            assert_int_equal(fast.encode(bytes, length, (char *)outputs[1], url_safe), taken);
            assert_memory_equal(outputs[0], outputs[1], sizeof outputs[0]);
        }
}

static void decode_both(const char *text, size_t length, bool strict)
{
    memset(outputs, 0xa5, sizeof outputs);
    size_t taken = plain.decode(text, length, outputs[0], strict);
    assert_int_equal(fast.decode(text, length, outputs[1], strict), taken);
    size_t written = taken / 4 * 3;
    assert_memory_equal(outputs[0], outputs[1], written);
    for (size_t i = 0; i < GUARD; i++) /* nothing beyond the room for all of the text */
        assert_int_equal(outputs[1][length / 4 * 3 + i], 0xa5);
}

static void check_decode(void)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/";
    for (size_t length = 0; length <= MOST; length++)
        for (int strict = 0; strict < 2; strict++) {
            char *text = (char *)fence + PAGE - length;
            for (size_t i = 0; i < length; i++)
                text[i] = letters[random_below(&numbers, strict ? 64 : 66)];
            decode_both(text, length, strict);
            if (length >= 4)
                assert_int_equal(plain.decode(text, length, outputs[0], strict), length / 4 * 4);
            if (!length)
                continue;
            size_t at = random_below(&numbers, (uint32_t)length);
            for (int c = 0; c < 256; c++) { /* every character there is, at some place */
                text[at] = (char)c;
                decode_both(text, length, strict);
            }
        }
}

static void test_encode(void **state)
{
    (void)state;
    for_each_level(fill, check_encode);
}

static void test_decode(void **state)
{
    (void)state;
    for_each_level(fill, check_decode);
}

static int set_up(void **state)
{
    (void)state;
    random_seed(&numbers, 3, 4);
    base64_kernels_fill(&plain, 0);
    fence = fenced_memory(PAGE);
    return fence ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_encode), cmocka_unit_test(test_decode)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
