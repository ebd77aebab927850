/* Guards training: the losses' gradients, the schedules' values, the optimisers' steps, the configuration's language,
 * and that a run learns, resumes to the same bits and does not depend on its threads. */
#include "training.h"

#include <math.h>

#include <unistd.h>

#include "base/random.h"
#include "nn/tape.h"
#include "train/architecture.h"
#include "train/config.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { CLASSES = DATASET_CLASSES, SIDE = 48 };

/* --- losses --- */

typedef float (*loss_function)(const float *logits, const float *target, float *gradient);

static float cross_entropy(const float *logits, const float *target, float *gradient)
{
    return loss_cross_entropy(logits, target, CLASSES, 0.7f, gradient);
}

static float distillation(const float *logits, const float *target, float *gradient)
{
    return loss_distill(logits, target, CLASSES, 2.5f, 0.7f, gradient);
}

static void check_gradient(loss_function loss)
{
    random_state stream;
    random_seed(&stream, 1, 1);
    for (int repeat = 0; repeat < 20; repeat++) {
        float logits[CLASSES], target[CLASSES], gradient[CLASSES] = {0}, unused[CLASSES] = {0};
        for (int c = 0; c < CLASSES; c++) {
            logits[c] = 2 * random_normal(&stream);
            target[c] = random_normal(&stream);
        }
        loss_softmax(target, CLASSES, 1, target);
        loss(logits, target, gradient);
        for (int c = 0; c < CLASSES; c++) {
            const float step = 0.01f;
            float kept = logits[c];
            logits[c] = kept + step;
            double above = (double)loss(logits, target, unused);
            logits[c] = kept - step;
            double below = (double)loss(logits, target, unused);
            logits[c] = kept;
            assert_true(fabs((above - below) / (2 * (double)step) - (double)gradient[c]) < 2e-3);
        }
    }
}

static void test_gradients_of_losses(void **state)
{
    (void)state;
    check_gradient(cross_entropy);
    check_gradient(distillation);
}

static void test_losses_by_hand(void **state)
{
    (void)state;
    float logits[CLASSES] = {0}, target[CLASSES] = {0}, gradient[CLASSES] = {0};
    target[2] = 1;
    assert_true(fabsf(loss_cross_entropy(logits, target, CLASSES, 1, gradient) - logf(7)) < 1e-6f);
    assert_true(fabsf(gradient[2] - (1.0f / 7 - 1)) < 1e-6f);
    loss_smooth(target, CLASSES, 0.7f);
    assert_true(fabsf(target[2] - 0.4f) < 1e-6f && fabsf(target[0] - 0.1f) < 1e-6f);
    logits[0] = 1e4f;
    assert_true(isfinite(loss_cross_entropy(logits, target, CLASSES, 1, gradient)));
}

/* --- schedules --- */

static void check_rate(const train_config *config, const schedule_state *at, double position, double expected)
{
    double rate = schedule_rate(config, at, position);
    if (fabs(rate - expected) > 1e-6)
        fail_msg("%s at %g: %g instead of %g", config->schedule, position, rate, expected);
}

static void test_schedules(void **state)
{
    (void)state;
    train_config config;
    schedule_state at = {.best = -1};
    config_default(&config);
    config.lr = 1;
    config.epochs = 12;
    config.warmup = 2;
    check_rate(&config, &at, 1, 0.5);
    check_rate(&config, &at, 5, 1);
    strcpy(config.schedule, "cosine");
    check_rate(&config, &at, 0, 0);
    check_rate(&config, &at, 2, 1);
    check_rate(&config, &at, 7, 0.5);
    check_rate(&config, &at, 12, 0);
    config.min_lr = 0.1f;
    check_rate(&config, &at, 12, 0.1);
    strcpy(config.schedule, "step");
    config.step_epochs = 5;
    config.step_factor = 0.5f;
    check_rate(&config, &at, 4.9, 1);
    check_rate(&config, &at, 10, 0.25);
    strcpy(config.schedule, "plateau");
    config.plateau_patience = 2;
    schedule_observe(&config, &at, 0.5);
    schedule_observe(&config, &at, 0.4);
    check_rate(&config, &at, 5, 1);
    schedule_observe(&config, &at, 0.5);
    check_rate(&config, &at, 5, 0.5);
    schedule_observe(&config, &at, 0.6);
    check_rate(&config, &at, 5, 0.5);
}

/* --- configuration --- */

static void test_configuration(void **state)
{
    (void)state;
    train_config config, again;
    mien_error error = {0};
    buffer text = {0};
    config_default(&config);
    assert_ok(
        config_parse(&config, "lr = 0.25 # fast\n\n# all\nflip=0.5\r\narch = mien-base\ndata = /a#b\n", "f", &error),
        &error);
    assert_true(config.lr == 0.25f && config.flip == 0.5f);
    assert_string_equal(config.arch, "mien-base");
    assert_string_equal(config.data, "/a#b");
    assert_ok(config_set(&config, "label-smoothing", "0.123456789", &error), &error);
    assert_ok(config_set(&config, "drop_not_face", "off", &error), &error);
    assert_int_equal(config_write(&config, &text), MIEN_OK);
    config_default(&again);
    assert_ok(config_parse(&again, buffer_text(&text), "f", &error), &error);
    assert_memory_equal(&config.epochs, &again.epochs, sizeof(int) * 4);
    assert_true(again.label_smoothing == config.label_smoothing && !again.drop_not_face);
    assert_string_equal(again.data, config.data);
    buffer_done(&text);
    static const char *const wrong[] = {"lr = fast", "lr = -1",          "epochs = 1.5",          "nonsense = 1",
                                        "lr",        "optimizer = best", "drop_not_face = maybe", "epochs = 1e9",
                                        "lr = nan",  "data = \"open",    "data = \"a\" b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char lines[64];
        snprintf(lines, sizeof(lines), "epochs = 3\n%s\n", wrong[i]);
        assert_int_not_equal(config_parse(&again, lines, "file.txt", &error), MIEN_OK);
        assert_non_null(strstr(error.message, "file.txt, line 2"));
        assert_int_not_equal(again.epochs, 3);
    }
}

/* A folder may be called anything, and a file may come from any editor. */
static void test_configuration_as_it_was(void **state)
{
    (void)state;
    static const char *const names[] = {"my #1 run/data", "#top", " blanks ", "a \"b\" # c", "\"quoted\"", "a\t#b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        train_config config, again;
        mien_error error = {0};
        buffer text = {0};
        config_default(&config);
        assert_ok(config_set(&config, "data", names[i], &error), &error);
        assert_int_equal(config_write(&config, &text), MIEN_OK);
        config_default(&again);
        assert_ok(config_parse(&again, buffer_text(&text), "f", &error), &error);
        assert_string_equal(again.data, names[i]);
        assert_int_equal(again.epochs, config.epochs);
        buffer_done(&text);
    }
    train_config config;
    mien_error error = {0};
    config_default(&config);
    assert_int_equal(config_set(&config, "data", "two\nlines", &error), MIEN_EINVAL);
    assert_ok(config_parse(&config, "\xef\xbb\xbf# from an editor\r\ndata = \"a # b\" # c\r\n", "f", &error), &error);
    assert_string_equal(config.data, "a # b");
    testing_put("zero.conf", "epochs = 3\0\nbatch = 7\n", 23);
    assert_int_equal(config_read(&config, testing_path("zero.conf"), &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "zero.conf: is not text"));
    assert_int_not_equal(config.epochs, 3);
}

/* --- architectures --- */

static void test_architectures(void **state)
{
    (void)state;
    size_t count;
    const architecture *list = architecture_list(&count);
    for (size_t i = 0; i < count; i++) {
        train_config config;
        model m = {0};
        mien_error error = {0};
        config_default(&config);
        assert_ok(architecture_apply_recipe(&list[i], i % 2, &config, &error), &error);
        strcpy(config.arch, list[i].name);
        config.votes_head = 1;
        assert_ok(architecture_build(&config, &m, NULL, &error), &error);
        assert_int_equal(m.graph.output_count, list[i].detector ? 3 : 2);
        assert_int_equal(m.info.label_count, list[i].detector ? 1 : CLASSES);
        assert_int_equal(m.info.task, list[i].detector ? MODEL_TASK_FACE_DETECTOR : MODEL_TASK_EMOTION);
        print_message("%-12s %7.2f M parameters %7.1f M multiply-adds\n", list[i].name,
                      (double)nn_graph_parameters(&m.graph) / 1e6,
                      (double)architecture_multiply_adds(&list[i], &m.graph) / 1e6);
        model_done(&m);
    }
    train_config config;
    model m = {0};
    mien_error error = {0};
    config_default(&config);
    strcpy(config.arch, "mien-tall");
    assert_int_equal(architecture_build(&config, &m, NULL, &error), MIEN_EINVAL);
    assert_non_null(strstr(error.message, "baseline"));
}

/* --- optimisers: one weight, three steps, by the papers' formulas --- */

static float three_steps(const char *name, float decay, float clip)
{
    nn_graph graph = {0};
    mien_error error = {0};
    int weight = nn_graph_weight(&graph, "w", (nn_shape){1, {1}}, NN_WEIGHT_TRAINABLE | NN_WEIGHT_DECAY);
    assert_int_equal(weight, 0);
    graph.weights[0].data[0] = 1;
    train_config config;
    config_default(&config);
    strcpy(config.optimizer, name);
    config.weight_decay = decay;
    config.clip = clip;
    const cluster alone = {.size = 1};
    optimizer *opt = NULL;
    thread_pool *pool = NULL;
    assert_ok(thread_pool_create(1, &pool, &error), &error);
    assert_ok(optimizer_create(&graph, &config, 2, 2, NULL, &opt, &error), &error);
    for (int i = 0; i < 3; i++) {
        optimizer_gradient(opt, 0)[0] = 0.25f;
        optimizer_gradient(opt, 1)[0] = 0.25f;
        double norm = 0;
        assert_ok(optimizer_step(opt, pool, &alone, 0.1, &norm, &error), &error);
        assert_true(fabs(norm - 0.5) < 1e-7);
    }
    float value = optimizer_parameters(opt)[0];
    optimizer_destroy(&opt);
    thread_pool_destroy(&pool);
    nn_graph_done(&graph);
    return value;
}

static void test_optimisers(void **state)
{
    (void)state;
    double value = 1, velocity = 0;
    for (int i = 0; i < 3; i++) {
        double g = 0.5 + 0.01 * value;
        velocity = 0.9 * velocity + g;
        value -= 0.1 * (g + 0.9 * velocity);
    }
    assert_true(fabs((double)three_steps("sgd", 0.01f, 0) - value) < 1e-6);
    /* a constant gradient makes each step of Adam the learning rate */
    assert_true(fabs((double)three_steps("adam", 0, 0) - 0.7) < 1e-5);
    double apart = 1;
    for (int i = 0; i < 3; i++)
        apart -= 0.1 * (1 + 0.01 * apart);
    assert_true(fabs((double)three_steps("adamw", 0.01f, 0) - apart) < 1e-5);
    value = 1;
    velocity = 0;
    for (int i = 0; i < 3; i++) {
        velocity = 0.9 * velocity + 0.2;
        value -= 0.1 * (0.2 + 0.9 * velocity);
    }
    assert_true(fabs((double)three_steps("sgd", 0, 0.2f) - value) < 1e-6);
}

/* --- runs --- */

/* Each class has stripes of a width of its own, in noise. */
static dataset make_stripes(size_t count)
{
    dataset data = {.count = count, .height = SIDE, .width = SIDE};
    random_state stream;
    random_seed(&stream, 5, 5);
    data.pixels = memory_array(count, (size_t)SIDE * SIDE);
    data.labels = memory_array(count, 1);
    data.splits = memory_array(count, 1);
    assert_true(data.pixels && data.labels && data.splits);
    for (size_t i = 0; i < count; i++) {
        uint8_t *picture = data.pixels + i * SIDE * SIDE;
        data.labels[i] = (uint8_t)(i % CLASSES);
        data.splits[i] = i % 5 == 4 ? DATASET_PUBLIC_TEST : DATASET_TRAINING;
        for (int k = 0; k < SIDE * SIDE; k++)
            picture[k] = (uint8_t)random_below(&stream, 128);
        for (int k = 0; k < SIDE * SIDE; k++)
            picture[k] += k / SIDE / (data.labels[i] + 1) % 2 ? 100 : 0;
    }
    return data;
}

static void set_folder(train_config *config, const char *name)
{
    snprintf(config->out, sizeof config->out, "%s", testing_path(name));
}

static train_config small_run(const char *name, int epochs, int threads)
{
    train_config config;
    config_default(&config);
    set_folder(&config, name);
    strcpy(config.data, "stripes");
    strcpy(config.arch, "baseline");
    config.epochs = epochs;
    config.batch = 32;
    config.microbatch = 8;
    config.threads = threads;
    config.lr = 0.003f;
    config.ema = 0.9f;
    config.shift = 0.02f;
    config.noise = 0.05f;
    config.mixup = 0.2f;
    config.mix_probability = 0.2f;
    return config;
}

static trainer *create(const train_config *config, const dataset *data)
{
    trainer *t = NULL;
    mien_error error = {0};
    assert_ok(trainer_create(config, data, data, &(trainer_place){.command = "test"}, &t, &error), &error);
    return t;
}

static training_result finish(const train_config *config, const dataset *data)
{
    return training_finish(create(config, data), NULL);
}

static void keep_epoch(void *context, const trainer_epoch *epoch)
{
    *(trainer_epoch *)context = *epoch;
    print_message("epoch %d: top-1 %.3f, validation %.3f\n", epoch->epoch, epoch->share, epoch->validation.top1);
}

/* A whole run; what it told at the end of its last epoch. */
static trainer_epoch last_epoch(const train_config *config, const dataset *data)
{
    trainer_epoch last = {0};
    trainer_events events = {.context = &last, .epoch = keep_epoch};
    training_run(create(config, data), &events);
    return last;
}

static void test_learns(void **state)
{
    (void)state;
    dataset data = make_stripes(700);
    train_config config = small_run("learns", 3, 2);
    strcpy(config.arch, "mien-tiny");
    trainer_epoch last = last_epoch(&config, &data);
    assert_int_equal(last.epoch, 3);
    assert_true(last.best_score > 0.95);
    model best = training_best(&config);
    assert_int_equal(best.info.label_count, CLASSES);
    assert_true(best.info.figure_count >= 2);
    model_done(&best);
    dataset_done(&data);
}

/* What the sources' networks learn shows in the validation at once: statistics that limp behind the weights would
 * answer one class for everything. */
static void test_sources_networks_are_validated_fairly(void **state)
{
    (void)state;
    static const char *const names[] = {"baseline", "dcnn"};
    dataset data = make_stripes(350);
    for (int i = 0; i < 2; i++) {
        train_config config = small_run(names[i], 3, 2);
        strcpy(config.arch, names[i]);
        config.mixup = config.noise = config.shift = 0;
        config.dropout = 0;
        config.statistics = 128;
        trainer_epoch last = last_epoch(&config, &data);
        assert_true(last.validation.top1 > last.share - 0.15);
    }
    dataset_done(&data);
}

/* A setting that is read and then forgotten would train the same network as none. */
static void test_every_setting_of_the_recipe_has_an_effect(void **state)
{
    (void)state;
    static const char *const settings[][2] = {
        {"label_smoothing", "0.2"},
        {"class_weights", "balanced"},
        {"class_weights", "sqrt"},
        {"votes_weight", "0.5"},
        {"weight_decay", "0.1"},
        {"clip", "0.001"},
        {"dropout", "0.7"},
        {"mixup", "1"},
        {"cutmix", "1"},
        {"crop", "40"},
        {"flip", "1"},
        {"warmup", "1"},
        {"optimizer", "sgd"},
        {"freeze", "1"},
        {"seed", "1"},
    };
    dataset data = make_stripes(70);
    data.votes = memory_zeroed(data.count * DATASET_VOTES, 1);
    data.not_face = memory_zeroed(data.count, 1);
    assert_true(data.votes && data.not_face);
    for (size_t i = 0; i < data.count; i++) {
        data.votes[i * DATASET_VOTES + i % 5] = 10; /* not what the labels say */
        data.labels[i] = i % 10 ? data.labels[i] : 0;
    }
    train_config plain = small_run("plain", 1, 2);
    plain.mixup = plain.shift = plain.noise = plain.ema = 0;
    strcpy(plain.arch, "mien-tiny");
    training_result without = finish(&plain, &data);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        train_config config = plain;
        mien_error error = {0};
        set_folder(&config, "setting");
        assert_ok(config_set(&config, settings[i][0], settings[i][1], &error), &error);
        training_result with = finish(&config, &data);
        if (training_same(&with, &without))
            fail_msg("%s = %s changes nothing", settings[i][0], settings[i][1]);
        training_forget(&with);
    }
    training_forget(&without);
    dataset_done(&data);
}

static const nn_weight *find_weight(const model *m, const char *name)
{
    for (int w = 0; w < m->graph.weight_count; w++)
        if (!strcmp(m->graph.weights[w].name, name))
            return &m->graph.weights[w];
    fail_msg("no weight is called %s", name);
    return NULL;
}

/* A run that begins with several models begins with the mean of their weights. */
static void test_begins_with_the_mean_of_models(void **state)
{
    (void)state;
    dataset data = make_stripes(140);
    train_config one = small_run("one", 1, 2), other = small_run("other", 1, 2), mean = small_run("mean", 1, 2);
    strcpy(one.arch, "mien-tiny");
    strcpy(other.arch, "mien-tiny");
    strcpy(mean.arch, "mien-tiny");
    other.seed = one.seed + 1;
    char first_path[256];
    snprintf(first_path, sizeof first_path, "%s", testing_path("one/best.onnx"));
    snprintf(mean.init, sizeof(mean.init), "%s, %s", first_path, testing_path("other/best.onnx"));
    mean.lr = 1e-9; /* moves nothing that a float shows */
    mean.ema = 0;
    training_run(create(&one, &data), NULL);
    training_run(create(&other, &data), NULL);
    training_run(create(&mean, &data), NULL);
    model a = training_best(&one), b = training_best(&other), m = training_best(&mean);
    const nn_weight *left = find_weight(&a, "stage2.conv1.weight"), *right = find_weight(&b, "stage2.conv1.weight"),
                    *made = find_weight(&m, "stage2.conv1.weight");
    assert_true(memcmp(left->data, right->data, left->count * sizeof(float)));
    for (size_t i = 0; i < made->count; i++)
        assert_float_equal(made->data[i], (left->data[i] + right->data[i]) / 2, 1e-6);
    model_done(&a);
    model_done(&b);
    model_done(&m);
    strcat(mean.init, ",/nowhere/third.onnx");
    trainer *t = NULL;
    mien_error why = {0};
    assert_int_equal(trainer_create(&mean, &data, &data, &(trainer_place){.command = "test"}, &t, &why),
                     MIEN_ENOTFOUND);
    assert_non_null(strstr(why.message, "/nowhere/third.onnx"));
    strcpy(mean.init, ",");
    assert_int_equal(trainer_create(&mean, &data, &data, &(trainer_place){.command = "test"}, &t, &why), MIEN_EINVAL);
    assert_non_null(strstr(why.message, "names no model"));
    dataset_done(&data);
}

/* A head on another model's layers: first they stay as they are, then, from that result, they move as well. */
static void test_transfer_from_a_backbone(void **state)
{
    (void)state;
    dataset data = make_stripes(140);
    train_config below = small_run("below", 1, 2), head = small_run("head", 1, 2), tuned = small_run("tuned", 1, 2);
    strcpy(below.arch, "mien-tiny");
    strcpy(head.arch, "mobilenetv2");
    strcpy(tuned.arch, "mobilenetv2");
    snprintf(head.backbone, sizeof(head.backbone), "%s", testing_path("below/best.onnx"));
    snprintf(tuned.backbone, sizeof(tuned.backbone), "%s", testing_path("below/best.onnx"));
    snprintf(tuned.init, sizeof(tuned.init), "%s", testing_path("head/best.onnx"));
    head.ema = tuned.ema = 0;
    tuned.freeze_backbone = false;
    tuned.freeze = 2;
    training_run(create(&below, &data), NULL);
    training_run(create(&head, &data), NULL);
    training_run(create(&tuned, &data), NULL);
    model from = training_best(&below), first = training_best(&head), second = training_best(&tuned);
    static const char low[] = "stage1.conv1.weight", high[] = "stage4.conv2.weight", top[] = "head.dense.weight";
    size_t low_bytes = find_weight(&from, low)->count * sizeof(float), high_bytes = find_weight(&from, high)->count * 4;
    assert_memory_equal(find_weight(&from, low)->data, find_weight(&first, low)->data, low_bytes);
    assert_memory_equal(find_weight(&from, high)->data, find_weight(&first, high)->data, high_bytes);
    assert_memory_equal(find_weight(&first, low)->data, find_weight(&second, low)->data, low_bytes);
    assert_true(memcmp(find_weight(&first, high)->data, find_weight(&second, high)->data, high_bytes));
    assert_true(memcmp(find_weight(&first, top)->data, find_weight(&second, top)->data, 4096));
    model_done(&from);
    model_done(&first);
    model_done(&second);
    dataset_done(&data);
}

typedef struct awake_rig {
    model network;
    nn_tape *tape;
    optimizer *opt;
    thread_pool *pool;
    double rate;
    size_t inputs, values; /* of the batch; of one picture in the watched layer */
} awake_rig;

enum { AWAKE_BATCH = 16, AWAKE_STEPS = 12, AWAKE_FILTERS = 128 };

/* MobileNetV2 by its recipe on small pictures; its second output is the rectifier of the head's convolution. */
static void awake_start(awake_rig *rig)
{
    train_config config;
    const architecture *arch = NULL;
    mien_error error = {0};
    config_default(&config);
    assert_ok(architecture_find("mobilenetv2", &arch, &error), &error);
    assert_ok(architecture_apply_recipe(arch, false, &config, &error), &error);
    strcpy(config.arch, "mobilenetv2");
    config.crop = SIDE;
    assert_ok(architecture_build(&config, &rig->network, NULL, &error), &error);
    nn_graph *graph = &rig->network.graph;
    for (int n = 0; n < graph->node_count; n++)
        if (!strcmp(graph->nodes[n].name, "head.relu"))
            assert_int_equal(nn_graph_set_output(graph, n), MIEN_OK);
    assert_int_equal(graph->output_count, 2);
    nn_tape_options options = {.microbatch = AWAKE_BATCH};
    assert_ok(nn_tape_create(graph, &options, &rig->tape, &error), &error);
    assert_ok(thread_pool_create(1, &rig->pool, &error), &error);
    assert_ok(optimizer_create(graph, &config, 1, 1, NULL, &rig->opt, &error), &error);
    nn_shape watched = nn_tape_output_shape(rig->tape, 1);
    rig->rate = (double)config.lr;
    rig->values = nn_shape_count(&watched) / AWAKE_BATCH;
    rig->inputs = (size_t)AWAKE_BATCH * 3 * SIDE * SIDE;
}

/* One step at the recipe's full rate on random pictures with random labels. */
static void awake_step(awake_rig *rig, uint64_t number)
{
    random_state stream;
    mien_error error = {0};
    const cluster alone = {.size = 1};
    float gradients[AWAKE_BATCH * CLASSES] = {0};
    double norm = 0;
    random_seed(&stream, 3, number);
    for (size_t i = 0; i < rig->inputs; i++)
        nn_tape_input(rig->tape)[i] = random_range(&stream, -1, 1);
    assert_ok(nn_tape_forward(rig->tape, optimizer_parameters(rig->opt), true, true, number, &error), &error);
    for (size_t i = 0; i < AWAKE_BATCH; i++) {
        float target[CLASSES] = {0};
        target[random_below(&stream, CLASSES)] = 1;
        loss_cross_entropy(nn_tape_output(rig->tape, 0) + i * CLASSES, target, CLASSES, 1.0f / AWAKE_BATCH,
                           gradients + i * CLASSES);
    }
    const float *const outputs[] = {gradients, NULL};
    memset(optimizer_gradient(rig->opt, 0), 0, optimizer_count(rig->opt) * sizeof(float));
    assert_ok(nn_tape_backward(rig->tape, outputs, optimizer_gradient(rig->opt, 0), &error), &error);
    assert_ok(optimizer_step(rig->opt, rig->pool, &alone, rig->rate, &norm, &error), &error);
}

/* How many of the head's filters answer to any of the last pictures. */
static int awake_filters(awake_rig *rig)
{
    size_t places = rig->values / AWAKE_FILTERS;
    const float *values = nn_tape_output(rig->tape, 1);
    int count = 0;
    for (size_t f = 0; f < AWAKE_FILTERS; f++) {
        bool awake = false;
        for (size_t i = 0; i < AWAKE_BATCH * places; i++)
            awake = awake || values[i / places * rig->values + f * places + i % places] > 0;
        count += awake;
    }
    return count;
}

/* Without normalisation in its head, MobileNetV2 from random weights goes to sleep within some steps of Adam: filters
 * that are below zero for every picture get no gradient any more, and one class is answered for good. */
static void test_random_mobilenet_stays_awake(void **state)
{
    (void)state;
    awake_rig rig = {0};
    awake_start(&rig);
    for (uint64_t s = 0; s < AWAKE_STEPS; s++)
        awake_step(&rig, s);
    int awake = awake_filters(&rig);
    print_message("%d of %d filters of the head answer\n", awake, AWAKE_FILTERS);
    assert_true(awake > AWAKE_FILTERS * 9 / 10);
    nn_tape_destroy(&rig.tape);
    optimizer_destroy(&rig.opt);
    thread_pool_destroy(&rig.pool);
    model_done(&rig.network);
}

static void test_learns_from_a_teacher(void **state)
{
    (void)state;
    dataset data = make_stripes(140);
    train_config config = small_run("pupil", 1, 2);
    snprintf(config.teachers, sizeof(config.teachers), "%s, %s", testing_path("learns/best.onnx"),
             testing_path("below/best.onnx"));
    config.distill_weight = 0.9f;
    training_result taught = finish(&config, &data);
    config.distill_weight = 0;
    set_folder(&config, "alone");
    training_result alone = finish(&config, &data);
    assert_false(training_same(&taught, &alone));
    config.distill_weight = 0.9f;
    config.distill_stored = true;
    set_folder(&config, "beforehand");
    training_result beforehand = finish(&config, &data);
    assert_false(training_same(&beforehand, &alone));
    assert_false(training_same(&beforehand, &taught));
    config.distill_stored = false;
    config.distill_mirror = true;
    set_folder(&config, "mirrored");
    training_result mirrored = finish(&config, &data);
    assert_false(training_same(&mirrored, &taught));
    training_forget(&mirrored);
    training_forget(&beforehand);
    training_forget(&taught);
    training_forget(&alone);
    strcpy(config.teachers, "/nonexistent.onnx");
    trainer *t = NULL;
    mien_error error = {0};
    assert_int_equal(trainer_create(&config, &data, &data, &(trainer_place){.command = "test"}, &t, &error),
                     MIEN_ENOTFOUND);
    dataset_done(&data);
}

/* Without votes of its own the second output learns from a teacher that has one too, and from no other. */
static void test_second_output_learns_from_a_teacher(void **state)
{
    (void)state;
    static const char *const teachers[] = {"learns/best.onnx", "two/best.onnx"};
    static const char *const runs[] = {"two", "by a model of two"};
    dataset data = make_stripes(140);
    model drawn = {0}, trained[2];
    trainer *t = NULL;
    mien_error error = {0};
    train_config config = small_run("two", 1, 2);
    config.votes_head = 1;
    assert_int_equal(trainer_create(&config, &data, &data, NULL, &t, &error), MIEN_EINVAL);
    assert_non_null(strstr(error.message, "votes_head: there are no votes"));
    assert_ok(architecture_build(&config, &drawn, NULL, &error), &error);
    for (int i = 0; i < 2; i++) {
        snprintf(config.teachers, sizeof(config.teachers), "%s", testing_path(teachers[i]));
        set_folder(&config, runs[i]);
        training_run(create(&config, &data), NULL);
        trained[i] = training_best(&config);
    }
    const nn_weight *before = find_weight(&drawn, "votes.weight");
    assert_memory_equal(find_weight(&trained[0], "votes.weight")->data, before->data, before->count * sizeof(float));
    assert_memory_not_equal(find_weight(&trained[1], "votes.weight")->data, before->data,
                            before->count * sizeof(float));
    model_done(&drawn);
    for (int i = 0; i < 2; i++)
        model_done(&trained[i]);
    dataset_done(&data);
}

/* A teacher that counts the classes in another order teaches the same, and one of other classes nothing. */
static void test_teachers_are_understood_by_their_labels(void **state)
{
    (void)state;
    static const char *const strange[] = {"a", "b", "c", "d", "e", "f", "g"};
    const char *labels[CLASSES];
    dataset data = make_stripes(70);
    train_config config = small_run("plainly", 1, 1);
    mien_error error = {0};
    model teacher = {0};
    trainer *t = NULL;
    assert_ok(model_load(testing_path("learns/best.onnx"), NULL, &teacher, &error), &error);
    snprintf(config.teachers, sizeof(config.teachers), "%s", testing_path("learns/best.onnx"));
    strcpy(config.optimizer, "sgd"); /* Adam would make a step of any rounding */
    training_result expected = finish(&config, &data);
    nn_weight *kernel = (nn_weight *)find_weight(&teacher, "logits.weight");
    nn_weight *bias = (nn_weight *)find_weight(&teacher, "logits.bias");
    size_t inputs = kernel->count / CLASSES;
    float *turned = memory_array(kernel->count + CLASSES, sizeof(float));
    assert_non_null(turned);
    for (size_t c = 0; c < CLASSES; c++) {
        size_t from = CLASSES - 1 - c;
        labels[c] = mien_emotion_name((mien_emotion)from);
        memcpy(turned + c * inputs, kernel->data + from * inputs, inputs * sizeof(float));
        turned[kernel->count + c] = bias->data[from];
    }
    memcpy(kernel->data, turned, kernel->count * sizeof(float));
    memcpy(bias->data, turned + kernel->count, CLASSES * sizeof(float));
    assert_ok(model_info_set_labels(&teacher.info, labels, CLASSES, &error), &error);
    assert_ok(model_save_onnx(&teacher, testing_path("turned.onnx"), &error), &error);
    snprintf(config.teachers, sizeof(config.teachers), "%s", testing_path("turned.onnx"));
    set_folder(&config, "by a turned teacher");
    training_result got = finish(&config, &data);
    assert_int_equal(got.count, expected.count);
    for (size_t i = 0; i < got.count; i++)
        assert_float_equal(got.parameters[i], expected.parameters[i], 1e-6f);
    assert_ok(model_info_set_labels(&teacher.info, strange, CLASSES, &error), &error);
    assert_ok(model_save_onnx(&teacher, testing_path("turned.onnx"), &error), &error);
    assert_int_equal(trainer_create(&config, &data, &data, NULL, &t, &error), MIEN_EUNSUPPORTED);
    memory_free(turned);
    training_forget(&got);
    training_forget(&expected);
    model_done(&teacher);
    dataset_done(&data);
}

/* A run that would begin or end otherwise than asked for is refused, not begun. */
static void test_refuses_what_would_have_no_effect(void **state)
{
    (void)state;
    dataset data = make_stripes(70);
    train_config config = small_run("refused", 1, 1);
    mien_error error = {0};
    trainer *t = NULL;
    config.votes_weight = 0.5f;
    assert_int_equal(trainer_create(&config, &data, &data, NULL, &t, &error), MIEN_EINVAL);
    assert_non_null(strstr(error.message, "votes_weight: there are no votes"));
    config.votes_weight = 0;
    config.freeze = 1000;
    assert_int_equal(trainer_create(&config, &data, &data, NULL, &t, &error), MIEN_EINVAL);
    assert_non_null(strstr(error.message, "nothing is left to train"));
    config.freeze = 0;
    strcpy(config.init, testing_path("learns/best.onnx")); /* of mien-tiny: the baseline shares a bias with it */
    assert_int_equal(trainer_create(&config, &data, &data, NULL, &t, &error), MIEN_EUNSUPPORTED);
    assert_non_null(strstr(error.message, "init: of the "));
    strcpy(config.arch, "mien-tiny");
    assert_ok(trainer_create(&config, &data, &data, NULL, &t, &error), &error);
    trainer_destroy(&t);
    dataset_done(&data);
}

/* A killed process leaves half-written files; the next one takes them away, and nothing else. */
static void test_clears_what_a_killed_run_left(void **state)
{
    (void)state;
    dataset data = make_stripes(70);
    train_config config = small_run("killed", 1, 1);
    trainer *t = create(&config, &data);
    testing_put_folder("killed");
    testing_put("killed/checkpoint.bin.0123abcd", "half", 4);
    testing_put("killed/best.onnx.89abcdef", "half", 4);
    testing_put("killed/best.onnx.kept-one", "mine", 4);
    training_run(t, NULL);
    assert_int_not_equal(access(testing_path("killed/checkpoint.bin.0123abcd"), F_OK), 0);
    assert_int_not_equal(access(testing_path("killed/best.onnx.89abcdef"), F_OK), 0);
    assert_int_equal(access(testing_path("killed/best.onnx.kept-one"), F_OK), 0);
    dataset_done(&data);
}

static void test_resumes_to_the_same_bits(void **state)
{
    (void)state;
    dataset data = make_stripes(210);
    train_config whole = small_run("whole", 2, 2), parts = small_run("parts", 2, 2);
    training_result expected = finish(&whole, &data);
    training_step(create(&parts, &data));
    trainer *t = create(&parts, &data); /* afresh, as after a restart of the program */
    for (int i = 1; i < 7; i++) {
        training_resume(t);
        training_step(t);
        t = create(&parts, &data);
    }
    training_resume(t);
    training_result got = training_finish(t, NULL);
    assert_true(training_same(&got, &expected));
    training_forget(&got);
    training_forget(&expected);
    dataset_done(&data);
}

/* A run that has lost its numbers ends with what it had before, rather than go on for a night. */
static void test_ends_where_numbers_end(void **state)
{
    (void)state;
    dataset data = make_stripes(140);
    train_config config = small_run("diverged", 2, 1);
    strcpy(config.optimizer, "sgd");
    config.lr = 1e30f; /* past what the table allows, so that it takes a step or two */
    config.clip = 0;
    config.warmup = 0;
    mien_error error = {0};
    trainer *t = create(&config, &data);
    assert_int_equal(trainer_run(t, NULL, &error), MIEN_ELIMIT);
    assert_non_null(strstr(error.message, "epoch 1"));
    assert_non_null(strstr(error.message, "not finite any more"));
    trainer_destroy(&t);
    dataset_done(&data);
}

static void test_threads_do_not_show(void **state)
{
    (void)state;
    dataset data = make_stripes(140);
    train_config one = small_run("one", 1, 1), two = small_run("two", 1, 2);
    training_result expected = finish(&one, &data), got = finish(&two, &data);
    assert_true(training_same(&got, &expected));
    training_forget(&got);
    training_forget(&expected);
    dataset_done(&data);
}

static void test_holds_rows_out_where_none_validate(void **state)
{
    (void)state;
    dataset data = make_stripes(140);
    memset(data.splits, DATASET_TRAINING, data.count);
    train_config config = small_run("heldout", 1, 2);
    config.holdout = 0.2f;
    assert_int_equal(last_epoch(&config, &data).validation.count, 28);
    model best = training_best(&config);
    assert_string_equal(best.info.figures[0].name, "holdout.top1"); /* it is no PublicTest that was measured */
    model_done(&best);
    config.holdout = 0;
    trainer *t = NULL;
    mien_error error = {0};
    assert_int_equal(trainer_create(&config, &data, &data, &(trainer_place){.command = "test"}, &t, &error),
                     MIEN_ENOTFOUND);
    dataset_done(&data);
}

static void test_damaged_checkpoints(void **state)
{
    (void)state;
    dataset data = make_stripes(70);
    train_config config = small_run("damaged", 1, 1);
    training_run(create(&config, &data), NULL);
    buffer bytes = {0};
    mien_error error = {0};
    assert_ok(file_read(testing_path("damaged/checkpoint.bin"), (size_t)1 << 30, &bytes, &error), &error);
    train_config read;
    assert_ok(trainer_read_config(config.out, &read, &error), &error);
    assert_string_equal(read.arch, config.arch);
    static const size_t keep[] = {0, 4, 100, 5000};
    for (size_t i = 0; i < 5; i++) {
        uint8_t *copy = memory_array(bytes.length, 1);
        assert_non_null(copy);
        memcpy(copy, bytes.data, bytes.length);
        copy[bytes.length / 2] ^= 1;
        testing_put("damaged/checkpoint.bin", copy, i < 4 ? keep[i] : bytes.length);
        assert_int_equal(trainer_read_config(config.out, &read, &error), MIEN_EFORMAT);
        memory_free(copy);
    }
    buffer_done(&bytes);
    dataset_done(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_losses),
        cmocka_unit_test(test_losses_by_hand),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_configuration_as_it_was),
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_optimisers),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_sources_networks_are_validated_fairly),
        cmocka_unit_test(test_every_setting_of_the_recipe_has_an_effect),
        cmocka_unit_test(test_begins_with_the_mean_of_models),
        cmocka_unit_test(test_transfer_from_a_backbone),
        cmocka_unit_test(test_random_mobilenet_stays_awake),
        cmocka_unit_test(test_learns_from_a_teacher),
        cmocka_unit_test(test_second_output_learns_from_a_teacher),
        cmocka_unit_test(test_teachers_are_understood_by_their_labels),
        cmocka_unit_test(test_refuses_what_would_have_no_effect),
        cmocka_unit_test(test_clears_what_a_killed_run_left),
        cmocka_unit_test(test_resumes_to_the_same_bits),
        cmocka_unit_test(test_ends_where_numbers_end),
        cmocka_unit_test(test_threads_do_not_show),
        cmocka_unit_test(test_holds_rows_out_where_none_validate),
        cmocka_unit_test(test_damaged_checkpoints),
    };
    return cmocka_run_group_tests(tests, testing_folder_make, testing_folder_remove);
}
