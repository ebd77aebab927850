/* Guards src/prep/crop.c: identity, bilinear enlarging, averaging when shrinking, both kinds of edge, channel orders.
 */
#include "testing.h"

#include <math.h>

#include "prep/crop.h"

static mien_image_view view_of(const uint8_t *data, size_t width, size_t height, mien_pixel_format format)
{
    return (mien_image_view){data, width, height, width * mien_pixel_bytes(format), format};
}

static void assert_floats(const float *got, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - expected[i]) < 1e-3f))
            fail_msg("[%zu] is %g, not %g", i, (double)got[i], (double)expected[i]);
}

static void test_same_size_is_a_copy(void **state)
{
    (void)state;
    const uint8_t grey[] = {0, 10, 20, 30, 40, 255};
    const float expected[] = {0, 10, 20, 30, 40, 255};
    float out[6];
    mien_error error = {0};
    mien_image_view view = view_of(grey, 3, 2, MIEN_PIXEL_GREY8);
    prep_crop crop = prep_crop_default(&view);
    crop.scale[0] = 1;
    assert_ok(prep_crop_resize(&view, &crop, 3, 2, out, &error), &error);
    assert_floats(out, expected, 6);
}

static void test_enlarging_is_bilinear(void **state)
{
    (void)state;
    const uint8_t grey[] = {0, 100};
    const float expected[] = {-1, -0.5f, 0.5f, 1}; /* 0, 25, 75, 100 of 0..100 → −1..1 */
    float out[4];
    mien_error error = {0};
    mien_image_view view = view_of(grey, 2, 1, MIEN_PIXEL_GREY8);
    prep_crop crop = prep_crop_default(&view);
    crop.scale[0] = 0.02f;
    crop.shift[0] = -1;
    assert_ok(prep_crop_resize(&view, &crop, 4, 1, out, &error), &error);
    assert_floats(out, expected, 4);
}

static void test_shrinking_averages(void **state)
{
    (void)state;
    uint8_t stripes[64 * 64];
    float out[8 * 8];
    mien_error error = {0};
    for (size_t i = 0; i < sizeof stripes; i++)
        stripes[i] = i % 2 ? 200 : 100;
    mien_image_view view = view_of(stripes, 64, 64, MIEN_PIXEL_GREY8);
    prep_crop crop = prep_crop_default(&view);
    crop.scale[0] = 1;
    assert_ok(prep_crop_resize(&view, &crop, 8, 8, out, &error), &error);
    for (size_t i = 0; i < 64; i++) /* picking would give 100 or 200; at the sides the edge pixel counts more */
        assert_true(fabsf(out[i] - 150) < (i % 8 == 0 || i % 8 == 7 ? 10.0f : 0.01f));
}

static void test_beyond_the_picture(void **state)
{
    (void)state;
    const uint8_t grey[] = {10, 20, 30, 40};
    float out[16];
    mien_error error = {0};
    mien_image_view view = view_of(grey, 2, 2, MIEN_PIXEL_GREY8);
    prep_crop crop = prep_crop_default(&view);
    crop.x = crop.y = -1;
    crop.width = crop.height = 4;
    crop.scale[0] = 1;
    assert_ok(prep_crop_resize(&view, &crop, 4, 4, out, &error), &error);
    assert_floats(out, (const float[]){10, 10, 20, 20, 10, 10, 20, 20, 30, 30, 40, 40, 30, 30, 40, 40}, 16);
    crop.outside = PREP_CROP_CONSTANT;
    crop.fill = 7;
    assert_ok(prep_crop_resize(&view, &crop, 4, 4, out, &error), &error);
    assert_floats(out, (const float[]){7, 7, 7, 7, 7, 10, 20, 7, 7, 30, 40, 7, 7, 7, 7, 7}, 16);
    crop.x = 1000;
    assert_ok(prep_crop_resize(&view, &crop, 4, 4, out, &error), &error);
    assert_floats(out, (const float[]){7, 7, 7, 7}, 4);
}

static void test_planes(void **state)
{
    (void)state;
    const uint8_t bgra[] = {1, 2, 3, 99};
    float out[3];
    mien_error error = {0};
    mien_image_view view = view_of(bgra, 1, 1, MIEN_PIXEL_BGRA8);
    prep_crop crop = prep_crop_default(&view);
    for (int c = 0; c < 3; c++) {
        crop.scale[c] = 1;
        crop.shift[c] = (float)(10 * c);
    }
    crop.format = MIEN_PIXEL_RGB8;
    assert_ok(prep_crop_resize(&view, &crop, 1, 1, out, &error), &error);
    assert_floats(out, (const float[]){3, 12, 21}, 3);
    crop.format = MIEN_PIXEL_BGR8;
    assert_ok(prep_crop_resize(&view, &crop, 1, 1, out, &error), &error);
    assert_floats(out, (const float[]){1, 12, 23}, 3);
    crop.format = MIEN_PIXEL_GREY8;
    assert_ok(prep_crop_resize(&view, &crop, 1, 1, out, &error), &error);
    assert_floats(out, (const float[]){0.299f * 3 + 0.587f * 2 + 0.114f}, 1);
    view.format = MIEN_PIXEL_GREY8;
    crop.format = MIEN_PIXEL_RGB8;
    assert_ok(prep_crop_resize(&view, &crop, 1, 1, out, &error), &error);
    assert_floats(out, (const float[]){1, 11, 21}, 3);
}

static void test_wrong_regions(void **state)
{
    (void)state;
    const uint8_t grey[] = {1};
    float out[4];
    mien_error error = {0};
    mien_image_view view = view_of(grey, 1, 1, MIEN_PIXEL_GREY8);
    const float wrong[] = {0, -1, NAN, INFINITY, 1e9f};
    for (size_t i = 0; i < 5; i++) {
        prep_crop crop = prep_crop_default(&view);
        crop.width = wrong[i];
        assert_int_equal(prep_crop_resize(&view, &crop, 2, 2, out, &error), MIEN_EINVAL);
    }
    prep_crop crop = prep_crop_default(&view);
    crop.x = NAN;
    assert_int_equal(prep_crop_resize(&view, &crop, 2, 2, out, &error), MIEN_EINVAL);
    crop = prep_crop_default(&view);
    assert_int_equal(prep_crop_resize(&view, &crop, 0, 2, out, &error), MIEN_EINVAL);
    crop.format = MIEN_PIXEL_RGBA8;
    assert_int_equal(prep_crop_resize(&view, &crop, 2, 2, out, &error), MIEN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_size_is_a_copy),
        cmocka_unit_test(test_enlarging_is_bilinear),
        cmocka_unit_test(test_shrinking_averages),
        cmocka_unit_test(test_beyond_the_picture),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_wrong_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
