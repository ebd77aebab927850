/* Guards src/image/draw.c and label.c: where lines and letters land, clipping at and beyond every edge, all pixel
 * formats, odd text. The font itself is the machine's; without one the label test says so and skips. */
#include "testing.h"

#include <math.h>

#include "image/draw.h"

enum { SIDE = 64 };
static const image_colour red = {255, 0, 0};

static mien_image grey_ground(mien_pixel_format format)
{
    mien_image image = {0};
    mien_error error = {0};
    assert_ok(mien_image_init(&image, SIDE, SIDE, format, &error), &error);
    memset(image.data, 128, image.stride * image.height);
    return image;
}

static const uint8_t *pixel_at(const mien_image *image, size_t x, size_t y)
{
    return image->data + y * image->stride + x * mien_pixel_bytes(image->format);
}

static size_t changed_pixels(const mien_image *image)
{
    size_t count = 0, pixel = mien_pixel_bytes(image->format);
    for (size_t y = 0; y < image->height; y++)
        for (size_t i = 0; i < image->width; i++)
            for (size_t c = 0; c < pixel; c++)
                if (image->data[y * image->stride + i * pixel + c] != 128) {
                    count++;
                    break;
                }
    return count;
}

static void test_box_covers_its_edges_only(void **state)
{
    (void)state;
    mien_image image = grey_ground(MIEN_PIXEL_RGB8);
    mien_error error = {0};
    assert_ok(image_draw_box(&image, &(image_box){10, 20, 30, 16}, red, 2, &error), &error);
    for (size_t x = 9; x < 41; x++) { /* lines lie on 9..11 and 39..41, 19..21 and 35..37 */
        assert_memory_equal(pixel_at(&image, x, 19), "\xff\0\0", 3);
        assert_memory_equal(pixel_at(&image, x, 36), "\xff\0\0", 3);
    }
    assert_memory_equal(pixel_at(&image, 10, 28), "\xff\0\0", 3);
    assert_memory_equal(pixel_at(&image, 39, 28), "\xff\0\0", 3);
    assert_memory_equal(pixel_at(&image, 11, 28), "\x80\x80\x80", 3);
    assert_memory_equal(pixel_at(&image, 38, 21), "\x80\x80\x80", 3);
    assert_int_equal(pixel_at(&image, 8, 28)[0], 70); /* the dark rim: 128 × 0.55 */
    assert_int_equal(changed_pixels(&image), 34 * 20 - 28 * 14);
    mien_image_done(&image);
}

static void test_fractions_are_smooth(void **state)
{
    (void)state;
    mien_image image = grey_ground(MIEN_PIXEL_GREY8);
    mien_error error = {0};
    const image_colour white = {255, 255, 255};
    assert_ok(image_draw_plate(&image, &(image_box){10.25f, 10, 2, 1}, white, 1, &error), &error);
    assert_int_equal(*pixel_at(&image, 10, 10), 223); /* three quarters of the way to white */
    assert_int_equal(*pixel_at(&image, 11, 10), 255);
    assert_int_equal(*pixel_at(&image, 12, 10), 160);
    assert_int_equal(changed_pixels(&image), 3);
    mien_image_done(&image);
}

static void test_boxes_beyond_the_edges(void **state)
{
    (void)state;
    static const image_box boxes[] = {{-10, -10, 30, 30}, {50, 50, 100, 100},   {-1000, 5, 5000, 3},
                                      {70, 70, 5, 5},     {-50, -50, 10, 10},   {0, 0, SIDE, SIDE},
                                      {5, 5, 0, 0},       {63.5f, 63.5f, 9, 9}, {-1e9f, -1e9f, 2e9f, 2e9f}};
    for (int format = MIEN_PIXEL_GREY8; format <= MIEN_PIXEL_BGRA8; format++) {
        mien_image image = grey_ground((mien_pixel_format)format);
        mien_error error = {0};
        for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++)
            for (int line = 0; line < 9; line += 4)
                assert_ok(image_draw_box(&image, boxes + i, red, (float)line, &error), &error);
        assert_true(changed_pixels(&image) > 0);
        mien_image_done(&image);
    }
    mien_image image = grey_ground(MIEN_PIXEL_RGB8);
    mien_error error = {0};
    assert_int_equal(image_draw_box(&image, &(image_box){NAN, 0, 1, 1}, red, 1, &error), MIEN_EINVAL);
    assert_int_equal(image_draw_box(&image, &(image_box){0, 0, -1, 1}, red, 1, &error), MIEN_EINVAL);
    assert_int_equal(image_draw_box(&image, &(image_box){0, 0, INFINITY, 1}, red, 1, &error), MIEN_EINVAL);
    assert_int_equal(image_draw_plate(&image, &(image_box){0, 0, 1, 1}, red, 2, &error), MIEN_EINVAL);
    assert_int_equal(changed_pixels(&image), 0);
    mien_image_done(&image);
}

static image_pen *pen_or_skip(void)
{
    image_pen *pen = NULL;
    mien_error error = {0};
    if (image_pen_create(&pen, &error)) {
        print_message("skipped: %s\n", error.message);
        skip();
    }
    return pen;
}

static void test_label_is_written(void **state)
{
    (void)state;
    image_pen *pen = pen_or_skip();
    mien_image image = grey_ground(MIEN_PIXEL_RGB8);
    mien_error error = {0};
    const image_colour yellow = {240, 228, 66};
    assert_ok(image_draw_label(pen, &image, &(image_box){5, 40, 40, 20}, "o", yellow, &error), &error);
    size_t dark = 0, plate = 0;
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++) {
            const uint8_t *pixel = pixel_at(&image, x, y);
            dark += pixel[0] < 60 && pixel[1] < 60;
            plate += pixel[0] > 200 && pixel[2] < 110;
            if (y >= 40)
                assert_int_equal(pixel[0], 128); /* above the box only */
        }
    assert_true(dark > 4);
    assert_true(plate > 50);
    mien_image_done(&image);
    image_pen_destroy(&pen);
    assert_null(pen);
}

static void test_labels_anywhere_with_any_text(void **state)
{
    (void)state;
    image_pen *pen = pen_or_skip();
    static const char *const texts[] = {
        "",          "happy 93 %",   "überrascht – 12 %", "\xff\xfe bad",     "\xe2\x82",
        "\xc0\x80x", "\xed\xa0\x80", "tab\tnewline\n",    "\xf4\x90\x80\x80", "悲しい"};
    static const image_box boxes[] = {
        {-100, -100, 20, 20}, {60, 60, 500, 500}, {0, 0, 1, 1}, {20, 2, 30, 30}, {1e8f, 1e8f, 1, 1}};
    mien_image image = grey_ground(MIEN_PIXEL_BGRA8);
    mien_error error = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t k = 0; k < sizeof boxes / sizeof boxes[0]; k++)
            assert_ok(image_draw_label(pen, &image, boxes + k, texts[i], red, &error), &error);
    char endless[5000];
    memset(endless, 'W', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_ok(image_draw_label(pen, &image, boxes, endless, red, &error), &error);
    mien_image_done(&image);
    image_pen_destroy(&pen);
}

static void test_without_a_font(void **state)
{
    (void)state;
    mien_image image = grey_ground(MIEN_PIXEL_RGB8);
    mien_error error = {0};
    assert_int_equal(image_draw_label(NULL, &image, &(image_box){0, 0, 9, 9}, "happy", red, &error), MIEN_ENOTFOUND);
    assert_int_equal(changed_pixels(&image), 0);
    mien_image_done(&image);
    image_pen_destroy(NULL);
}

static void test_colours_differ(void **state)
{
    (void)state;
    for (int a = 0; a <= MIEN_EMOTION_COUNT; a++)
        for (int b = 0; b < a; b++) {
            image_colour first = image_emotion_colour((mien_emotion)a), second = image_emotion_colour((mien_emotion)b);
            int apart = abs(first.red - second.red) + abs(first.green - second.green) + abs(first.blue - second.blue);
            assert_true(apart > 60);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_box_covers_its_edges_only),
        cmocka_unit_test(test_fractions_are_smooth),
        cmocka_unit_test(test_boxes_beyond_the_edges),
        cmocka_unit_test(test_label_is_written),
        cmocka_unit_test(test_labels_anywhere_with_any_text),
        cmocka_unit_test(test_without_a_font),
        cmocka_unit_test(test_colours_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
