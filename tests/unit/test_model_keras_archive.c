/* Guards Keras 3's .keras archives: the model is the one that the same weights make in an .h5, whichever way the
 * archive is packed; each class's variables in their order; and that other, damaged or hostile archives are refused
 * with a reason. */
#include "keras_writer.h"
#include "zip_writer.h"

#include "base/random.h"
#include "model/model.h"

#define LAYER(type, name, more) "{\"class_name\":\"" type "\",\"config\":{\"name\":\"" name "\"" more "}}"
#define SEQUENTIAL(name, layers)                                                                                       \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"" name "\",\"layers\":[" layers "]}}"
#define CONV ",\"kernel_size\":[3,3],\"padding\":\"same\""

static const char every_class[] = SEQUENTIAL(
    "all", LAYER("InputLayer", "in", ",\"batch_shape\":[null,8,8,1]") "," LAYER("Normalization", "norm", "") "," LAYER("Conv2D", "first", CONV) "," LAYER("BatchNormalization", "bn", ",\"scale\":false") "," LAYER("PReLU", "slopes", ",\"shared_axes\":[1,2]") "," LAYER(
               "Conv2D", "second",
               CONV
               ",\"use_bias\":false") "," LAYER("DepthwiseConv2D", "depth",
                                                CONV) "," LAYER("SeparableConv2D", "sep",
                                                                CONV) "," SEQUENTIAL("inner",
                                                                                     LAYER("Conv2D", "in_first", CONV) "," LAYER(
                                                                                         "BatchNormalization",
                                                                                         "in_bn",
                                                                                         "")) "," LAYER("GlobalAverageP"
                                                                                                        "ooling2D",
                                                                                                        "pool",
                                                                                                        "") "," LAYER("Dense",
                                                                                                                      "hidden",
                                                                                                                      "") "," LAYER("Dense",
                                                                                                                                    "answer",
                                                                                                                                    ",\"activation\":\"softmax\""));

/* An array, as .h5 names it and as an archive places it. */
static const struct array {
    const char *group, *name, *place;
    int rank;
    hsize_t dim[4];
} arrays[] = {
    {"norm", "norm/mean:0", "normalization/vars/0", 1, {1}},
    {"norm", "norm/variance:0", "normalization/vars/1", 1, {1}},
    {"first", "first/kernel:0", "conv2d/vars/0", 4, {3, 3, 1, 2}},
    {"first", "first/bias:0", "conv2d/vars/1", 1, {2}},
    {"bn", "bn/beta:0", "batch_normalization/vars/0", 1, {2}},
    {"bn", "bn/moving_mean:0", "batch_normalization/vars/1", 1, {2}},
    {"bn", "bn/moving_variance:0", "batch_normalization/vars/2", 1, {2}},
    {"slopes", "slopes/alpha:0", "p_re_lu/vars/0", 3, {1, 1, 2}},
    {"second", "second/kernel:0", "conv2d_1/vars/0", 4, {3, 3, 2, 3}},
    {"depth", "depth/depthwise_kernel:0", "depthwise_conv2d/vars/0", 4, {3, 3, 3, 1}},
    {"depth", "depth/bias:0", "depthwise_conv2d/vars/1", 1, {3}},
    {"sep", "sep/depthwise_kernel:0", "separable_conv2d/vars/0", 4, {3, 3, 3, 1}},
    {"sep", "sep/pointwise_kernel:0", "separable_conv2d/vars/1", 4, {1, 1, 3, 2}},
    {"sep", "sep/bias:0", "separable_conv2d/vars/2", 1, {2}},
    {"inner", "in_first/kernel:0", "sequential/layers/conv2d/vars/0", 4, {3, 3, 2, 2}},
    {"inner", "in_first/bias:0", "sequential/layers/conv2d/vars/1", 1, {2}},
    {"inner", "in_bn/gamma:0", "sequential/layers/batch_normalization/vars/0", 1, {2}},
    {"inner", "in_bn/beta:0", "sequential/layers/batch_normalization/vars/1", 1, {2}},
    {"inner", "in_bn/moving_mean:0", "sequential/layers/batch_normalization/vars/2", 1, {2}},
    {"inner", "in_bn/moving_variance:0", "sequential/layers/batch_normalization/vars/3", 1, {2}},
    {"hidden", "hidden/kernel:0", "dense/vars/0", 2, {2, 3}},
    {"hidden", "hidden/bias:0", "dense/vars/1", 1, {3}},
    {"answer", "answer/kernel:0", "dense_1/vars/0", 2, {3, 7}},
    {"answer", "answer/bias:0", "dense_1/vars/1", 1, {7}},
};
enum { ARRAYS = sizeof arrays / sizeof *arrays };

/* No two arrays alike, and none negative: they are variances too. */
static const float *numbers(size_t which)
{
    static float values[256];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = 0.1f + (float)which + (float)i / 512;
    return values;
}

static void write_h5(buffer *out)
{
    keras_writer w = {0};
    writer_open(&w);
    writer_text(&w, "/", "model_config", every_class, true);
    for (size_t i = 0, end; i < ARRAYS; i = end) {
        char names[512] = "", path[160];
        for (end = i; end < ARRAYS && !strcmp(arrays[end].group, arrays[i].group); end++) {
            strcat(strcat(names, *names ? " " : ""), arrays[end].name);
            snprintf(path, sizeof path, "model_weights/%s/%s", arrays[i].group, arrays[end].name);
            writer_array(&w, path, arrays[end].rank, arrays[end].dim, numbers(end));
        }
        snprintf(path, sizeof path, "model_weights/%s", arrays[i].group);
        writer_list(&w, path, "weight_names", names);
    }
    writer_bytes(&w, out);
}

static void write_weights(size_t left_out, buffer *out)
{
    keras_writer w = {0};
    writer_open(&w);
    for (size_t i = 0; i < ARRAYS; i++) {
        char path[160];
        snprintf(path, sizeof path, "layers/%s", arrays[i].place);
        if (i != left_out)
            writer_array(&w, path, arrays[i].rank, arrays[i].dim, numbers(i));
    }
    writer_bytes(&w, out);
}

/* The archive of a description, written with that writer. */
static void write_archive(zip_writer *w, const char *config, size_t left_out, buffer *out)
{
    buffer weights = {0};
    write_weights(left_out, &weights);
    zip_add(w, "metadata.json", "{\"keras_version\":\"3.9.2\"}", 25);
    zip_add(w, "config.json", config, strlen(config));
    zip_add(w, "model.weights.h5", weights.data, weights.length);
    zip_bytes(w, out);
    buffer_done(&weights);
}

static void load(const buffer *bytes, model *m)
{
    mien_error error = {0};
    assert_ok(model_load_bytes(bytes->data, bytes->length, NULL, m, &error), &error);
}

static void assert_refused(buffer *bytes, mien_status code, const char *says)
{
    model m = {0};
    mien_error error = {0};
    mien_status status = model_load_bytes(bytes->data, bytes->length, NULL, &m, &error);
    if (status != code || !strstr(error.message, says))
        fail_msg("%s: \"%s\" does not say \"%s\"", mien_status_name(status), error.message, says);
    buffer_done(bytes);
}

static void assert_same(const model *a, const model *b)
{
    assert_int_equal(a->graph.node_count, b->graph.node_count);
    assert_int_equal(a->graph.weight_count, b->graph.weight_count);
    for (int i = 0; i < a->graph.weight_count; i++) {
        const nn_weight *left = &a->graph.weights[i], *right = &b->graph.weights[i];
        assert_string_equal(left->name, right->name);
        assert_int_equal(left->count, right->count);
        assert_memory_equal(left->data, right->data, left->count * sizeof *left->data);
    }
}

static void an_archive_is_the_model_of_its_h5(void **state)
{
    (void)state;
    buffer h5 = {0};
    model expected = {0};
    write_h5(&h5);
    load(&h5, &expected);
    zip_writer ways[] = {{0}, {.pack = true}, {.comment = "PK\5\6 is no end here, nor is this comment's length that"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        buffer bytes = {0};
        model m = {0};
        write_archive(&ways[i], every_class, ARRAYS, &bytes);
        load(&bytes, &m);
        assert_same(&m, &expected);
        assert_string_equal(m.info.name, "all");
        model_done(&m);
        buffer_done(&bytes);
    }
    model_done(&expected);
    buffer_done(&h5);
}

/* A Normalization that was made with its numbers has no variables. */
static void given_statistics_need_no_variables(void **state)
{
    (void)state;
    static const char config[] = SEQUENTIAL("s", LAYER("InputLayer", "in", ",\"batch_shape\":[null,2,2,1]") "," LAYER(
                                                     "Normalization", "norm", ",\"mean\":[2.0],\"variance\":[4.0]"));
    zip_writer w = {0};
    buffer bytes = {0};
    model m = {0};
    write_archive(&w, config, 0, &bytes);
    load(&bytes, &m);
    assert_true(m.graph.weights[0].data[0] == 0.5f && m.graph.weights[1].data[0] == -1);
    model_done(&m);
    buffer_done(&bytes);
}

static void missing_weights_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAYS; i++) {
        zip_writer w = {0};
        buffer bytes = {0};
        write_archive(&w, every_class, i, &bytes);
        assert_refused(&bytes, MIEN_EFORMAT, arrays[i].place);
    }
}

static void other_archives_are_refused(void **state)
{
    (void)state;
    static const char empty[] = "{}";
    static const struct {
        zip_writer writer;
        const char *first, *says;
        mien_status code;
    } cases[] = {
        {{0}, "word/document.xml", "without config.json", MIEN_EUNSUPPORTED},
        {{0}, "config.json", "without model.weights.h5", MIEN_EUNSUPPORTED},
        {{.flags = 1}, "config.json", "encrypted", MIEN_EUNSUPPORTED},
        {{.method = 12}, "config.json", "method 12", MIEN_EUNSUPPORTED},
        {{.wrong = 1}, "config.json", "checksum", MIEN_EFORMAT},
        {{.longer = 1}, "config.json", "do not unpack", MIEN_EFORMAT},
        {{.longer = 1, .pack = true}, "config.json", "broken", MIEN_EFORMAT},
        {{.longer = -1, .pack = true}, "config.json", "broken", MIEN_EFORMAT},
        {{.longer = 60 << 20, .pack = true}, "config.json", "do not unpack", MIEN_EFORMAT},
        {{.longer = 65 << 20, .pack = true}, "config.json", "the limit is", MIEN_ELIMIT},
        {{.longer = -3}, "config.json", "zip64", MIEN_EUNSUPPORTED}, /* 2 - 3 is the mark of it */
        {{.lost = 1}, "other", "directory is broken", MIEN_EFORMAT},
        {{.disks = 1}, "config.json", "several disks", MIEN_EUNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zip_writer w = cases[i].writer;
        buffer bytes = {0};
        zip_add(&w, cases[i].first, empty, 2);
        zip_bytes(&w, &bytes);
        assert_refused(&bytes, cases[i].code, cases[i].says);
    }
    buffer cut = {0};
    zip_writer w = {0};
    write_archive(&w, every_class, ARRAYS, &cut);
    cut.length -= 5;
    assert_refused(&cut, MIEN_EFORMAT, "end is missing");
}

/* Nested deeper than models may be, and classes that are no names. */
static void hostile_descriptions_are_refused(void **state)
{
    (void)state;
    buffer deep = {0}, bytes = {0};
    for (int i = 0; i < 100; i++)
        buffer_append_text(&deep, "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[");
    for (int i = 0; i < 100; i++)
        buffer_append_text(&deep, "]}}");
    zip_writer w = {0};
    write_archive(&w, buffer_text(&deep), 0, &bytes);
    assert_refused(&bytes, MIEN_ELIMIT, "nested");
    w = (zip_writer){0};
    write_archive(&w, SEQUENTIAL("s", "{\"config\":{}}"), 0, &bytes);
    assert_refused(&bytes, MIEN_EFORMAT, "without a type");
    w = (zip_writer){0};
    write_archive(&w, "[", 0, &bytes);
    assert_refused(&bytes, MIEN_EFORMAT, "not JSON");
    buffer_done(&deep);
}

static void try_bytes(const uint8_t *bytes, size_t length)
{
    /* a copy of exactly that size, so that a read beyond it is seen */
    uint8_t *copy = malloc(length ? length : 1);
    model m = {0};
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    if (!model_load_bytes(copy, length, NULL, &m, NULL))
        model_done(&m);
    free(copy);
}

static void damage_never_crashes(void **state)
{
    (void)state;
    for (int pack = 0; pack < 2; pack++) {
        zip_writer w = {.pack = pack};
        buffer bytes = {0};
        random_state random;
        random_seed(&random, 11, (uint64_t)pack);
        write_archive(&w, every_class, ARRAYS, &bytes);
        for (size_t length = 0; length < bytes.length; length += 97)
            try_bytes(bytes.data, length);
        for (size_t at = 0; at < bytes.length; at += bytes.length - at < 400 ? 1 : 23) {
            uint8_t was = bytes.data[at];
            bytes.data[at] = at % 3 ? (uint8_t)random_next(&random) : 0xff;
            try_bytes(bytes.data, bytes.length);
            bytes.data[at] = was;
        }
        buffer_done(&bytes);
    }
}

int main(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_is_the_model_of_its_h5), cmocka_unit_test(given_statistics_need_no_variables),
        cmocka_unit_test(missing_weights_are_named),         cmocka_unit_test(other_archives_are_refused),
        cmocka_unit_test(hostile_descriptions_are_refused),  cmocka_unit_test(damage_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
