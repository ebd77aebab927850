/* Guards eight-bit inference: every kind of step between quantised convolutions, ranges as text, and our own kernels.
 */
#include "plan_testing.h"

#include "nn/interleave.h"
#include "nn/mean_eight.h"

/* Between two convolutions that compute in eight bits: every kind of step that such a plan must get right. */
static int eight_bit_middle(nn_graph *graph, int kind, int x, int channels)
{
    int y = nn_conv(graph, "m", x, channels, 3, 1, 1, 1, true);
    switch (kind) {
    case 0:
        return nn_unary(graph, NN_RELU, "relu", y);
    case 1: /* signed */
        return nn_batch_norm(graph, "bn", y);
    case 2: /* a function that is not homogeneous */
        return nn_unary(graph, NN_SWISH, "swish", y);
    case 3:
        return nn_unary(graph, NN_CLIP, "clip", y);
    case 4: /* residual, operand needed no more */
        return nn_unary(graph, NN_RELU, "relu",
                        nn_binary(graph, NN_ADD, "add", nn_conv(graph, "n", y, channels, 1, 1, 0, 1, false), y));
    case 5: /* residual of the input, which is read again */
        y = nn_binary(graph, NN_ADD, "add", y, x);
        return nn_binary(graph, NN_ADD, "again", nn_conv(graph, "n", y, channels, 1, 1, 0, 1, false), x);
    case 6:
        return nn_pool(graph, NN_MAX_POOL, "pool", y, 3, 2, 1);
    case 7:
        return nn_conv(graph, "depth", nn_unary(graph, NN_RELU, "relu", y), channels, 3, 2, 1, channels, true);
    case 8: { /* parts of different ranges */
        nn_node cat = {.op = NN_CONCAT,
                       .name = (char *)"cat",
                       .input_count = 2,
                       .inputs = {nn_unary(graph, NN_RELU, "r", x), y},
                       .axis = 1};
        return node_of(graph, cat, 0);
    }
    case 9: { /* a gate, then a residual */
        int gate =
            nn_unary(graph, NN_SIGMOID, "gate",
                     nn_conv(graph, "sq", nn_unary(graph, NN_GLOBAL_AVG_POOL, "gap", y), channels, 1, 1, 0, 1, true));
        y = nn_binary(graph, NN_MUL, "mul", y, gate);
        return nn_unary(graph, NN_RELU, "relu", nn_binary(graph, NN_ADD, "add", y, x));
    }
    case 10: { /* behind the activation: a post of its own */
        int z = nn_batch_norm(graph, "bn", nn_unary(graph, NN_LEAKY_RELU, "leaky", y));
        return nn_unary(graph, NN_ELU, "elu", z);
    }
    default: {
        nn_node up = {.op = NN_UPSAMPLE, .name = (char *)"up", .stride_h = 2, .stride_w = 2};
        return nn_unary(graph, NN_HARD_SIGMOID, "hard", node_of(graph, up, y));
    }
    }
}

static void test_eight_bits(void **state)
{
    (void)state;
    for (size_t c = 1; c < COUNT(channel_counts); c++)
        for (int kind = 0; kind < 12; kind++) {
            nn_graph graph = {0};
            int channels = channel_counts[c];
            int x = nn_conv(&graph, "stem", nn_input(&graph, "x", 8, 13, 13), channels, 3, 1, 1, 1, true);
            x = eight_bit_middle(&graph, kind, x, channels);
            x = nn_unary(&graph, NN_RELU, "last.relu", nn_conv(&graph, "last", x, 24, 3, 1, 1, 1, true));
            nn_graph_set_output(&graph, nn_conv(&graph, "head", x, 5, 1, 1, 0, 1, true));
            x = nn_unary(&graph, NN_FLATTEN, "flat", x);
            nn_graph_set_output(&graph, nn_dense(&graph, "dense", nn_dense(&graph, "wide", x, 32, true), 7, true));
            char what[48];
            snprintf(what, sizeof what, "eight bits, kind %d, %d channels", kind, channels);
            check(&graph, what);
        }
}

static void run_eight(const nn_graph *graph, const nn_range *ranges, const float *calibration, float *answer)
{
    nn_plan_options options = options_of(1);
    options.precision = NN_INT8;
    options.ranges = ranges;
    options.calibration = calibration;
    options.calibration_count = calibration ? CALIBRATION : 0;
    nn_plan *plan = NULL;
    nn_session *session = session_of(graph, &options, &plan);
    fill_inputs(plan, session, 3);
    assert_int_equal(nn_session_run(session, NULL), MIEN_OK);
    memcpy(answer, nn_session_output(session, 1), 7 * sizeof(float));
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
}

static void test_ranges_travel_as_text(void **state)
{
    (void)state;
    mien_error error = {0};
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    float *data = calibration_of(&graph), now[7], then[7];
    nn_range *ranges = calloc((size_t)graph.node_count, sizeof *ranges);
    nn_range *back = calloc((size_t)graph.node_count, sizeof *back);
    nn_plan_options options = options_of(1);
    assert_int_equal(nn_calibrate(&graph, &options, ranges, &error), MIEN_EINVAL);
    options.calibration = data;
    options.calibration_count = CALIBRATION;
    assert_ok(nn_calibrate(&graph, &options, ranges, &error), &error);
    buffer text;
    buffer_init(&text, 0);
    assert_int_equal(nn_ranges_write(&graph, ranges, &text), MIEN_OK);
    buffer_append_text(&text, "2.5 s a node that is not here\n");
    assert_ok(nn_ranges_read(&graph, buffer_text(&text), back, &error), &error);
    run_eight(&graph, NULL, data, now);
    run_eight(&graph, back, NULL, then);
    for (int i = 0; i < 7; i++)
        assert_true(fabsf(now[i] - then[i]) < 0.01f); /* six digits of each range were kept */
    static const char *const rubbish[] = {"nan u stem.relu\n", "1 x stem.relu", "-3 u stem.relu", "1 u", "u stem", "1"};
    for (size_t i = 0; i < COUNT(rubbish); i++)
        assert_int_equal(nn_ranges_read(&graph, rubbish[i], back, &error), MIEN_EFORMAT);
    buffer_done(&text);
    free(data);
    free(ranges);
    free(back);
    nn_graph_done(&graph);
}

static void test_mean_of_eight_bits(void **state)
{
    (void)state;
    random_state random;
    random_seed(&random, 5, 5);
    static uint8_t pixels[700 * 33];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = i % 3 ? (uint8_t)random_below(&random, 256) : 255; /* and sums that would overflow 16 bits */
    for (size_t channels = 1; channels <= 33; channels += 8)
        for (int negative = 0; negative < 2; negative++) {
            float means[34];
            means[channels] = 7;
            nn_mean_eight(pixels, 700, channels, negative, 0.5f, means);
            assert_true(means[channels] == 7);
            for (size_t c = 0; c < channels; c++) {
                double sum = 0;
                for (size_t p = 0; p < 700; p++)
                    sum += negative ? (int8_t)pixels[p * channels + c] : pixels[p * channels + c];
                assert_true(fabs(means[c] - sum / 1400) < 1e-4);
            }
        }
}

static void test_interleaving(void **state)
{
    (void)state;
    static float planes[3 * 67], plain[3 * 67 + 1], fast[3 * 67 + 1];
    for (size_t i = 0; i < COUNT(planes); i++)
        planes[i] = (float)i + 0.25f;
    for (size_t count = 0; count <= 67; count++) {
        plain[3 * count] = fast[3 * count] = -7;
        nn_interleave3_c(planes, count, plain);
        for (size_t i = 0; i < 3 * count; i++)
            assert_true(plain[i] == planes[i % 3 * count + i / 3]);
        nn_interleave3(planes, count, fast);
        assert_memory_equal(plain, fast, (3 * count + 1) * sizeof(float));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_bits),
        cmocka_unit_test(test_ranges_travel_as_text),
        cmocka_unit_test(test_mean_of_eight_bits),
        cmocka_unit_test(test_interleaving),
    };
    return cmocka_run_group_tests_name("plan eight bits", tests, NULL, NULL);
}
