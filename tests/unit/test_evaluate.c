/* Guards the figures of an evaluation against ones computed by hand. */
#include "folder.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"
#include "train/calibrate.h"
#include "train/duplicates.h"
#include "train/evaluate.h"
#include "train/groups.h"
#include "train/report.h"

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

/* Answers that are right with probability 0.6 but claim 0.9: the fitted temperature makes them claim 0.6. */
static void test_temperature(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static float p[MANY * DATASET_CLASSES];
    static uint8_t labels[MANY];
    for (int i = 0; i < MANY; i++) {
        labels[i] = i % 10 < 6 ? 1 : (uint8_t)(i % 6 + (i % 6 >= 1));
        for (int c = 0; c < DATASET_CLASSES; c++)
            p[i * DATASET_CLASSES + c] = c == 1 ? 0.9f : 0.1f / 6;
    }
    float temperature = calibrate_temperature(p, labels, MANY);
    calibrate_apply(p, MANY, temperature, p);
    assert_true(fabsf(p[1] - 0.6f) < 0.005f);
    metrics m;
    metrics_compute(p, labels, MANY, &m);
    assert_true(m.ece < 0.006);
}

static void test_risk_and_coverage(void **state)
{
    (void)state;
    enum { MANY = 10 };
    /* by falling confidence: right right wrong right right right wrong right wrong wrong */
    static const int right[MANY] = {1, 1, 0, 1, 1, 1, 0, 1, 0, 0};
    float p[MANY * DATASET_CLASSES] = {0};
    uint8_t labels[MANY];
    for (int i = 0; i < MANY; i++) {
        p[i * DATASET_CLASSES] = 0.95f - 0.04f * (float)i;
        p[i * DATASET_CLASSES + 1] = 1 - p[i * DATASET_CLASSES];
        labels[i] = right[i] ? 0 : 1;
    }
    mien_error error;
    calibrate_point point, curve[CALIBRATE_POINTS];
    assert_ok(calibrate_threshold(p, labels, MANY, 0.2, &point, &error), &error);
    assert_near(point.coverage, 0.6);
    assert_near(point.risk, 1.0 / 6);
    assert_near(point.threshold, 0.75f);
    assert_ok(calibrate_threshold(p, labels, MANY, 1, &point, &error), &error);
    assert_near(point.coverage, 1);
    assert_ok(calibrate_curve(p, labels, MANY, curve, &error), &error);
    assert_near(curve[CALIBRATE_POINTS - 1].risk, 0.4);
    assert_near(curve[CALIBRATE_POINTS / 2 - 1].risk, 0.2);
}

/* Rows 0 and 3 show the same picture, 3 in other light; 1 and 2 are others. */
static void make_pictures(dataset *data, uint8_t *pixels, uint8_t *labels, uint8_t *splits)
{
    enum { SIDE = 16, SIZE = SIDE * SIDE };
    random_state stream;
    random_seed(&stream, 3, 3);
    for (int i = 0; i < 3 * SIZE; i++)
        pixels[i] = (uint8_t)random_below(&stream, 200);
    for (int i = 0; i < SIZE; i++)
        pixels[3 * SIZE + i] = (uint8_t)(pixels[i] / 2 + 60);
    for (int i = 0; i < 4; i++) {
        labels[i] = (uint8_t)i;
        splits[i] = i == 3 ? DATASET_PUBLIC_TEST : DATASET_TRAINING;
    }
    *data = (dataset){.count = 4, .height = SIDE, .width = SIDE, .pixels = pixels, .labels = labels, .splits = splits};
}

static void test_duplicates(void **state)
{
    (void)state;
    uint8_t pixels[4 * 256], labels[4], splits[4];
    dataset data;
    duplicates_pair *pairs = NULL;
    size_t count = 0;
    mien_error error;
    make_pictures(&data, pixels, labels, splits);
    assert_ok(duplicates_find(&data, 0.98f, &pairs, &count, &error), &error);
    assert_int_equal(count, 1);
    assert_int_equal(pairs[0].a, 0);
    assert_int_equal(pairs[0].b, 3);
    assert_true(pairs[0].across && !pairs[0].same_label);
    memory_free(pairs);
    assert_int_equal(duplicates_find(&data, 0.1f, &pairs, &count, &error), MIEN_EINVAL);
}

static void test_groups(void **state)
{
    (void)state;
    testing_put_text("groups.csv", "row,group\n0,a\n1,a\n2,b\n3,\n4,b\n5,a\n6,a\n7,b\n");
    const char *path = testing_path("groups.csv");
    groups g;
    groups_result result;
    mien_error error = {0};
    float p[COUNT * DATASET_CLASSES];
    size_t rows[COUNT] = {0, 1, 2, 3, 4, 5, 6, 7};
    make_probabilities(p);
    evaluation e = {.count = COUNT, .rows = rows, .truth = (uint8_t *)truth, .probabilities = p};
    assert_ok(groups_read(path, COUNT, &g, &error), &error);
    assert_int_equal(g.name_count, 2);
    assert_ok(groups_compute(&g, &e, 500, 1, &result, &error), &error);
    assert_int_equal(result.count, 2);
    assert_string_equal(result.list[0].name, "a");
    assert_int_equal(result.list[0].figures.count, 4);
    assert_near(result.list[0].figures.top1, 1);
    assert_near(result.list[1].figures.top1, 0);
    assert_near(result.gaps[GROUPS_TOP1].gap, 1);
    /* four of seven are right: one arrangement in 35 puts exactly these together, and none the other way round */
    double chance = result.gaps[GROUPS_TOP1].p;
    assert_true(chance > 0.005 && chance < 0.08);
    /* group a is right with 0.6 each; b is wrong with 0.6 twice and with 0.9 once */
    assert_near(result.gaps[GROUPS_ECE].gap, 2.1 / 3 - 0.4);
    assert_true(result.gaps[GROUPS_ECE].p > chance && result.gaps[GROUPS_LOSS].gap > 1);
    groups_done(&g);
    assert_int_equal(groups_read(path, COUNT + 1, &g, &error), MIEN_EFORMAT);
    testing_put_text("groups.csv", "\" Group\" , x\r\n\"a, \"\"b\"\"\",1\r\n\r\n");
    assert_ok(groups_read(path, 1, &g, &error), &error);
    assert_string_equal(g.names[0], "a, \"b\"");
    groups_done(&g);
    static const char *const wrong[][2] = {{"row,group\n0,a\n1\n", "line 3: 1 fields are too few"},
                                           {"group\na\nb\nc\n", "line 4: more lines than the 2 pictures"},
                                           {"row,group\n0,\n1,\n", "no picture belongs to any group"},
                                           {"a\nb\n", "line 1: no column is called 'group'"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        testing_put_text("groups.csv", wrong[i][0]);
        assert_int_equal(groups_read(path, 2, &g, &error), MIEN_EFORMAT);
        assert_non_null(strstr(error.message, wrong[i][1]));
    }
}

static void test_report_is_one_whole_page(void **state)
{
    (void)state;
    uint8_t pixels[4 * 256], labels[4], splits[4];
    dataset data;
    float p[COUNT * DATASET_CLASSES];
    size_t rows[] = {0, 1, 2, 3};
    make_pictures(&data, pixels, labels, splits);
    make_probabilities(p);
    evaluation e = {.model = "<m>.onnx", .data = "d", .split = "all", .count = 4, .rows = rows, .probabilities = p};
    e.training = "mien train\nlr = 0.25 & more\n";
    e.truth = labels;
    metrics_compute(p, labels, 4, &e.figures);
    report_entry entry = {&e, &data, NULL};
    buffer page = {0};
    mien_error error = {0};
    assert_ok(report_html(&entry, 1, &page, &error), &error);
    const char *text = buffer_text(&page);
    assert_non_null(strstr(text, "&lt;m&gt;.onnx"));
    assert_null(strstr(text, "<m>"));
    assert_non_null(strstr(text, "data:image/png;base64,"));
    assert_non_null(strstr(text, "Reliability"));
    assert_non_null(strstr(text, "lr = 0.25 &amp; more")); /* the settings, as the model keeps them */
    assert_non_null(strstr(text, "</html>"));
    assert_non_null(strstr(text, "width=device-width")); /* a telephone shows it at its own width */
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    assert_null(strstr(text, "http"));
    /* legends stand below the axes' names, where no curve runs; nothing that was not measured looks like a number */
    assert_non_null(strstr(text, "y=\"347\" fill=\"var(--faint)\">— perfect"));
    assert_non_null(strstr(text, "<td>–<td>"));
    assert_non_null(strstr(text, "</main>"));
    buffer_done(&page);
}

static mien_status load_three_channels(const char *path, model *m, mien_error *error)
{
    (void)path;
    nn_graph *g = &m->graph;
    int pooled = nn_unary(g, NN_FLATTEN, "flat", nn_unary(g, NN_GLOBAL_AVG_POOL, "pool", nn_input(g, "in", 3, 16, 16)));
    int dense = nn_dense(g, "out", pooled, DATASET_CLASSES, false);
    nn_graph_set_output(g, dense);
    for (int c = 0; c < 3; c++)
        g->weights[g->nodes[dense].weights[0]].data[c * 3 + c] = 1; /* answer c is the mean of channel c */
    model_info_init(&m->info, g);
    mien_status status = model_info_set(&m->info, "input.scale", "0.00392156863", error);
    if (!status)
        status = model_info_set(&m->info, "input.mean", "0.485,0.456,0.406", error);
    return status ? status : model_info_set(&m->info, "input.std", "0.229,0.224,0.225", error);
}

/* Models of coloured pictures scale each channel by its own numbers; a grey picture is shown to them so. */
static void test_channels_of_their_own_scale(void **state)
{
    (void)state;
    uint8_t pixels[256], labels[1] = {0}, splits[1] = {DATASET_PUBLIC_TEST};
    memset(pixels, 140, sizeof(pixels));
    dataset data = {.count = 1, .height = 16, .width = 16, .pixels = pixels, .labels = labels, .splits = splits};
    evaluation e;
    evaluate_options options;
    mien_error error = {0};
    evaluate_default_options(&options);
    options.load = load_three_channels;
    assert_ok(evaluate_model("three", "grey", &data, &options, &e, &error), &error);
    double sum = 4,
           value[3] = {(140 / 255.0 - 0.485) / 0.229, (140 / 255.0 - 0.456) / 0.224, (140 / 255.0 - 0.406) / 0.225};
    for (int c = 0; c < 3; c++)
        sum += exp(value[c]);
    for (int c = 0; c < 3; c++)
        assert_true(fabs((double)e.probabilities[c] - exp(value[c]) / sum) < 1e-5);
    evaluation_done(&e);
}

/* A foreign model whose figure is known from an independent computation. */
static void test_mini_xception(void **state)
{
    (void)state;
    char data_path[512], model_path[512];
    testing_shared_file("fer2013/fer2013.csv.xz", data_path, sizeof(data_path));
    testing_shared_file("models/fer2013_mini_XCEPTION.102-0.66.hdf5", model_path, sizeof(model_path));
    dataset data;
    evaluation e;
    evaluate_options options;
    mien_error error = {0};
    evaluate_default_options(&options);
    options.threads = 2;
    assert_ok(dataset_read(data_path, NULL, &data, &error), &error);
    assert_ok(evaluate_model(model_path, "fer2013", &data, &options, &e, &error), &error);
    assert_int_equal(e.count, 3589);
    assert_true(fabs(e.figures.top1 - 0.650) <= 0.003);
    evaluation_done(&e);
    dataset_done(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_by_hand),
        cmocka_unit_test(test_interval_holds_the_mean_and_repeats),
        cmocka_unit_test(test_json_has_the_promised_fields),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_risk_and_coverage),
        cmocka_unit_test(test_duplicates),
        unit_test_in_folder(test_groups),
        cmocka_unit_test(test_report_is_one_whole_page),
        cmocka_unit_test(test_channels_of_their_own_scale),
        cmocka_unit_test(test_mini_xception),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
