/* Guards the vector kernels of src/prep and src/image: each gives the bytes of plain C for every length from 0, at
 * unaligned addresses, with extreme values, reads nothing beyond its input (inputs end where a page does not begin) and
 * writes nothing beyond its output (guard bytes). Versions that this machine lacks are left out aloud. */
#include "levels.h"

#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "image/kernels.h"
#include "prep/kernels.h"

enum { MOST = 203, GUARD = 64, PAGE = 4096, ROOM = 16 * PAGE };

static prep_kernels plain, fast;
static image_kernels plain_image, fast_image;
static random_state numbers;
static uint8_t *fence; /* ROOM readable bytes that a forbidden page follows */

/* Input of exactly `bytes` bytes: one more cannot be read. */
static void *input(size_t bytes, bool extreme)
{
    uint8_t *at = fence + ROOM - bytes;
    for (size_t i = 0; i < bytes; i++)
        at[i] = extreme ? (random_next(&numbers) & 1 ? 255 : 0) : (uint8_t)random_next(&numbers);
    return at;
}

/* Two outputs with guards around them. */
static _Alignas(64) uint8_t outputs[2][GUARD + 8 * MOST + 8 + GUARD];

static void outputs_clear(void)
{
    memset(outputs, 0xa5, sizeof outputs);
}

static uint8_t *output(int which)
{
    return outputs[which] + GUARD;
}

/* Equal, guards included: what lies behind the written part must have stayed. */
static void assert_same(size_t written, size_t count)
{
    assert_memory_equal(outputs[0], outputs[1], sizeof outputs[0]);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(outputs[1][i], 0xa5);
        assert_int_equal(output(1)[written * count + i], 0xa5);
    }
}

static void fill(unsigned flags)
{
    prep_kernels_fill(&fast, flags);
    image_kernels_fill(&fast_image, flags);
}

static void check_convert(void)
{
    static const uint16_t weights[2][3] = {{3735, 19235, 9798}, {9798, 19235, 3735}};
    for (size_t count = 0; count <= MOST; count++) {
        const uint8_t *from = input(3 * count, count & 1);
        outputs_clear();
        plain_image.grey3(from, output(0), count, weights[count & 1]);
        fast_image.grey3(from, output(1), count, weights[count & 1]);
        assert_same(1, count);
        plain_image.swap3(from, output(0), count);
        fast_image.swap3(from, output(1), count);
        assert_same(3, count);
        memcpy(output(1), from, 3 * count); /* in place */
        fast_image.swap3(output(1), output(1), count);
        assert_same(3, count);
    }
}

static void check_stretch_at(size_t pixels, size_t count, size_t step, double scale, int shift)
{
    static uint32_t at[4 * MOST];
    static uint16_t weight[8 * MOST];
    unsigned one = shift ? 2048 : 256;
    const uint8_t *from = input(pixels * step, count & 1);
    for (size_t i = 0; i < count; i++) {
        size_t pixel = (size_t)((double)(i / step) * scale);
        bool last = pixel >= pixels - 1;
        at[i] = (uint32_t)((last ? pixels - 1 : pixel) * step + i % step);
        weight[2 * i + 1] = last ? 0 : (uint16_t)random_below(&numbers, one + 1);
        weight[2 * i] = (uint16_t)(one - weight[2 * i + 1]);
    }
    outputs_clear();
    plain.stretch(from, pixels * step, (uint16_t *)(void *)output(0), count, at, weight, step, shift);
    fast.stretch(from, pixels * step, (uint16_t *)(void *)output(1), count, at, weight, step, shift);
    assert_same(2, count);
}

static void check_stretch(void)
{
    static const double scales[] = {0.1, 0.37, 1, 1.1, 1.5, 1.95, 2.3, 3.1, 4.4, 9};
    static const size_t steps[] = {1, 3, 4};
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++)
        for (size_t k = 0; k < 3; k++)
            for (size_t count = 1; count <= MOST; count += 1 + count / 40) {
                size_t pixels = (size_t)ceil((double)count / (double)steps[k] * scales[s]);
                check_stretch_at(pixels ? pixels : 1, count, steps[k], scales[s], 0);
                check_stretch_at(pixels + 5, count, steps[k], scales[s], 4);
            }
}

static void check_blend(void)
{
    for (size_t count = 0; count <= MOST; count++) {
        uint16_t *rows = input(4 * count, count & 1);
        unsigned b = random_below(&numbers, 257);
        outputs_clear();
        for (size_t i = 0; i < 2 * count; i++)
            rows[i] = (uint16_t)(rows[i] % 65281); /* 255 × 256 */
        plain.blend_exact(rows, rows + count, output(0), count, b, 256 - b);
        fast.blend_exact(rows, rows + count, output(1), count, b, 256 - b);
        assert_same(1, count);
        for (size_t i = 0; i < 2 * count; i++)
            rows[i] = (uint16_t)(rows[i] / 2); /* 255 × 2048 / 16 */
        plain.blend_linear(rows, rows + count, output(0), count, 8 * b, 2048 - 8 * b);
        fast.blend_linear(rows, rows + count, output(1), count, 8 * b, 2048 - 8 * b);
        assert_same(1, count);
    }
}

static void check_halve(void)
{
    for (size_t count = 0; count <= MOST; count++) {
        const uint8_t *rows = input(4 * count, count & 1);
        outputs_clear();
        plain.halve(rows, rows + 2 * count, output(0), count);
        fast.halve(rows, rows + 2 * count, output(1), count);
        assert_same(1, count);
    }
}

static void check_blur(void)
{
    static const uint16_t three[] = {64, 128, 64}, seven[] = {8, 28, 56, 72, 56, 28, 8};
    for (size_t count = 0; count <= MOST; count++)
        for (size_t step = 1; step <= 4; step++) {
            size_t size = count % 2 ? 3 : 7;
            const uint16_t *weight = size == 3 ? three : seven;
            const uint8_t *from = input(count + (size - 1) * step, step == 2);
            outputs_clear();
            plain.blur_row(from, (uint16_t *)(void *)output(0), count, weight, size, step);
            fast.blur_row(from, (uint16_t *)(void *)output(1), count, weight, size, step);
            assert_same(2, count);

            uint16_t *sums = input(2 * count * size, step == 3);
            const uint16_t *rows[7];
            for (size_t k = 0; k < size; k++)
                rows[k] = sums + k * count;
            for (size_t i = 0; i < size * count; i++)
                sums[i] = (uint16_t)(sums[i] % 65281);
            outputs_clear();
            plain.blur_column(rows, output(0), count, weight, size);
            fast.blur_column(rows, output(1), count, weight, size);
            assert_same(1, count);
        }
}

static void check_median(void)
{
    for (size_t count = 0; count <= MOST; count++)
        for (size_t step = 1; step <= 4; step++) {
            size_t row = count + 2 * step;
            const uint8_t *from = input(3 * row, step == 2);
            const uint8_t *const rows[3] = {from, from + row, from + 2 * row};
            outputs_clear();
            plain.median3(rows, output(0), count, step);
            fast.median3(rows, output(1), count, step);
            assert_same(1, count);
        }
}

static void check_clahe(void)
{
    static uint8_t table[5][256][4];
    static uint32_t column[MOST];
    static float right[MOST];
    for (size_t i = 0; i < sizeof table; i++)
        ((uint8_t *)table)[i] = (uint8_t)random_next(&numbers);
    for (size_t count = 0; count <= MOST; count++) {
        const uint8_t *from = input(count, false);
        for (size_t i = 0; i < count; i++) {
            column[i] = random_below(&numbers, 5);
            right[i] = (float)random_below(&numbers, 65) / 64; /* ties of rounding, too */
        }
        float lower = (float)random_below(&numbers, 33) / 32;
        outputs_clear();
        plain.clahe_row(from, output(0), count, (const uint8_t(*)[256][4])table, column, right, lower);
        fast.clahe_row(from, output(1), count, (const uint8_t(*)[256][4])table, column, right, lower);
        assert_same(1, count);
    }
}

static void check_bilateral(void)
{
    static const float distance[] = {0, -0.3f, -2.5f, -140};
    for (size_t count = 0; count <= MOST; count++)
        for (size_t channels = 1; channels <= 3; channels += 2) {
            size_t row = count * channels;
            const uint8_t *centre = input(4 * row, count & 1);
            const uint8_t *const near[] = {centre, centre + row, centre + 2 * row, centre + 3 * row};
            float likeness = -(float)random_below(&numbers, 1000) / 30000;
            outputs_clear();
            plain.bilateral(centre, near, distance, 4, output(0), count, channels, likeness);
            fast.bilateral(centre, near, distance, 4, output(1), count, channels, likeness);
            assert_same(channels, count);
        }
}

static void check_exchange(void)
{
    static _Alignas(64) uint8_t rows[2][9][64];
    static const uint8_t pairs[][2] = {{0, 1}, {1, 2}, {0, 8}, {3, 2}, {4, 7}, {0, 1}, {8, 5}};
    for (int turn = 0; turn < 50; turn++) {
        memcpy(rows[0], input(sizeof rows[0], turn & 1), sizeof rows[0]);
        memcpy(rows[1], rows[0], sizeof rows[0]);
        plain.exchange(rows[0], pairs, 7);
        fast.exchange(rows[1], pairs, 7);
        assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    }
}

#define KERNEL_TEST(name)                                                                                              \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        for_each_level(fill, check_##name);                                                                            \
    }
KERNEL_TEST(convert)
KERNEL_TEST(stretch)
KERNEL_TEST(blend)
KERNEL_TEST(halve)
KERNEL_TEST(blur)
KERNEL_TEST(median)
KERNEL_TEST(clahe)
KERNEL_TEST(bilateral)
KERNEL_TEST(exchange)

static int set_up(void **state)
{
    (void)state;
    random_seed(&numbers, 1, 2);
    prep_kernels_fill(&plain, 0);
    image_kernels_fill(&plain_image, 0);
    fence = fenced_memory(ROOM);
    return fence ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert), cmocka_unit_test(test_stretch),   cmocka_unit_test(test_blend),
        cmocka_unit_test(test_halve),   cmocka_unit_test(test_blur),      cmocka_unit_test(test_median),
        cmocka_unit_test(test_clahe),   cmocka_unit_test(test_bilateral), cmocka_unit_test(test_exchange),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
