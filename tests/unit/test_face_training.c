/* Guards the training of face detectors: which cells answer for a face, the slopes of the losses, that what is learnt
 * is what src/detect reads, and that a run learns, resumes and repeats to the bit. */
#include "training.h"

#include <math.h>

#include "detect/network_decode.h"
#include "train/face_loss.h"

enum { SIDE = 128, CELLS = 16 * 16 + 8 * 8 + 4 * 4, PICTURES = 24 };

/* --- maps of one sample of SIDE pixels --- */

typedef struct maps {
    float values[FACE_CHANNELS * CELLS], gradients[FACE_CHANNELS * CELLS], costs[CELLS];
    int16_t owners[CELLS];
    face_grid grids[FACE_GRIDS];
} maps;

static void make_maps(maps *m, float logit, float distance)
{
    float *values = m->values, *gradients = m->gradients;
    memset(m->gradients, 0, sizeof(m->gradients));
    for (int g = 0; g < FACE_GRIDS; g++) {
        int stride = 8 << g, side = SIDE / stride, cells = side * side;
        m->grids[g] = (face_grid){values, gradients, side, side, stride};
        for (int i = 0; i < FACE_CHANNELS * cells; i++)
            values[i] = i < cells ? logit : distance;
        values += FACE_CHANNELS * cells;
        gradients += FACE_CHANNELS * cells;
    }
}

static int count_owned(const maps *m, int owner)
{
    int count = 0;
    for (int i = 0; i < CELLS; i++)
        count += m->owners[i] == owner;
    return count;
}

static void test_every_face_gets_a_cell(void **state)
{
    (void)state;
    static maps m;
    make_maps(&m, -4, 0.4f);
    for (float size = 6; size <= 120; size += 1.7f)
        for (float at = 0; at + size <= SIDE; at += 3.3f) {
            face_target face = {at, SIDE - at - size, at + size, SIDE - at, false};
            face_assign(m.grids, &face, 1, m.owners, m.costs);
            assert_true(count_owned(&m, 0) >= 1);
            assert_int_equal(count_owned(&m, 0) + count_owned(&m, FACE_NOBODY), CELLS);
        }
}

static void test_sizes_go_to_their_maps(void **state)
{
    (void)state;
    static maps m;
    static const struct {
        float size;
        int first, last;
    } expected[] = {{12, 0, 0}, {50, 0, 1}, {110, 1, 2}};
    make_maps(&m, -4, 0.4f);
    for (size_t i = 0; i < 3; i++) {
        float half = expected[i].size / 2;
        face_target face = {64 - half, 64 - half, 64 + half, 64 + half, false};
        face_assign(m.grids, &face, 1, m.owners, m.costs);
        for (int g = 0, cell = 0; g < FACE_GRIDS; g++)
            for (int c = 0; c < m.grids[g].columns * m.grids[g].rows; c++, cell++)
                if (m.owners[cell] == 0)
                    assert_in_range(g, expected[i].first, expected[i].last);
    }
}

static void test_better_boxes_give_more_cells(void **state)
{
    (void)state;
    static maps m;
    face_target face = {40, 40, 72, 72, false};
    make_maps(&m, -4, -3);
    face_assign(m.grids, &face, 1, m.owners, m.costs);
    int poor = count_owned(&m, 0);
    make_maps(&m, -4, logf(2)); /* 32 pixels wide at stride 8 */
    face_assign(m.grids, &face, 1, m.owners, m.costs);
    assert_int_equal(poor, 1);
    assert_true(count_owned(&m, 0) > 3);
}

static void test_ignored_faces_excuse(void **state)
{
    (void)state;
    static maps m;
    face_target faces[] = {{0, 0, 64, 64, true}, {20, 20, 44, 44, false}};
    make_maps(&m, 2, 0.4f);
    face_assign(m.grids, faces, 2, m.owners, m.costs);
    assert_true(count_owned(&m, 1) >= 1);
    assert_int_equal(count_owned(&m, 0), 0);
    assert_int_equal(count_owned(&m, FACE_EITHER) + count_owned(&m, 1), 64 + 16 + 4);
    face_loss_sum sum = {0};
    face_loss(m.grids, faces, m.owners, 1, 1, &sum);
    for (int i = 0; i < 16 * 16; i++)
        if (m.owners[i] == FACE_EITHER)
            assert_true(m.gradients[i] == 0);
        else
            assert_true(m.gradients[i] != 0);
}

/* What the loss wants is what the detector reads: the edges' logarithms, written where they are asked for, come back as
 * the box. */
static void test_targets_decode_to_the_face(void **state)
{
    (void)state;
    static maps m;
    face_target face = {33.5f, 20.25f, 90.75f, 101.5f, false};
    make_maps(&m, -9, 0.4f);
    face_assign(m.grids, &face, 1, m.owners, m.costs);
    network_output outputs[FACE_GRIDS];
    for (int g = 0, base = 0; g < FACE_GRIDS; g++) {
        face_grid *grid = &m.grids[g];
        int cells = grid->columns * grid->rows;
        float *values = m.values + FACE_CHANNELS * base, stride = (float)grid->stride;
        for (int c = 0; c < cells; c++) {
            float x, y;
            face_grid_centre(grid, c, &x, &y);
            if (m.owners[base + c] != 0)
                continue;
            values[c] = 3;
            values[cells + c] = logf((x - face.left) / stride);
            values[2 * cells + c] = logf((y - face.top) / stride);
            values[3 * cells + c] = logf((face.right - x) / stride);
            values[4 * cells + c] = logf((face.bottom - y) / stride);
        }
        outputs[g] = (network_output){values, {4, {1, FACE_CHANNELS, grid->rows, grid->columns}}, false};
        base += cells;
    }
    network_boxes boxes = {0};
    mien_error error = {0};
    assert_ok(network_decode(NETWORK_MIEN, outputs, FACE_GRIDS, SIDE, SIDE, 0.5f, &boxes, &error), &error);
    assert_int_equal(boxes.count, count_owned(&m, 0));
    for (size_t i = 0; i < boxes.count; i++) {
        assert_float_equal(boxes.data[i].left, face.left, 1e-3);
        assert_float_equal(boxes.data[i].top, face.top, 1e-3);
        assert_float_equal(boxes.data[i].right, face.right, 1e-3);
        assert_float_equal(boxes.data[i].bottom, face.bottom, 1e-3);
    }
    network_boxes_done(&boxes);
    face_loss_sum sum = {0};
    face_loss(m.grids, &face, m.owners, 1, 1, &sum);
    assert_float_equal(sum.overlap, sum.answers, 1e-3);
}

/* --- slopes --- */

static void test_score_slope(void **state)
{
    (void)state;
    for (float logit = -8; logit <= 8; logit += 0.37f)
        for (float quality = 0; quality <= 1; quality += 0.25f) {
            float slope, unused, step = 1e-2f;
            assert_true(face_loss_score(logit, quality, &slope) >= 0);
            float up = face_loss_score(logit + step, quality, &unused);
            float down = face_loss_score(logit - step, quality, &unused);
            assert_float_equal(slope, (up - down) / (2 * step), 1e-3 + 1e-3 * fabs((double)slope));
        }
}

static void check_box_slope(face_edges box, face_edges face)
{
    float slope[4], unused[4], step = 1e-2f;
    face_loss_box(&box, &face, slope);
    for (int i = 0; i < 4; i++) {
        face_edges moved[2] = {box, box};
        (&moved[0].left)[i] += step;
        (&moved[1].left)[i] -= step;
        float numeric =
            (face_loss_box(&moved[0], &face, unused) - face_loss_box(&moved[1], &face, unused)) / (2 * step);
        assert_float_equal(slope[i], numeric, 2e-4);
    }
}

static void test_box_slope(void **state)
{
    (void)state;
    face_edges face = {20, 30, 60, 80};
    check_box_slope((face_edges){25, 35, 70, 90}, face);
    check_box_slope((face_edges){10, 20, 50, 60}, face);
    check_box_slope((face_edges){30, 40, 50, 60}, face);
    check_box_slope((face_edges){0, 0, 100, 120}, face);
    check_box_slope((face_edges){100, 110, 130, 150}, face);
    check_box_slope((face_edges){30, 90, 50, 120}, face);
    float slope[4];
    assert_float_equal(face_loss_box(&face, &face, slope), 0, 1e-5);
}

/* The boxes' part alone (the scores' targets move with the boxes, but pass no gradient). */
static double boxes_loss(maps *m, const face_target *faces)
{
    face_loss_sum with = {0}, without = {0};
    face_loss(m->grids, faces, m->owners, 1, 1, &with);
    face_loss(m->grids, faces, m->owners, 1, 0, &without);
    return with.loss - without.loss;
}

static void test_slopes_reach_the_maps(void **state)
{
    (void)state;
    static maps m;
    face_target faces[] = {{10, 14, 40, 50, false}, {50, 60, 120, 122, false}};
    make_maps(&m, -1, 0.3f);
    for (int i = 0; i < FACE_CHANNELS * CELLS; i++)
        m.values[i] += 0.3f * sinf((float)i);
    face_assign(m.grids, faces, 2, m.owners, m.costs);
    face_loss_sum sum = {0};
    face_loss(m.grids, faces, m.owners, 1, 1, &sum);
    static float gradients[FACE_CHANNELS * CELLS];
    memcpy(gradients, m.gradients, sizeof(gradients));
    int checked = 0;
    for (int g = 0, base = 0; g < FACE_GRIDS; g++) {
        int cells = m.grids[g].columns * m.grids[g].rows;
        for (int i = cells; i < FACE_CHANNELS * cells; i++) {
            int at = FACE_CHANNELS * base + i;
            bool answers = m.owners[base + i % cells] >= 0;
            if (!answers) {
                assert_true(gradients[at] == 0);
                continue;
            }
            float kept = m.values[at], step = 1e-2f;
            m.values[at] = kept + step;
            double up = boxes_loss(&m, faces);
            m.values[at] = kept - step;
            double down = boxes_loss(&m, faces);
            m.values[at] = kept;
            assert_float_equal(gradients[at], (up - down) / (2 * (double)step), 3e-3);
            checked++;
        }
        base += cells;
    }
    assert_true(checked >= 8);
}

/* --- runs --- */

/* Orange squares on dark noise. */
static void paint(mien_image *image, const face_target *face, unsigned number)
{
    for (size_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < image->width; x++) {
            uint8_t *pixel = image->data + y * image->stride + 3 * x;
            bool in =
                (float)x >= face->left && (float)x < face->right && (float)y >= face->top && (float)y < face->bottom;
            uint8_t noise = (uint8_t)((x * 37 + y * 61 + number * 17 + x * y) % 60);
            pixel[0] = (uint8_t)(in ? 180 + noise : noise);
            pixel[1] = (uint8_t)(in ? 100 + noise : noise);
            pixel[2] = noise;
        }
}

static face_dataset make_pictures(void)
{
    face_dataset data = {.count = PICTURES, .face_count = PICTURES};
    mien_error error = {0};
    data.pictures = memory_zeroed(PICTURES, sizeof(*data.pictures));
    data.faces = memory_zeroed(PICTURES, sizeof(*data.faces));
    assert_true(data.pictures && data.faces);
    for (unsigned i = 0; i < PICTURES; i++) {
        face_dataset_picture *picture = &data.pictures[i];
        float size = 34 + (float)(i * 7 % 24), x = (float)(i * 13 % 60), y = (float)(i * 29 % 40);
        data.faces[i] = (face_target){x, y, x + size, y + size, false};
        *picture = (face_dataset_picture){
            .file = memory_text("square"), .level_count = 1, .scale = 1, .first = i, .count = 1, .holdout = i % 4 == 1};
        assert_ok(mien_image_init(&picture->levels[0], 128, 112, MIEN_PIXEL_RGB8, &error), &error);
        paint(&picture->levels[0], &data.faces[i], i);
    }
    return data;
}

static train_config small_run(const char *name, int epochs, int threads)
{
    train_config config;
    config_default(&config);
    strcpy(config.arch, "mien-face");
    snprintf(config.out, sizeof(config.out), "%s", testing_path(name));
    strcpy(config.optimizer, "sgd");
    config.epochs = epochs;
    config.batch = 8;
    config.microbatch = 4;
    config.threads = threads;
    config.samples = 4;
    config.crop = 96;
    config.lr = 0.03f;
    config.clip = 10;
    config.ema = 0.9f;
    config.noise = 0.02f;
    config.flip = 0.5f;
    return config;
}

static trainer *create(const train_config *config, const face_dataset *data)
{
    trainer *t = NULL;
    mien_error error = {0};
    assert_ok(trainer_create_faces(config, data, &(trainer_place){.command = "test"}, &t, &error), &error);
    return t;
}

static void keep_epoch(void *context, const trainer_epoch *epoch)
{
    *(trainer_epoch *)context = *epoch;
    print_message("epoch %d: loss %.3f, overlap %.3f, AP %.3f\n", epoch->epoch, epoch->loss, epoch->share,
                  epoch->faces.average_precision);
}

static void test_learns(void **state)
{
    (void)state;
    face_dataset data = make_pictures();
    train_config config = small_run("learns", 10, 2);
    trainer_epoch last = {0};
    trainer_events events = {.context = &last, .epoch = keep_epoch};
    training_run(create(&config, &data), &events);
    assert_int_equal(last.kind, TRAINER_FACES);
    assert_int_equal(last.faces.pictures, PICTURES / 4);
    assert_int_equal(last.faces.faces, PICTURES / 4);
    assert_true(last.best_score > 0.7);
    model best = training_best(&config);
    assert_int_equal(best.info.task, MODEL_TASK_FACE_DETECTOR);
    assert_int_equal(best.info.input.width, 0);
    assert_string_equal(model_info_property(&best.info, "detector.style"), "mien");
    assert_non_null(model_info_property(&best.info, "detector.min_score"));
    assert_true(nn_graph_parameters(&best.graph) <= 400000);
    model_done(&best);
    face_dataset_done(&data);
}

static void test_resumes_to_the_same_bits(void **state)
{
    (void)state;
    face_dataset data = make_pictures();
    train_config whole = small_run("whole", 1, 1), parts = small_run("parts", 1, 2);
    training_result expected = training_finish(create(&whole, &data), NULL);
    training_step(create(&parts, &data));
    trainer *t = create(&parts, &data); /* afresh, as after a restart of the program */
    for (int i = 1; i < 3; i++) {
        training_resume(t);
        training_step(t);
        t = create(&parts, &data);
    }
    training_resume(t);
    training_result got = training_finish(t, NULL);
    assert_true(training_same(&got, &expected));
    training_forget(&got);
    training_forget(&expected);
    face_dataset_done(&data);
}

static void test_refuses(void **state)
{
    (void)state;
    face_dataset data = make_pictures();
    train_config config = small_run("refused", 1, 1);
    trainer *t = NULL;
    mien_error error = {0};
    config.crop = 100;
    assert_int_equal(trainer_create_faces(&config, &data, &(trainer_place){.command = "test"}, &t, &error),
                     MIEN_EINVAL);
    config.crop = 96;
    strcpy(config.arch, "mien-tiny");
    assert_int_equal(trainer_create_faces(&config, &data, &(trainer_place){.command = "test"}, &t, &error),
                     MIEN_EINVAL);
    strcpy(config.arch, "mien-face");
    for (size_t i = 0; i < data.count; i++)
        data.pictures[i].holdout = false;
    assert_int_equal(trainer_create_faces(&config, &data, &(trainer_place){.command = "test"}, &t, &error),
                     MIEN_ENOTFOUND);
    assert_null(t);
    face_dataset_done(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_face_gets_a_cell),
        cmocka_unit_test(test_sizes_go_to_their_maps),
        cmocka_unit_test(test_better_boxes_give_more_cells),
        cmocka_unit_test(test_ignored_faces_excuse),
        cmocka_unit_test(test_targets_decode_to_the_face),
        cmocka_unit_test(test_score_slope),
        cmocka_unit_test(test_box_slope),
        cmocka_unit_test(test_slopes_reach_the_maps),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_resumes_to_the_same_bits),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, testing_folder_make, testing_folder_remove);
}
