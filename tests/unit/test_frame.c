/* Guards the analysis of frames: a face keeps its identity while the picture moves, searching around it finds what a
 * search of the whole frame finds, a face that comes in is found within half a second, and bad input leaves outputs
 * alone. */
#include "testing.h"

#include <math.h>
#include <stdbool.h>

#include "detect/filter.h"
#include "pipeline/session.h"

#include <mien/tracker.h>

enum { WIDTH = 400, HEIGHT = 400, SCENE_WIDTH = 640, SCENE_HEIGHT = 480 };

typedef struct fixture {
    mien_image photo; /* 512×512, one face */
    mien_analyzer *analyzer;
    mien_session *session;
    mien_tracker *tracker;
    mien_frame_result result;
} fixture;

static int set_up(void **state)
{
    static char path[512];
    fixture *f = calloc(1, sizeof *f);
    mien_error error = {0};
    *state = f;
    snprintf(path, sizeof path, "%s/photos/astronaut.png", testing_shared());
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0; /* each test says so and is skipped */
    static uint8_t bytes[2 << 20];
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    mien_decode_options decode;
    mien_decode_default_options(&decode);
    assert_ok(mien_image_decode(bytes, length, &decode, &f->photo, &error), &error);
    assert_ok(mien_analyzer_create(NULL, &f->analyzer, &error), &error);
    assert_ok(mien_session_create(f->analyzer, &f->session, &error), &error);
    assert_ok(mien_tracker_create(NULL, &f->tracker, &error), &error);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    mien_frame_result_done(&f->result);
    mien_tracker_destroy(&f->tracker);
    mien_session_destroy(&f->session);
    mien_analyzer_destroy(&f->analyzer);
    mien_image_done(&f->photo);
    free(f);
    return 0;
}

static void need_photo(const fixture *f)
{
    static char path[512];
    if (!f->photo.data)
        testing_shared_file("photos/astronaut.png", path, sizeof path);
}

/** The part of the photograph that a camera panning over it sees. */
static mien_image_view look(const fixture *f, size_t x, size_t y)
{
    mien_image_view view = mien_image_as_view(&f->photo);
    view.data += y * view.stride + x * 3;
    view.width = WIDTH;
    view.height = HEIGHT;
    return view;
}

static void test_assisted_search_follows_a_face(void **state)
{
    fixture *f = *state;
    mien_error error = {0};
    mien_result whole = {0};
    int partial = 0;
    need_photo(f);
    for (int frame = 0; frame < 40; frame++) {
        mien_image_view view = look(f, (size_t)(frame * 2), (size_t)frame);
        assert_ok(mien_analyze_frame_view(f->session, f->tracker, &view, frame * 66.0, NULL, &f->result, &error),
                  &error);
        assert_ok(mien_analyze_view(f->session, &view, NULL, &whole, &error), &error);
        /* The surest face is hers; a window of the shuttle is now and then taken for another. */
        assert_true(f->result.result.face_count >= 1 && whole.face_count >= 1);
        assert_int_equal(f->result.tracks[0].id, 1);
        assert_true(filter_overlap(&f->result.result.faces[0].box, &whole.faces[0].box) > 0.6f);
        assert_int_equal(f->result.result.faces[0].emotion, whole.faces[0].emotion);
        partial += !f->result.full_search;
    }
    /* Every sixth or seventh is a full one, unless the detector sees all of the frame for what the region costs. */
    mien_search_region around = {{50, 0, 260, 260}, 70, 180};
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.regions = &around;
    options.region_count = 1;
    assert_int_equal(partial >= 30, !session_prefers_whole(f->session, WIDTH, HEIGHT, &options));
    mien_result_done(&whole);
}

static bool sees_at(const mien_result *result, int32_t from)
{
    for (size_t i = 0; i < result->face_count; i++) {
        if (result->faces[i].box.x >= from && result->faces[i].box.width > 60)
            return true;
    }
    return false;
}

static void test_a_face_that_comes_in_is_found_in_time(void **state)
{
    fixture *f = *state;
    mien_error error = {0};
    need_photo(f);
    uint8_t *grey = calloc(2 * WIDTH, HEIGHT * 3);
    assert_non_null(grey);
    mien_image_view wide = {grey, 2 * WIDTH, HEIGHT, 2 * WIDTH * 3, MIEN_PIXEL_RGB8}, face = look(f, 40, 0);
    for (size_t y = 0; y < HEIGHT; y++)
        memcpy(grey + y * wide.stride, face.data + y * face.stride, WIDTH * 3);
    double came = 0, found = 0;
    for (int frame = 0; frame < 30 && !found; frame++) {
        double now = frame * 50.0;
        if (frame == 11) {
            came = now;
            for (size_t y = 0; y < HEIGHT; y++)
                memcpy(grey + y * wide.stride + WIDTH * 3, face.data + y * face.stride, WIDTH * 3);
        }
        assert_ok(mien_analyze_frame_view(f->session, f->tracker, &wide, now, NULL, &f->result, &error), &error);
        if (sees_at(&f->result.result, WIDTH))
            found = now;
    }
    assert_true(came > 0 && found >= came && found - came <= 500);
    free(grey);
}

/** Put a round copy of the face in the photograph, mirrored or not, at (x, y) of a frame. */
static void paste(const fixture *f, uint8_t *pixels, double x, double y, bool mirrored, uint8_t darker)
{
    static const int left = 152, top = 8, side = 150; /* around the face of the photograph */
    for (int v = 0; v < side; v++) {
        for (int u = 0; u < side; u++) {
            double across = 2.0 * u / side - 1, down = 2.0 * v / side - 1;
            int column = (int)x - side / 2 + u, row = (int)y - side / 2 + v;
            if (across * across + down * down > 0.95 || column < 0 || row < 0 || column >= SCENE_WIDTH ||
                row >= SCENE_HEIGHT)
                continue;
            int from = left + (mirrored ? side - 1 - u : u);
            const uint8_t *pixel = f->photo.data + (size_t)(top + v) * f->photo.stride + (size_t)from * 3;
            for (int c = 0; c < 3; c++)
                pixels[(row * SCENE_WIDTH + column) * 3 + c] = (uint8_t)(pixel[c] - pixel[c] * darker / 100);
        }
    }
}

static uint64_t id_near(const mien_frame_result *result, double x, double y)
{
    for (size_t i = 0; i < result->result.face_count; i++) {
        const mien_rect *box = &result->result.faces[i].box;
        if (fabs(box->x + box->width / 2.0 - x) < 40 && fabs(box->y + box->height / 2.0 - y) < 40)
            return result->tracks[i].id;
    }
    return 0;
}

static void test_faces_that_cross_keep_their_ids(void **state)
{
    fixture *f = *state;
    mien_error error = {0};
    need_photo(f);
    uint8_t *pixels = malloc(SCENE_WIDTH * SCENE_HEIGHT * 3);
    assert_non_null(pixels);
    uint64_t front = 0, behind = 0;
    int seen = 0;
    for (int step = 0; step <= 60; step++) {
        double a = 90 + step * 460 / 60.0, b = 550 - step * 460 / 60.0;
        memset(pixels, 110, SCENE_WIDTH * SCENE_HEIGHT * 3);
        paste(f, pixels, b, 250, true, 30);
        paste(f, pixels, a, 240, false, 0); /* hides the other one when they meet */
        mien_image_view view = {pixels, SCENE_WIDTH, SCENE_HEIGHT, SCENE_WIDTH * 3, MIEN_PIXEL_RGB8};
        assert_ok(mien_analyze_frame_view(f->session, f->tracker, &view, step * 66.0, NULL, &f->result, &error),
                  &error);
        uint64_t first = id_near(&f->result, a, 240), second = id_near(&f->result, b, 250);
        front = front ? front : first;
        behind = behind ? behind : second;
        if (fabs(a - b) < 90)
            continue; /* which is which cannot be told from their places now */
        seen += first && second;
        assert_true(!first || first == front);
        assert_true(!second || second == behind);
    }
    assert_true(front && behind && front != behind && seen > 40);
    free(pixels);
}

static void test_other_presets_search_the_whole_frame(void **state)
{
    fixture *f = *state;
    mien_error error = {0};
    mien_analyze_options options;
    need_photo(f);
    mien_analyze_default_options(&options);
    options.preset = MIEN_PRESET_FACEML;
    for (int frame = 0; frame < 3; frame++) {
        mien_image_view view = look(f, 0, 0);
        assert_ok(mien_analyze_frame_view(f->session, f->tracker, &view, frame * 33.0, &options, &f->result, &error),
                  &error);
        assert_true(f->result.full_search);
    }
}

static void test_failure_leaves_the_result(void **state)
{
    fixture *f = *state;
    mien_error error = {0};
    need_photo(f);
    mien_image_view view = look(f, 0, 0);
    assert_ok(mien_analyze_frame_view(f->session, f->tracker, &view, 0, NULL, &f->result, &error), &error);
    size_t count = f->result.result.face_count;
    assert_int_equal(mien_analyze_frame(f->session, f->tracker, "rubbish", 7, 33, NULL, &f->result, &error),
                     MIEN_EFORMAT);
    mien_search_region outside = {{300, 300, 200, 200}, 40, 80};
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.regions = &outside;
    options.region_count = 1;
    mien_result other = {0};
    assert_int_equal(mien_analyze_view(f->session, &view, &options, &other, &error), MIEN_EINVAL);
    assert_int_equal(f->result.result.face_count, count);
}

static mien_status never_asked(void *context, uint64_t bytes, mien_error *error)
{
    (void)bytes;
    (void)error;
    *(bool *)context = true;
    return MIEN_OK;
}

/* The size of the search is computed from the options, so nobody may be asked about it before they are checked. */
static void test_options_are_checked_before_they_are_used(void **state)
{
    (void)state;
    static uint8_t grey[32 * 32];
    mien_image_view view = {grey, 32, 32, 32, MIEN_PIXEL_GREY8}, empty = {NULL, 32, 32, 32, MIEN_PIXEL_GREY8};
    mien_error error = {0};
    mien_analyzer *analyzer = NULL;
    mien_session *session = NULL;
    mien_tracker *tracker = NULL;
    mien_frame_result result = {0};
    uint8_t *png = NULL;
    size_t length = 0;
    bool asked = false;
    assert_ok(mien_analyzer_create(NULL, &analyzer, &error), &error);
    assert_ok(mien_session_create(analyzer, &session, &error), &error);
    assert_ok(mien_tracker_create(NULL, &tracker, &error), &error);
    assert_ok(mien_image_encode_png(&view, &png, &length, &error), &error);
    mien_analyze_options options[3];
    for (size_t i = 0; i < 3; i++) {
        mien_analyze_default_options(&options[i]);
        options[i].reserve = never_asked;
        options[i].reserve_context = &asked;
    }
    options[0].preset = (mien_preset)99;
    options[1].min_face = -5;
    options[2].min_score = 2;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mien_analyze_frame(session, tracker, png, length, 0, &options[i], &result, &error),
                         MIEN_EINVAL);
        assert_int_equal(mien_analyze_frame_view(session, tracker, &view, 0, &options[i], &result, &error),
                         MIEN_EINVAL);
    }
    assert_int_equal(mien_analyze_frame_view(session, tracker, &empty, 0, NULL, &result, &error), MIEN_EINVAL);
    assert_false(asked);
    mien_free(png);
    mien_frame_result_done(&result);
    mien_tracker_destroy(&tracker);
    mien_session_destroy(&session);
    mien_analyzer_destroy(&analyzer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_assisted_search_follows_a_face, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_face_that_comes_in_is_found_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faces_that_cross_keep_their_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_presets_search_the_whole_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_leaves_the_result, set_up, tear_down),
        cmocka_unit_test(test_options_are_checked_before_they_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
