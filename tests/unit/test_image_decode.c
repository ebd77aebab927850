/* Guards src/image: every format comes out with the right pixels, upright, whatever its colour type, and the encoders'
 * output is read back. Bad input: test_image_bad.c. BMP: test_image_bmp.c. */
#include "pictures.h"
#include "testing.h"

#include <mien/image.h>

#include "image/convert.h"
#include "image/decode.h"

enum { WIDE = 16, HIGH = 10 };

static mien_image decoded(const buffer *bytes, mien_pixel_format format)
{
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.format = format;
    mien_image image = {0};
    mien_error error = {0};
    assert_ok(mien_image_decode(bytes->data, bytes->length, &options, &image, &error), &error);
    assert_int_equal(image.format, format);
    return image;
}

static const uint8_t *pixel_at(const mien_image *image, size_t x, size_t y)
{
    return image->data + y * image->stride + x * mien_pixel_bytes(image->format);
}

static void make_rgb(uint8_t *rgb)
{
    for (size_t i = 0; i < WIDE * HIGH; i++)
        picture_colour(i % WIDE, i / WIDE, rgb + 3 * i);
}

/* Each channel within `slack` of picture_colour, R first or B first. */
static void assert_is_picture(const mien_image *image, int slack)
{
    assert_int_equal(image->width, WIDE);
    assert_int_equal(image->height, HIGH);
    size_t red = image->format == MIEN_PIXEL_BGR8 ? 2 : 0;
    for (size_t i = 0; i < WIDE * HIGH; i++) {
        uint8_t rgb[3];
        picture_colour(i % WIDE, i / WIDE, rgb);
        const uint8_t *pixel = pixel_at(image, i % WIDE, i / WIDE);
        for (size_t c = 0; c < 3; c++)
            assert_in_range(pixel[c == 1   ? 1
                                  : c == 0 ? red
                                           : 2 - red] +
                                256,
                            (unsigned)(rgb[c] + 256 - slack), (unsigned)(rgb[c] + 256 + slack));
    }
}

static void test_png_kinds(void **state)
{
    (void)state;
    uint8_t rgb[WIDE * HIGH * 3], wide[WIDE * HIGH * 6];
    make_rgb(rgb);
    for (size_t i = 0; i < sizeof rgb; i++) { /* the low byte must not matter */
        wide[2 * i] = (uint8_t)(i * 37);
        wide[2 * i + 1] = rgb[i];
    }
    for (int kind = 0; kind < 3; kind++) {
        buffer png = {0};
        bool deep = kind == 2;
        picture_png(WIDE, HIGH, SPNG_COLOR_TYPE_TRUECOLOR, deep ? 16 : 8, kind == 1, deep ? wide : rgb,
                    deep ? sizeof wide : sizeof rgb, NULL, NULL, NULL, &png);
        for (int format = MIEN_PIXEL_RGB8; format <= MIEN_PIXEL_BGR8; format++) {
            mien_image image = decoded(&png, (mien_pixel_format)format);
            assert_is_picture(&image, 0);
            mien_image_done(&image);
        }
        buffer_done(&png);
    }
}

static void test_png_palette_grey_and_alpha(void **state)
{
    (void)state;
    buffer png = {0};
    struct spng_plte palette = {.n_entries = 2, .entries = {{10, 20, 30, 255}, {200, 100, 50, 255}}};
    struct spng_trns transparency = {.n_type3_entries = 1, .type3_alpha = {128}};
    const uint8_t bits[] = {0x40}; /* one-bit indices 0 1 */
    picture_png(2, 1, SPNG_COLOR_TYPE_INDEXED, 1, 0, bits, 1, NULL, &palette, &transparency, &png);
    mien_image image = decoded(&png, MIEN_PIXEL_RGB8);
    const uint8_t expected[] = {132, 137, 142, 200, 100, 50}; /* (10 × 128 + 255 × 127) / 255 … */
    assert_memory_equal(image.data, expected, 6);
    mien_image_done(&image);
    buffer_clear(&png);

    const uint8_t two_bits[] = {0x1b}; /* 0 1 2 3 of 3 */
    const uint8_t greys[] = {0, 85, 170, 255};
    picture_png(4, 1, SPNG_COLOR_TYPE_GRAYSCALE, 2, 0, two_bits, 1, NULL, NULL, NULL, &png);
    image = decoded(&png, MIEN_PIXEL_GREY8);
    assert_memory_equal(image.data, greys, 4);
    mien_image_done(&image);
    buffer_clear(&png);

    const uint8_t grey_alpha[] = {0, 0, 0, 255, 100, 51};
    const uint8_t over_white[] = {255, 0, 224}; /* (100 × 51 + 255 × 204) / 255 */
    picture_png(3, 1, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8, 0, grey_alpha, 6, NULL, NULL, NULL, &png);
    image = decoded(&png, MIEN_PIXEL_GREY8);
    assert_memory_equal(image.data, over_white, 3);
    mien_image_done(&image);
    buffer_done(&png);
}

static void test_jpeg_kinds(void **state)
{
    (void)state;
    uint8_t rgb[WIDE * HIGH * 3], grey[WIDE * HIGH], *inks = malloc(4 * WIDE * HIGH);
    make_rgb(rgb);
    for (int progressive = 0; progressive < 2; progressive++) {
        buffer jpeg = {0};
        picture_jpeg(WIDE, HIGH, 3, rgb, progressive, 0, NULL, 0, &jpeg);
        mien_image image = decoded(&jpeg, MIEN_PIXEL_BGR8);
        assert_is_picture(&image, 24);
        mien_image_done(&image);
        buffer_done(&jpeg);
    }
    for (int adobe = 0; adobe < 2; adobe++) {
        buffer jpeg = {0};
        const uint8_t light[4] = {51, 102, 204, 255}; /* flat: R 51, G 102, B 204 with no black */
        for (size_t i = 0; i < WIDE * HIGH; i++)
            memcpy(inks + 4 * i, light, sizeof light); /* also without Adobe's mark, as elsewhere */
        picture_jpeg(WIDE, HIGH, 4, inks, 0, adobe, NULL, 0, &jpeg);
        mien_image image = decoded(&jpeg, MIEN_PIXEL_RGB8);
        assert_in_range(pixel_at(&image, 5, 5)[0], 49, 53);
        assert_in_range(pixel_at(&image, 5, 5)[1], 100, 104);
        assert_in_range(pixel_at(&image, 5, 5)[2], 202, 206);
        mien_image_done(&image);
        buffer_done(&jpeg);
    }
    memset(grey, 77, sizeof grey);
    buffer jpeg = {0};
    picture_jpeg(WIDE, HIGH, 1, grey, 0, 0, NULL, 0, &jpeg);
    mien_image image = decoded(&jpeg, MIEN_PIXEL_GREY8);
    assert_int_equal(*pixel_at(&image, 3, 3), 77);
    mien_image_done(&image);
    image = decoded(&jpeg, MIEN_PIXEL_RGB8);
    assert_int_equal(pixel_at(&image, 3, 3)[2], 77);
    mien_image_done(&image);
    buffer_done(&jpeg);
    free(inks);
}

static void test_webp_still_alpha_and_animation(void **state)
{
    (void)state;
    uint8_t rgba[2][WIDE * HIGH * 4];
    for (size_t i = 0; i < WIDE * HIGH; i++) {
        picture_colour(i % WIDE, i / WIDE, rgba[0] + 4 * i);
        rgba[0][4 * i + 3] = 255;
        memcpy(rgba[1] + 4 * i, (const uint8_t[]){0, 0, 0, 255}, 4);
    }
    buffer first = {0}, second = {0}, animation = {0};
    picture_webp(WIDE, HIGH, rgba[0], &first);
    mien_image image = decoded(&first, MIEN_PIXEL_BGR8);
    assert_is_picture(&image, 0);
    mien_image_done(&image);

    picture_webp(WIDE, HIGH, rgba[1], &second);
    picture_webp_animation(&first, &second, &animation);
    image = decoded(&animation, MIEN_PIXEL_RGB8);
    assert_is_picture(&image, 0);
    mien_image_done(&image);

    buffer_clear(&second);
    rgba[1][3] = 0; /* the first pixel is clear, so white shows */
    picture_webp(WIDE, HIGH, rgba[1], &second);
    image = decoded(&second, MIEN_PIXEL_RGB8);
    assert_int_equal(pixel_at(&image, 0, 0)[0], 255);
    assert_int_equal(pixel_at(&image, 1, 0)[0], 0);
    mien_image_done(&image);
    buffer_done(&first);
    buffer_done(&second);
    buffer_done(&animation);
}

static void test_gif_first_frame_on_its_canvas(void **state)
{
    (void)state;
    const uint8_t indices[9 * 2] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1};
    static const uint8_t colours[4][3] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {255, 255, 255}};
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        buffer gif = {0};
        picture_gif(5, 12, 1, 2, 2, 9, indices, interlaced, 3, &gif);
        mien_image image = decoded(&gif, MIEN_PIXEL_RGB8);
        assert_int_equal(image.width, 5);
        assert_int_equal(image.height, 12);
        assert_int_equal(pixel_at(&image, 0, 0)[1], 255); /* outside the frame: white */
        for (size_t i = 0; i < 18; i++)
            assert_memory_equal(pixel_at(&image, 1 + i % 2, 2 + i / 2), colours[indices[i]], 3);
        mien_image_done(&image);
        buffer_done(&gif);
    }
}

static void test_gif_frame_beyond_its_canvas(void **state)
{
    (void)state;
    const uint8_t indices[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    buffer gif = {0};
    picture_gif(4, 4, 2, 3, 3, 3, indices, false, 1, &gif);
    mien_image image = decoded(&gif, MIEN_PIXEL_RGB8);
    assert_int_equal(image.width, 4);
    assert_int_equal(pixel_at(&image, 3, 3)[1], 0);
    assert_int_equal(pixel_at(&image, 1, 3)[1], 255);
    mien_image_done(&image);
    buffer_done(&gif);
}

/* A 3 × 2 picture 1 2 3 / 4 5 6 as each orientation has it stored, and what must come out. */
static void test_all_eight_orientations(void **state)
{
    (void)state;
    static const uint8_t upright[] = {1, 2, 3, 4, 5, 6};
    static const struct {
        size_t width, height;
        uint8_t stored[6];
    } kinds[9] = {
        [1] = {3, 2, {1, 2, 3, 4, 5, 6}}, [2] = {3, 2, {3, 2, 1, 6, 5, 4}}, [3] = {3, 2, {6, 5, 4, 3, 2, 1}},
        [4] = {3, 2, {4, 5, 6, 1, 2, 3}}, [5] = {2, 3, {1, 4, 2, 5, 3, 6}}, [6] = {2, 3, {3, 6, 2, 5, 1, 4}},
        [7] = {2, 3, {6, 3, 5, 2, 4, 1}}, [8] = {2, 3, {4, 1, 5, 2, 6, 3}},
    };
    for (unsigned orientation = 1; orientation <= 8; orientation++) {
        uint8_t tiff[26];
        struct spng_exif exif = {.length = picture_exif(orientation, orientation % 2, tiff), .data = (char *)tiff};
        buffer png = {0};
        picture_png((uint32_t)kinds[orientation].width, (uint32_t)kinds[orientation].height, SPNG_COLOR_TYPE_GRAYSCALE,
                    8, 0, kinds[orientation].stored, 6, &exif, NULL, NULL, &png);
        mien_image image = decoded(&png, MIEN_PIXEL_GREY8);
        assert_int_equal(image.width, 3);
        assert_int_equal(image.height, 2);
        assert_memory_equal(image.data, upright, 3);
        assert_memory_equal(image.data + image.stride, upright + 3, 3);
        mien_image_done(&image);

        mien_decode_options options;
        mien_decode_default_options(&options);
        options.ignore_orientation = 1;
        options.format = MIEN_PIXEL_GREY8;
        mien_error error = {0};
        assert_ok(mien_image_decode(png.data, png.length, &options, &image, &error), &error);
        assert_int_equal(image.width, kinds[orientation].width);
        assert_memory_equal(image.data, kinds[orientation].stored, image.width);
        mien_image_done(&image);
        buffer_done(&png);
    }
}

static void test_orientation_of_jpeg_and_webp(void **state)
{
    (void)state;
    uint8_t rgba[WIDE * HIGH * 4] = {0}, segment[32] = "Exif\0\0";
    size_t tiff_length = picture_exif(6, true, segment + 6);
    buffer jpeg = {0}, webp = {0}, turned = {0};
    picture_jpeg(WIDE, HIGH, 1, rgba, 0, 0, segment, (unsigned)(6 + tiff_length), &jpeg);
    mien_image image = decoded(&jpeg, MIEN_PIXEL_RGB8);
    assert_int_equal(image.width, HIGH);
    mien_image_done(&image);

    picture_webp(WIDE, HIGH, rgba, &webp);
    for (size_t lead = 0; lead <= 6; lead += 6) {
        buffer_clear(&turned);
        picture_webp_exif(&webp, segment + 6 - lead, tiff_length + lead, &turned);
        image = decoded(&turned, MIEN_PIXEL_RGB8);
        assert_int_equal(image.width, HIGH);
        mien_image_done(&image);
    }
    buffer_done(&jpeg);
    buffer_done(&webp);
    buffer_done(&turned);
}

static void test_large_picture_turns_in_squares(void **state)
{
    (void)state;
    mien_image image = {0};
    mien_error error = {0};
    assert_ok(mien_image_init(&image, 75, 101, MIEN_PIXEL_RGB8, &error), &error);
    for (size_t i = 0; i < 75 * 101; i++)
        picture_colour(i % 75, i / 75, image.data + i / 75 * image.stride + i % 75 * 3);
    assert_ok(image_orient(&image, 8, &error), &error); /* a quarter turn to the left */
    assert_int_equal(image.width, 101);
    for (size_t y = 0; y < 75; y++)
        for (size_t x = 0; x < 101; x++) {
            uint8_t rgb[3];
            picture_colour(74 - y, x, rgb);
            assert_memory_equal(pixel_at(&image, x, y), rgb, 3);
        }
    mien_image_done(&image);
}

static void test_encoders_are_read_back(void **state)
{
    (void)state;
    uint8_t rgb[WIDE * HIGH * 3];
    make_rgb(rgb);
    mien_image_view packed = {rgb, WIDE, HIGH, 3 * WIDE, MIEN_PIXEL_RGB8};
    mien_error error = {0};
    for (int format = MIEN_PIXEL_RGB8; format <= MIEN_PIXEL_BGRA8; format++) {
        mien_image source = {0}, image;
        assert_ok(mien_image_init(&source, WIDE, HIGH, (mien_pixel_format)format, &error), &error);
        assert_ok(image_convert(&packed, &source, &error), &error);
        mien_image_view view = mien_image_as_view(&source);
        buffer bytes = {0};
        assert_ok(mien_image_encode_png(&view, &bytes.data, &bytes.length, &error), &error);
        image = decoded(&bytes, MIEN_PIXEL_RGB8);
        assert_is_picture(&image, 0);
        mien_image_done(&image);
        mien_free(bytes.data);
        assert_ok(mien_image_encode_jpeg(&view, 98, &bytes.data, &bytes.length, &error), &error);
        image = decoded(&bytes, MIEN_PIXEL_RGB8);
        assert_is_picture(&image, 24);
        mien_image_done(&image);
        mien_free(bytes.data);
        mien_image_done(&source);
    }
    uint8_t *bytes = NULL;
    size_t length;
    assert_int_equal(mien_image_encode_jpeg(&packed, 0, &bytes, &length, &error), MIEN_EINVAL);
    mien_image_view upwards = packed;
    upwards.stride = (size_t)-packed.stride;
    assert_int_equal(mien_image_encode_png(&upwards, &bytes, &length, &error), MIEN_EINVAL);
    packed.width = 0;
    assert_int_equal(mien_image_encode_png(&packed, &bytes, &length, &error), MIEN_EINVAL);
    assert_null(bytes);
}

static void test_crop_is_clipped(void **state)
{
    (void)state;
    uint8_t grey[20] = {0};
    mien_image_view view = {grey, 5, 4, 5, MIEN_PIXEL_GREY8};
    mien_image_view part = image_crop(&view, -2, 1, 4, 100);
    assert_int_equal(part.width, 2);
    assert_int_equal(part.height, 3);
    assert_ptr_equal(part.data, grey + 5);
    assert_int_equal(image_crop(&view, 5, 0, 1, 1).width, 0);
    assert_int_equal(image_crop(&view, INT64_MAX, 0, INT64_MAX, 1).width, 0);
    assert_int_equal(image_crop(&view, INT64_MIN, 0, INT64_MAX, 1).width, 0);
    assert_int_equal(image_crop(&view, 1, 1, INT64_MAX, INT64_MAX).width, 4);
    assert_int_equal(image_crop(&view, 1, 1, -3, 2).width, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_png_palette_grey_and_alpha),
        cmocka_unit_test(test_jpeg_kinds),
        cmocka_unit_test(test_webp_still_alpha_and_animation),
        cmocka_unit_test(test_gif_first_frame_on_its_canvas),
        cmocka_unit_test(test_gif_frame_beyond_its_canvas),
        cmocka_unit_test(test_all_eight_orientations),
        cmocka_unit_test(test_orientation_of_jpeg_and_webp),
        cmocka_unit_test(test_large_picture_turns_in_squares),
        cmocka_unit_test(test_encoders_are_read_back),
        cmocka_unit_test(test_crop_is_clipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
