/* Guards src/prep: each operation's arithmetic on small pictures with results worked out by hand or taken from OpenCV
 * 4.6, and that wrong operands are answered by a status. (Whole photographs: tests/unit/test_golden_prep.c.) */
#include "testing.h"

#include "prep/prep.h"

static mien_image_view view_of(const uint8_t *data, size_t width, size_t height, mien_pixel_format format)
{
    return (mien_image_view){data, width, height, width * mien_pixel_bytes(format), format};
}

static mien_image image_over(uint8_t *data, size_t width, size_t height, mien_pixel_format format)
{
    return (mien_image){data, width, height, width * mien_pixel_bytes(format), format};
}

static void test_grey_weighs_the_channels(void **state)
{
    (void)state;
    const uint8_t rgb[] = {255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255};
    const uint8_t expected[] = {255, 76, 150, 29};
    uint8_t grey[4];
    mien_error error = {0};
    mien_image target = image_over(grey, 4, 1, MIEN_PIXEL_GREY8);
    mien_image_view source = view_of(rgb, 4, 1, MIEN_PIXEL_RGB8);
    assert_ok(prep_grey(&source, &target, &error), &error);
    assert_memory_equal(grey, expected, 4);

    const uint8_t mirrored[] = {255, 76, 150, 255};
    const uint8_t bgra[] = {255, 255, 255, 255, 0, 0, 255, 255, 0, 255, 0, 255, 255, 0, 0, 0};
    source = view_of(bgra, 4, 1, MIEN_PIXEL_BGRA8);
    assert_ok(prep_grey(&source, &target, &error), &error);
    assert_memory_equal(grey, mirrored, 4);
}

static void test_resize_rounds_as_opencv(void **state)
{
    (void)state;
    const uint8_t from[] = {0, 10, 200, 255, 37, 91, 18, 64, 129};
    /* cv2.resize(…, (4, 4), interpolation=INTER_LINEAR / INTER_LINEAR_EXACT) */
    const uint8_t linear[] = {0, 6, 81, 200, 159, 76, 66, 132, 166, 92, 69, 105, 18, 47, 88, 129};
    const uint8_t exact[] = {0, 6, 81, 200, 159, 77, 66, 132, 166, 92, 69, 105, 18, 47, 88, 129};
    uint8_t to[16];
    mien_error error = {0};
    mien_image_view source = view_of(from, 3, 3, MIEN_PIXEL_GREY8);
    mien_image target = image_over(to, 4, 4, MIEN_PIXEL_GREY8);
    assert_ok(prep_resize_linear(&source, &target, &error), &error);
    assert_memory_equal(to, linear, 16);
    assert_ok(prep_resize_linear_exact(&source, &target, &error), &error);
    assert_memory_equal(to, exact, 16);
}

static void test_halving_is_the_mean_of_four(void **state)
{
    (void)state;
    const uint8_t from[] = {1, 2, 3, 4, 5, 6, 7, 9};
    uint8_t to[2];
    mien_error error = {0};
    mien_image_view source = view_of(from, 4, 2, MIEN_PIXEL_GREY8);
    mien_image target = image_over(to, 2, 1, MIEN_PIXEL_GREY8);
    assert_ok(prep_resize_linear(&source, &target, &error), &error);
    assert_int_equal(to[0], 4); /* (1 + 2 + 5 + 6 + 2) / 4 */
    assert_int_equal(to[1], 6); /* (3 + 4 + 7 + 9 + 2) / 4 */
}

static void test_wrong_operands_are_answered(void **state)
{
    (void)state;
    uint8_t pixels[64] = {0};
    mien_error error = {0};
    mien_image_view source = view_of(pixels, 4, 4, MIEN_PIXEL_GREY8);
    mien_image target = image_over(pixels + 32, 3, 3, MIEN_PIXEL_GREY8);
    assert_int_equal(prep_grey(&source, &target, &error), MIEN_EINVAL);
    assert_int_equal(prep_grey(NULL, &target, &error), MIEN_EINVAL);
    target.format = MIEN_PIXEL_RGB8;
    target.stride = 9;
    assert_int_equal(prep_resize_linear(&source, &target, &error), MIEN_EINVAL);
    target.stride = 8;
    target.format = MIEN_PIXEL_RGB8;
    assert_int_equal(prep_resize_linear(&source, &target, &error), MIEN_EINVAL);
    source.width = 0;
    assert_int_equal(prep_resize_linear_exact(&source, &target, &error), MIEN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grey_weighs_the_channels),
        cmocka_unit_test(test_resize_rounds_as_opencv),
        cmocka_unit_test(test_halving_is_the_mean_of_four),
        cmocka_unit_test(test_wrong_operands_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
