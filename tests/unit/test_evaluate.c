/* Guards the figures of an evaluation against ones computed by hand. */
#include "testing.h"

#include <math.h>

#include "base/memory.h"
#include "train/evaluate.h"

#define assert_near(a, b) assert_true(fabs((double)(a) - (double)(b)) < 1e-6)

enum { COUNT = 8 };
/* true:      0 0 0 1 1 3 3 3
 * predicted: 0 0 1 1 0 3 3 1, each with probability 0.6 and the rest shared by the six others; the last with 0.9 */
static const uint8_t truth[COUNT] = {0, 0, 0, 1, 1, 3, 3, 3};
static const int predicted[COUNT] = {0, 0, 1, 1, 0, 3, 3, 1};

static void make_probabilities(float *p)
{
    for (int i = 0; i < COUNT; i++) {
        float most = i == COUNT - 1 ? 0.9f : 0.6f;
        for (int c = 0; c < DATASET_CLASSES; c++)
            p[i * DATASET_CLASSES + c] = c == predicted[i] ? most : (1 - most) / 6;
    }
}

static void test_figures_by_hand(void **state)
{
    (void)state;
    float p[COUNT * DATASET_CLASSES];
    metrics m;
    make_probabilities(p);
    metrics_compute(p, truth, COUNT, &m);
    assert_int_equal(m.count, COUNT);
    assert_int_equal(m.confusion[0][0], 2);
    assert_int_equal(m.confusion[0][1], 1);
    assert_int_equal(m.confusion[1][0], 1);
    assert_int_equal(m.confusion[3][1], 1);
    assert_int_equal(m.confusion[3][3], 2);
    assert_near(m.top1, 5.0 / 8);
    assert_near(m.classes[0].precision, 2.0 / 3);
    assert_near(m.classes[0].recall, 2.0 / 3);
    assert_near(m.classes[1].precision, 1.0 / 3);
    assert_near(m.classes[1].recall, 1.0 / 2);
    assert_near(m.classes[1].f1, 0.4);
    assert_near(m.classes[3].precision, 1);
    assert_near(m.classes[3].f1, 0.8);
    assert_int_equal(m.classes[2].support, 0);
    assert_near(m.macro_f1, (2.0 / 3 + 0.4 + 0.8) / 3);
    assert_near(m.balanced, (2.0 / 3 + 0.5 + 2.0 / 3) / 3);
    assert_near(m.loss, -(5 * log(0.6) + 2 * log(0.4 / 6) + log(0.1 / 6)) / 8);
    /* seven answers of confidence 0.6, five of them right, and one of 0.9 that is wrong */
    assert_near(m.ece, 7.0 / 8 * (5.0 / 7 - 0.6) + 1.0 / 8 * 0.9);
    double right = 0.16 + 6 * (0.4 / 6) * (0.4 / 6),
           wrong = 0.36 + (1 - 0.4 / 6) * (1 - 0.4 / 6) + 5 * (0.4 / 6) * (0.4 / 6);
    double last = 0.81 + (1 - 0.1 / 6) * (1 - 0.1 / 6) + 5 * (0.1 / 6) * (0.1 / 6);
    assert_near(m.brier, (5 * right + 2 * wrong + last) / 8);
}

static void test_interval_holds_the_mean_and_repeats(void **state)
{
    (void)state;
    enum { MANY = 400 };
    static float p[MANY * DATASET_CLASSES];
    static uint8_t labels[MANY];
    for (int i = 0; i < MANY; i++) {
        p[i * DATASET_CLASSES + 2] = 1;
        labels[i] = i % 4 ? 2 : 5;
    }
    double low = 0, high = 0, again_low = 0, again_high = 0;
    evaluate_interval(p, labels, MANY, 500, 9, &low, &high);
    evaluate_interval(p, labels, MANY, 500, 9, &again_low, &again_high);
    assert_true(low == again_low && high == again_high);
    assert_true(low < 0.75 && high > 0.75);
    /* a binomial of 400 at 3/4 has a deviation of 0.0217 */
    assert_true(fabs((high - low) - 2 * 1.96 * 0.02165) < 0.012);
}

static void test_json_has_the_promised_fields(void **state)
{
    (void)state;
    float p[COUNT * DATASET_CLASSES];
    make_probabilities(p);
    evaluation e = {.model = "m.onnx", .data = "d.csv", .split = "PublicTest", .count = COUNT, .probabilities = p};
    e.truth = (uint8_t *)truth;
    metrics_compute(p, truth, COUNT, &e.figures);
    json_t *out = evaluation_to_json(&e);
    assert_non_null(out);
    static const char *const names[] = {"model", "data",     "split",     "count",
                                        "top1",  "macro_f1", "per_class", "confusion"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!json_object_get(out, names[i]))
            fail_msg("no %s", names[i]);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(json_object_get(out, "confusion"), 3), 1)), 1);
    json_t *happy = json_object_get(json_object_get(out, "per_class"), "happy");
    assert_int_equal(json_integer_value(json_object_get(happy, "support")), 3);
    assert_near(json_real_value(json_object_get(happy, "f1")), 0.8);
    json_decref(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_by_hand),
        cmocka_unit_test(test_interval_holds_the_mean_and_repeats),
        cmocka_unit_test(test_json_has_the_promised_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
