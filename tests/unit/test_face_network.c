/* Guards face networks: each family is recognised and decoded to the boxes that its definition gives, suppression, and
 * a made-up network run over pictures of many shapes, tiles included; RFB-320 on photographs where it is at hand. */
#include "testing.h"

#include <math.h>

#include "base/file.h"
#include "detect/detector.h"
#include "detect/network_decode.h"
#include "detect/network_tiles.h"
#include "model/model.h"

static nn_shape table(int64_t rows, int64_t columns)
{
    return (nn_shape){3, {1, rows, columns}};
}

static nn_shape map(int64_t channels, int64_t height, int64_t width)
{
    return (nn_shape){4, {1, channels, height, width}};
}

static void assert_box(const network_box *box, float left, float top, float right, float bottom, float score)
{
    assert_true(fabsf(box->left - left) < 1e-3f && fabsf(box->top - top) < 1e-3f);
    assert_true(fabsf(box->right - right) < 1e-3f && fabsf(box->bottom - bottom) < 1e-3f);
    assert_true(fabsf(box->score - score) < 1e-5f);
}

static void test_recognise(void **state)
{
    (void)state;
    const nn_shape mien[3] = {map(5, 8, 8), map(5, 4, 4), map(5, NN_DYNAMIC, NN_DYNAMIC)};
    const nn_shape rfb[2] = {table(4420, 2), table(4420, 4)}, turned[2] = {table(4420, 4), table(4420, 2)};
    const nn_shape blaze[2] = {table(896, 16), table(896, 1)}, other[2] = {table(10, 3), table(10, 4)};
    nn_shape yunet[12];
    for (int i = 0; i < 12; i++)
        yunet[i] = table(6400 >> 2 * (i % 3), i < 6 ? 1 : i < 9 ? 4 : 10);
    assert_int_equal(network_recognise(mien, 3, false), NETWORK_MIEN);
    assert_int_equal(network_recognise(rfb, 2, true), NETWORK_RFB);
    assert_int_equal(network_recognise(turned, 2, false), NETWORK_RFB_PRIORS);
    assert_int_equal(network_recognise(blaze, 2, false), NETWORK_BLAZEFACE);
    assert_int_equal(network_recognise(yunet, 12, false), NETWORK_YUNET);
    assert_int_equal(network_recognise(other, 2, false), NETWORK_UNKNOWN);
    assert_int_equal(network_recognise(mien, 2, false), NETWORK_UNKNOWN);
    for (network_style s = NETWORK_MIEN; network_style_name(s); s++)
        assert_int_equal(network_style_from_name(network_style_name(s)), s);
    assert_int_equal(network_style_from_name("haar"), NETWORK_UNKNOWN);
}

static void test_decode_mien(void **state)
{
    (void)state;
    float cells[5 * 4 * 8];
    for (int i = 0; i < 5 * 32; i++)
        cells[i] = i < 32 ? -9 : 0;
    cells[1 * 8 + 2] = 2;        /* row 1, column 2 */
    cells[32 + 10] = logf(1.5f); /* left, in strides */
    cells[4 * 32 + 10] = 1000;   /* bottom: held to what is finite */
    cells[3] = NAN;              /* a score that is not a number is none */
    const network_output output = {cells, map(5, 4, 8), false};
    network_boxes boxes = {0};
    mien_error error = {0};
    assert_ok(network_decode(NETWORK_MIEN, &output, 1, 64, 32, 0.5f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    boxes.data[0].bottom = 0;
    assert_box(boxes.data, 20 - 12, 12 - 8, 20 + 8, 0, 1 / (1 + expf(-2)));
    assert_int_equal(network_decode(NETWORK_MIEN, &output, 1, 65, 32, 0.5f, &boxes, &error), MIEN_EFORMAT);
    network_boxes_done(&boxes);
}

static void test_decode_rfb(void **state)
{
    (void)state;
    enum { PLACES = 4420 };
    float *scores = calloc(PLACES * 2, sizeof *scores), *sides = calloc(PLACES * 4, sizeof *sides);
    assert_non_null(scores);
    assert_non_null(sides);
    network_boxes boxes = {0};
    mien_error error = {0};
    const network_output outputs[2] = {{scores, table(PLACES, 2), true}, {sides, table(PLACES, 4), false}};
    scores[2 * 7 + 1] = 0.9f;
    for (int i = 0; i < 4; i++)
        sides[4 * 7 + i] = 0.1f + 0.2f * (float)i;
    assert_ok(network_decode(NETWORK_RFB, outputs, 2, 320, 240, 0.6f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    assert_box(boxes.data, 32, 72, 160, 168, 0.9f);

    /* Place 3600 is the first of stride 16: 20 × 15 cells of sides 32 and 48. No offset is the prior itself. */
    memset(scores, 0, PLACES * 2 * sizeof *scores);
    scores[2 * 3601 + 1] = 0.8f;
    boxes.count = 0;
    assert_ok(network_decode(NETWORK_RFB_PRIORS, outputs, 2, 320, 240, 0.6f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    assert_box(boxes.data, 8 - 24, 8 - 24, 8 + 24, 8 + 24, 0.8f);
    sides[4 * 3601] = 5; /* 5 × 0.1 × 48 pixels to the right */
    sides[4 * 3601 + 2] = 5 * logf(2);
    boxes.count = 0;
    assert_ok(network_decode(NETWORK_RFB_PRIORS, outputs, 2, 320, 240, 0.6f, &boxes, &error), &error);
    assert_box(boxes.data, 8 + 24 - 48, 8 - 24, 8 + 24 + 48, 8 + 24, 0.8f);
    assert_int_equal(network_decode(NETWORK_RFB_PRIORS, outputs, 2, 640, 480, 0.6f, &boxes, &error), MIEN_EFORMAT);
    network_boxes_done(&boxes);
    free(scores);
    free(sides);
}

static void test_decode_yunet(void **state)
{
    (void)state;
    float zeros[10 * 64] = {0}, class[64] = {0}, object[64] = {0}, sides[4 * 64] = {0};
    network_output outputs[12];
    for (int i = 0; i < 12; i++)
        outputs[i] = (network_output){zeros, table(64 >> 2 * (i % 3), i < 6 ? 1 : i < 9 ? 4 : 10), true};
    class[9] = 0.81f, object[9] = 1.2f; /* clamped to 1 */
    sides[36] = 0.5f, sides[37] = 0.25f, sides[38] = logf(3), sides[39] = 0;
    outputs[0].data = class, outputs[3].data = object, outputs[6].data = sides; /* stride 8 of 64 × 64 */
    network_boxes boxes = {0};
    mien_error error = {0};
    assert_ok(network_decode(NETWORK_YUNET, outputs, 12, 64, 64, 0.5f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    assert_box(boxes.data, 12 - 12, 10 - 4, 12 + 12, 10 + 4, 0.9f);
    /* Stride by stride instead of kind by kind, as other exporters order them: the same box. */
    network_output turned[12];
    for (int i = 0; i < 12; i++)
        turned[3 * (i % 3) + i % 3 + i / 3] = outputs[i];
    boxes.count = 0;
    assert_ok(network_decode(NETWORK_YUNET, turned, 12, 64, 64, 0.5f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    assert_box(boxes.data, 12 - 12, 10 - 4, 12 + 12, 10 + 4, 0.9f);
    network_boxes_done(&boxes);
}

static void test_decode_blazeface(void **state)
{
    (void)state;
    static float logits[896], sides[896 * 16];
    for (int i = 0; i < 896; i++)
        logits[i] = -100;
    logits[519] = 0; /* the 8 × 8 grid's second cell */
    sides[519 * 16] = 4, sides[519 * 16 + 2] = 20, sides[519 * 16 + 3] = 30;
    const network_output outputs[2] = {{sides, table(896, 16), false}, {logits, table(896, 1), false}};
    network_boxes boxes = {0};
    mien_error error = {0};
    assert_ok(network_decode(NETWORK_BLAZEFACE, outputs, 2, 128, 128, 0.5f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    assert_box(boxes.data, 28 - 10, 8 - 15, 28 + 10, 8 + 15, 0.5f);
    network_boxes_done(&boxes);
}

/* 2304 places of 192 × 192, each its own cell of 48 × 48; 896 places serve 256 × 256 too. */
static void test_decode_other_blazefaces(void **state)
{
    (void)state;
    static float logits[2304], sides[2304 * 16];
    network_boxes boxes = {0};
    mien_error error = {0};
    for (int i = 0; i < 2304; i++)
        logits[i] = -100;
    logits[49] = 3; /* second row, second cell */
    sides[49 * 16 + 2] = 20, sides[49 * 16 + 3] = 30;
    network_output outputs[2] = {{logits, table(2304, 1), false}, {sides, table(2304, 16), false}};
    const nn_shape shapes[2] = {table(2304, 1), table(2304, 16)};
    assert_int_equal(network_recognise(shapes, 2, false), NETWORK_BLAZEFACE);
    assert_ok(network_decode(NETWORK_BLAZEFACE, outputs, 2, 192, 192, 0.5f, &boxes, &error), &error);
    assert_int_equal(boxes.count, 1);
    assert_box(boxes.data, 6 - 10, 6 - 15, 6 + 10, 6 + 15, 1 / (1 + expf(-3)));
    assert_int_equal(network_decode(NETWORK_BLAZEFACE, outputs, 2, 128, 128, 0.5f, &boxes, &error), MIEN_EFORMAT);
    outputs[0].shape = table(896, 1), outputs[1].shape = table(896, 16);
    boxes.count = 0;
    assert_ok(network_decode(NETWORK_BLAZEFACE, outputs, 2, 256, 256, 0.5f, &boxes, &error), &error);
    assert_box(boxes.data, 8.5f * 16 - 10, 1.5f * 16 - 15, 8.5f * 16 + 10, 1.5f * 16 + 15, 1 / (1 + expf(-3)));
    network_boxes_done(&boxes);
}

/* A style that a file states is held to the shapes all the same. */
static void test_stated_style_does_not_read_beyond(void **state)
{
    (void)state;
    static const float cell[4] = {9, 9, 9, 9};
    const network_output outputs[] = {{cell, map(1, 2, 2), false}, {cell, table(2, 2), false}};
    network_boxes boxes = {0};
    mien_error error = {0};
    for (network_style style = NETWORK_MIEN; style <= NETWORK_BLAZEFACE; style++)
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(network_decode(style, outputs + i, 1, 64, 64, 0.5f, &boxes, &error), MIEN_EFORMAT);
    network_boxes_done(&boxes);
}

static void test_levels(void **state)
{
    (void)state;
    network_level levels[NETWORK_MAX_LEVELS];
    const network_reach any = {0, 0, 10, 40}, fixed = {320, 240, 10, 32};
    /* The smallest face wanted becomes the smallest that is seen. */
    assert_int_equal(network_levels(&any, 640, 480, levels), 1);
    assert_true(levels[0].scale == 0.25 && levels[0].width == 160 && levels[0].height == 128);
    /* A fixed input is used as far as it goes, but nothing is enlarged. */
    assert_int_equal(network_levels(&fixed, 400, 300, levels), 1);
    assert_true(levels[0].scale == 0.8);
    assert_int_equal(network_levels(&fixed, 100, 100, levels), 1);
    assert_true(levels[0].scale == 1);
    /* Tiles cover a large picture at every level, and the last one is a single tile. */
    const network_reach close = {0, 0, 10, 10};
    size_t count = network_levels(&close, 5000, 3000, levels);
    assert_true(count > 2 && levels[count - 1].across * levels[count - 1].down == 1);
    for (size_t l = 0; l < count; l++) {
        double right = 0, bottom = 0;
        for (int i = 0; i < levels[l].across * levels[l].down; i++) {
            network_view view = network_tile(&levels[l], 5000, 3000, i);
            assert_true(view.seen_width <= (size_t)levels[l].width && view.seen_height <= (size_t)levels[l].height);
            assert_true(view.x <= right && view.y <= bottom + 1);
            right = i % levels[l].across + 1 == levels[l].across ? 0 : view.x + view.width;
            bottom = fmax(bottom, view.y + view.height);
        }
        assert_true(bottom >= 2999);
    }
    /* A box at an inner edge is the neighbour's, one at the picture's edge is not; a large one is a coarser level's. */
    network_view view = network_tile(&levels[0], 5000, 3000, 0);
    const network_box corner = {0, 0, 100, 100, 1}, cut = {(float)view.width - 100, 100, (float)view.width, 200, 1};
    const network_box large = {100, 100, 600, 600, 1};
    assert_true(network_tile_owns(&levels[0], &view, 5000, 3000, &corner));
    assert_false(network_tile_owns(&levels[0], &view, 5000, 3000, &cut));
    assert_false(network_tile_owns(&levels[0], &view, 5000, 3000, &large));
    assert_true(network_tile_owns(&levels[count - 1], &view, 5000, 3000, &large));
}

static void test_suppress(void **state)
{
    (void)state;
    network_box list[] = {{0, 0, 10, 10, 0.5f}, {1, 0, 11, 10, 0.9f}, {20, 0, 30, 10, 0.7f}, {0, 0, 4, 4, 0.6f}};
    network_boxes boxes = {list, 4, 4};
    network_suppress(&boxes, 0.4f);
    assert_int_equal(boxes.count, 3);
    assert_true(list[0].score == 0.9f && list[1].score == 0.7f && list[2].score == 0.6f);
}

/* A network of any size that sees a face of two strides wherever red is bright: 1 × 1 convolutions of pooled pixels. */
static void make_network(model *m)
{
    int x = nn_input(&m->graph, "pixels", 3, NN_DYNAMIC, NN_DYNAMIC), at = x;
    for (int s = 0; s < 5; s++) {
        char name[3][16];
        snprintf(name[0], sizeof name[0], "pool%d", s);
        at = nn_pool(&m->graph, NN_AVG_POOL, name[0], at, 2, 2, 0);
        if (s < 2)
            continue;
        snprintf(name[1], sizeof name[1], "head%d", s);
        int head = nn_conv(&m->graph, name[1], at, 5, 1, 1, 0, 1, true);
        assert_int_equal(nn_graph_set_output(&m->graph, head), MIEN_OK);
    }
    for (int w = 0; w < m->graph.weight_count; w++) {
        nn_weight *weight = &m->graph.weights[w];
        if (strstr(weight->name, "bias")) {
            weight->data[0] = -10;
        } else {
            memset(weight->data, 0, weight->count * sizeof *weight->data);
            weight->data[0] = 20; /* red to the logit */
        }
    }
    model_info_init(&m->info, &m->graph);
    mien_error error = {0};
    assert_ok(model_info_set(&m->info, "task", "face-detector", &error), &error);
}

static void test_open_network(void **state)
{
    (void)state;
    model m = {0};
    buffer file;
    mien_error error = {0};
    detector *d = NULL;
    detect_scratch *scratch = NULL;
    buffer_init(&file, 1 << 20);
    make_network(&m);
    assert_ok(model_save_onnx_buffer(&m, &file, &error), &error);
    assert_ok(detector_open_network(file.data, file.length, &d, &error), &error);
    assert_string_equal(detector_kind(d), "network");
    assert_ok(detect_scratch_create(d, &scratch, &error), &error);
    static uint8_t pixels[3 * 1500 * 300];
    static const size_t sizes[][2] = {{1, 1}, {31, 7}, {64, 64}, {200, 120}, {1500, 300}};
    detect_faces faces = {0};
    detect_options options;
    detect_default_options(&options);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int32_t least = 10; least <= 40; least += 30) {
            size_t width = sizes[i][0], height = sizes[i][1];
            mien_image_view view = {pixels, width, height, 3 * width, MIEN_PIXEL_RGB8};
            options.min_width = options.min_height = least;
            memset(pixels, 0, sizeof pixels);
            assert_ok(detector_find(d, scratch, &view, &options, &faces, &error), &error);
            assert_int_equal(faces.count, 0);
            /* A bright patch in the far corner is found there, in pixels of the picture. */
            if (width < 100)
                continue;
            for (size_t y = height - 64; y < height; y++)
                for (size_t x = width - 64; x < width; x++)
                    pixels[3 * (y * width + x)] = 255;
            assert_ok(detector_find(d, scratch, &view, &options, &faces, &error), &error);
            assert_true(faces.count > 0);
            for (size_t f = 0; f < faces.count; f++) {
                const mien_rect *box = &faces.data[f].box;
                assert_true(box->x >= 0 && box->y >= 0 && (size_t)(box->x + box->width) <= width &&
                            (size_t)(box->y + box->height) <= height);
                assert_true(2 * box->x + box->width > 2 * (int32_t)width - 2 * 64 - 20);
            }
        }
    detect_faces_done(&faces);
    detect_scratch_destroy(&scratch);
    detector_destroy(&d);
    assert_int_equal(detector_open_network("no model", 8, &d, &error), MIEN_EFORMAT);
    model_done(&m);
    buffer_done(&file);
}

static mien_status open_with(const char *key, const char *value, detector **d, mien_error *error)
{
    model m = {0};
    buffer file;
    buffer_init(&file, 1 << 20);
    make_network(&m);
    assert_ok(model_info_set(&m.info, key, value, error), error);
    assert_ok(model_save_onnx_buffer(&m, &file, error), error);
    mien_status status = detector_open_network(file.data, file.length, d, error);
    model_done(&m);
    buffer_done(&file);
    return status;
}

/* What a model states of itself is used; what it cannot mean is refused by name. */
static void test_stated_manners(void **state)
{
    (void)state;
    detector *d = NULL;
    mien_error error = {0};
    assert_ok(open_with("detector.min_score", "0.25", &d, &error), &error);
    assert_true(detector_min_score(d) == 0.25f);
    detector_destroy(&d);
    assert_ok(open_with("crop.scale", "1.25", &d, &error), &error);
    assert_true(detector_crop(d).scale == 1.25f);
    detector_destroy(&d);
    static const char *const bad[][2] = {{"detector.min_score", "2"},
                                         {"detector.least_face", "large"},
                                         {"detector.precision", "f16"},
                                         {"detector.style", "haar"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(open_with(bad[i][0], bad[i][1], &d, &error) != MIEN_OK);
        assert_non_null(strstr(error.message, bad[i][0]));
    }
    assert_int_equal(open_with("task", "emotion", &d, &error), MIEN_EINVAL);
    assert_non_null(strstr(error.message, "reads emotions"));
}

/* A picture of one large face. */
static void test_rfb_finds_a_face(void **state)
{
    (void)state;
    char path[1024];
    detector *d = NULL;
    detect_scratch *scratch = NULL;
    detect_faces faces = {0};
    mien_error error = {0};
    mien_image image = {0};
    buffer bytes;
    buffer_init(&bytes, 64 << 20);
    assert_ok(
        detector_open_network_file(testing_shared_file("models/version-RFB-320.onnx", path, sizeof path), &d, &error),
        &error);
    assert_ok(detect_scratch_create(d, &scratch, &error), &error);
    assert_ok(file_read(testing_shared_file("photos/astronaut.png", path, sizeof path), 64 << 20, &bytes, &error),
              &error);
    assert_ok(mien_image_decode(bytes.data, bytes.length, NULL, &image, &error), &error);
    mien_image_view view = mien_image_as_view(&image);
    assert_ok(detector_find(d, scratch, &view, NULL, &faces, &error), &error);
    assert_int_equal(faces.count, 1);
    assert_true(faces.data[0].score > 0.9f && faces.data[0].box.x > 150 && faces.data[0].box.x < 200);
    detect_faces_done(&faces);
    detect_scratch_destroy(&scratch);
    detector_destroy(&d);
    mien_image_done(&image);
    buffer_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recognise),
        cmocka_unit_test(test_decode_mien),
        cmocka_unit_test(test_decode_rfb),
        cmocka_unit_test(test_decode_yunet),
        cmocka_unit_test(test_decode_blazeface),
        cmocka_unit_test(test_suppress),
        cmocka_unit_test(test_open_network),
        cmocka_unit_test(test_rfb_finds_a_face),
        cmocka_unit_test(test_decode_other_blazefaces),
        cmocka_unit_test(test_stated_style_does_not_read_beyond),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_stated_manners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
