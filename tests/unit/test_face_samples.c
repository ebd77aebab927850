/* Guards the data of face detectors: reading annotated pictures, the split, resampling, and that the boxes of a sample
 * lie on its faces whatever was done to it. */
#include "folder.h"

#include <math.h>

#include "base/memory.h"
#include "train/augment.h"
#include "train/face_augment.h"
#include "train/face_dataset.h"
#include "train/face_resample.h"

enum { SIDE = 128, AREA = SIDE * SIDE, MOST = 64 };

/* Dim blue with red rectangles where the faces are said to be. */
static void paint(mien_image *image, const face_target *faces, size_t count)
{
    for (size_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < image->width; x++) {
            uint8_t *pixel = image->data + y * image->stride + 3 * x;
            bool face = false;
            for (size_t i = 0; i < count; i++)
                face |= (float)x >= faces[i].left && (float)x < faces[i].right && (float)y >= faces[i].top &&
                        (float)y < faces[i].bottom;
            pixel[0] = face ? 250 : 20;
            pixel[1] = face ? 20 : (uint8_t)(40 + x % 16);
            pixel[2] = face ? 20 : (uint8_t)(80 + y % 16);
        }
}

static void put_picture(const char *name, size_t width, size_t height, const face_target *faces, size_t count)
{
    mien_image image = {0};
    mien_error error;
    assert_ok(mien_image_init(&image, width, height, MIEN_PIXEL_RGB8, &error), &error);
    paint(&image, faces, count);
    testing_put_png(name, &image);
    mien_image_done(&image);
}

static const face_target one_face[] = {{200, 120, 260, 200, false}};
static const face_target two_faces[] = {{50, 40, 90, 100, false}, {300, 200, 330, 240, true}};
static const char annotations[] = "file,x,y,width,height,blur,ignore,occlusion\n"
                                  "one.png,200,120,60,80,0,0,0\n"
                                  "broken.png,1,2,30,40,0,0,0\n"
                                  "two.png,50,40,40,60,0,0,0\n"
                                  "absent.png,1,2,30,40,0,0,0\n"
                                  "two.png,300,200,30,40,2,1,1\n";

static int make_data(void **state)
{
    if (testing_folder_make(state))
        return -1;
    testing_put_folder("images");
    testing_put_folder("empty");
    put_picture("images/one.png", 480, 360, one_face, 1);
    put_picture("images/two.png", 400, 300, two_faces, 2);
    put_picture("empty/none.png", 300, 200, NULL, 0);
    testing_put("images/broken.png", "\x89PNG\r\n\x1a\nno more", 15);
    testing_put_text("annotations.csv", annotations);
    return 0;
}

typedef struct seen {
    size_t steps, skipped;
} seen;

static void count_progress(void *context, size_t done, size_t total)
{
    seen *counts = context;
    counts->steps++;
    assert_true(done >= 1 && done <= total);
}

static void count_skipped(void *context, const char *path, const mien_error *error)
{
    seen *counts = context;
    counts->skipped++;
    assert_non_null(path);
    assert_true(error->message[0] != '\0');
}

static face_dataset read_all(int side)
{
    face_dataset data = {0};
    mien_error error;
    seen counts = {0};
    face_dataset_options options = {.side = side,
                                    .threads = 2,
                                    .progress = count_progress,
                                    .progress_context = &counts,
                                    .skip = count_skipped,
                                    .skip_context = &counts};
    assert_ok(face_dataset_read(testing_path("annotations.csv"), testing_path("images"), &options, &data, &error),
              &error);
    assert_int_equal(counts.steps, 4);
    assert_int_equal(counts.skipped, 2);
    return data;
}

static void test_reads_and_leaves_out(void **state)
{
    (void)state;
    face_dataset data = read_all(0);
    assert_int_equal(data.count, 2);
    assert_int_equal(data.skipped, 2);
    assert_int_equal(data.face_count, 3);
    assert_string_equal(data.pictures[1].file, "two.png");
    assert_int_equal(data.pictures[1].first, 1);
    assert_int_equal(data.pictures[1].count, 2);
    assert_false(data.faces[1].ignored);
    assert_true(data.faces[2].ignored);
    assert_int_equal(data.pictures[0].level_count, 4);
    assert_int_equal(data.pictures[0].levels[1].width, 240);
    assert_int_equal(data.pictures[0].levels[3].height, 45);
    assert_float_equal(data.faces[0].bottom, 200, 0);
    face_dataset_done(&data);
}

static void test_fits_into_a_side(void **state)
{
    (void)state;
    face_dataset data = read_all(240);
    const mien_image *image = &data.pictures[0].levels[0];
    assert_int_equal(image->width, 240);
    assert_int_equal(image->height, 180);
    assert_float_equal(data.pictures[0].scale, 0.5f, 1e-6f);
    assert_float_equal(data.faces[0].left, 100, 1e-3f);
    assert_float_equal(data.faces[0].bottom, 100, 1e-3f);
    assert_int_equal(image->data[80 * image->stride + 3 * 115], 250);
    assert_int_equal(image->data[80 * image->stride + 3 * 95], 20);
    face_dataset_done(&data);
}

static void test_refuses_what_is_wrong(void **state)
{
    (void)state;
    static const char bad[] = "file,x,y,width,height\none.png,1,2,three,4\n";
    face_dataset data = {0};
    mien_error error;
    testing_put_text("bad.csv", bad);
    assert_int_equal(face_dataset_read(testing_path("bad.csv"), testing_folder, NULL, &data, &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "line 2"));
    assert_int_equal(face_dataset_read(testing_path("nothing.csv"), testing_folder, NULL, &data, &error),
                     MIEN_ENOTFOUND);
    assert_int_equal(face_dataset_read(testing_path("annotations.csv"), testing_path("empty"), NULL, &data, &error),
                     MIEN_ENOTFOUND);
    face_dataset_options options = {.side = 4};
    assert_int_equal(face_dataset_read(testing_path("annotations.csv"), testing_folder, &options, &data, &error),
                     MIEN_EINVAL);
    assert_null(data.pictures);
}

static void test_reads_what_a_configuration_says(void **state)
{
    (void)state;
    face_dataset data = {0};
    train_config config;
    mien_error error;
    config_default(&config);
    config.holdout = 0;
    config.picture_side = 100;
    snprintf(config.data, sizeof(config.data), "%s", testing_path("annotations.csv"));
    snprintf(config.negatives_data, sizeof(config.negatives_data), "%s", testing_path("empty"));
    assert_ok(face_dataset_read_configured(&config, NULL, &data, &error), &error);
    assert_int_equal(data.count, 2);
    assert_int_equal(data.negative_count, 1);
    assert_int_equal(data.negatives[0].levels[0].width, 100);
    size_t *rows = NULL, count = 0;
    assert_ok(face_dataset_rows(&data, false, &rows, &count, &error), &error);
    assert_int_equal(count, 2);
    memory_free(rows);
    assert_int_equal(face_dataset_rows(&data, true, &rows, &count, &error), MIEN_ENOTFOUND);
    face_dataset_done(&data);
}

static void test_split_is_stable(void **state)
{
    (void)state;
    size_t tenth = 0, fifth = 0;
    for (int i = 0; i < 10000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "picture_%d.jpg", i);
        bool held = face_dataset_is_holdout(name, 0.1f);
        tenth += held;
        fifth += face_dataset_is_holdout(name, 0.2f);
        assert_true(!held || face_dataset_is_holdout(name, 0.2f));
        assert_false(face_dataset_is_holdout(name, 0));
    }
    assert_in_range(tenth, 900, 1100);
    assert_in_range(fifth, 1850, 2150);
    /* a change of these would let earlier models be chosen by what they were trained on */
    static const int held[] = {10, 26, 27, 32};
    for (int i = 0, next = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "picture_%d.jpg", i);
        bool expected = next < 4 && held[next] == i;
        next += expected;
        assert_int_equal(face_dataset_is_holdout(name, 0.1f), expected);
    }
}

static void test_resamples(void **state)
{
    (void)state;
    enum { W = 40, H = 30 };
    uint8_t pixels[H * W * 3], out[H * W * 3];
    face_resampler r;
    mien_error error;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W * 3; x++)
            pixels[y * W * 3 + x] = (uint8_t)(x * 2 + y / 2 * 2);
    assert_ok(face_resampler_init(&r, W, W, &error), &error);
    mien_image_view source = {pixels, W, H, 3 * W, MIEN_PIXEL_RGB8};
    mien_image target = {out, W, H, 3 * W, MIEN_PIXEL_RGB8};
    face_map map = {.step_x = 1, .step_y = 1};
    face_resample(&r, &source, &map, 9, &target);
    assert_memory_equal(out, pixels, sizeof(pixels));
    map.flip = true;
    face_resample(&r, &source, &map, 9, &target);
    for (int x = 0; x < W; x++)
        assert_memory_equal(out + 3 * x, pixels + 3 * (W - 1 - x), 3);
    map = (face_map){.x = -10, .y = 5, .step_x = 1, .step_y = 1};
    face_resample(&r, &source, &map, 9, &target);
    assert_int_equal(out[3 * 9 + 2], 9);
    assert_memory_equal(out + 3 * 10, pixels + 5 * 3 * W, 3 * (W - 10));
    assert_int_equal(out[25 * 3 * W + 3 * 20], 9);
    /* a third: a slope stays a slope, flat stays flat */
    target.width = 10;
    target.height = 8;
    map = (face_map){.x = 3, .y = 2, .step_x = 3, .step_y = 3};
    face_resample(&r, &source, &map, 9, &target);
    for (int x = 0; x < 10; x++)
        assert_in_range(out[3 * 3 * W + 3 * x], (4 + 3 * x) * 6 + 11, (4 + 3 * x) * 6 + 15);
    /* much larger than the source */
    map = (face_map){.x = -400, .y = -300, .step_x = 100, .step_y = 100};
    face_resample(&r, &source, &map, 9, &target);
    face_resampler_done(&r);
}

typedef struct sample {
    float input[3 * AREA];
    face_target targets[MOST];
    size_t count;
} sample;

/* Where samples are drawn from: the pictures of read_all(), a configuration and what augmentation keeps. */
typedef struct source {
    face_dataset data;
    train_config config;
    face_augment_scratch scratch;
} source;

static source source_open(void)
{
    source from = {.data = read_all(0)};
    mien_error error = {0};
    config_default(&from.config);
    from.config.flip = 0.5f;
    assert_ok(face_augment_scratch_init(&from.scratch, SIDE, &error), &error);
    return from;
}

static void source_close(source *from)
{
    face_augment_scratch_done(&from->scratch);
    face_dataset_done(&from->data);
}

static void draw(source *from, uint32_t number, sample *out)
{
    random_state stream;
    augment_stream(&stream, 11, 3, number);
    out->count = 999;
    face_augment_sample(&from->config, &from->data, number % from->data.count, &stream, &from->scratch, SIDE,
                        out->input, out->targets, MOST, &out->count);
    assert_true(out->count <= MOST);
}

static bool is_red(const sample *s, int x, int y)
{
    const float *at = s->input + (size_t)y * SIDE + (size_t)x;
    return at[0] - fmaxf(at[AREA], at[2 * AREA]) > 0.5f;
}

/* Red outside the boxes, or something else inside, apart from a seam around each box. */
static bool is_strange(const sample *s, float seam, int x, int y)
{
    float px = (float)x + 0.5f, py = (float)y + 0.5f;
    bool inside = false;
    for (size_t i = 0; i < s->count; i++) {
        const face_target *face = &s->targets[i];
        float left = px - face->left, top = py - face->top, right = face->right - px, bottom = face->bottom - py;
        float edge = fminf(fminf(left, right), fminf(top, bottom));
        if (fabsf(edge) < seam)
            return false;
        inside |= edge > 0;
    }
    return inside != is_red(s, x, y);
}

/* Places where the red pixels and the boxes are not the same; not slivers one pixel wide, which a face just beyond the
 * edge of a sample or of a tile leaves. */
static size_t count_strangers(const sample *s, float seam)
{
    size_t strangers = 0;
    for (int y = 0; y + 1 < SIDE; y++)
        for (int x = 0; x + 1 < SIDE; x++)
            strangers += is_strange(s, seam, x, y) && is_strange(s, seam, x + 1, y) && is_strange(s, seam, x, y + 1);
    return strangers;
}

static void check_boxes(source *from, float seam)
{
    size_t boxes = 0, cut = 0;
    static sample s;
    for (uint32_t i = 0; i < 150; i++) {
        draw(from, i, &s);
        size_t strangers = count_strangers(&s, seam);
        if (strangers)
            fail_msg("sample %u: %zu places that are red outside the boxes or something else inside", i, strangers);
        boxes += s.count;
        for (size_t k = 0; k < s.count; k++)
            cut += s.targets[k].ignored;
    }
    assert_true(boxes > 100);
    assert_true(cut < boxes);
}

static void test_boxes_lie_on_the_faces(void **state)
{
    (void)state;
    source from = source_open();
    train_config *config = &from.config;
    check_boxes(&from, 2.5f);
    config->mosaic = 1;
    check_boxes(&from, 2.5f);
    config->brightness = config->contrast = config->tint = 0.1f;
    config->gamma = 0.2f;
    config->noise = 0.02f;
    config->jpeg = config->blur = 0.5f;
    config->mosaic = 0.3f;
    check_boxes(&from, 6);
    source_close(&from);
}

static void test_ignores_what_cannot_be_seen(void **state)
{
    (void)state;
    source from = source_open();
    static sample s;
    size_t whole = 0, parts = 0;
    for (uint32_t i = 0; i < 400; i += 2) { /* one.png: a face of 60 × 80 */
        draw(&from, i, &s);
        for (size_t k = 0; k < s.count; k++) {
            const face_target *f = &s.targets[k];
            assert_true(f->left >= 0 && f->top >= 0 && f->right <= SIDE && f->bottom <= SIDE);
            bool across = f->left == 0 || f->right == SIDE, down = f->top == 0 || f->bottom == SIDE;
            float aspect = (f->right - f->left) / (f->bottom - f->top);
            if (across && !down && aspect < 0.3f) /* of 0.75, stretched by up to 17 % */
                assert_true(f->ignored);
            if (!across && !down)
                assert_int_equal(f->ignored, (f->right - f->left) * (f->bottom - f->top) < 64);
            whole += !across && !down;
            parts += f->ignored;
        }
    }
    assert_true(whole > 100);
    assert_true(parts > 0);
    from.config.face_min = 1000;
    from.config.face_most = 0.5f;
    draw(&from, 4, &s);
    for (size_t k = 0; k < s.count; k++)
        assert_true(s.targets[k].ignored);
    source_close(&from);
}

static void test_negatives_show_no_face(void **state)
{
    (void)state;
    source from = source_open();
    static sample s;
    size_t empty = 0;
    from.config.negatives = 1;
    for (uint32_t i = 0; i < 100; i++) {
        draw(&from, i, &s);
        empty += !s.count;
        /* a face just beyond the border may tinge it */
        for (int y = 2; y < SIDE - 2 && !s.count; y++)
            for (int x = 2; x < SIDE - 2; x++)
                assert_false(is_red(&s, x, y));
    }
    assert_true(empty > 70); /* a place without faces is not always found */
    source_close(&from);
}

/* White crops are pasted: their boxes must lie on white, and off the red. */
static void test_pastes_beside_the_faces(void **state)
{
    (void)state;
    source from = source_open();
    static sample s;
    size_t pasted = 0;
    from.config.paste = 1;
    from.data.paste = (dataset){.count = 2, .height = 48, .width = 48};
    from.data.paste.pixels = memory_array(2, 48 * 48);
    assert_non_null(from.data.paste.pixels);
    memset(from.data.paste.pixels, 255, 2 * 48 * 48);
    for (uint32_t i = 0; i < 100; i++) {
        draw(&from, i, &s);
        for (size_t k = 0; k < s.count; k++) {
            const face_target *f = &s.targets[k];
            int x = (int)((f->left + f->right) / 2), y = (int)((f->top + f->bottom) / 2);
            bool white = s.input[AREA + y * SIDE + x] > 0;
            pasted += white;
            assert_true(white != is_red(&s, x, y));
            for (size_t j = 0; white && j < s.count; j++) {
                const face_target *g = &s.targets[j];
                assert_true(j == k || g->left >= f->right || g->right <= f->left || g->top >= f->bottom ||
                            g->bottom <= f->top);
            }
        }
    }
    assert_true(pasted > 50);
    source_close(&from);
}

static source source_with_everything(void)
{
    source from = source_open();
    train_config *config = &from.config;
    config->mosaic = config->negatives = config->paste = config->jpeg = config->blur = 0.4f;
    config->erasing = config->grey = 0.4f;
    config->brightness = config->contrast = config->gamma = config->saturation = config->tint = config->noise = 0.2f;
    return from;
}

static void test_depends_on_the_stream_alone(void **state)
{
    (void)state;
    source from = source_with_everything(), other = from; /* the same data and a scratch that never was used */
    mien_error error;
    static sample first, second;
    size_t different = 0;
    for (uint32_t i = 0; i < 40; i++) {
        draw(&from, 40 - i, &second);
        draw(&from, i, &first);
        assert_ok(face_augment_scratch_init(&other.scratch, SIDE * 2, &error), &error);
        draw(&other, i, &second);
        face_augment_scratch_done(&other.scratch);
        assert_int_equal(first.count, second.count);
        assert_memory_equal(first.input, second.input, sizeof(first.input));
        for (size_t k = 0; k < first.count; k++)
            assert_true(first.targets[k].left == second.targets[k].left &&
                        first.targets[k].bottom == second.targets[k].bottom &&
                        first.targets[k].ignored == second.targets[k].ignored);
        for (size_t k = 0; k < 3 * AREA; k++)
            assert_true(first.input[k] >= -1 && first.input[k] <= 1);
        draw(&from, i + 2, &second);
        different += memcmp(first.input, second.input, sizeof(first.input)) != 0;
    }
    assert_int_equal(different, 40);
    source_close(&from);
}

static void test_keeps_to_the_capacity(void **state)
{
    (void)state;
    source from = source_with_everything();
    mien_error error;
    from.config.mosaic = 1;
    static float input[3 * AREA];
    face_target targets[2] = {{0}, {-1, -1, -1, -1, false}};
    for (uint32_t i = 0; i < 30; i++) {
        random_state stream;
        size_t count = 0;
        augment_stream(&stream, 1, 0, i);
        face_augment_sample(&from.config, &from.data, 0, &stream, &from.scratch, SIDE, input, targets, 1, &count);
        assert_true(count <= 1);
        assert_float_equal(targets[1].left, -1, 0);
    }
    source_close(&from);
    assert_int_equal(face_augment_scratch_init(&from.scratch, 5000, &error), MIEN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_and_leaves_out),
        cmocka_unit_test(test_fits_into_a_side),
        cmocka_unit_test(test_refuses_what_is_wrong),
        cmocka_unit_test(test_reads_what_a_configuration_says),
        cmocka_unit_test(test_split_is_stable),
        cmocka_unit_test(test_resamples),
        cmocka_unit_test(test_boxes_lie_on_the_faces),
        cmocka_unit_test(test_ignores_what_cannot_be_seen),
        cmocka_unit_test(test_negatives_show_no_face),
        cmocka_unit_test(test_pastes_beside_the_faces),
        cmocka_unit_test(test_depends_on_the_stream_alone),
        cmocka_unit_test(test_keeps_to_the_capacity),
    };
    return cmocka_run_group_tests(tests, make_data, testing_folder_remove);
}
