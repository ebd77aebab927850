/* Guards the Keras reader: the layouts of Keras 1, 2 and 3, the two orders of a picture, every layer of the sources,
 * and that damaged or hostile files are refused with a reason. The files are written by libhdf5, the reader is our own.
 */
#include "folder.h"
#include "keras_writer.h"

#include "base/random.h"
#include "model/model.h"
#include "nn/plan.h"

#include <math.h>

#define DIMS(...) ((const hsize_t[]){__VA_ARGS__})
#define COUNT(...) (int)(sizeof((hsize_t[]){__VA_ARGS__}) / sizeof(hsize_t))
#define ARRAY(w, path, values, ...) writer_array(w, path, COUNT(__VA_ARGS__), DIMS(__VA_ARGS__), values)

/* Telling values: no two alike, both signs. */
static const float *numbers(size_t count)
{
    static float values[4096];
    assert_true(count <= sizeof values / sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((i * 37) % 101) / 50.0f - 1.0f;
    return values;
}

static void load(const buffer *bytes, model *m)
{
    mien_error error = {0};
    assert_ok(model_load_bytes(bytes->data, bytes->length, NULL, m, &error), &error);
}

static void finish(keras_writer *w, model *m)
{
    buffer bytes = {0};
    writer_bytes(w, &bytes);
    load(&bytes, m);
    buffer_done(&bytes);
}

static void assert_refused(keras_writer *w, mien_status code, const char *says)
{
    buffer bytes = {0};
    model m = {0};
    mien_error error = {0};
    writer_bytes(w, &bytes);
    mien_status status = model_load_bytes(bytes.data, bytes.length, NULL, &m, &error);
    if (status != code || !strstr(error.message, says))
        fail_msg("%s: \"%s\" does not say \"%s\"", mien_status_name(status), error.message, says);
    assert_null(m.graph.nodes);
    buffer_done(&bytes);
}

/* Run one picture, given and answered in the graph's order, on the plain-C operators. */
static void run(const model *m, const float *input, float *output, size_t count)
{
    nn_plan_options options;
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    mien_error error = {0};
    nn_plan_default_options(&options);
    options.reference = true;
    assert_ok(nn_plan_create(&m->graph, &options, &plan, &error), &error);
    assert_ok(nn_session_create(plan, &session, &error), &error);
    nn_shape shape = nn_plan_input_shape(plan, 0);
    memcpy(nn_session_input(session, 0), input, nn_shape_count(&shape) * sizeof *input);
    assert_ok(nn_session_run(session, &error), &error);
    shape = nn_plan_output_shape(plan, 0);
    assert_int_equal(nn_shape_count(&shape), count);
    memcpy(output, nn_session_output(session, 0), count * sizeof *output);
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
}

static const nn_node *named(const model *m, const char *name)
{
    for (int i = 0; i < m->graph.node_count; i++) {
        if (!strcmp(m->graph.nodes[i].name, name))
            return &m->graph.nodes[i];
    }
    fail_msg("no node %s", name);
    return NULL;
}

static const float *weight(const model *m, const char *name)
{
    for (int i = 0; i < m->graph.weight_count; i++) {
        if (!strcmp(m->graph.weights[i].name, name))
            return m->graph.weights[i].data;
    }
    fail_msg("no weight %s", name);
    return NULL;
}

#define LAYER(type, name, more) "{\"class_name\":\"" type "\",\"config\":{\"name\":\"" name "\"" more "}}"
#define SEQUENTIAL(layers) "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[" layers "]}}"

/* ---- the two orders of a picture ---- */

static const char flatten_config[] = SEQUENTIAL(LAYER("Flatten", "f", ",\"batch_input_shape\":[null,2,3,2]") "," LAYER(
    "Dropout", "drop", ",\"rate\":0.5") "," LAYER("Dense", "d", ",\"units\":2,\"activation\":\"linear\""));

static void write_flatten(keras_writer *w, const char *config)
{
    writer_begin(w, config, "d", "d/kernel:0 d/bias:0");
    ARRAY(w, "model_weights/d/d/kernel:0", numbers(24), 12, 2);
    ARRAY(w, "model_weights/d/d/bias:0", numbers(2), 2);
}

/* Keras flattens [H,W,C]; what comes out must be its product, though the graph flattens [C,H,W]. */
static void assert_flattened_product(const model *m)
{
    float picture[12], answer[2];
    for (int i = 0; i < 12; i++)
        picture[i] = (float)(i * i) * 0.1f - 3;
    run(m, picture, answer, 2);
    const float *values = numbers(24);
    for (int o = 0; o < 2; o++) {
        double expected = values[o];
        for (int h = 0; h < 2; h++)
            for (int x = 0; x < 3; x++)
                for (int c = 0; c < 2; c++)
                    expected += (double)picture[(c * 2 + h) * 3 + x] * (double)values[((h * 3 + x) * 2 + c) * 2 + o];
        assert_true(fabs(expected - (double)answer[o]) < 1e-4);
    }
}

static void flattened_pictures_keep_their_meaning(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    write_flatten(&w, flatten_config);
    finish(&w, &m);
    assert_int_equal(m.graph.node_count, 4); /* no transposition: the columns were permuted */
    assert_flattened_product(&m);
    model_done(&m);
}

static void every_storage_reads_the_same(void **state)
{
    (void)state;
    hid_t half = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(half, 15, 10, 5, 0, 10);
    H5Tset_precision(half, 16);
    H5Tset_offset(half, 0);
    H5Tset_size(half, 2);
    H5Tset_ebias(half, 15);
    const keras_writer kinds[] = {{.newest = true},
                                  {.type = H5T_IEEE_F64LE},
                                  {.type = H5T_IEEE_F32BE},
                                  {.type = H5T_IEEE_F64BE, .chunk = 2},
                                  {.chunk = 5},
                                  {.chunk = 3, .gzip = true},
                                  {.chunk = 1, .gzip = true, .shuffle = true},
                                  {.chunk = 4, .shuffle = true}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        keras_writer w = kinds[i];
        model m = {0};
        write_flatten(&w, flatten_config);
        finish(&w, &m);
        assert_flattened_product(&m);
        model_done(&m);
    }
    keras_writer w = {.type = half};
    model m = {0};
    write_flatten(&w, flatten_config);
    finish(&w, &m);
    assert_true(fabsf(weight(&m, "d.bias")[0] - numbers(2)[0]) < 1e-3f);
    model_done(&m);
    H5Tclose(half);
}

static void long_descriptions_and_lists_are_read(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    enum { PADDING = 200000 };
    char *config = calloc(1, PADDING + sizeof flatten_config);
    assert_non_null(config);
    memset(config, ' ', PADDING);
    memcpy(config + PADDING, flatten_config, sizeof flatten_config);
    writer_open(&w);
    writer_text(&w, "/", "model_config", config, true);
    free(config);
    writer_group(&w, "model_weights/d");
    writer_list(&w, "model_weights/d", "weight_names0", "d/kernel:0");
    writer_list(&w, "model_weights/d", "weight_names1", "d/bias:0");
    ARRAY(&w, "model_weights/d/d/kernel:0", numbers(24), 12, 2);
    ARRAY(&w, "model_weights/d/d/bias:0", numbers(2), 2);
    finish(&w, &m);
    assert_flattened_product(&m);
    model_done(&m);
}

/* More layers than a group of the newest style keeps in its header. */
static void write_many(keras_writer *w, int layers)
{
    buffer config = {0};
    writer_open(w);
    buffer_append_text(&config, "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[");
    for (int i = 0; i < layers; i++) {
        char name[32], group[96], kernel[96], set[200];
        snprintf(name, sizeof name, "layer_%d", i);
        snprintf(group, sizeof group, "model_weights/%s", name);
        snprintf(kernel, sizeof kernel, "%s/kernel:0", name);
        snprintf(set, sizeof set, "%s/%s", group, kernel);
        buffer_append_format(&config, "%s{\"class_name\":\"Dense\",\"config\":{\"name\":\"%s\",\"use_bias\":false%s}}",
                             i ? "," : "", name, i ? "" : ",\"batch_input_shape\":[null,1]");
        writer_group(w, group);
        writer_list(w, group, "weight_names", kernel);
        ARRAY(w, set, ((const float[]){(float)i}), 1, 1);
    }
    buffer_append_text(&config, "]}}");
    writer_text(w, "/", "model_config", buffer_text(&config), true);
    buffer_done(&config);
}

static void large_groups_are_searched(void **state)
{
    (void)state;
    const keras_writer kinds[] = {{0}, {.newest = true}};
    const int counts[] = {20, 300}; /* one block and one tree node, then several */
    for (size_t i = 0; i < 4; i++) {
        keras_writer w = kinds[i / 2];
        model m = {0};
        write_many(&w, counts[i % 2]);
        finish(&w, &m);
        assert_int_equal(m.graph.weight_count, counts[i % 2]);
        for (int k = 0; k < m.graph.weight_count; k++)
            assert_true(m.graph.weights[k].data[0] == (float)k);
        model_done(&m);
    }
}

/* ---- layers ---- */

static void same_padding_puts_the_odd_row_last(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_open(&w);
    writer_text(
        &w, "/", "model_config",
        SEQUENTIAL(
            LAYER("Conv2D", "c",
                  ",\"batch_input_shape\":[null,6,5,1],\"filters\":2,\"kernel_size\":[3,3],\"strides\":[2,2],"
                  "\"padding\":\"same\",\"activation\":\"relu\",\"use_bias\":false") "," LAYER("MaxPooling2D", "p",
                                                                                               ",\"pool_size\":[2,2],"
                                                                                               "\"padding\":\"same\"")),
        false);
    writer_group(&w, "model_weights/c");
    writer_list(&w, "model_weights/c", "weight_names", "c/kernel:0");
    ARRAY(&w, "model_weights/c/c/kernel:0", numbers(18), 3, 3, 1, 2);
    finish(&w, &m);
    const nn_node *c = named(&m, "c"), *p = named(&m, "p");
    assert_true(c->pad_top == 0 && c->pad_bottom == 1 && c->pad_left == 1 && c->pad_right == 1);
    assert_true(c->shape.dim[2] == 3 && c->shape.dim[3] == 3);
    assert_true(p->pad_top == 0 && p->pad_bottom == 1 && p->stride_h == 2 && p->shape.dim[2] == 2);
    assert_int_equal(named(&m, "c/activation")->op, NN_RELU);
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < 9; i++)
            assert_true(weight(&m, "c.weight")[o * 9 + i] == numbers(18)[i * 2 + o]);
    assert_true(m.info.input.width == 5 && m.info.input.height == 6 && m.info.input.channels == 1);
    model_done(&m);
}

static void separable_convolutions_are_two(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(&w,
                 SEQUENTIAL(LAYER("InputLayer", "i", ",\"batch_input_shape\":[null,4,4,2]") "," LAYER(
                     "SeparableConv2D", "s", ",\"depth_multiplier\":2,\"padding\":\"same\",\"activation\":\"linear\"")),
                 "s", "s/depthwise_kernel:0 s/pointwise_kernel:0 s/bias:0");
    ARRAY(&w, "model_weights/s/s/depthwise_kernel:0", numbers(36), 3, 3, 2, 2);
    ARRAY(&w, "model_weights/s/s/pointwise_kernel:0", numbers(12), 1, 1, 4, 3);
    ARRAY(&w, "model_weights/s/s/bias:0", numbers(3), 3);
    finish(&w, &m);
    const nn_node *depth = named(&m, "s/depthwise"), *point = named(&m, "s");
    assert_true(depth->groups == 2 && depth->shape.dim[1] == 4 && depth->weights[1] < 0);
    assert_true(point->groups == 1 && point->shape.dim[1] == 3 && point->weights[1] >= 0);
    /* channel i, copy k of the file is channel 2·i+k of the graph */
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            for (int p = 0; p < 9; p++)
                assert_true(weight(&m, "s.weight")[(i * 2 + k) * 9 + p] == numbers(36)[(p * 2 + i) * 2 + k]);
    model_done(&m);
}

static void normalisation_may_lack_scale_and_centre(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(
        &w,
        SEQUENTIAL(LAYER("BatchNormalization", "b",
                         ",\"batch_input_shape\":[null,2,2,3],\"axis\":[3],\"epsilon\":0.01,\"scale\":false,"
                         "\"center\":false") "," LAYER("LeakyReLU", "l",
                                                       ",\"alpha\":0.25") "," LAYER("ReLU", "r", ",\"max_value\":6.0")),
        "b", "b/moving_mean:0 b/moving_variance:0");
    ARRAY(&w, "model_weights/b/b/moving_mean:0", ((const float[]){1, 2, 3}), 3);
    ARRAY(&w, "model_weights/b/b/moving_variance:0", ((const float[]){4, 5, 6}), 3);
    finish(&w, &m);
    const nn_node *b = named(&m, "b");
    assert_true(b->epsilon == 0.01f && weight(&m, "b.weight")[2] == 1 && weight(&m, "b.bias")[2] == 0);
    assert_true(weight(&m, "b.running_mean")[1] == 2 && weight(&m, "b.running_var")[1] == 5);
    assert_true(named(&m, "l")->alpha == 0.25f && named(&m, "r")->op == NN_CLIP && named(&m, "r")->beta == 6);
    model_done(&m);
}

/* ---- functional models ---- */

#define TENSOR3(name) "{\"class_name\":\"__keras_tensor__\",\"config\":{\"keras_history\":[\"" name "\",0,0]}}"
#define NODE3(type, name, more, args)                                                                                  \
    "{\"module\":\"keras.layers\",\"class_name\":\"" type "\",\"config\":{\"name\":\"" name                            \
    "\",\"dtype\":{\"class_name\":\"DTypePolicy\"}" more "},\"name\":\"" name "\",\"inbound_nodes\":[" args "]}"
#define ARGS3(inside) "{\"args\":[" inside "],\"kwargs\":{}}"

/* A squeeze-and-excitation of Keras 3, with operators that preprocessing leaves. */
static const char functional_config[] =
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"f\",\"layers\":[" NODE3("InputLayer", "i", ",\"batch_shape\":[null,3,3,2]", "") "," NODE3(
        "TrueDivide", "div", "",
        ARGS3(TENSOR3(
            "i") ",2.0")) "," NODE3("GlobalAveragePooling2D", "gap", "",
                                    ARGS3(TENSOR3(
                                        "div"))) "," NODE3("Reshape", "r", ",\"target_shape\":[1,1,2]",
                                                           ARGS3(TENSOR3(
                                                               "gap"))) "," NODE3("Activation", "gate",
                                                                                  ",\"activation\":\"hard_sigmoid\"",
                                                                                  ARGS3(TENSOR3(
                                                                                      "r"))) "," NODE3("Multiply",
                                                                                                       "mul", "",
                                                                                                       ARGS3("[" TENSOR3("gate") "," TENSOR3(
                                                                                                           "div") "]")) "," NODE3("Concatenate",
                                                                                                                                  "cat",
                                                                                                                                  ",\"axis\":-1",
                                                                                                                                  ARGS3("[" TENSOR3("mul") "," TENSOR3(
                                                                                                                                      "i") "]")) "," NODE3("GlobalMaxPooling2D",
                                                                                                                                                           "top",
                                                                                                                                                           "",
                                                                                                                                                           ARGS3(TENSOR3(
                                                                                                                                                               "cat"))) "],\"input_layers\":[\"i\",0,0],\"output_layers\":[\"top\",0,0]}}";

static void keras_3_functional_models_are_read(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_open(&w);
    writer_text(&w, "/", "model_config", functional_config, true);
    writer_group(&w, "model_weights");
    finish(&w, &m);
    float picture[18], answer[4], mean[2] = {0}, most[2] = {-9, -9};
    for (int i = 0; i < 18; i++) {
        picture[i] = (float)((i * 7) % 18) / 9.0f - 0.5f;
        mean[i / 9] += picture[i] / 2 / 9;
        most[i / 9] = fmaxf(most[i / 9], picture[i]);
    }
    run(&m, picture, answer, 4);
    for (int c = 0; c < 2; c++) {
        float gate = mean[c] / 6 + 0.5f; /* as Keras 3 has it */
        assert_true(fabsf(answer[c] - most[c] / 2 * gate) < 1e-5f);
        assert_true(fabsf(answer[2 + c] - most[c]) < 1e-6f);
    }
    assert_true(m.info.input.scale == 1); /* the model divides by itself */
    model_done(&m);
}

#define NODE2(type, name, more, inbound)                                                                               \
    "{\"class_name\":\"" type "\",\"name\":\"" name "\",\"config\":{\"name\":\"" name "\"" more                        \
    "},\"inbound_nodes\":[" inbound "]}"

/* A layer that is applied twice, in the list before what feeds it. */
static const char shared_config[] = "{\"class_name\":\"Model\",\"config\":{\"name\":\"f\",\"layers\":[" NODE2(
    "Add", "a", "",
    "[[\"d\",0,0,{}],[\"d\",1,0,{}]]") "," NODE2("Dense", "d",
                                                 ",\"units\":2,\"use_bias\":false,\"activation\":\"linear\"",
                                                 "[[\"i\",0,0,{}]],[[\"d\",0,0,{}]]") "," NODE2("InputLayer", "i",
                                                                                                ",\"batch_input_"
                                                                                                "shape\":[null,2]",
                                                                                                "") "],\"input_"
                                                                                                    "layers\":[[\"i\","
                                                                                                    "0,0]],\"output_"
                                                                                                    "layers\":[[\"a\","
                                                                                                    "0,0]]}}";

static void shared_layers_share_their_weights(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(&w, shared_config, "d", "d/kernel:0");
    ARRAY(&w, "model_weights/d/d/kernel:0", ((const float[]){1, 2, 3, 4}), 2, 2);
    finish(&w, &m);
    assert_int_equal(m.graph.weight_count, 1);
    float answer[2];
    run(&m, (const float[]){1, 1}, answer, 2); /* xW = (4, 6); xWW = (4 + 18, 8 + 24) */
    assert_true(answer[0] == 26 && answer[1] == 38);
    model_done(&m);
}

#define NESTED_BASE                                                                                                    \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"base\",\"layers\":[" NODE2(                                 \
        "InputLayer", "bi", ",\"batch_input_shape\":[null,2,2,1]",                                                     \
        "") "," NODE2("Conv2D", "k", ",\"kernel_size\":[1,1],\"use_bias\":false",                                      \
                      "[[\"bi\",0,0,{}]]") "],\"input_layers\":[[\"bi\",0,0]],\"output_layers\":[[\"k\",0,0]]}}"

/* Transfer learning: a backbone inside a Sequential, its weights in one group, several layers deep. */
static void models_inside_models_are_read(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(
        &w,
        SEQUENTIAL(NESTED_BASE "," LAYER("GlobalAveragePooling2D", "g", "") "," LAYER("Dense", "k", ",\"units\":1")),
        "base", "other/kernel:0 k_1/kernel:0");
    ARRAY(&w, "model_weights/base/other/kernel:0", numbers(1), 1, 1, 1, 1);
    ARRAY(&w, "model_weights/base/k_1/kernel:0", ((const float[]){5, 7}), 1, 1, 1, 2);
    writer_group(&w, "model_weights/k");
    writer_list(&w, "model_weights/k", "weight_names", "k/kernel:0 k/bias:0");
    ARRAY(&w, "model_weights/k/k/kernel:0", ((const float[]){1, 10}), 2, 1);
    ARRAY(&w, "model_weights/k/k/bias:0", ((const float[]){100}), 1);
    finish(&w, &m);
    float answer[1];
    run(&m, (const float[]){1, 2, 3, 2}, answer, 1);
    assert_true(answer[0] == 2 * (5 + 70) + 100);
    model_done(&m);
}

/* All weights of a model inside a model share a group: "n" has no gamma of its own and must not get that of "n_1". */
static void neighbours_in_a_group_keep_their_weights(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(
        &w,
        SEQUENTIAL("{\"class_name\":\"Sequential\",\"config\":{\"name\":\"inner\",\"layers\":[" LAYER(
            "BatchNormalization", "n",
            ",\"batch_input_shape\":[null,1,1,1],\"scale\":false,\"center\":false") "," LAYER("BatchNormalization",
                                                                                              "n_1", "") "]}}"),
        "inner", "n/moving_mean:0 n/moving_variance:0 n_1/gamma:0 n_1/beta:0 n_1/moving_mean:0 n_1/moving_variance:0");
    static const char *const names[] = {"n/moving_mean", "n/moving_variance", "n_1/gamma",
                                        "n_1/beta",      "n_1/moving_mean",   "n_1/moving_variance"};
    static const float values[] = {1, 4, 5, 6, 2, 9};
    for (int i = 0; i < 6; i++) {
        char path[80];
        snprintf(path, sizeof path, "model_weights/inner/%s:0", names[i]);
        ARRAY(&w, path, &values[i], 1);
    }
    finish(&w, &m);
    assert_true(weight(&m, "inner/n.weight")[0] == 1 && weight(&m, "inner/n.bias")[0] == 0);
    assert_true(weight(&m, "inner/n_1.weight")[0] == 5 && weight(&m, "inner/n_1.bias")[0] == 6);
    model_done(&m);
}

/* Layers that the graph has no operator for, each of a picture of 2 x 1 pixels and 2 channels. */
static void layers_are_composed_of_operators(void **state)
{
    (void)state;
    static const struct {
        const char *layers; /* behind the input "i" */
        float answer[4];    /* [C,H,W] */
    } cases[] = {
        {NODE2("Permute", "y", ",\"dims\":[3,2,1]", "[[\"i\",0,0,{}]]"), {-1, 3, 2, -4}},
        {NODE2("ReLU", "r", "", "[[\"i\",0,0,{}]]") "," NODE2("Average", "y", "", "[[\"i\",0,0,{}],[\"r\",0,0,{}]]"),
         {-0.5f, 2, 3, -2}},
        {NODE2("ReLU", "r", "", "[[\"i\",0,0,{}]]") "," NODE2("Maximum", "y", "", "[[\"i\",0,0,{}],[\"r\",0,0,{}]]"),
         {0, 2, 3, 0}},
        {NODE2("ReLU", "r", "", "[[\"i\",0,0,{}]]") "," NODE2("Minimum", "y", "", "[[\"i\",0,0,{}],[\"r\",0,0,{}]]"),
         {-1, 2, 3, -4}},
        {NODE2("GlobalMaxPooling2D", "g", "", "[[\"i\",0,0,{}]]") "," NODE2("Multiply", "y", "",
                                                                            "[[\"i\",0,0,{}],[\"g\",0,0,{}]]"),
         {-2, 4, 9, -12}},
        {NODE2("Activation", "y", ",\"activation\":\"softsign\"", "[[\"i\",0,0,{}]]"), {-0.5f, 2 / 3.0f, 0.75f, -0.8f}},
        {NODE2("Activation", "y", ",\"activation\":\"gelu\"", "[[\"i\",0,0,{}]]"),
         {-0.158655f, 1.954500f, 2.995950f, -0.000127f}},
        {NODE2("TFOpLambda", "y", ",\"function\":\"nn.gelu\"", "[[\"i\",0,0,{\"approximate\":true}]]"),
         {-0.158808f, 1.954598f, 2.996363f, -0.000070f}},
        {NODE2("Gelu", "y", ",\"approximate\":false", "[[\"i\",0,0,{}]]"),
         {-0.158655f, 1.954500f, 2.995950f, -0.000127f}},
        /* spatial attention as Keras 2 and 3 have it: a number for each pixel, on either side */
        {NODE2("TFOpLambda", "m", ",\"function\":\"math.reduce_mean\"",
               "[[\"i\",0,0,{\"axis\":-1,\"keepdims\":true}]]") "," NODE2("Multiply", "y", "",
                                                                          "[[\"i\",0,0,{}],[\"m\",0,0,{}]]"),
         {-1, -2, 3, 4}},
        {NODE2("Max", "m", ",\"axis\":[3],\"keepdims\":true",
               "[[\"i\",0,0,{}]]") "," NODE2("Add", "y", "", "[[\"m\",0,0,{}],[\"i\",0,0,{}]]"),
         {2, 4, 6, -2}},
        {NODE2("Mean", "m", ",\"axis\":[1,2],\"keepdims\":false",
               "[[\"i\",0,0,{}]]") "," NODE2("Multiply", "y", "", "[[\"m\",0,0,{}],[\"i\",0,0,{}]]"),
         {-0.5f, 1, -1.5f, 2}},
        {NODE2("LayerNormalization", "y", ",\"epsilon\":1e-6,\"scale\":false,\"center\":false", "[[\"i\",0,0,{}]]"),
         {-1, 1, 1, -1}},
        {NODE2("GroupNormalization", "y", ",\"groups\":-1,\"epsilon\":1e-6,\"scale\":false,\"center\":false",
               "[[\"i\",0,0,{}]]"),
         {-1, 1, 1, -1}},
        {NODE2("Activation", "y", ",\"activation\":\"softplus\"", "[[\"i\",0,0,{}]]"),
         {0.313262f, 2.126928f, 3.048587f, 0.018150f}},
        {NODE2("Activation", "y", ",\"activation\":\"mish\"", "[[\"i\",0,0,{}]]"),
         {-0.303401f, 1.943959f, 2.986535f, -0.072592f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        keras_writer w = {0};
        model m = {0};
        buffer config = {0};
        float answer[4];
        buffer_append_format(&config,
                             "{\"class_name\":\"Functional\",\"config\":{\"name\":\"f\",\"layers\":[%s,%s],"
                             "\"output_layers\":[[\"y\",0,0]]}}",
                             NODE2("InputLayer", "i", ",\"batch_input_shape\":[null,2,1,2]", ""), cases[i].layers);
        writer_open(&w);
        writer_text(&w, "/", "model_config", buffer_text(&config), true);
        writer_group(&w, "model_weights");
        finish(&w, &m);
        run(&m, (const float[]){-1, 2, 3, -4}, answer, 4);
        for (int k = 0; k < 4; k++)
            if (fabsf(answer[k] - cases[i].answer[k]) > 1e-4f)
                fail_msg("case %zu: number %d is %g", i, k, (double)answer[k]);
        buffer_done(&config);
        model_done(&m);
    }
}

/* How large the result is: of two pixels with a kernel of three and a stride of two, and of one of one. */
static void transposed_convolutions_have_keras_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        int64_t kernel;
        int count;
        float answer[6];
    } cases[] = {
        {"", 3, 5, {1, 2, 3 + 2, 4, 6}},
        {",\"padding\":\"same\"", 3, 4, {1, 2, 3 + 2, 4}},
        {",\"padding\":\"same\",\"output_padding\":[0,1]", 3, 4, {1, 2, 3 + 2, 4}},
        {",\"padding\":\"valid\",\"output_padding\":[0,1]", 3, 6, {1, 2, 3 + 2, 4, 6, 0}},
        {",\"padding\":\"same\"", 1, 4, {1, 0, 2, 0}},
        {",\"padding\":\"valid\"", 1, 4, {1, 0, 2, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        keras_writer w = {0};
        model m = {0};
        buffer config = {0};
        float answer[12];
        buffer_append_format(&config,
                             SEQUENTIAL(LAYER("Conv2DTranspose", "t",
                                              ",\"batch_input_shape\":[null,1,2,1],\"use_bias\":false,"
                                              "\"strides\":[1,2]%s")),
                             cases[i].more);
        writer_begin(&w, buffer_text(&config), "t", "t/kernel:0");
        /* [1, w, 2, 1]: the second output channel is the first one's negative */
        static const float kernel[] = {1, -1, 2, -2, 3, -3};
        hsize_t dims[] = {1, (hsize_t)cases[i].kernel, 2, 1};
        writer_array(&w, "model_weights/t/t/kernel:0", 4, dims, kernel);
        finish(&w, &m);
        run(&m, (const float[]){1, 2}, answer, 2 * (size_t)cases[i].count);
        for (int k = 0; k < cases[i].count; k++)
            if (answer[k] != cases[i].answer[k] || answer[cases[i].count + k] != -cases[i].answer[k])
                fail_msg("case %zu: number %d is %g", i, k, (double)answer[k]);
        buffer_done(&config);
        model_done(&m);
    }
}

/* A ConvNeXt block as keras.applications writes it. */
static void normalisation_over_channels_has_weights(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(
        &w,
        SEQUENTIAL(LAYER(
            "LayerNormalization", "n",
            ",\"batch_input_shape\":[null,1,2,2],\"axis\":[3],\"epsilon\":1e-06") "," LAYER("LayerScale", "s",
                                                                                            "") "," LAYER("StochasticDe"
                                                                                                          "pth",
                                                                                                          "d", "")),
        "n", "n/gamma:0 n/beta:0");
    writer_group(&w, "model_weights/s");
    writer_list(&w, "model_weights/s", "weight_names", "s/gamma:0");
    ARRAY(&w, "model_weights/n/n/gamma:0", ((const float[]){1, 2}), 2);
    ARRAY(&w, "model_weights/n/n/beta:0", ((const float[]){0.5f, 0}), 2);
    ARRAY(&w, "model_weights/s/s/gamma:0", ((const float[]){10, 100}), 2);
    finish(&w, &m);
    assert_true(named(&m, "n")->op == NN_LAYER_NORM && named(&m, "n")->axis == 1);
    float answer[4];
    run(&m, (const float[]){1, 3, 5, -1}, answer, 4); /* pixels (1, 5) and (3, -1) */
    static const float expected[] = {-5, 15, 200, -200};
    for (int i = 0; i < 4; i++)
        assert_float_equal(answer[i], expected[i], 1e-3f);
    model_done(&m);
}

/* Keras's own default: a slope for each place, in its own order. */
static void slopes_of_each_place(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(&w, SEQUENTIAL(LAYER("PReLU", "p", ",\"batch_input_shape\":[null,2,1,2],\"shared_axes\":null")), "p",
                 "p/alpha:0");
    ARRAY(&w, "model_weights/p/p/alpha:0", ((const float[]){0.1f, 0.2f, 0.3f, 0.4f}), 2, 1, 2);
    finish(&w, &m);
    float answer[4];
    run(&m, (const float[]){-1, -2, 3, -4}, answer, 4); /* channel 0 above and below, then channel 1 */
    assert_true(fabsf(answer[0] + 0.1f) < 1e-6f && fabsf(answer[1] + 0.6f) < 1e-6f && answer[2] == 3 &&
                fabsf(answer[3] + 1.6f) < 1e-6f);
    model_done(&m);
}

static void keras_1_names_are_understood(void **state)
{
    (void)state;
    keras_writer w = {0};
    model m = {0};
    writer_begin(
        &w,
        "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
            "Convolution2D", "c",
            ",\"batch_input_shape\":[null,3,3,1],\"border_mode\":\"valid\",\"subsample\":[1,1],\"dim_ordering\":\"tf\","
            "\"activation\":\"relu\",\"bias\":true") "]}",
        "c", "c_W c_b");
    ARRAY(&w, "model_weights/c/c_W", numbers(9), 3, 3, 1, 1);
    ARRAY(&w, "model_weights/c/c_b", numbers(1), 1);
    finish(&w, &m);
    assert_true(weight(&m, "c.weight")[4] == numbers(9)[4] && weight(&m, "c.bias")[0] == numbers(1)[0]);
    model_done(&m);
}

/* ---- refusals ---- */

static void refuse_config(const char *config, mien_status code, const char *says)
{
    keras_writer w = {0};
    writer_open(&w);
    writer_text(&w, "/", "model_config", config, true);
    writer_group(&w, "model_weights");
    assert_refused(&w, code, says);
}

static void faults_of_the_description_are_named(void **state)
{
    (void)state;
    refuse_config(SEQUENTIAL(LAYER("LSTM", "memory", ",\"batch_input_shape\":[null,4]")), MIEN_EUNSUPPORTED,
                  "layer \"memory\" (LSTM)");
    refuse_config(SEQUENTIAL(LAYER("Dense", "d", ",\"batch_input_shape\":[null,4]")), MIEN_EFORMAT, "no kernel");
    refuse_config(SEQUENTIAL(LAYER("Flatten", "d", "")), MIEN_EUNSUPPORTED, "size of the input");
    refuse_config(
        "{\"class_name\":\"Model\",\"config\":{\"layers\":[" NODE2("ReLU", "a", "", "[[\"b\",0,0,{}]]") "," NODE2(
            "ReLU", "b", "", "[[\"a\",0,0,{}]]") "],\"output_layers\":[[\"a\",0,0]]}}",
        MIEN_EFORMAT, "cycle");
    refuse_config("{\"class_name\":\"Sequential\"", MIEN_EFORMAT, "not JSON");
    refuse_config("{\"class_name\":\"Subclass\",\"config\":{}}", MIEN_EUNSUPPORTED, "Subclass");
    refuse_config("{\"class_name\":\"Sequential\",\"config\":{\"layers\":[]}}", MIEN_EFORMAT, "no layers");
    refuse_config(SEQUENTIAL(LAYER("ReLU", "a", ",\"batch_input_shape\":[null,2000000000,2000000000,3]")), MIEN_ELIMIT,
                  "elements");
    refuse_config(SEQUENTIAL(LAYER("ReLU", "a", ",\"batch_input_shape\":[null,-4]")), MIEN_EFORMAT, "dimension");
}

/* Each model holds the next: deeper than any real one. */
static void endless_nesting_is_refused(void **state)
{
    (void)state;
    buffer config = {0};
    for (int i = 0; i < 40; i++)
        buffer_append_text(&config, "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[");
    for (int i = 0; i < 40; i++)
        buffer_append_text(&config, "]}}");
    refuse_config(buffer_text(&config), MIEN_ELIMIT, "nested");
    buffer_done(&config);
}

static void weights_cannot_come_from_elsewhere(void **state)
{
    (void)state;
    keras_writer w = {.external = true};
    write_flatten(&w, flatten_config);
    assert_refused(&w, MIEN_EFORMAT, "d/kernel:0");

    w = (keras_writer){0};
    writer_begin(&w, flatten_config, "d", "d/kernel:0");
    writer_group(&w, "model_weights/d/d");
    hid_t group = H5Gopen2(w.file, "model_weights/d/d", H5P_DEFAULT);
    assert_true(H5Lcreate_external("/etc/secret.h5", "/x", group, "kernel:0", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Gclose(group);
    assert_refused(&w, MIEN_EFORMAT, "kernel:0");

    w = (keras_writer){.chunk = 3, .checksum = true};
    write_flatten(&w, flatten_config);
    assert_refused(&w, MIEN_EUNSUPPORTED, "filter 3");

    w = (keras_writer){0};
    writer_open(&w);
    assert_refused(&w, MIEN_EUNSUPPORTED, "model_config");
}

static void arrays_of_the_wrong_shape_are_refused(void **state)
{
    (void)state;
    keras_writer w = {0};
    writer_begin(&w, flatten_config, "d", "d/kernel:0");
    ARRAY(&w, "model_weights/d/d/kernel:0", numbers(20), 10, 2);
    assert_refused(&w, MIEN_EFORMAT, "kernel");

    w = (keras_writer){.type = H5T_STD_I32LE};
    write_flatten(&w, flatten_config);
    assert_refused(&w, MIEN_EUNSUPPORTED, "floating");
}

/* ---- damage ---- */

static void try_bytes(const uint8_t *bytes, size_t length)
{
    model m = {0};
    mien_error error = {0};
    uint8_t *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, length);
    if (model_load_bytes(exact, length, NULL, &m, &error))
        assert_true(error.message[0]);
    else
        model_done(&m);
    free(exact);
}

static void damage_never_crashes(void **state)
{
    (void)state;
    const keras_writer kinds[] = {{0}, {.newest = true}, {.chunk = 3, .gzip = true, .shuffle = true}, {.newest = true}};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        keras_writer w = kinds[kind];
        buffer bytes = {0};
        if (kind < 3)
            write_flatten(&w, flatten_config);
        else
            write_many(&w, 12);
        writer_bytes(&w, &bytes);
        for (size_t length = 0; length < bytes.length; length += length < 1024 ? 1 : 13)
            try_bytes(bytes.data, length);
        random_state random;
        random_seed(&random, 5, kind);
        for (size_t at = 0; at < bytes.length; at++) {
            uint8_t was = bytes.data[at];
            bytes.data[at] = at % 3 ? (uint8_t)random_next(&random) : 0xff;
            try_bytes(bytes.data, bytes.length);
            bytes.data[at] = was;
        }
        buffer_done(&bytes);
    }
}

/* ---- beside the file, and the real one ---- */

static void side_file_gives_labels_and_scaling(void **state)
{
    (void)state;
    keras_writer w = {0};
    buffer bytes = {0};
    model m = {0};
    mien_error error = {0};
    write_flatten(&w, flatten_config);
    writer_bytes(&w, &bytes);
    testing_put("model.h5", bytes.data, bytes.length);
    static const char good[] =
        "{\"labels\":[\"calm\",\"cross\"],\"input\":{\"scale\":1,\"mean\":[127.5,2]},\"crop.square\":false}";
    testing_put_text("model.h5.json", good);
    assert_ok(model_load(testing_path("model.h5"), NULL, &m, &error), &error);
    assert_int_equal(error.code, MIEN_OK);
    assert_int_equal(m.info.label_count, 2);
    assert_string_equal(m.info.labels[1], "cross");
    assert_true(m.info.input.scale == 1 && m.info.input.mean[0] == 127.5f && m.info.input.mean[1] == 2);
    assert_false(m.info.crop.square);
    model_done(&m);
    m = (model){0};
    testing_put_text("model.h5.json", "[1,2]");
    assert_int_equal(model_load(testing_path("model.h5"), NULL, &m, &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "model.h5.json"));
    buffer_done(&bytes);
}

static void mini_xception_loads(void **state)
{
    (void)state;
    char path[4096];
    model m = {0};
    mien_error error = {0};
    testing_shared_file("models/fer2013_mini_XCEPTION.102-0.66.hdf5", path, sizeof path);
    assert_ok(model_load(path, NULL, &m, &error), &error);
    const nn_node *output = &m.graph.nodes[m.graph.outputs[0]];
    assert_true(output->op == NN_SOFTMAX && output->shape.dim[1] == 7);
    assert_true(m.info.input.width == 64 && m.info.input.height == 64 && m.info.input.channels == 1);
    assert_int_equal(nn_graph_parameters(&m.graph), 56951); /* trainable, as its authors count them */
    model_done(&m);
}

int main(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flattened_pictures_keep_their_meaning),
        cmocka_unit_test(every_storage_reads_the_same),
        cmocka_unit_test(long_descriptions_and_lists_are_read),
        cmocka_unit_test(large_groups_are_searched),
        cmocka_unit_test(same_padding_puts_the_odd_row_last),
        cmocka_unit_test(separable_convolutions_are_two),
        cmocka_unit_test(normalisation_may_lack_scale_and_centre),
        cmocka_unit_test(keras_3_functional_models_are_read),
        cmocka_unit_test(shared_layers_share_their_weights),
        cmocka_unit_test(models_inside_models_are_read),
        cmocka_unit_test(neighbours_in_a_group_keep_their_weights),
        cmocka_unit_test(layers_are_composed_of_operators),
        cmocka_unit_test(transposed_convolutions_have_keras_sizes),
        cmocka_unit_test(normalisation_over_channels_has_weights),
        cmocka_unit_test(slopes_of_each_place),
        cmocka_unit_test(keras_1_names_are_understood),
        cmocka_unit_test(faults_of_the_description_are_named),
        cmocka_unit_test(endless_nesting_is_refused),
        cmocka_unit_test(weights_cannot_come_from_elsewhere),
        cmocka_unit_test(arrays_of_the_wrong_shape_are_refused),
        cmocka_unit_test(damage_never_crashes),
        unit_test_in_folder(side_file_gives_labels_and_scaling),
        cmocka_unit_test(mini_xception_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
