/* Guards src/image against what strangers send: empty, foreign, cut off and damaged files, sizes beyond the limits, and
 * options out of range. Each is answered by the documented status and a sentence; nothing crashes and nothing leaks. */
#include "pictures.h"
#include "testing.h"

#include <mien/image.h>

#include "image/decode.h"

enum { WIDE = 32, HIGH = 20 };

static mien_status decode_bytes(const void *bytes, size_t length, mien_error *error)
{
    mien_image image = {0};
    mien_status status = mien_image_decode(bytes, length, NULL, &image, error);
    if (status)
        assert_null(image.data); /* untouched */
    mien_image_done(&image);
    return status;
}

static void assert_refused(const void *bytes, size_t length, mien_status expected, const char *said)
{
    mien_error error = {0};
    assert_int_equal(decode_bytes(bytes, length, &error), expected);
    assert_int_equal(error.code, expected);
    if (!strstr(error.message, said))
        fail_msg("\"%s\" does not say \"%s\"", error.message, said);
}

static void test_what_is_no_picture(void **state)
{
    (void)state;
    assert_refused("", 0, MIEN_EFORMAT, "no bytes");
    assert_refused(NULL, 0, MIEN_EFORMAT, "no bytes");
    assert_refused("Dear Sir or Madam", 17, MIEN_EFORMAT, "none of JPEG, PNG, WebP, GIF, BMP");
    assert_refused("B", 1, MIEN_EFORMAT, "not a picture");
    assert_refused("BMW is a car, and no picture", 28, MIEN_EFORMAT, "begins like a BMP");
    assert_refused("\0\0\0\x18"
                   "ftypheic....",
                   16, MIEN_EUNSUPPORTED, "HEIC");
    assert_refused("II*\0........", 12, MIEN_EUNSUPPORTED, "TIFF");
    assert_refused("RIFF....WAVEfmt ", 16, MIEN_EFORMAT, "not a picture");
}

static void make_samples(uint8_t *samples, size_t channels)
{
    for (size_t i = 0; i < WIDE * HIGH; i++) {
        uint8_t rgb[3];
        picture_colour(i % WIDE, i / WIDE, rgb);
        for (size_t c = 0; c < channels; c++)
            samples[channels * i + c] = c == 3 ? 255 : rgb[c];
    }
}

/* Every shorter version is refused, except for the last `spare` bytes, which hold no pixels. */
static void assert_cut_off_is_refused(const buffer *whole, size_t spare)
{
    mien_error error = {0};
    assert_ok(decode_bytes(whole->data, whole->length, &error), &error);
    for (size_t length = 0; length + spare < whole->length; length++) {
        mien_status status = decode_bytes(whole->data, length, &error);
        if (status != MIEN_EFORMAT)
            fail_msg("%zu of %zu bytes: %s", length, whole->length, mien_status_name(status));
    }
}

static void test_cut_off_files(void **state)
{
    (void)state;
    uint8_t samples[WIDE * HIGH * 4];
    buffer bytes = {0};
    for (int progressive = 0; progressive < 2; progressive++) {
        make_samples(samples, 3);
        buffer_clear(&bytes);
        picture_jpeg(WIDE, HIGH, 3, samples, progressive, 0, NULL, 0, &bytes);
        assert_cut_off_is_refused(&bytes, progressive ? 0 : 2); /* the end mark alone may miss */
    }
    buffer_clear(&bytes);
    picture_png(WIDE, HIGH, SPNG_COLOR_TYPE_TRUECOLOR, 8, 0, samples, WIDE * HIGH * 3, NULL, NULL, NULL, &bytes);
    assert_cut_off_is_refused(&bytes, 16); /* check sum and end chunk */
    make_samples(samples, 4);
    buffer_clear(&bytes);
    picture_webp(WIDE, HIGH, samples, &bytes);
    assert_cut_off_is_refused(&bytes, 8);
    for (size_t i = 0; i < WIDE * HIGH; i++)
        samples[i] = (uint8_t)(i * 7 / 3 % 4);
    buffer_clear(&bytes);
    picture_gif(WIDE, HIGH, 0, 0, WIDE, HIGH, samples, false, 1, &bytes);
    assert_cut_off_is_refused(&bytes, 4);
    buffer_done(&bytes);
}

/* One flipped byte anywhere: any answer is fine, a crash is not (the sanitizers watch). */
static void test_damaged_bytes(void **state)
{
    (void)state;
    uint8_t samples[WIDE * HIGH * 4];
    make_samples(samples, 3);
    buffer files[3] = {{0}};
    picture_jpeg(WIDE, HIGH, 3, samples, 1, 0, NULL, 0, &files[0]);
    picture_png(WIDE, HIGH, SPNG_COLOR_TYPE_TRUECOLOR, 8, 1, samples, WIDE * HIGH * 3, NULL, NULL, NULL, &files[1]);
    make_samples(samples, 4);
    picture_webp(WIDE, HIGH, samples, &files[2]);
    for (int i = 0; i < 3; i++) {
        size_t refused = 0;
        for (size_t at = 0; at < files[i].length; at++) {
            mien_error error = {0};
            files[i].data[at] ^= 0x55;
            refused += decode_bytes(files[i].data, files[i].length, &error) != MIEN_OK;
            files[i].data[at] ^= 0x55;
        }
        assert_true(refused > 0);
        buffer_done(&files[i]);
    }
}

static void test_limits_hold_before_memory_is_taken(void **state)
{
    (void)state;
    /* Only a header: 65,000 × 65,000 RGB would be 12.7 GB. */
    static const uint8_t png[] = {0x89, 'P',  'N',  'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I',  'H',  'D',  'R', 0,
                                  0,    0xfd, 0xe8, 0,   0,    0xfd, 0xe8, 8,    2, 0, 0, 0,  0x2d, 0x35, 0x4e, 0x5d};
    assert_refused(png, sizeof png, MIEN_ELIMIT, "65000 × 65000");

    uint8_t samples[WIDE * HIGH * 3];
    make_samples(samples, 3);
    buffer bytes = {0};
    picture_jpeg(WIDE, HIGH, 3, samples, 0, 0, NULL, 0, &bytes);
    const mien_image_limits limits[] = {
        {.max_side = WIDE - 1}, {.max_pixels = WIDE * HIGH - 1}, {.max_bytes = bytes.length - 1}};
    for (size_t i = 0; i < 3; i++) {
        mien_decode_options options = {.limits = limits[i], .format = MIEN_PIXEL_RGB8};
        mien_image image = {0};
        mien_error error = {0};
        assert_int_equal(mien_image_decode(bytes.data, bytes.length, &options, &image, &error), MIEN_ELIMIT);
        assert_null(image.data);
        options.limits = (mien_image_limits){bytes.length, WIDE * HIGH, WIDE};
        assert_ok(mien_image_decode(bytes.data, bytes.length, &options, &image, &error), &error);
        mien_image_done(&image);
    }
    buffer_done(&bytes);
}

static void test_wrong_options(void **state)
{
    (void)state;
    mien_error error = {0};
    mien_image image = {0};
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.format = MIEN_PIXEL_RGBA8;
    assert_int_equal(mien_image_decode("GIF89a", 6, &options, &image, &error), MIEN_EINVAL);
    options.format = (mien_pixel_format)0;
    assert_int_equal(mien_image_decode("GIF89a", 6, &options, &image, &error), MIEN_EINVAL);
    assert_int_equal(mien_image_decode("GIF89a", 6, NULL, NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_image_init(&image, 0, 5, MIEN_PIXEL_RGB8, &error), MIEN_EINVAL);
    assert_int_equal(mien_image_init(&image, SIZE_MAX / 2, 5, MIEN_PIXEL_RGB8, &error), MIEN_ELIMIT);
    assert_int_equal(mien_image_init(&image, 1, SIZE_MAX / 2, MIEN_PIXEL_RGB8, &error), MIEN_ENOMEM);
    mien_image_done(NULL);
}

static void test_exif_that_lies(void **state)
{
    (void)state;
    uint8_t tiff[26];
    size_t length = picture_exif(3, false, tiff);
    assert_int_equal(exif_orientation(tiff, length), 3);
    for (size_t shorter = 0; shorter < 22; shorter++)
        assert_int_equal(exif_orientation(tiff, shorter), 1);
    tiff[4] = 0xff; /* the directory lies outside */
    assert_int_equal(exif_orientation(tiff, length), 1);
    memset(tiff + 4, 0xff, 4);
    assert_int_equal(exif_orientation(tiff, length), 1);
    picture_exif(9, true, tiff);
    assert_int_equal(exif_orientation(tiff, length), 1);
    picture_exif(0, true, tiff);
    assert_int_equal(exif_orientation(tiff, length), 1);
    assert_int_equal(exif_orientation(NULL, 0), 1);
}

static void test_one_pixel(void **state)
{
    (void)state;
    const uint8_t rgb[3] = {1, 2, 3};
    buffer bytes = {0};
    mien_error error = {0};
    picture_png(1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 8, 0, rgb, 3, NULL, NULL, NULL, &bytes);
    assert_ok(decode_bytes(bytes.data, bytes.length, &error), &error);
    buffer_done(&bytes);
}

/* libspng keeps at most a thousand chunks; that must not be called damage. */
static void test_png_with_too_many_texts(void **state)
{
    (void)state;
    static const uint8_t text[] = {0, 0, 0, 3, 't', 'E', 'X', 't', 'a', 0, 'b', 0xdc, 0x49, 0xa2, 0x3b};
    enum { HEAD = 33, TEXTS = 1500 };
    const uint8_t rgb[3] = {1, 2, 3};
    buffer one = {0}, many = {0};
    picture_png(1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 8, 0, rgb, 3, NULL, NULL, NULL, &one);
    buffer_append(&many, one.data, HEAD);
    for (int i = 0; i < TEXTS; i++)
        buffer_append(&many, text, sizeof text);
    buffer_append(&many, one.data + HEAD, one.length - HEAD);
    assert_refused(many.data, many.length, MIEN_ELIMIT, "texts");
    buffer_done(&one);
    buffer_done(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_picture), cmocka_unit_test(test_cut_off_files),
        cmocka_unit_test(test_damaged_bytes),      cmocka_unit_test(test_limits_hold_before_memory_is_taken),
        cmocka_unit_test(test_wrong_options),      cmocka_unit_test(test_exif_that_lies),
        cmocka_unit_test(test_one_pixel),          cmocka_unit_test(test_png_with_too_many_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
