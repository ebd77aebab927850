/* Guards the native model format: every operator survives writing and reading, weights bit for bit; foreign ways of
 * saying the same thing are understood; broken files give a named reason and never a crash. */
#include "every_operator.h"
#include "folder.h"

#include "base/buffer.h"
#include "base/random.h"
#include "model/model.h"
#include "model/onnx_document.h"
#include "nn/plan.h"

#include <math.h>

static void save(const model *m, buffer *out)
{
    mien_error error = {0};
    assert_ok(model_save_onnx_buffer(m, out, &error), &error);
}

static void load(const buffer *bytes, model *m)
{
    mien_error error = {0};
    assert_ok(model_load_bytes(bytes->data, bytes->length, NULL, m, &error), &error);
}

static void assert_same_node(const nn_node *a, const nn_node *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->input_count, b->input_count);
    for (int i = 0; i < a->input_count; i++)
        assert_int_equal(a->inputs[i], b->inputs[i]);
    assert_true(nn_shape_equal(&a->shape, &b->shape));
    const int left[] = {a->groups,     a->kernel_h, a->kernel_w,          a->stride_h,   a->stride_w,  a->dilation_h,
                        a->dilation_w, a->pad_top,  a->pad_left,          a->pad_bottom, a->pad_right, a->axis,
                        a->begin,      a->end,      a->count_include_pad, a->extra_h,    a->extra_w};
    const int right[] = {b->groups,     b->kernel_h, b->kernel_w,          b->stride_h,   b->stride_w,  b->dilation_h,
                         b->dilation_w, b->pad_top,  b->pad_left,          b->pad_bottom, b->pad_right, b->axis,
                         b->begin,      b->end,      b->count_include_pad, b->extra_h,    b->extra_w};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        if (left[i] != right[i])
            fail_msg("%s: field %zu is %d, was %d", a->name, i, right[i], left[i]);
    }
    for (int i = 0; i < NN_MAX_RANK; i++)
        assert_int_equal(a->permutation[i], b->permutation[i]);
    assert_true(a->alpha == b->alpha && a->beta == b->beta && a->epsilon == b->epsilon && a->momentum == b->momentum);
}

static void assert_same_weight(const nn_graph *a, int i, const nn_graph *b, int k)
{
    assert_int_equal(i < 0, k < 0);
    if (i < 0)
        return;
    assert_string_equal(a->weights[i].name, b->weights[k].name);
    assert_int_equal(a->weights[i].flags, b->weights[k].flags);
    assert_true(nn_shape_equal(&a->weights[i].shape, &b->weights[k].shape));
    assert_memory_equal(a->weights[i].data, b->weights[k].data, a->weights[i].count * sizeof(float));
}

static void assert_same_graph(const nn_graph *a, const nn_graph *b)
{
    assert_int_equal(a->node_count, b->node_count);
    for (int i = 0; i < a->node_count; i++) {
        assert_same_node(&a->nodes[i], &b->nodes[i]);
        for (int slot = 0; slot < 4; slot++)
            assert_same_weight(a, a->nodes[i].weights[slot], b, b->nodes[i].weights[slot]);
    }
    assert_int_equal(a->output_count, b->output_count);
    for (int i = 0; i < a->output_count; i++)
        assert_int_equal(a->outputs[i], b->outputs[i]);
}

static void round_trip_keeps_every_operator(void **state)
{
    (void)state;
    model m = {0}, back = {0};
    every_operator_build(&m);
    if (m.graph.failed)
        fail_msg("%s", m.graph.error.message);
    bool seen[NN_OP_COUNT] = {false};
    for (int i = 0; i < m.graph.node_count; i++)
        seen[m.graph.nodes[i].op] = true;
    for (int op = 0; op < NN_OP_COUNT; op++) {
        if (!seen[op])
            fail_msg("%s is not tested", nn_op_name((nn_op)op));
    }
    buffer bytes = {0};
    save(&m, &bytes);
    load(&bytes, &back);
    assert_same_graph(&m.graph, &back.graph);
    assert_true(model_output_is_probability(&back, 0));
    buffer_done(&bytes);
    model_done(&back);
    model_done(&m);
}

static void round_trip_keeps_open_sizes(void **state)
{
    (void)state;
    model m = {0}, back = {0};
    int x = nn_input(&m.graph, "picture", 1, NN_DYNAMIC, NN_DYNAMIC);
    x = nn_conv(&m.graph, "conv", x, 4, 3, 2, 1, 1, true);
    nn_graph_set_output(&m.graph, x);
    model_info_init(&m.info, &m.graph);
    assert_int_equal(m.info.input.width, 0);
    buffer bytes = {0};
    save(&m, &bytes);
    load(&bytes, &back);
    assert_same_graph(&m.graph, &back.graph);
    buffer_done(&bytes);
    model_done(&back);
    model_done(&m);
}

static void small_model(model *m)
{
    int x = nn_input(&m->graph, "x", 1, 4, 4);
    x = nn_conv(&m->graph, "c", x, 2, 3, 1, 1, 1, true);
    x = nn_unary(&m->graph, NN_SWISH, "s", x);
    x = nn_unary(&m->graph, NN_FLATTEN, "f", x);
    x = nn_dense(&m->graph, "d", x, 3, true);
    nn_graph_initialise(&m->graph, 1);
    nn_graph_set_output(&m->graph, x);
    model_info_init(&m->info, &m->graph);
}

static void information_survives(void **state)
{
    (void)state;
    model m = {0}, back = {0};
    mien_error error = {0};
    small_model(&m);
    const char *labels[] = {"angry", "happy", "neutral"};
    assert_ok(model_info_set_labels(&m.info, labels, 3, &error), &error);
    const char *const set[][2] = {{"task", "emotion"},
                                  {"name", "small"},
                                  {"training", "mien train --arch x\nlr=0.1"},
                                  {"input.mean", "0.485,0.456,0.406"},
                                  {"input.std", "0.5"},
                                  {"input.channels", "3"},
                                  {"input.pixels", "bgr"},
                                  {"crop.scale", "1.25"},
                                  {"crop.square", "0"},
                                  {"crop.shift_y", "-0.1"},
                                  {"temperature", "1.37"},
                                  {"uncertain_below", "0.4"},
                                  {"measured.PublicTest.top1", "0.6503"},
                                  {"anything", "kept"}};
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        assert_ok(model_info_set(&m.info, set[i][0], set[i][1], &error), &error);
    buffer bytes = {0};
    save(&m, &bytes);
    load(&bytes, &back);
    const model_info *info = &back.info;
    assert_int_equal(info->task, MODEL_TASK_EMOTION);
    assert_string_equal(info->training, "mien train --arch x\nlr=0.1");
    assert_int_equal(info->label_count, 3);
    assert_string_equal(info->labels[1], "happy");
    assert_int_equal(info->input.pixels, MODEL_PIXELS_BGR);
    assert_true(info->input.mean[2] == 0.406f && info->input.std[2] == 0.5f && info->input.scale == 1.0f / 255);
    assert_true(info->crop.scale == 1.25f && !info->crop.square && info->crop.shift_y == -0.1f);
    assert_true(info->temperature == 1.37f && info->uncertain_below == 0.4f);
    assert_int_equal(info->figure_count, 1);
    assert_string_equal(info->figures[0].name, "PublicTest.top1");
    assert_true(info->figures[0].value == 0.6503);
    assert_string_equal(model_info_property(info, "anything"), "kept");
    buffer_done(&bytes);
    model_done(&back);
    model_done(&m);
}

static void bad_information_is_refused(void **state)
{
    (void)state;
    model_info info;
    model_info_init(&info, NULL);
    const char *const bad[][2] = {{"task", "cats"},       {"temperature", "0"},        {"temperature", "nan"},
                                  {"input.std", "0"},     {"input.width", "-1"},       {"input.width", "4.5"},
                                  {"input.mean", "1,,2"}, {"input.mean", "1,2,3,4,5"}, {"input.scale", "1x"},
                                  {"labels", "a,,b"},     {"measured.top1", "high"},   {"crop.square", "2"},
                                  {"input.pixels", "RGB"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mien_error error = {0};
        if (model_info_set(&info, bad[i][0], bad[i][1], &error) != MIEN_EINVAL)
            fail_msg("%s = %s was accepted", bad[i][0], bad[i][1]);
        assert_true(error.message[0]);
    }
    model_info_done(&info);
}

/* ---- what other programs write, made from the same structures ---- */

typedef struct sketch {
    onnx_document d;
    onnx_node nodes[20];
    onnx_tensor tensors[12];
    onnx_port ports[4];
    const char *names[20][3]; /* of sketch_step */
} sketch;

static void sketch_init(sketch *s, int64_t opset, int rank, const int64_t *dim)
{
    *s = (sketch){.d = {.opset = opset, .name = "sketch", .description = ""}};
    s->d.nodes = s->nodes;
    s->d.tensors = s->tensors;
    s->d.inputs = s->ports;
    s->d.outputs = s->ports + 1;
    s->d.input_count = s->d.output_count = 1;
    s->ports[0] = (onnx_port){.name = "x", .type = ONNX_FLOAT, .rank = rank};
    memcpy(s->ports[0].dim, dim, (size_t)rank * sizeof *dim);
    s->ports[1] = (onnx_port){.name = "y", .type = ONNX_FLOAT, .rank = 0};
}

static onnx_node *sketch_node(sketch *s, const char *op, size_t count, const char **inputs, const char **output)
{
    onnx_node *n = &s->nodes[s->d.node_count++];
    *n = (onnx_node){.name = "",
                     .op = op,
                     .domain = "",
                     .inputs = inputs,
                     .input_count = count,
                     .outputs = output,
                     .output_count = 1};
    return n;
}

/* A node of one or two inputs (b NULL: one). */
static void sketch_step(sketch *s, const char *op, const char *a, const char *b, const char *output)
{
    const char **names = s->names[s->d.node_count];
    names[0] = a;
    names[1] = b;
    names[2] = output;
    sketch_node(s, op, b ? 2 : 1, names, names + 2);
}

static void sketch_floats(sketch *s, const char *name, int rank, const int64_t *dim, const float *values)
{
    onnx_tensor *t = &s->tensors[s->d.tensor_count++];
    *t = (onnx_tensor){.name = name, .rank = rank, .count = 1, .floats = values};
    for (int i = 0; i < rank; i++) {
        t->dim[i] = dim[i];
        t->count *= (size_t)dim[i];
    }
}

static void sketch_ints(sketch *s, const char *name, int64_t count, const int64_t *values)
{
    s->tensors[s->d.tensor_count++] =
        (onnx_tensor){.name = name, .rank = 1, .dim = {count}, .count = (size_t)count, .whole = true, .ints = values};
}

static mien_status sketch_load(sketch *s, model *m, mien_error *error)
{
    buffer bytes = {0};
    assert_ok(onnx_document_write(&s->d, &bytes, error), error);
    mien_status status = model_load_bytes(bytes.data, bytes.length, NULL, m, error);
    buffer_done(&bytes);
    return status;
}

#define NAMES(...) ((const char *[]){__VA_ARGS__})
#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static void matmul_and_add_are_one_dense_layer(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    sketch_init(&s, 11, 2, DIMS(-1, 2));
    sketch_floats(&s, "w", 2, DIMS(2, 3), (const float[]){1, 2, 3, 4, 5, 6});
    sketch_floats(&s, "b", 1, DIMS(3), (const float[]){7, 8, 9});
    sketch_node(&s, "MatMul", 2, NAMES("x", "w"), NAMES("product"));
    sketch_node(&s, "Add", 2, NAMES("b", "product"), NAMES("y"));
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_int_equal(m.graph.node_count, 2);
    const nn_node *dense = &m.graph.nodes[1];
    assert_int_equal(dense->op, NN_DENSE);
    const float transposed[] = {1, 4, 2, 5, 3, 6}, bias[] = {7, 8, 9};
    assert_memory_equal(m.graph.weights[dense->weights[0]].data, transposed, sizeof transposed);
    assert_memory_equal(m.graph.weights[dense->weights[1]].data, bias, sizeof bias);
    model_done(&m);
}

static void gemm_scales_its_weights(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute scale[] = {{.name = "alpha", .type = ONNX_ATTRIBUTE_FLOAT, .f = 2, .text = ""},
                              {.name = "beta", .type = ONNX_ATTRIBUTE_FLOAT, .f = 0.5f, .text = ""}};
    sketch_init(&s, 9, 2, DIMS(1, 2));
    sketch_floats(&s, "w", 2, DIMS(2, 2), (const float[]){1, 2, 3, 4});
    sketch_floats(&s, "b", 1, DIMS(2), (const float[]){10, 20});
    onnx_node *gemm = sketch_node(&s, "Gemm", 3, NAMES("x", "w", "b"), NAMES("y"));
    gemm->attributes = scale;
    gemm->attribute_count = 2;
    assert_ok(sketch_load(&s, &m, &error), &error);
    const float kernel[] = {2, 6, 4, 8}, bias[] = {5, 10};
    assert_memory_equal(m.graph.weights[m.graph.nodes[1].weights[0]].data, kernel, sizeof kernel);
    assert_memory_equal(m.graph.weights[m.graph.nodes[1].weights[1]].data, bias, sizeof bias);
    model_done(&m);
}

/* x.view(x.size(0), -1), as PyTorch exports it. */
static void computed_shapes_disappear(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute axes = {.name = "axes", .type = ONNX_ATTRIBUTE_INTS, .ints = DIMS(0), .int_count = 1, .text = ""};
    sketch_init(&s, 9, 4, DIMS(-1, 2, 3, 4));
    s.tensors[0] = (onnx_tensor){.name = "zero", .count = 1, .whole = true, .ints = DIMS(0)};
    s.d.tensor_count = 1;
    sketch_ints(&s, "rest", 1, DIMS(-1));
    sketch_node(&s, "Shape", 1, NAMES("x"), NAMES("shape"));
    sketch_node(&s, "Gather", 2, NAMES("shape", "zero"), NAMES("batch"));
    onnx_node *unsqueeze = sketch_node(&s, "Unsqueeze", 1, NAMES("batch"), NAMES("batch1"));
    unsqueeze->attributes = &axes;
    unsqueeze->attribute_count = 1;
    sketch_node(&s, "Concat", 2, NAMES("batch1", "rest"), NAMES("target"));
    sketch_node(&s, "Reshape", 2, NAMES("x", "target"), NAMES("y"));
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_int_equal(m.graph.node_count, 2);
    assert_int_equal(m.graph.nodes[1].op, NN_FLATTEN);
    assert_int_equal(m.graph.nodes[1].shape.dim[1], 24);
    model_done(&m);
}

/* Constants that vary along other axes than the channels are applied to the flattened tensor. */
static void constants_of_any_shape_are_affine(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    sketch_init(&s, 11, 3, DIMS(1, 2, 2));
    sketch_floats(&s, "k", 1, DIMS(2), (const float[]){3, 5});
    sketch_floats(&s, "two", 0, NULL, (const float[]){2});
    sketch_node(&s, "Div", 2, NAMES("x", "two"), NAMES("half"));
    sketch_node(&s, "Sub", 2, NAMES("half", "k"), NAMES("y"));
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_int_equal(m.graph.node_count, 4); /* input, flatten, affine, reshape */
    const nn_node *affine = &m.graph.nodes[2];
    assert_int_equal(affine->op, NN_SCALE_SHIFT);
    const float scale[] = {0.5f, 0.5f, 0.5f, 0.5f}, shift[] = {-3, -5, -3, -5};
    assert_memory_equal(m.graph.weights[affine->weights[0]].data, scale, sizeof scale);
    assert_memory_equal(m.graph.weights[affine->weights[1]].data, shift, sizeof shift);
    assert_string_equal(m.graph.nodes[3].name, "y");
    model_done(&m);
}

static void automatic_padding_is_asymmetric(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute set[] = {
        {.name = "auto_pad", .type = ONNX_ATTRIBUTE_TEXT, .text = "SAME_UPPER"},
        {.name = "strides", .type = ONNX_ATTRIBUTE_INTS, .ints = DIMS(2, 2), .int_count = 2, .text = ""}};
    sketch_init(&s, 9, 4, DIMS(-1, 1, 6, 5));
    sketch_floats(&s, "w", 4, DIMS(1, 1, 3, 3), (const float[9]){1});
    onnx_node *conv = sketch_node(&s, "Conv", 2, NAMES("x", "w"), NAMES("y"));
    conv->attributes = set;
    conv->attribute_count = 2;
    assert_ok(sketch_load(&s, &m, &error), &error);
    const nn_node *n = &m.graph.nodes[1];
    assert_true(n->pad_top == 0 && n->pad_bottom == 1 && n->pad_left == 1 && n->pad_right == 1);
    model_done(&m);
}

/* Padding as PyTorch exports it: pairs reversed by a slice with step -1, transposed, flattened. */
static void computed_padding_disappears(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute order = {
        .name = "perm", .type = ONNX_ATTRIBUTE_INTS, .ints = DIMS(1, 0), .int_count = 2, .text = ""};
    sketch_init(&s, 13, 4, DIMS(-1, 1, 5, 5));
    sketch_ints(&s, "given", 8, DIMS(1, 2, 3, 4, 0, 0, 0, 0)); /* left, right, top, bottom, … */
    sketch_ints(&s, "pairs", 2, DIMS(-1, 2));
    sketch_ints(&s, "from", 1, DIMS(-1));
    sketch_ints(&s, "to", 1, DIMS(-INT64_MAX));
    sketch_ints(&s, "axis", 1, DIMS(0));
    sketch_ints(&s, "flat", 1, DIMS(-1));
    sketch_node(&s, "Reshape", 2, NAMES("given", "pairs"), NAMES("p1"));
    sketch_node(&s, "Slice", 5, NAMES("p1", "from", "to", "axis", "from"), NAMES("p2"));
    onnx_node *turn = sketch_node(&s, "Transpose", 1, NAMES("p2"), NAMES("p3"));
    turn->attributes = &order;
    turn->attribute_count = 1;
    sketch_node(&s, "Reshape", 2, NAMES("p3", "flat"), NAMES("p4"));
    sketch_node(&s, "Pad", 2, NAMES("x", "p4"), NAMES("y"));
    assert_ok(sketch_load(&s, &m, &error), &error);
    const nn_node *n = &m.graph.nodes[1];
    assert_true(n->op == NN_PAD && n->pad_left == 1 && n->pad_right == 2 && n->pad_top == 3 && n->pad_bottom == 4);
    model_done(&m);
}

static void inputs_with_channels_last_are_turned(void **state)
{
    (void)state;
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute order = {
        .name = "perm", .type = ONNX_ATTRIBUTE_INTS, .ints = DIMS(0, 3, 1, 2), .int_count = 4, .text = ""};
    sketch_init(&s, 13, 4, DIMS(-1, 8, 6, 3));
    onnx_node *turn = sketch_node(&s, "Transpose", 1, NAMES("x"), NAMES("nchw"));
    turn->attributes = &order;
    turn->attribute_count = 1;
    sketch_node(&s, "Relu", 1, NAMES("x"), NAMES("nhwc"));
    sketch_node(&s, "GlobalMaxPool", 1, NAMES("nchw"), NAMES("y"));
    s.ports[2] = (onnx_port){.name = "nhwc", .type = ONNX_FLOAT, .rank = 0};
    s.d.output_count = 2;
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_true(m.info.input.channels == 3 && m.info.input.height == 8 && m.info.input.width == 6);
    const nn_node *pool = &m.graph.nodes[m.graph.outputs[0]], *other = &m.graph.nodes[m.graph.outputs[1]];
    assert_true(pool->shape.dim[1] == 3 && m.graph.nodes[pool->inputs[0]].op == NN_IDENTITY);
    assert_true(other->shape.dim[3] == 3 && m.graph.nodes[other->inputs[0]].op == NN_TRANSPOSE);
    model_done(&m);
}

static void assert_refused(sketch *s, mien_status code, const char *says)
{
    model m = {0};
    mien_error error = {0};
    mien_status status = sketch_load(s, &m, &error);
    if (status != code || !strstr(error.message, says))
        fail_msg("%s: \"%s\" does not say \"%s\"", mien_status_name(status), error.message, says);
    assert_null(m.graph.nodes);
}

static void faults_are_named(void **state)
{
    (void)state;
    sketch s;
    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_node(&s, "Sin", 1, NAMES("x"), NAMES("y"));
    assert_refused(&s, MIEN_EUNSUPPORTED, "node \"y\" (Sin)");

    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_node(&s, "Relu", 1, NAMES("b"), NAMES("a"));
    sketch_node(&s, "Relu", 1, NAMES("a"), NAMES("b"));
    sketch_node(&s, "Add", 2, NAMES("x", "b"), NAMES("y"));
    assert_refused(&s, MIEN_EFORMAT, "cycle");

    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_node(&s, "Relu", 1, NAMES("x"), NAMES("y"));
    sketch_node(&s, "Tanh", 1, NAMES("x"), NAMES("y"));
    assert_refused(&s, MIEN_EFORMAT, "given twice");

    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_node(&s, "Relu", 1, NAMES("z"), NAMES("y"));
    assert_refused(&s, MIEN_EFORMAT, "nothing computes its input \"z\"");

    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_node(&s, "MatMul", 2, NAMES("x", "w"), NAMES("y"));
    sketch_floats(&s, "w", 2, DIMS(3, 1), (const float[]){1, 2, 3});
    assert_refused(&s, MIEN_EFORMAT, "4");

    sketch_init(&s, 13, 4, DIMS(-1, INT32_MAX, INT32_MAX, INT32_MAX));
    sketch_node(&s, "Relu", 1, NAMES("x"), NAMES("y"));
    assert_refused(&s, MIEN_ELIMIT, "elements");

    sketch_init(&s, 4, 2, DIMS(-1, 4));
    sketch_node(&s, "Relu", 1, NAMES("x"), NAMES("y"));
    assert_refused(&s, MIEN_EUNSUPPORTED, "operator set 4");
}

/* ---- operators made of others ---- */

/* The sketch's single output for a row of four numbers, on the plain-C operators. */
static void run_row(sketch *s, const float *row, float *answer, size_t count)
{
    model m = {0};
    nn_plan_options options;
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    mien_error error = {0};
    assert_ok(sketch_load(s, &m, &error), &error);
    nn_plan_default_options(&options);
    options.reference = true;
    assert_ok(nn_plan_create(&m.graph, &options, &plan, &error), &error);
    assert_ok(nn_session_create(plan, &session, &error), &error);
    nn_shape in = nn_plan_input_shape(plan, 0), out = nn_plan_output_shape(plan, 0);
    assert_int_equal(nn_shape_count(&out), count);
    memcpy(nn_session_input(session, 0), row, nn_shape_count(&in) * sizeof *row);
    assert_ok(nn_session_run(session, &error), &error);
    memcpy(answer, nn_session_output(session, 0), count * sizeof *answer);
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
    model_done(&m);
}

static double function_of(const char *op, double x)
{
    if (!strcmp(op, "Abs"))
        return fabs(x);
    if (!strcmp(op, "Softsign"))
        return x / (1 + fabs(x));
    if (!strcmp(op, "Softplus"))
        return log1p(exp(x));
    if (!strcmp(op, "Mish"))
        return x * tanh(log1p(exp(x)));
    if (!strcmp(op, "Selu"))
        return 1.05070102 * (x > 0 ? x : 1.67326319 * expm1(x));
    return x; /* LogSoftmax as the last node: the logits */
}

static void functions_without_an_operator_are_composed(void **state)
{
    (void)state;
    static const char *const ops[] = {"Abs", "Softsign", "Softplus", "Mish", "Selu", "LogSoftmax"};
    static const float row[] = {-2.5f, -0.5f, 0.25f, 3};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        sketch s;
        float answer[4];
        sketch_init(&s, 18, 2, DIMS(-1, 4));
        sketch_node(&s, ops[i], 1, NAMES("x"), NAMES("y"));
        run_row(&s, row, answer, 4);
        for (int k = 0; k < 4; k++)
            if (fabs((double)answer[k] - function_of(ops[i], (double)row[k])) > 1e-6)
                fail_msg("%s of %g is %g", ops[i], (double)row[k], (double)answer[k]);
    }
}

static void extremes_and_sums_of_activations(void **state)
{
    (void)state;
    static const char *const ops[] = {"Max", "Min"};
    static const float row[] = {-2.5f, -0.5f, 0.25f, 3};
    sketch s;
    float answer[4];
    for (int i = 0; i < 2; i++) {
        sketch_init(&s, 13, 2, DIMS(-1, 4));
        sketch_floats(&s, "minus", 0, NULL, (const float[]){-0.5f});
        sketch_node(&s, "Mul", 2, NAMES("x", "minus"), NAMES("turned"));
        sketch_node(&s, ops[i], 2, NAMES("x", "turned"), NAMES("y"));
        run_row(&s, row, answer, 4);
        for (int k = 0; k < 4; k++)
            assert_float_equal(answer[k], i ? fminf(row[k], -0.5f * row[k]) : fmaxf(row[k], -0.5f * row[k]), 1e-6f);
    }
    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_node(&s, "Relu", 1, NAMES("x"), NAMES("a"));
    sketch_node(&s, "Sum", 3, NAMES("x", "a", "x"), NAMES("y"));
    run_row(&s, row, answer, 4);
    assert_float_equal(answer[0], -5, 1e-6f);
    assert_float_equal(answer[3], 9, 1e-6f);
}

/* x.mean(3).mean(2), as older exports of MobileNet have it. */
static void means_over_one_axis_after_another(void **state)
{
    (void)state;
    static const float picture[] = {1, 2, 3, 6, 10, 20, 30, 80};
    static const int64_t last = 3, then = 2;
    onnx_attribute first[] = {{.name = "axes", .type = ONNX_ATTRIBUTE_INTS, .ints = &last, .int_count = 1},
                              {.name = "keepdims", .type = ONNX_ATTRIBUTE_INT, .i = 0}};
    onnx_attribute second[] = {{.name = "axes", .type = ONNX_ATTRIBUTE_INTS, .ints = &then, .int_count = 1},
                               {.name = "keepdims", .type = ONNX_ATTRIBUTE_INT, .i = 0}};
    sketch s;
    float answer[2];
    sketch_init(&s, 13, 4, DIMS(-1, 2, 2, 2));
    onnx_node *a = sketch_node(&s, "ReduceMean", 1, NAMES("x"), NAMES("rows"));
    a->attributes = first;
    a->attribute_count = 2;
    onnx_node *b = sketch_node(&s, "ReduceMean", 1, NAMES("rows"), NAMES("y"));
    b->attributes = second;
    b->attribute_count = 2;
    run_row(&s, picture, answer, 2);
    assert_float_equal(answer[0], 3, 1e-6f);
    assert_float_equal(answer[1], 35, 1e-5f);
}

/* ---- operators that exporters write out ---- */

static void sketch_number(sketch *s, const char *name, const float *value)
{
    sketch_floats(s, name, 0, NULL, value);
}

static onnx_attribute whole(const char *name, int64_t value)
{
    return (onnx_attribute){.name = name, .type = ONNX_ATTRIBUTE_INT, .i = value, .text = ""};
}

static onnx_attribute axes_of(const char *name, const int64_t *axes, size_t count)
{
    return (onnx_attribute){.name = name, .type = ONNX_ATTRIBUTE_INTS, .ints = axes, .int_count = count, .text = ""};
}

static double gelu(double x, bool exact)
{
    double t = exact ? erf(x / sqrt(2)) : tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
    return 0.5 * x * (1 + t);
}

/* The sketch is one GELU and nothing else. */
static void assert_gelu(sketch *s, nn_op op, const char *what)
{
    static const float row[] = {-2.5f, -0.5f, 0.25f, 3};
    model m = {0};
    mien_error error = {0};
    float answer[4];
    assert_ok(sketch_load(s, &m, &error), &error);
    if (m.graph.node_count != 2 || m.graph.nodes[1].op != op)
        fail_msg("%s: %d nodes, the last is %s", what, m.graph.node_count, nn_op_name(m.graph.nodes[1].op));
    assert_string_equal(m.graph.nodes[1].name, "y");
    model_done(&m);
    run_row(s, row, answer, 4);
    for (int k = 0; k < 4; k++)
        assert_float_equal(answer[k], gelu((double)row[k], op == NN_GELU), 1e-6);
}

/* The half may stand anywhere, the root divide or its reciprocal multiply, and either factor come first. */
static void written_out_gelu_is_one_operator(void **state)
{
    (void)state;
    static const float half = 0.5f, one = 1, two = 2, root = 1.41421356f, inverse = 0.70710678f, eight = 8;
    for (int form = 0; form < 8; form++) {
        sketch s;
        char what[32];
        snprintf(what, sizeof what, "GELU, form %d", form);
        sketch_init(&s, 13, 2, DIMS(-1, 4));
        sketch_number(&s, "half", &half);
        sketch_number(&s, "one", &one);
        sketch_number(&s, "two", &two);
        sketch_number(&s, "root", form & 1 ? &inverse : &root);
        sketch_step(&s, form & 1 ? "Mul" : "Div", "x", "root", "d");
        sketch_step(&s, "Erf", "d", NULL, "e");
        if (form / 2 == 3) { /* x · (erf/2 + 1/2) */
            sketch_step(&s, "Mul", "e", "half", "f");
            sketch_step(&s, "Add", "half", "f", "g");
            sketch_step(&s, "Mul", "x", "g", "y");
        } else {
            sketch_step(&s, "Add", form & 1 ? "one" : "e", form & 1 ? "e" : "one", "f");
            if (form / 2 == 0) {
                sketch_step(&s, "Mul", "x", "f", "g");
                sketch_step(&s, "Mul", "g", "half", "y");
            } else if (form / 2 == 1) {
                sketch_step(&s, "Mul", "half", "x", "g");
                sketch_step(&s, "Mul", "f", "g", "y");
            } else {
                sketch_step(&s, "Mul", "f", "x", "g");
                sketch_step(&s, "Div", "g", "two", "y");
            }
        }
        assert_gelu(&s, NN_GELU, what);
    }
    sketch s; /* not quite: 8 · x · (1 + erf) stays what it is */
    model m = {0};
    mien_error error = {0};
    sketch_init(&s, 13, 2, DIMS(-1, 4));
    sketch_number(&s, "eight", &eight);
    sketch_number(&s, "one", &one);
    sketch_number(&s, "root", &root);
    sketch_step(&s, "Div", "x", "root", "d");
    sketch_step(&s, "Erf", "d", NULL, "e");
    sketch_step(&s, "Add", "e", "one", "f");
    sketch_step(&s, "Mul", "x", "f", "g");
    sketch_step(&s, "Mul", "g", "eight", "y");
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_true(m.graph.node_count > 2);
    model_done(&m);
    float answer[4];
    run_row(&s, (const float[]){-2.5f, -0.5f, 0.25f, 3}, answer, 4);
    assert_float_equal(answer[3], 16 * gelu(3, true), 1e-4);
}

static void written_out_gelu_by_tanh_is_one_operator(void **state)
{
    (void)state;
    static const float half = 0.5f, one = 1, three = 3, slope = 0.79788456f, kappa = 0.044715f;
    for (int form = 0; form < 3; form++) {
        sketch s;
        char what[40];
        snprintf(what, sizeof what, "GELU by tanh, form %d", form);
        sketch_init(&s, 13, 2, DIMS(-1, 4));
        sketch_number(&s, "half", &half);
        sketch_number(&s, "one", &one);
        sketch_number(&s, "three", &three);
        sketch_number(&s, "slope", &slope);
        sketch_number(&s, "kappa", &kappa);
        if (form == 0) {
            sketch_step(&s, "Pow", "x", "three", "cube");
        } else {
            sketch_step(&s, "Mul", "x", "x", "square");
            sketch_step(&s, "Mul", "x", "square", "cube");
        }
        if (form == 2) { /* slope · x · (1 + kappa · x²) */
            sketch_step(&s, "Mul", "kappa", "square", "k");
            sketch_step(&s, "Add", "one", "k", "sum");
            sketch_step(&s, "Mul", "slope", "x", "scaled");
            sketch_step(&s, "Mul", "scaled", "sum", "inner");
        } else {
            sketch_step(&s, "Mul", "kappa", "cube", "k");
            sketch_step(&s, "Add", "x", "k", "sum");
            sketch_step(&s, "Mul", "slope", "sum", "inner");
        }
        sketch_step(&s, "Tanh", "inner", NULL, "t");
        sketch_step(&s, "Add", "one", "t", "f");
        sketch_step(&s, "Mul", "x", "f", "g");
        sketch_step(&s, "Mul", "half", "g", "y");
        assert_gelu(&s, NN_GELU_TANH, what);
    }
}

/* d / √(mean(d²) + ε) of a row, with what Linear layers put behind it. */
static void written_out_normalisation_is_one_operator(void **state)
{
    (void)state;
    static const float two = 2, epsilon = 1e-5f, half = 0.5f, gamma[] = {1, 2, 3, 4}, beta[] = {0, 1, 0, -1};
    static const float row[] = {-2.5f, -0.5f, 0.25f, 3};
    static const int64_t last = -1;
    for (int form = 0; form < 4; form++) {
        sketch s;
        model m = {0};
        mien_error error = {0};
        onnx_attribute axes = axes_of("axes", &last, 1);
        bool listed = form & 1; /* since set 18 the axes are an input */
        sketch_init(&s, listed ? 18 : 11, 2, DIMS(-1, 4));
        sketch_number(&s, "two", &two);
        sketch_number(&s, "half", &half);
        sketch_number(&s, "epsilon", &epsilon);
        sketch_ints(&s, "last", 1, &last);
        sketch_floats(&s, "gamma", 1, DIMS(4), gamma);
        sketch_floats(&s, "beta", 1, DIMS(4), beta);
        onnx_node *mean = sketch_node(&s, "ReduceMean", listed ? 2 : 1, NAMES("x", "last"), NAMES("m"));
        sketch_node(&s, "Sub", 2, NAMES("x", "m"), NAMES("d"));
        sketch_node(&s, form & 2 ? "Mul" : "Pow", 2, form & 2 ? NAMES("d", "d") : NAMES("d", "two"), NAMES("q"));
        onnx_node *variance = sketch_node(&s, "ReduceMean", listed ? 2 : 1, NAMES("q", "last"), NAMES("v"));
        sketch_node(&s, "Add", 2, form & 2 ? NAMES("epsilon", "v") : NAMES("v", "epsilon"), NAMES("w"));
        sketch_node(&s, form & 2 ? "Pow" : "Sqrt", form & 2 ? 2 : 1, NAMES("w", "half"), NAMES("r"));
        sketch_node(&s, "Div", 2, NAMES("d", "r"), NAMES("n"));
        sketch_node(&s, "Mul", 2, NAMES("n", "gamma"), NAMES("g"));
        sketch_node(&s, "Add", 2, NAMES("g", "beta"), NAMES("y"));
        if (!listed) {
            mean->attributes = variance->attributes = &axes;
            mean->attribute_count = variance->attribute_count = 1;
        }
        assert_ok(sketch_load(&s, &m, &error), &error);
        assert_int_equal(m.graph.node_count, 3);
        assert_int_equal(m.graph.nodes[1].op, NN_LAYER_NORM);
        assert_true(m.graph.nodes[1].epsilon == epsilon);
        assert_int_equal(m.graph.nodes[2].op, NN_SCALE_SHIFT);
        model_done(&m);
        float answer[4];
        run_row(&s, row, answer, 4);
        double average = 0.0625, sum = 0;
        for (int i = 0; i < 4; i++)
            sum += ((double)row[i] - average) * ((double)row[i] - average) / 4;
        for (int i = 0; i < 4; i++)
            assert_float_equal(
                answer[i], ((double)row[i] - average) / sqrt(sum + 1e-5) * (double)gamma[i] + (double)beta[i], 1e-5);
    }
}

/* Transposed to [N,H,W,C], normalised, multiplied by matrices, and back, as ConvNeXt is exported: nothing is moved. */
static void channels_last_inside_a_network_moves_nothing(void **state)
{
    (void)state;
    static const int64_t there[] = {0, 2, 3, 1}, back[] = {0, 3, 1, 2};
    static const float scale[] = {1, 2}, shift[] = {0, 0.5f}, matrix[] = {1, 0, 2, 0, 1, -1}, bias[] = {1, 0, 0},
                       down[] = {1, 2, 3, 4, 5, 6}, gamma[] = {0.5f, -0.5f};
    static const nn_op expected[] = {NN_INPUT, NN_LAYER_NORM, NN_CONV,        NN_SCALE_SHIFT,
                                     NN_GELU,  NN_CONV,       NN_SCALE_SHIFT, NN_ADD};
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute turn = axes_of("perm", there, 4), turn_back = axes_of("perm", back, 4);
    sketch_init(&s, 20, 4, DIMS(-1, 2, 1, 2));
    sketch_floats(&s, "scale", 1, DIMS(2), scale);
    sketch_floats(&s, "shift", 1, DIMS(2), shift);
    sketch_floats(&s, "up", 2, DIMS(2, 3), matrix);
    sketch_floats(&s, "bias", 1, DIMS(3), bias);
    sketch_floats(&s, "down", 2, DIMS(3, 2), down);
    sketch_floats(&s, "gamma", 1, DIMS(2), gamma);
    onnx_node *first = sketch_node(&s, "Transpose", 1, NAMES("x"), NAMES("t"));
    first->attributes = &turn;
    first->attribute_count = 1;
    sketch_node(&s, "LayerNormalization", 3, NAMES("t", "scale", "shift"), NAMES("n"));
    sketch_node(&s, "MatMul", 2, NAMES("n", "up"), NAMES("u"));
    sketch_node(&s, "Add", 2, NAMES("bias", "u"), NAMES("v"));
    sketch_node(&s, "Gelu", 1, NAMES("v"), NAMES("g"));
    sketch_node(&s, "MatMul", 2, NAMES("g", "down"), NAMES("d"));
    sketch_node(&s, "Mul", 2, NAMES("d", "gamma"), NAMES("e"));
    onnx_node *last = sketch_node(&s, "Transpose", 1, NAMES("e"), NAMES("f"));
    last->attributes = &turn_back;
    last->attribute_count = 1;
    sketch_node(&s, "Add", 2, NAMES("x", "f"), NAMES("y"));
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_int_equal(m.graph.node_count, sizeof expected / sizeof *expected);
    for (int i = 0; i < m.graph.node_count; i++)
        assert_int_equal(m.graph.nodes[i].op, expected[i]);
    assert_string_equal(m.graph.nodes[6].name, "f"); /* the name that it has in this order of axes */
    model_done(&m);
    static const float picture[] = {1, 4, 3, -2}; /* two channels of two pixels: (1, 3) and (4, -2) */
    float answer[4];
    run_row(&s, picture, answer, 4);
    for (int p = 0; p < 2; p++) {
        double a = (double)picture[p], b = (double)picture[2 + p], mean = (a + b) / 2;
        double deviation = sqrt(((a - mean) * (a - mean) + (b - mean) * (b - mean)) / 2 + 1e-5);
        double n[2] = {(a - mean) / deviation, (b - mean) / deviation * 2 + 0.5};
        double up[3] = {gelu(n[0] + 1, true), gelu(n[1], true), gelu(2 * n[0] - n[1], true)};
        assert_float_equal(answer[p], a + 0.5 * (up[0] + 3 * up[1] + 5 * up[2]), 1e-4);
        assert_float_equal(answer[2 + p], b - 0.5 * (2 * up[0] + 4 * up[1] + 6 * up[2]), 1e-4);
    }
}

/* ConvNeXt's own normalisation of [N,C,H,W], written out over axis 1; and one whose value is wanted in both orders. */
static void channels_are_normalised_where_they_stand(void **state)
{
    (void)state;
    static const float two = 2, epsilon = 1e-6f;
    static const int64_t channels = 1, there[] = {0, 2, 3, 1};
    sketch s;
    model m = {0};
    mien_error error = {0};
    onnx_attribute axes = axes_of("axes", &channels, 1), turn = axes_of("perm", there, 4);
    sketch_init(&s, 13, 4, DIMS(-1, 3, 2, 2));
    sketch_number(&s, "two", &two);
    sketch_number(&s, "epsilon", &epsilon);
    onnx_node *mean = sketch_node(&s, "ReduceMean", 1, NAMES("x"), NAMES("m"));
    sketch_node(&s, "Sub", 2, NAMES("x", "m"), NAMES("d"));
    sketch_node(&s, "Pow", 2, NAMES("d", "two"), NAMES("q"));
    onnx_node *variance = sketch_node(&s, "ReduceMean", 1, NAMES("q"), NAMES("v"));
    sketch_node(&s, "Add", 2, NAMES("v", "epsilon"), NAMES("w"));
    sketch_node(&s, "Sqrt", 1, NAMES("w"), NAMES("r"));
    sketch_node(&s, "Div", 2, NAMES("d", "r"), NAMES("n"));
    mean->attributes = variance->attributes = &axes;
    mean->attribute_count = variance->attribute_count = 1;
    onnx_node *turned = sketch_node(&s, "Transpose", 1, NAMES("n"), NAMES("t"));
    turned->attributes = &turn;
    turned->attribute_count = 1;
    sketch_node(&s, "Relu", 1, NAMES("t"), NAMES("h"));
    sketch_node(&s, "Softmax", 1, NAMES("h"), NAMES("y"));
    s.ports[2] = (onnx_port){.name = "n", .type = ONNX_FLOAT, .rank = 0};
    s.d.output_count = 2;
    assert_ok(sketch_load(&s, &m, &error), &error);
    assert_int_equal(m.graph.nodes[1].op, NN_LAYER_NORM);
    assert_int_equal(m.graph.nodes[1].axis, 1);
    const nn_node *output = &m.graph.nodes[m.graph.outputs[0]], *before = &m.graph.nodes[output->inputs[0]];
    assert_string_equal(output->name, "y");
    assert_true(output->op == NN_SOFTMAX && output->shape.dim[3] == 3 && before->op == NN_TRANSPOSE);
    assert_int_equal(m.graph.nodes[before->inputs[0]].op, NN_RELU);
    assert_string_equal(m.graph.nodes[m.graph.outputs[1]].name, "n");
    model_done(&m);
}

/* Instances and groups; scales per group (set 18) and per channel (set 21). */
static void groups_of_channels_are_normalised(void **state)
{
    (void)state;
    static const float picture[] = {1, 2, 3, 6, -1, 5, 0, 2}; /* four channels of two pixels */
    static const float four[] = {1, 2, 3, 4}, pair[] = {2, -1}, zeros[] = {0, 1, 0, 1};
    for (int form = 0; form < 3; form++) { /* instances, two groups with a scale each, two groups with four scales */
        sketch s;
        float answer[8];
        onnx_attribute groups = whole("num_groups", 2);
        sketch_init(&s, form == 2 ? 21 : 18, 4, DIMS(-1, 4, 1, 2));
        sketch_floats(&s, "scale", 1, DIMS(form == 1 ? 2 : 4), form == 1 ? pair : four);
        sketch_floats(&s, "shift", 1, DIMS(form == 1 ? 2 : 4), zeros);
        onnx_node *norm = sketch_node(&s, form ? "GroupNormalization" : "InstanceNormalization", 3,
                                      NAMES("x", "scale", "shift"), NAMES("y"));
        norm->attributes = &groups;
        norm->attribute_count = form > 0;
        run_row(&s, picture, answer, 8);
        int length = form ? 4 : 2;
        for (int i = 0; i < 8; i++) {
            double mean = 0, variance = 0;
            for (int k = i / length * length; k < i / length * length + length; k++)
                mean += (double)picture[k] / length;
            for (int k = i / length * length; k < i / length * length + length; k++)
                variance += ((double)picture[k] - mean) * ((double)picture[k] - mean) / length;
            int slot = form == 1 ? i / 4 : i / 2;
            double scale = form == 1 ? (double)pair[slot] : (double)four[slot];
            assert_float_equal(answer[i],
                               ((double)picture[i] - mean) / sqrt(variance + 1e-5) * scale + (double)zeros[slot], 1e-5);
        }
    }
}

/* Woo et al. 2018: the gate has one number for each pixel, and may be the first factor. */
static void spatial_attention_is_read(void **state)
{
    (void)state;
    static const float picture[] = {1, 4, 3, -2};
    static const int64_t channels = 1;
    for (int form = 0; form < 2; form++) {
        sketch s;
        float answer[4];
        onnx_attribute reduce[] = {axes_of("axes", &channels, 1), whole("keepdims", form)};
        onnx_attribute insert = axes_of("axes", &channels, 1);
        sketch_init(&s, 11, 4, DIMS(-1, 2, 1, 2));
        onnx_node *mean = sketch_node(&s, "ReduceMean", 1, NAMES("x"), NAMES("m"));
        onnx_node *most = sketch_node(&s, "ReduceMax", 1, NAMES("x"), NAMES("w"));
        mean->attributes = most->attributes = reduce;
        mean->attribute_count = most->attribute_count = 2;
        sketch_node(&s, "Add", 2, NAMES("m", "w"), NAMES("a"));
        if (!form) { /* torch.max(x, 1)[0].unsqueeze(1) */
            sketch_step(&s, "Unsqueeze", "a", NULL, "b");
            s.nodes[3].attributes = &insert;
            s.nodes[3].attribute_count = 1;
        }
        sketch_node(&s, "Mul", 2, form ? NAMES("x", "a") : NAMES("b", "x"), NAMES("y"));
        run_row(&s, picture, answer, 4);
        for (int p = 0; p < 2; p++) {
            double gate = (double)(picture[p] + picture[2 + p]) / 2 + fmax(picture[p], picture[2 + p]);
            assert_float_equal(answer[p], (double)picture[p] * gate, 1e-5);
            assert_float_equal(answer[2 + p], (double)picture[2 + p] * gate, 1e-5);
        }
    }
}

/* How large the result is may be said in four ways. */
static void transposed_convolutions_are_read(void **state)
{
    (void)state;
    static const float row[] = {1, -1, 2, 0.5f}, kernel[] = {1, 2, 3};
    static const struct {
        const char *what;
        int64_t pads[4], extra[2], shape[2];
        const char *automatic;
        int count; /* numbers of the result */
        int cut;   /* off the beginning of the whole, which has nine */
    } cases[] = {
        {"plain", {0, 0, 0, 0}, {0, 0}, {0, 0}, NULL, 9, 0},
        {"pads", {0, 1, 0, 2}, {0, 0}, {0, 0}, NULL, 6, 1},
        {"output_padding", {0, 1, 0, 1}, {0, 1}, {0, 0}, NULL, 8, 1},
        {"SAME_UPPER", {0, 0, 0, 0}, {0, 0}, {0, 0}, "SAME_UPPER", 8, 0},
        {"SAME_LOWER", {0, 0, 0, 0}, {0, 0}, {0, 0}, "SAME_LOWER", 8, 1},
        {"output_shape", {0, 0, 0, 0}, {0, 0}, {1, 6}, NULL, 6, 2},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static const int64_t strides[] = {1, 2};
        sketch s;
        float answer[10];
        double whole_row[10] = {0};
        onnx_attribute attributes[4] = {axes_of("strides", strides, 2), axes_of("pads", cases[c].pads, 4),
                                        axes_of("output_padding", cases[c].extra, 2)};
        size_t count = 3;
        if (cases[c].automatic)
            attributes[count++] =
                (onnx_attribute){.name = "auto_pad", .type = ONNX_ATTRIBUTE_TEXT, .text = cases[c].automatic};
        if (cases[c].shape[0])
            attributes[count++] = axes_of("output_shape", cases[c].shape, 2);
        sketch_init(&s, 11, 4, DIMS(-1, 1, 1, 4));
        sketch_floats(&s, "k", 4, DIMS(1, 1, 1, 3), kernel);
        onnx_node *node = sketch_node(&s, "ConvTranspose", 2, NAMES("x", "k"), NAMES("y"));
        node->attributes = attributes;
        node->attribute_count = count;
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < 3; k++)
                whole_row[2 * i + k] += (double)row[i] * (double)kernel[k];
        run_row(&s, row, answer, (size_t)cases[c].count);
        for (int i = 0; i < cases[c].count; i++)
            if (fabs((double)answer[i] - whole_row[i + cases[c].cut]) > 1e-5)
                fail_msg("%s: number %d is %g", cases[c].what, i, (double)answer[i]);
    }
}

static void hostile_transposed_convolutions_are_refused(void **state)
{
    (void)state;
    static const float kernel[12] = {0};
    static const int64_t far[] = {INT32_MAX, 1}, none[] = {0, -3}, huge[] = {1, INT64_MAX}, pads[] = {0, 9, 0, 9};
    const onnx_attribute attributes[] = {axes_of("strides", far, 2),       axes_of("output_padding", none, 2),
                                         axes_of("output_shape", huge, 2), axes_of("output_shape", none, 2),
                                         axes_of("pads", pads, 4),         whole("group", 3),
                                         whole("group", INT64_MAX)};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        sketch s;
        onnx_attribute attribute = attributes[i];
        sketch_init(&s, 13, 4, DIMS(-1, 2, 3, 4));
        sketch_floats(&s, "k", 4, DIMS(2, 2, 1, 3), kernel);
        onnx_node *node = sketch_node(&s, "ConvTranspose", 2, NAMES("x", "k"), NAMES("y"));
        node->attributes = &attribute;
        node->attribute_count = 1;
        assert_refused(&s, MIEN_EFORMAT, "ConvTranspose");
    }
}

/* ---- broken bytes ---- */

static void try_bytes(const uint8_t *bytes, size_t length)
{
    model m = {0};
    mien_error error = {0};
    mien_status status = model_load_bytes(bytes, length, NULL, &m, &error);
    if (status)
        assert_true(error.message[0]);
    else
        model_done(&m);
}

static void truncation_is_an_error_at_every_length(void **state)
{
    (void)state;
    model m = {0};
    small_model(&m);
    buffer bytes = {0};
    save(&m, &bytes);
    for (size_t length = 0; length < bytes.length; length++) {
        uint8_t *exact = malloc(length ? length : 1); /* so that a sanitizer sees one byte too many */
        assert_non_null(exact);
        memcpy(exact, bytes.data, length);
        try_bytes(exact, length);
        free(exact);
    }
    buffer_done(&bytes);
    model_done(&m);
}

static void flipped_bits_never_crash(void **state)
{
    (void)state;
    model m = {0};
    small_model(&m);
    buffer bytes = {0};
    save(&m, &bytes);
    random_state random;
    random_seed(&random, 7, 0);
    for (size_t bit = 0; bit < bytes.length * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        try_bytes(bytes.data, bytes.length);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (int round = 0; round < 300; round++) {
        uint8_t was[8];
        size_t at[8];
        for (int i = 0; i < 8; i++) {
            at[i] = random_below(&random, (uint32_t)bytes.length);
            was[i] = bytes.data[at[i]];
            bytes.data[at[i]] = (uint8_t)random_next(&random);
        }
        try_bytes(bytes.data, bytes.length);
        for (int i = 7; i >= 0; i--)
            bytes.data[at[i]] = was[i];
    }
    buffer_done(&bytes);
    model_done(&m);
}

/* Subgraphs in attributes nested to the depth of the file: field 7 (graph) > 1 (node) > 5 (attribute) > 6 (graph) … */
static void deep_nesting_is_refused(void **state)
{
    (void)state;
    buffer nested = {0}, outer = {0};
    for (int depth = 0; depth < 2999; depth++) {
        static const uint8_t tags[] = {0x0a, 0x32, 0x2a};
        uint8_t tag = tags[depth % 3];
        buffer_clear(&outer);
        buffer_append_byte(&outer, tag);
        size_t length = nested.length;
        do {
            buffer_append_byte(&outer, (uint8_t)((length & 127) | (length > 127 ? 128 : 0)));
            length >>= 7;
        } while (length);
        buffer_append(&outer, nested.data ? nested.data : (const uint8_t *)"", nested.length);
        buffer swap = nested;
        nested = outer;
        outer = swap;
    }
    nested.data[0] = 0x3a; /* the outermost graph is the model's */
    model m = {0};
    mien_error error = {0};
    mien_status status = model_load_bytes(nested.data, nested.length, NULL, &m, &error);
    assert_int_equal(status, MIEN_ELIMIT);
    assert_non_null(strstr(error.message, "deep"));
    buffer_done(&nested);
    buffer_done(&outer);
}

static void limits_hold(void **state)
{
    (void)state;
    model m = {0}, back = {0};
    mien_error error = {0};
    small_model(&m);
    buffer bytes = {0};
    save(&m, &bytes);
    model_limits limits = {.max_bytes = bytes.length - 1};
    assert_int_equal(model_load_bytes(bytes.data, bytes.length, &limits, &back, &error), MIEN_ELIMIT);
    limits = (model_limits){.max_items = 20};
    assert_int_equal(model_load_bytes(bytes.data, bytes.length, &limits, &back, &error), MIEN_ELIMIT);
    limits = (model_limits){.max_weight_bytes = 64};
    assert_int_equal(model_load_bytes(bytes.data, bytes.length, &limits, &back, &error), MIEN_ELIMIT);
    assert_int_equal(model_load_bytes("", 0, NULL, &back, &error), MIEN_EFORMAT);
    assert_int_equal(model_load_bytes("this is text, not a model", 25, NULL, &back, &error), MIEN_EFORMAT);
    assert_int_equal(model_load("/nonexistent/model.onnx", NULL, &back, &error), MIEN_ENOTFOUND);
    assert_null(back.graph.nodes);
    buffer_done(&bytes);
    model_done(&m);
}

static void transformers_models_are_named(void **state)
{
    (void)state;
    static const char config[] = "{\"architectures\":[\"ViTForImageClassification\"]}",
                      tensors[] = "\2\0\0\0\0\0\0\0{}";
    model m = {0};
    testing_put_text("config.json", config);
    testing_put("model.safetensors", tensors, sizeof tensors - 1);
    const char *paths[] = {testing_folder, testing_path("model.safetensors")};
    for (size_t i = 0; i < 2; i++) {
        mien_error error = {0};
        assert_int_equal(model_load(paths[i], NULL, &m, &error), MIEN_EUNSUPPORTED);
        assert_non_null(strstr(error.message, "ViTForImageClassification"));
    }
    assert_int_equal(unlink(testing_path("config.json")), 0);
    mien_error error = {0};
    assert_int_equal(model_load(testing_folder, NULL, &m, &error), MIEN_EIO);
    assert_int_equal(model_load(paths[1], NULL, &m, &error), MIEN_EUNSUPPORTED);
}

static void foreign_detector_loads(void **state)
{
    (void)state;
    char path[4096];
    model m = {0};
    mien_error error = {0};
    assert_ok(model_load(testing_shared_file("models/version-RFB-320.onnx", path, sizeof path), NULL, &m, &error),
              &error);
    assert_int_equal(m.graph.output_count, 2);
    const nn_node *scores = &m.graph.nodes[m.graph.outputs[0]], *boxes = &m.graph.nodes[m.graph.outputs[1]];
    assert_string_equal(scores->name, "scores");
    assert_string_equal(boxes->name, "boxes");
    assert_true(scores->shape.rank == 3 && scores->shape.dim[1] == 4420 && scores->shape.dim[2] == 2);
    assert_true(boxes->shape.rank == 3 && boxes->shape.dim[1] == 4420 && boxes->shape.dim[2] == 4);
    assert_int_equal(m.info.input.width, 320);
    assert_int_equal(m.info.input.channels, 3);
    model_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_every_operator),
        cmocka_unit_test(round_trip_keeps_open_sizes),
        cmocka_unit_test(information_survives),
        cmocka_unit_test(bad_information_is_refused),
        cmocka_unit_test(matmul_and_add_are_one_dense_layer),
        cmocka_unit_test(gemm_scales_its_weights),
        cmocka_unit_test(computed_shapes_disappear),
        cmocka_unit_test(constants_of_any_shape_are_affine),
        cmocka_unit_test(automatic_padding_is_asymmetric),
        cmocka_unit_test(computed_padding_disappears),
        cmocka_unit_test(inputs_with_channels_last_are_turned),
        cmocka_unit_test(functions_without_an_operator_are_composed),
        cmocka_unit_test(extremes_and_sums_of_activations),
        cmocka_unit_test(means_over_one_axis_after_another),
        cmocka_unit_test(written_out_gelu_is_one_operator),
        cmocka_unit_test(written_out_gelu_by_tanh_is_one_operator),
        cmocka_unit_test(written_out_normalisation_is_one_operator),
        cmocka_unit_test(channels_last_inside_a_network_moves_nothing),
        cmocka_unit_test(channels_are_normalised_where_they_stand),
        cmocka_unit_test(groups_of_channels_are_normalised),
        cmocka_unit_test(spatial_attention_is_read),
        cmocka_unit_test(transposed_convolutions_are_read),
        cmocka_unit_test(hostile_transposed_convolutions_are_refused),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(truncation_is_an_error_at_every_length),
        cmocka_unit_test(flipped_bits_never_crash),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(limits_hold),
        unit_test_in_folder(transformers_models_are_named),
        cmocka_unit_test(foreign_detector_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
