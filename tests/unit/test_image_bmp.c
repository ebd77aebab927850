/* Guards src/image/bmp.c: all bit depths, palettes, both run-length codes, bit fields, both row orders, the OS/2
 * header, and that every cut or contradictory header is refused. The files are written here byte by byte. */
#include "testing.h"

#include <mien/image.h>

#include "base/buffer.h"

static void put(buffer *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buffer_append_byte(b, i < 8 ? (uint8_t)(value >> (8 * i)) : 0);
}

/* File and INFO header; the pixels follow `palette` entries of 4 bytes and `extra` bytes. */
static void put_header(buffer *b, int width, int height, int bits, int compression, int palette, int extra)
{
    buffer_append_text(b, "BM");
    put(b, 0, 8);
    put(b, (uint64_t)(14 + 40 + 4 * palette + extra), 4);
    put(b, 40, 4);
    put(b, (uint32_t)width, 4);
    put(b, (uint32_t)height, 4);
    put(b, 1, 2);
    put(b, (uint64_t)bits, 2);
    put(b, (uint64_t)compression, 4);
    put(b, 0, 12);
    put(b, (uint64_t)palette, 4);
    put(b, 0, 4);
}

/* Entry i is R = i, G = 2 i, B = 3 i. */
static void put_palette(buffer *b, int count)
{
    for (int i = 0; i < count; i++)
        put(b, (uint64_t)(3 * i) | (uint64_t)(2 * i) << 8 | (uint64_t)i << 16, 4);
}

static mien_image decoded(const buffer *b)
{
    mien_image image = {0};
    mien_error error = {0};
    assert_ok(mien_image_decode(b->data, b->length, NULL, &image, &error), &error);
    return image;
}

/* The red channel of the whole picture, row by row, is `expected`; then the buffer is emptied. */
static void assert_reds(buffer *b, size_t width, size_t height, const uint8_t *expected)
{
    mien_image image = decoded(b);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    for (size_t i = 0; i < width * height; i++)
        assert_int_equal(image.data[i / width * image.stride + 3 * (i % width)], expected[i]);
    mien_image_done(&image);
    buffer_clear(b);
}

static void test_palette_depths(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 0, 1, 0, 1, 1};
    static const int depths[] = {1, 2, 4};
    buffer b = {0};
    for (int kind = 0; kind < 3; kind++)
        for (int downwards = 0; downwards < 2; downwards++) {
            put_header(&b, 3, downwards ? -2 : 2, depths[kind], 0, 2, 0);
            put_palette(&b, 2);
            for (int y = 0; y < 2; y++) { /* upper row 1 0 1, lower row 0 1 1 */
                static const uint8_t upper[3][2] = {{0xa0}, {0x44}, {0x10, 0x10}};
                static const uint8_t lower[3][2] = {{0x60}, {0x14}, {0x01, 0x10}};
                const uint8_t *row = (y == 0) == (downwards == 1) ? upper[kind] : lower[kind];
                buffer_append(&b, row, 2);
                put(&b, 0, 2);
            }
            assert_reds(&b, 3, 2, expected);
        }
    put_header(&b, 3, 1, 8, 0, 4, 0);
    put_palette(&b, 4);
    put(&b, 0x00c80203, 4); /* 3, 2, and 200, which the palette does not have */
    assert_reds(&b, 3, 1, (const uint8_t[]){3, 2, 0});
    buffer_done(&b);
}

static void test_true_colour_and_fields(void **state)
{
    (void)state;
    buffer b = {0};
    put_header(&b, 2, 1, 24, 0, 0, 0);
    put(&b, 0x112233445566, 6);
    put(&b, 0, 2);
    assert_reds(&b, 2, 1, (const uint8_t[]){0x44, 0x11});

    put_header(&b, 2, 1, 32, 0, 0, 0); /* the fourth byte is not alpha here */
    put(&b, 0x00112233ff445566, 8);
    assert_reds(&b, 2, 1, (const uint8_t[]){0x44, 0x11});

    put_header(&b, 2, 1, 16, 0, 0, 0); /* 5-5-5 */
    put(&b, 0x7c00 | 16 << 10 << 16, 4);
    assert_reds(&b, 2, 1, (const uint8_t[]){255, 132});

    put_header(&b, 2, 1, 16, 3, 0, 12); /* 5-6-5 by masks */
    put(&b, 0xf800, 4);
    put(&b, 0x07e0, 4);
    put(&b, 0x001f, 4);
    put(&b, 0xf800 | 8 << 11 << 16, 4);
    assert_reds(&b, 2, 1, (const uint8_t[]){255, 66});

    put_header(&b, 2, 1, 32, 6, 0, 16); /* with alpha: half black over white, then opaque */
    put(&b, 0xff000000, 4);
    put(&b, 0x00ff0000, 4);
    put(&b, 0x0000ff00, 4);
    put(&b, 0x000000ff, 4);
    put(&b, 0x00000080 | (uint64_t)0x64000000ff << 32, 8);
    mien_image image = decoded(&b);
    assert_int_equal(image.data[0], 127);
    mien_image_done(&image);
    buffer_done(&b);
}

static void test_run_lengths(void **state)
{
    (void)state;
    buffer b = {0};
    static const uint8_t rle8[] = {3, 1, 0, 0,                   /* lower row 1 1 1, rest untouched */
                                   0, 3, 2, 3, 1, 0, 0, 2, 1, 0, /* literals 2 3 1, padded; jump right */
                                   1, 3, 0, 1};
    put_header(&b, 5, 2, 8, 1, 4, 0);
    put_palette(&b, 4);
    buffer_append(&b, rle8, sizeof rle8);
    assert_reds(&b, 5, 2, (const uint8_t[]){2, 3, 1, 0, 3, 1, 1, 1, 0, 0});

    static const uint8_t rle4[] = {5, 0x12, 0, 0, 0, 3, 0x31, 0x20, 9, 0x11, 0, 1}; /* the last run is clipped */
    put_header(&b, 5, 2, 4, 2, 4, 0);
    put_palette(&b, 4);
    buffer_append(&b, rle4, sizeof rle4);
    assert_reds(&b, 5, 2, (const uint8_t[]){3, 1, 2, 1, 1, 1, 2, 1, 2, 1});

    put_header(&b, 5, 2, 8, 1, 4, 0);
    put_palette(&b, 4);
    buffer_append(&b, rle8, 6);
    mien_image image = {0};
    mien_error error = {0};
    assert_int_equal(mien_image_decode(b.data, b.length, NULL, &image, &error), MIEN_EFORMAT);
    buffer_done(&b);
}

/* Writers that leave the pixels' offset 0 put them right behind the palette. */
static void test_offset_that_is_not_given(void **state)
{
    (void)state;
    static const uint8_t row[] = {1, 0};
    buffer b = {0};
    put_header(&b, 2, 1, 8, 0, 2, 0);
    put_palette(&b, 2);
    put(&b, 0x0001, 4);
    memset(b.data + 10, 0, 4);
    assert_reds(&b, 2, 1, row);
    buffer_done(&b);
}

static void test_os2_core_header(void **state)
{
    (void)state;
    buffer b = {0};
    buffer_append_text(&b, "BM");
    put(&b, 0, 8);
    put(&b, 14 + 12 + 6, 4);
    put(&b, 12, 4);
    put(&b, 2, 2);
    put(&b, 1, 2);
    put(&b, 1, 2);
    put(&b, 1, 2);
    put(&b, 0x0a0000, 3); /* palette of B G R: red 10, red 20 */
    put(&b, 0x140000, 3);
    put(&b, 0x40, 4);
    assert_reds(&b, 2, 1, (const uint8_t[]){10, 20});
    buffer_done(&b);
}

static void assert_status(buffer *b, mien_status expected)
{
    mien_image image = {0};
    mien_error error = {0};
    assert_int_equal(mien_image_decode(b->data, b->length, NULL, &image, &error), expected);
    assert_null(image.data);
    buffer_clear(b);
}

static void test_headers_that_lie(void **state)
{
    (void)state;
    buffer b = {0};
    static const struct {
        int width, height, bits, compression;
        mien_status status;
    } kinds[] = {
        {0, 1, 24, 0, MIEN_EFORMAT},       {-1, 1, 24, 0, MIEN_EFORMAT},      {1, 1, 3, 0, MIEN_EFORMAT},
        {1, 1, 24, 1, MIEN_EFORMAT},       {1, -1, 8, 1, MIEN_EFORMAT},       {1, 1, 24, 4, MIEN_EUNSUPPORTED},
        {40000, 1, 24, 0, MIEN_ELIMIT},    {30000, 30000, 1, 0, MIEN_ELIMIT}, {1, INT32_MIN, 24, 0, MIEN_ELIMIT},
        {9000, 5000, 24, 0, MIEN_EFORMAT}, /* 135 MB announced, 8 bytes there */
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        put_header(&b, kinds[i].width, kinds[i].height, kinds[i].bits, kinds[i].compression, 0, 0);
        put(&b, 0, 8);
        assert_status(&b, kinds[i].status);
    }
    put_header(&b, 1, 1, 24, 0, 1000, 0); /* the pixels lie behind the end */
    put(&b, 0, 8);
    assert_status(&b, MIEN_EFORMAT);
    put_header(&b, 1, 1, 24, 0, 0, -20); /* … or inside the header */
    put(&b, 0, 8);
    assert_status(&b, MIEN_EFORMAT);
    for (size_t length = 2; length < 54; length++) {
        put_header(&b, 1, 1, 24, 0, 0, 0);
        b.length = length;
        assert_status(&b, MIEN_EFORMAT);
    }
    buffer_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_palette_depths),   cmocka_unit_test(test_true_colour_and_fields),
        cmocka_unit_test(test_run_lengths),      cmocka_unit_test(test_os2_core_header),
        cmocka_unit_test(test_headers_that_lie), cmocka_unit_test(test_offset_that_is_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
