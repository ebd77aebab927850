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

static void test_blurring_keeps_what_is_flat(void **state)
{
    (void)state;
    uint8_t from[7 * 6], to[7 * 6], expected[7 * 6];
    mien_error error = {0};
    mien_image_view source = view_of(from, 7, 6, MIEN_PIXEL_GREY8);
    mien_image target = image_over(to, 7, 6, MIEN_PIXEL_GREY8);
    memset(from, 251, sizeof from);
    memset(expected, 251, sizeof expected);
    for (unsigned size = 1; size <= 63; size += 2) {
        assert_ok(prep_gaussian(&source, &target, size, size % 3, &error), &error);
        assert_memory_equal(to, expected, sizeof to);
        assert_ok(prep_median(&source, &target, size, &error), &error);
        assert_memory_equal(to, expected, sizeof to);
    }
    assert_ok(prep_bilateral(&source, &target, 3, 30, 30, &error), &error);
    assert_memory_equal(to, expected, sizeof to);
    assert_ok(prep_illumination(&source, &target, 1, &error), &error);
    assert_memory_equal(to, expected, sizeof to);
    assert_ok(prep_equalise(&source, &target, &error), &error);
    assert_memory_equal(to, expected, sizeof to);
}

static void test_gaussian_of_a_point(void **state)
{
    (void)state;
    uint8_t pixels[25] = {[12] = 255};
    /* cv2.GaussianBlur(…, (3, 3), 0): 255 × (1 2 1)ᵀ(1 2 1) / 16, rounded */
    static const uint8_t expected[25] = {0, 0, 0, 0, 0, 0, 16, 32, 16, 0, 0, 32, 64, 32, 0, 0, 16, 32, 16};
    mien_error error = {0};
    mien_image_view source = view_of(pixels, 5, 5, MIEN_PIXEL_GREY8);
    mien_image target = image_over(pixels, 5, 5, MIEN_PIXEL_GREY8); /* in place */
    assert_ok(prep_gaussian(&source, &target, 3, 0, &error), &error);
    assert_memory_equal(pixels, expected, 25);
}

static void test_median_drops_a_speck(void **state)
{
    (void)state;
    for (unsigned size = 3; size <= 7; size += 2) {
        uint8_t from[75], to[75];
        mien_error error = {0};
        for (size_t i = 0; i < 75; i++)
            from[i] = (uint8_t)(10 * (i % 3));
        from[36] = 200;
        mien_image_view source = view_of(from, 5, 5, MIEN_PIXEL_RGB8);
        mien_image target = image_over(to, 5, 5, MIEN_PIXEL_RGB8);
        assert_ok(prep_median(&source, &target, size, &error), &error);
        for (size_t i = 0; i < 75; i++)
            assert_int_equal(to[i], 10 * (i % 3));
    }
}

static void test_bilateral_keeps_an_edge(void **state)
{
    (void)state;
    uint8_t from[100], to[100];
    mien_error error = {0};
    for (size_t i = 0; i < 100; i++)
        from[i] = (uint8_t)((i % 10 < 5 ? 50 : 200) + (i * 7 % 5));
    mien_image_view source = view_of(from, 10, 10, MIEN_PIXEL_GREY8);
    mien_image target = image_over(to, 10, 10, MIEN_PIXEL_GREY8);
    assert_ok(prep_bilateral(&source, &target, 2, 20, 2, &error), &error);
    for (size_t i = 0; i < 100; i++)
        assert_in_range(to[i], i % 10 < 5 ? 50 : 200, i % 10 < 5 ? 54 : 204);
    assert_int_not_equal(memcmp(from, to, 100), 0);
}

static void test_equalise_spreads_two_values(void **state)
{
    (void)state;
    uint8_t pixels[] = {100, 100, 101, 101, 102, 102};
    static const uint8_t expected[] = {0, 0, 128, 128, 255, 255}; /* 2 × 255/4 = 127.5, to even */
    mien_error error = {0};
    mien_image_view source = view_of(pixels, 3, 2, MIEN_PIXEL_GREY8);
    mien_image target = image_over(pixels, 3, 2, MIEN_PIXEL_GREY8);
    assert_ok(prep_equalise(&source, &target, &error), &error);
    assert_memory_equal(pixels, expected, 6);
}

static void test_clahe_of_pictures_smaller_than_its_tiles(void **state)
{
    (void)state;
    for (size_t side = 1; side < 12; side++) {
        uint8_t pixels[144];
        mien_error error = {0};
        for (size_t i = 0; i < side * side; i++)
            pixels[i] = (uint8_t)(i * 31);
        mien_image_view source = view_of(pixels, side, side, MIEN_PIXEL_GREY8);
        mien_image target = image_over(pixels, side, side, MIEN_PIXEL_GREY8);
        assert_ok(prep_clahe(&source, &target, 2.0, 8, 8, &error), &error);
    }
}

static void test_brighten_rounds_and_saturates(void **state)
{
    (void)state;
    uint8_t pixels[] = {0, 5, 100, 227, 228, 255};
    static const uint8_t expected[] = {5, 10, 115, 255, 255, 255}; /* 10.5 → 10, 254.7 → 255 */
    mien_error error = {0};
    mien_image_view source = view_of(pixels, 6, 1, MIEN_PIXEL_GREY8);
    mien_image target = image_over(pixels, 6, 1, MIEN_PIXEL_GREY8);
    assert_ok(prep_brighten(&source, &target, 1.1f, 5, &error), &error);
    assert_memory_equal(pixels, expected, 6);
}

static void test_illumination_evens_out_a_ramp(void **state)
{
    (void)state;
    uint8_t pixels[64 * 64];
    mien_error error = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(40 + 2 * (i % 64));
    mien_image_view source = view_of(pixels, 64, 64, MIEN_PIXEL_GREY8);
    mien_image target = image_over(pixels, 64, 64, MIEN_PIXEL_GREY8);
    assert_ok(prep_illumination(&source, &target, 0, &error), &error);
    assert_int_equal(pixels[0], 40);
    assert_ok(prep_illumination(&source, &target, 1, &error), &error);
    assert_true(pixels[60] - pixels[4] < 40); /* was 112 */
}

static void test_parameters_out_of_range(void **state)
{
    (void)state;
    uint8_t from[48] = {0}, to[48];
    mien_error error = {0};
    mien_image_view source = view_of(from, 4, 4, MIEN_PIXEL_RGB8);
    mien_image target = image_over(to, 4, 4, MIEN_PIXEL_RGB8);
    assert_int_equal(prep_gaussian(&source, &target, 4, 0, &error), MIEN_EINVAL);
    assert_int_equal(prep_gaussian(&source, &target, 65, 0, &error), MIEN_EINVAL);
    assert_int_equal(prep_median(&source, &target, 0, &error), MIEN_EINVAL);
    assert_int_equal(prep_bilateral(&source, &target, 0, 1, 1, &error), MIEN_EINVAL);
    assert_int_equal(prep_bilateral(&source, &target, 1, 0, 1, &error), MIEN_EINVAL);
    assert_int_equal(prep_equalise(&source, &target, &error), MIEN_EINVAL);
    assert_int_equal(prep_brighten(&source, &target, 1.0f / 0.0f, 0, &error), MIEN_EINVAL);
    source.format = target.format = MIEN_PIXEL_GREY8;
    assert_int_equal(prep_clahe(&source, &target, 2, 0, 8, &error), MIEN_EINVAL);
    assert_int_equal(prep_clahe(&source, &target, 2, 8, 65, &error), MIEN_EINVAL);
    assert_int_equal(prep_illumination(&source, &target, 1.5, &error), MIEN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grey_weighs_the_channels),
        cmocka_unit_test(test_resize_rounds_as_opencv),
        cmocka_unit_test(test_halving_is_the_mean_of_four),
        cmocka_unit_test(test_wrong_operands_are_answered),
        cmocka_unit_test(test_blurring_keeps_what_is_flat),
        cmocka_unit_test(test_gaussian_of_a_point),
        cmocka_unit_test(test_median_drops_a_speck),
        cmocka_unit_test(test_bilateral_keeps_an_edge),
        cmocka_unit_test(test_equalise_spreads_two_values),
        cmocka_unit_test(test_clahe_of_pictures_smaller_than_its_tiles),
        cmocka_unit_test(test_brighten_rounds_and_saturates),
        cmocka_unit_test(test_illumination_evens_out_a_ramp),
        cmocka_unit_test(test_parameters_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
