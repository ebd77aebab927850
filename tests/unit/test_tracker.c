/* Guards src/track: identities through crossing paths, occlusion, jitter, missed detections, leaving and returning,
 * uneven and backward clocks; smoothing by time, baselines, bounded memory, the assignment, and where to search next.
 */
#include "testing.h"

#include <math.h>

#include "base/random.h"
#include "track/appearance.h"
#include "track/assignment.h"

#include <mien/tracker.h>

enum { WIDTH = 640, HEIGHT = 480, MOST = 8 };

typedef struct scene {
    mien_tracker *tracker;
    random_state random;
    mien_face faces[MOST];
    mien_track tracks[MOST];
    size_t count;
    double now;
    bool drawn; /* give the tracker a picture */
    uint8_t pixels[WIDTH * HEIGHT];
} scene;

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof *s);
    random_seed(&s->random, 7, 1);
    s->now = 1e6;
    *state = s;
    return mien_tracker_create(NULL, &s->tracker, NULL);
}

static int tear_down(void **state)
{
    scene *s = *state;
    mien_tracker_destroy(&s->tracker);
    free(s);
    return 0;
}

static void begin_frame(scene *s, double interval_ms)
{
    s->now += interval_ms;
    s->count = 0;
    if (s->drawn)
        memset(s->pixels, 90, sizeof s->pixels);
}

/** A face with its centre at (x, y); `looks` chooses its pattern. */
static void put_face(scene *s, double x, double y, double side, int looks, double jitter)
{
    double dx = jitter * side * random_normal(&s->random), dy = jitter * side * random_normal(&s->random);
    double grown = side * (1 + jitter * random_normal(&s->random));
    mien_rect box = {(int32_t)lround(x + dx - grown / 2), (int32_t)lround(y + dy - grown / 2), (int32_t)lround(grown),
                     (int32_t)lround(grown)};
    s->faces[s->count++] = (mien_face){.box = box, .probabilities = {[MIEN_EMOTION_NEUTRAL] = 1}};
    if (!s->drawn)
        return;
    for (int v = 0; v < (int)side; v++) {
        for (int u = 0; u < (int)side; u++) {
            int px = (int)(x - side / 2) + u, py = (int)(y - side / 2) + v;
            if (px < 0 || py < 0 || px >= WIDTH || py >= HEIGHT)
                continue;
            double a = u / side * 6, b = v / side * 6;
            double value = looks == 0 ? sin(a) * cos(b) : looks == 1 ? cos(1.7 * a + b) : sin(a * b / 3);
            s->pixels[py * WIDTH + px] = (uint8_t)(128 + 90 * value);
        }
    }
}

static void track_frame(scene *s)
{
    mien_error error = {0};
    mien_image_view view = {s->pixels, WIDTH, HEIGHT, WIDTH, MIEN_PIXEL_GREY8};
    assert_ok(mien_tracker_update(s->tracker, s->faces, s->count, s->now, s->drawn ? &view : NULL, s->tracks, &error),
              &error);
}

static void test_one_face_with_jitter_and_gaps(void **state)
{
    scene *s = *state;
    for (int frame = 0; frame < 300; frame++) {
        begin_frame(s, 33);
        if (frame % 7 != 3 && frame % 11 != 5) /* the detector misses it now and then */
            put_face(s, 320 + 200 * sin(frame / 30.0), 240 + 60 * cos(frame / 20.0), 90, 0, 0.05);
        track_frame(s);
        if (s->count)
            assert_int_equal(s->tracks[0].id, 1);
    }
    assert_int_equal(mien_tracker_count(s->tracker), 1);
}

static void test_steady_box_is_calmer_than_the_detector(void **state)
{
    scene *s = *state;
    double raw = 0, steady = 0;
    for (int frame = 0; frame < 200; frame++) {
        begin_frame(s, 33);
        put_face(s, 300, 200, 100, 0, 0.05);
        track_frame(s);
        if (frame < 20)
            continue;
        mien_rect a = s->faces[0].box, b = s->tracks[0].steady_box;
        raw += pow(a.x + a.width / 2.0 - 300, 2);
        steady += pow(b.x + b.width / 2.0 - 300, 2);
    }
    assert_true(steady < 0.7 * raw);
}

/** Two faces pass each other; while they overlap, only one is found. */
static void cross(scene *s, double speed)
{
    uint64_t left = 0, right = 0;
    double travelled = 0;
    for (int frame = 0; travelled < 440; frame++, travelled += speed) {
        double a = 100 + travelled, b = 540 - travelled;
        begin_frame(s, 33);
        bool hidden = fabs(a - b) < 60;
        if (!hidden)
            put_face(s, b, 250, 80, 1, 0.03);
        put_face(s, a, 240, 80, 0, 0.03); /* in front */
        track_frame(s);
        if (frame == 0) {
            right = s->tracks[0].id;
            left = s->tracks[1].id;
        }
        if (hidden)
            assert_int_equal(s->tracks[0].id, left);
        if (!hidden) {
            assert_int_equal(s->tracks[0].id, right);
            assert_int_equal(s->tracks[1].id, left);
        }
    }
    assert_int_not_equal(left, right);
    assert_int_equal(mien_tracker_count(s->tracker), 2);
}

static void test_crossing_by_motion_alone(void **state)
{
    cross(*state, 10);
}

static void test_crossing_slowly_by_looks(void **state)
{
    scene *s = *state;
    s->drawn = true;
    cross(s, 4);
}

/** They come up to each other, stop, and go back: motion says they crossed, looks say they did not. */
static void test_turning_back_is_not_crossing(void **state)
{
    scene *s = *state;
    s->drawn = true;
    uint64_t ids[2] = {0};
    for (int frame = 0; frame < 120; frame++) {
        double way = 160 * sin(frame / 119.0 * M_PI);
        bool touching = way > 140;
        begin_frame(s, 33);
        put_face(s, 140 + way, 240, 80, 0, 0.02);
        if (!touching)
            put_face(s, 500 - way, 240, 80, 1, 0.02);
        track_frame(s);
        if (frame == 0) {
            ids[0] = s->tracks[0].id;
            ids[1] = s->tracks[1].id;
        }
        assert_int_equal(s->tracks[0].id, ids[0]);
        if (!touching)
            assert_int_equal(s->tracks[1].id, ids[1]);
    }
}

static void test_short_occlusion(void **state)
{
    scene *s = *state;
    for (int frame = 0; frame < 90; frame++) {
        begin_frame(s, 33);
        if (frame < 30 || frame >= 55) /* 0.8 s behind a pillar */
            put_face(s, 150 + frame * 3, 200, 100, 0, 0.03);
        track_frame(s);
        if (s->count)
            assert_int_equal(s->tracks[0].id, 1);
    }
}

static void test_gone_for_long_is_somebody_new(void **state)
{
    scene *s = *state;
    for (int i = 0; i < 10; i++) {
        begin_frame(s, 33);
        put_face(s, 300, 200, 100, 0, 0);
        track_frame(s);
    }
    begin_frame(s, 2100);
    track_frame(s);
    assert_int_equal(mien_tracker_count(s->tracker), 0);
    begin_frame(s, 33);
    put_face(s, 300, 200, 100, 0, 0);
    track_frame(s);
    assert_int_equal(s->tracks[0].id, 2);
}

static void test_another_place_is_another_face(void **state)
{
    scene *s = *state;
    begin_frame(s, 33);
    put_face(s, 100, 200, 80, 0, 0);
    track_frame(s);
    begin_frame(s, 33);
    put_face(s, 500, 200, 80, 0, 0);
    track_frame(s);
    assert_int_equal(s->tracks[0].id, 2);
    begin_frame(s, 33);
    put_face(s, 500, 200, 80, 0, 0);
    put_face(s, 100, 200, 80, 0, 0); /* the first one again, and in the other order */
    put_face(s, 300, 200, 20, 0, 0);
    track_frame(s);
    assert_int_equal(s->tracks[0].id, 2);
    assert_int_equal(s->tracks[1].id, 1);
    assert_int_equal(s->tracks[2].id, 3);
    begin_frame(s, 33);
    put_face(s, 300, 200, 90, 0, 0); /* same place, four times the size: not the same */
    track_frame(s);
    assert_int_equal(s->tracks[0].id, 4);
}

static void test_uneven_frame_rate(void **state)
{
    scene *s = *state;
    double travelled = 0;
    for (int frame = 0; frame < 150; frame++) {
        double interval = 15 + random_below(&s->random, 180);
        travelled += interval;
        begin_frame(s, interval);
        put_face(s, 320 + 220 * sin(travelled / 1500), 240, 90, 0, 0.03);
        track_frame(s);
        assert_int_equal(s->tracks[0].id, 1);
    }
}

static void test_clock_jumps_back(void **state)
{
    scene *s = *state;
    for (int frame = 0; frame < 60; frame++) {
        begin_frame(s, frame == 30 ? -3600e3 : 33);
        put_face(s, 200 + frame * 4, 240, 90, 0, 0.02);
        track_frame(s);
        assert_int_equal(s->tracks[0].id, 1);
        assert_true(s->tracks[0].age_ms >= 33.0 * frame - 1 && s->tracks[0].age_ms <= 33.0 * frame + 1);
    }
    assert_true(s->tracks[0].velocity_x > 60 && s->tracks[0].velocity_x < 200); /* 4 px in 33 ms = 121 px/s */
}

/** Smoothed probability of happiness `milliseconds` after a neutral face turned happy, at a frame rate. */
static double response(double interval, double milliseconds)
{
    mien_tracker *tracker;
    mien_track track;
    assert_int_equal(mien_tracker_create(NULL, &tracker, NULL), MIEN_OK);
    mien_face face = {.box = {100, 100, 80, 80}, .probabilities = {[MIEN_EMOTION_NEUTRAL] = 1}};
    assert_int_equal(mien_tracker_update(tracker, &face, 1, 0, NULL, &track, NULL), MIEN_OK);
    face.probabilities[MIEN_EMOTION_NEUTRAL] = 0;
    face.probabilities[MIEN_EMOTION_HAPPY] = 1;
    for (double t = interval; t <= milliseconds + 0.5; t += interval)
        assert_int_equal(mien_tracker_update(tracker, &face, 1, t, NULL, &track, NULL), MIEN_OK);
    assert_int_equal(face.probabilities[MIEN_EMOTION_HAPPY], 1); /* the raw ones stay what they are */
    mien_tracker_destroy(&tracker);
    return track.smoothed[MIEN_EMOTION_HAPPY];
}

static void test_smoothing_is_by_time_not_by_frame(void **state)
{
    (void)state;
    double expected = 1 - exp(-1);
    assert_true(fabs(response(10, 300) - expected) < 0.01);
    assert_true(fabs(response(30, 300) - expected) < 0.01);
    assert_true(fabs(response(100, 300) - expected) < 0.01);
    assert_true(response(30, 90) < response(30, 180));
}

static void test_baseline(void **state)
{
    scene *s = *state;
    mien_tracker_options options;
    mien_tracker_default_options(&options);
    options.baseline_ms = 1000;
    mien_tracker_destroy(&s->tracker);
    assert_int_equal(mien_tracker_create(&options, &s->tracker, NULL), MIEN_OK);
    mien_face frowner = {.box = {200, 200, 90, 90}};
    frowner.probabilities[MIEN_EMOTION_ANGRY] = 0.6f; /* looks angry even at rest */
    frowner.probabilities[MIEN_EMOTION_NEUTRAL] = 0.4f;
    for (int frame = 0; frame <= 31; frame++)
        assert_int_equal(mien_tracker_update(s->tracker, &frowner, 1, frame * 33.4, NULL, s->tracks, NULL), MIEN_OK);
    assert_true(s->tracks[0].has_baseline);
    assert_int_equal(s->tracks[0].emotion, MIEN_EMOTION_ANGRY);
    assert_true(s->tracks[0].relative[MIEN_EMOTION_NEUTRAL] > 0.8f);
    float sum = 0;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        sum += s->tracks[0].relative[i];
    assert_true(fabsf(sum - 1) < 1e-5f);
    assert_int_equal(mien_tracker_mark_neutral(s->tracker, 99, NULL), MIEN_ENOTFOUND);
    assert_int_equal(mien_tracker_mark_neutral(s->tracker, 1, NULL), MIEN_OK);
}

static void test_memory_is_bounded_and_ids_are_fresh(void **state)
{
    scene *s = *state;
    mien_tracker_options options;
    mien_tracker_default_options(&options);
    options.max_tracks = 5;
    mien_tracker_destroy(&s->tracker);
    assert_int_equal(mien_tracker_create(&options, &s->tracker, NULL), MIEN_OK);
    uint64_t last = 0;
    for (int frame = 0; frame < 200; frame++) {
        begin_frame(s, 33);
        for (int i = 0; i < MOST; i++) /* all new in every frame, and more than there is room for */
            put_face(s, 40 + i * 80, frame % 2 ? 100 : 350, 40, 0, 0);
        if (frame % 2 == 0)
            mien_tracker_reset(s->tracker);
        track_frame(s);
        for (size_t i = 0; i < s->count; i++) {
            assert_true(s->tracks[i].id > last);
            last = s->tracks[i].id;
        }
        assert_int_equal(mien_tracker_count(s->tracker), 5);
    }
}

static void test_bad_input(void **state)
{
    scene *s = *state;
    mien_face flat = {.box = {10, 10, 0, 5}};
    mien_image_view colour = {s->pixels, 10, 10, 30, MIEN_PIXEL_RGB8};
    mien_tracker *other = NULL;
    mien_tracker_options options;
    assert_int_equal(mien_tracker_update(s->tracker, &flat, 1, 0, NULL, s->tracks, NULL), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, NULL, 0, (double)NAN, NULL, NULL, NULL), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, NULL, 0, 0, &colour, NULL, NULL), MIEN_EINVAL);
    mien_tracker_default_options(&options);
    options.max_tracks = 0;
    assert_int_equal(mien_tracker_create(&options, &other, NULL), MIEN_EINVAL);
    mien_tracker_default_options(&options);
    options.smoothing_ms = (double)NAN;
    assert_int_equal(mien_tracker_create(&options, &other, NULL), MIEN_EINVAL);
    assert_null(other);
    mien_face huge = {.box = {INT32_MAX - 1, INT32_MIN, INT32_MAX, INT32_MAX}};
    mien_search search;
    assert_int_equal(mien_tracker_update(s->tracker, &huge, 1, 0, NULL, s->tracks, NULL), MIEN_OK);
    mien_tracker_search(s->tracker, 1e300, WIDTH, HEIGHT, &search);
    assert_true(search.full);
}

static void test_null_and_pictures_that_are_none(void **state)
{
    scene *s = *state;
    mien_error error = {0};
    mien_search search = {.count = 3};
    mien_track track = {.id = 7};
    const mien_face face = {.box = {10, 10, 20, 20}, .probabilities = {1}};
    const mien_image_view none = {NULL, 10, 10, 10, MIEN_PIXEL_GREY8},
                          narrow = {s->pixels, 10, 10, 9, MIEN_PIXEL_GREY8},
                          upwards = {s->pixels, 10, 10, (size_t)-10, MIEN_PIXEL_GREY8};
    assert_int_equal(mien_tracker_update(NULL, &face, 1, 0, NULL, &track, &error), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, NULL, 1, 0, NULL, &track, &error), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, &face, 1, 0, NULL, NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, &face, 1, 0, &none, &track, &error), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, &face, 1, 0, &narrow, &track, NULL), MIEN_EINVAL);
    assert_int_equal(mien_tracker_update(s->tracker, &face, 1, 0, &upwards, &track, NULL), MIEN_EINVAL);
    assert_int_equal(track.id, 7);
    assert_int_equal(mien_tracker_update(s->tracker, NULL, 0, 0, NULL, NULL, &error), MIEN_OK);
    assert_int_equal(mien_tracker_update(s->tracker, &face, 1, 33, NULL, &track, &error), MIEN_OK);
    assert_int_equal(track.id, 1);
    assert_int_equal(mien_tracker_mark_neutral(NULL, 1, &error), MIEN_EINVAL);
    mien_tracker_search(NULL, 0, WIDTH, HEIGHT, &search);
    assert_true(search.full && !search.count);
    mien_tracker_search(s->tracker, 33, WIDTH, HEIGHT, NULL);
    mien_tracker_reset(NULL);
    mien_tracker_destroy(NULL);
    assert_int_equal(mien_tracker_count(NULL), 0);
    assert_int_equal(mien_tracker_count(s->tracker), 1);
}

static bool holds(const mien_search *search, const mien_rect *box)
{
    for (size_t i = 0; i < search->count; i++) {
        const mien_search_region *r = &search->regions[i];
        if (box->x >= r->box.x && box->y >= r->box.y && box->x + box->width <= r->box.x + r->box.width &&
            box->y + box->height <= r->box.y + r->box.height && box->width >= r->min_side && box->width <= r->max_side)
            return true;
    }
    return false;
}

static void test_search_around_known_faces(void **state)
{
    scene *s = *state;
    mien_search search;
    int full = 0;
    double last_full = s->now, area = 0;
    mien_tracker_search(s->tracker, s->now, WIDTH, HEIGHT, &search);
    assert_true(search.full); /* nobody is known */
    for (int frame = 0; frame < 90; frame++) {
        begin_frame(s, 33);
        mien_tracker_search(s->tracker, s->now, WIDTH, HEIGHT, &search);
        put_face(s, 200 + frame * 3, 240, 80, 0, 0.03);
        put_face(s, 500, 100 + frame * 2, 60, 0, 0.03);
        full += search.full;
        if (search.full) {
            assert_true(s->now - last_full <= 433);
            last_full = s->now;
        } else {
            assert_true(holds(&search, &s->faces[0].box));
            assert_true(holds(&search, &s->faces[1].box));
        }
        for (size_t i = 0; i < search.count && frame > 3; i++)
            area += search.regions[i].box.width * (double)search.regions[i].box.height / (WIDTH * HEIGHT) / 86;
        track_frame(s);
    }
    assert_in_range(full, 5, 9);
    assert_true(area < 0.25); /* a good deal less than the whole */
    begin_frame(s, 33);       /* one of them is missed */
    put_face(s, 200 + 90 * 3, 240, 80, 0, 0);
    track_frame(s);
    mien_tracker_search(s->tracker, s->now + 33, WIDTH, HEIGHT, &search);
    assert_true(search.full);
}

static double brute_force(const double *costs, size_t rows, size_t columns, double alone, size_t row, unsigned used)
{
    if (row == rows)
        return 0;
    double best = alone + brute_force(costs, rows, columns, alone, row + 1, used);
    for (size_t c = 0; c < columns; c++) {
        if (used & 1u << c || isinf(costs[row * columns + c]))
            continue;
        double sum = costs[row * columns + c] + brute_force(costs, rows, columns, alone, row + 1, used | 1u << c);
        best = sum < best ? sum : best;
    }
    return best;
}

static void test_assignment_is_the_cheapest(void **state)
{
    scene *s = *state;
    for (int round = 0; round < 500; round++) {
        size_t rows = random_below(&s->random, 6), columns = random_below(&s->random, 6);
        double costs[36];
        int match[6];
        unsigned used = 0;
        for (size_t i = 0; i < rows * columns; i++)
            costs[i] = random_below(&s->random, 5) ? random_unit(&s->random) : INFINITY;
        assert_int_equal(assignment_solve(costs, rows, columns, 0.6, match), MIEN_OK);
        double sum = 0;
        for (size_t r = 0; r < rows; r++) {
            if (match[r] == ASSIGNMENT_NONE) {
                sum += 0.6;
                continue;
            }
            assert_false(used & 1u << match[r]);
            used |= 1u << match[r];
            sum += costs[r * columns + (size_t)match[r]];
        }
        assert_true(fabs(sum - brute_force(costs, rows, columns, 0.6, 0, 0)) < 1e-9);
    }
}

static void test_looks_do_not_mind_light(void **state)
{
    scene *s = *state;
    appearance a, b, other, flat;
    mien_image_view view = {s->pixels, WIDTH, HEIGHT, WIDTH, MIEN_PIXEL_GREY8};
    s->drawn = true;
    begin_frame(s, 0);
    put_face(s, 200, 200, 100, 0, 0);
    put_face(s, 400, 200, 100, 1, 0);
    appearance_of(&view, &s->faces[0].box, &a);
    appearance_of(&view, &s->faces[1].box, &other);
    appearance_of(&view, &(mien_rect){10, 10, 50, 50}, &flat);
    for (size_t i = 0; i < sizeof s->pixels; i++)
        s->pixels[i] = (uint8_t)(s->pixels[i] / 2 + 60);
    appearance_of(&view, &s->faces[0].box, &b);
    assert_true(a.known && b.known && !flat.known);
    assert_true(appearance_likeness(&a, &b) > 0.99f);
    assert_true(appearance_likeness(&a, &other) < 0.5f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_face_with_jitter_and_gaps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_steady_box_is_calmer_than_the_detector, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_crossing_by_motion_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_crossing_slowly_by_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_turning_back_is_not_crossing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_short_occlusion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone_for_long_is_somebody_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_place_is_another_face, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_uneven_frame_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock_jumps_back, set_up, tear_down),
        cmocka_unit_test(test_smoothing_is_by_time_not_by_frame),
        cmocka_unit_test_setup_teardown(test_baseline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded_and_ids_are_fresh, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_null_and_pictures_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_search_around_known_faces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_assignment_is_the_cheapest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_looks_do_not_mind_light, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
