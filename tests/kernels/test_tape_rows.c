/* Guards nn/tape_rows.h: the AVX-512 rows give the same bits as plain C, at odd lengths and for extreme numbers, write
 * nothing beyond the end, and bf16 is rounded to nearest even. */
#include "testing.h"

#include <math.h>

#include "base/random.h"
#include "nn/tape_rows.h"

enum { MOST = 300, GUARD = 16 };

static const float extremes[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-40f, 3.4e38f, -3.4e38f, 1.0f};

static void fill(float *to, size_t count, uint64_t seed)
{
    random_state random;
    random_seed(&random, seed, 1);
    for (size_t i = 0; i < count; i++)
        to[i] =
            i % 7 == 3 ? extremes[random_below(&random, sizeof extremes / sizeof extremes[0])] : random_normal(&random);
}

static const tape_rows *fast_rows(void)
{
    const tape_rows *rows = tape_rows_avx512();
    if (!rows) {
        print_message("skipped: no AVX-512 here\n");
        skip();
    }
    return rows;
}

/* The same bits, where two NaN count as the same. */
static void assert_same(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof a[i]) && !(isnan(a[i]) && isnan(b[i])))
            fail_msg("number %zu: %g and %g", i, (double)a[i], (double)b[i]);
}

static void test_maps(void **state)
{
    (void)state;
    const tape_rows *fast = fast_rows(), *plain = tape_rows_plain();
    float x[MOST], g[MOST], v[TAPE_LANES], w[TAPE_LANES], a[MOST + GUARD], b[MOST + GUARD];
    fill(v, TAPE_LANES, 3);
    fill(w, TAPE_LANES, 4);
    for (size_t count = 0; count <= MOST; count += count < 70 ? 1 : 23) {
        fill(x, MOST, count);
        fill(g, MOST, count + 1000);
        for (int kind = 0; kind < MAP_COUNT; kind++) {
            memset(a, 1, sizeof a);
            memset(b, 1, sizeof b);
            fast->map((tape_map)kind, x, g, v, w, a, count);
            plain->map((tape_map)kind, x, g, v, w, b, count);
            assert_same(a, b, MOST + GUARD);
        }
    }
}

static void test_sums(void **state)
{
    (void)state;
    const tape_rows *fast = fast_rows(), *plain = tape_rows_plain();
    float x[MOST], g[MOST], a[TAPE_LANES] = {0}, b[TAPE_LANES] = {0};
    for (size_t count = 0; count <= MOST; count += count < 70 ? 1 : 23) {
        fill(x, MOST, count);
        fill(g, MOST, count + 1000);
        for (int kind = 0; kind < REDUCE_COUNT; kind++) {
            fast->reduce((tape_reduce)kind, g, x, a, count);
            plain->reduce((tape_reduce)kind, g, x, b, count);
            assert_same(a, b, TAPE_LANES);
        }
    }
}

static void test_masks_and_types(void **state)
{
    (void)state;
    const tape_rows *fast = fast_rows(), *plain = tape_rows_plain();
    float x[MOST], a[MOST + GUARD], b[MOST + GUARD];
    uint16_t na[MOST + GUARD], nb[MOST + GUARD];
    uint8_t keep[MOST];
    for (size_t count = 0; count <= MOST; count += count < 70 ? 1 : 23) {
        fill(x, MOST, count);
        for (size_t i = 0; i < MOST; i++)
            keep[i] = (i * 7 + count) % 3 > 0;
        memset(a, 1, sizeof a);
        memset(b, 1, sizeof b);
        memset(na, 1, sizeof na);
        memset(nb, 1, sizeof nb);
        fast->mask(x, keep, 1.25f, a, count);
        plain->mask(x, keep, 1.25f, b, count);
        assert_same(a, b, MOST + GUARD);
        fast->narrow(x, na, count);
        plain->narrow(x, nb, count);
        assert_memory_equal(na, nb, sizeof na);
        fast->widen(na, a, count);
        plain->widen(nb, b, count);
        assert_same(a, b, MOST + GUARD);
    }
}

static void test_rounding(void **state)
{
    (void)state;
    /* 1 + 2^-8 lies half way between two bf16 numbers: to even; a little more goes up; NaN stays NaN. */
    const float from[] = {1.00390625f, 1.01171875f, 1.0039063692f, NAN, INFINITY, -2.5f};
    const float want[] = {1.0f, 1.015625f, 1.0078125f, NAN, INFINITY, -2.5f};
    uint16_t narrow[6];
    float back[6];
    tape_rows_plain()->narrow(from, narrow, 6);
    tape_rows_plain()->widen(narrow, back, 6);
    assert_same(back, want, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_masks_and_types),
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
