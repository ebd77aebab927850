/* Guards the pipeline behind every front door: the presets' boxes on photographs as OpenCV gives them, raw frames and
 * encoded pictures agree, given boxes, limits and options out of range, sessions in several threads. */
#include "folder.h"
#include "testing.h"

#include <jansson.h>
#include <pthread.h>

#include <mien/mien.h>

#include "base/file.h"
#include "emotion/classifier.h"
#include "pipeline/session.h"

static mien_analyzer *analyzer;
static mien_error error;

static int open_analyzer(void **state)
{
    (void)state;
    return mien_analyzer_create(NULL, &analyzer, &error) ? -1 : 0;
}

static int close_analyzer(void **state)
{
    (void)state;
    mien_analyzer_destroy(&analyzer);
    return 0;
}

static mien_session *open_session(void)
{
    mien_session *session = NULL;
    assert_ok(mien_session_create(analyzer, &session, &error), &error);
    return session;
}

static json_t *load_golden(void)
{
    char path[512];
    json_t *golden = json_load_file(testing_shared_file("photos/opencv_golden.json", path, sizeof path), 0, NULL);
    assert_non_null(golden);
    return golden;
}

static void read_photo(const char *name, buffer *bytes)
{
    char path[512], below[256];
    snprintf(below, sizeof below, "photos/%s", name);
    testing_shared_file(below, path, sizeof path);
    buffer_clear(bytes);
    assert_ok(file_read(path, 64 << 20, bytes, &error), &error);
}

static int has_box(const mien_result *result, const json_t *box)
{
    for (size_t i = 0; i < result->face_count; i++) {
        const mien_rect *found = &result->faces[i].box;
        if (found->x == json_integer_value(json_array_get(box, 0)) &&
            found->y == json_integer_value(json_array_get(box, 1)) &&
            found->width == json_integer_value(json_array_get(box, 2)) &&
            found->height == json_integer_value(json_array_get(box, 3)))
            return 1;
    }
    return 0;
}

/* `all`: the boxes are exactly these; otherwise these are among them. */
static void check_preset(mien_preset preset, const char *system, const char *kind, int all)
{
    json_t *golden = load_golden();
    mien_session *session = open_session();
    mien_result result = {0};
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.preset = preset;
    buffer bytes = {0};
    const char *name;
    json_t *photo;
    size_t number = 0;
    json_object_foreach(golden, name, photo)
    {
        if (number++ % 4) /* a quarter of them: the cascade's own golden test takes all */
            continue;
        const json_t *boxes = json_object_get(json_object_get(photo, system), kind);
        read_photo(name, &bytes);
        assert_ok(mien_analyze_bytes(session, bytes.data, bytes.length, &options, &result, &error), &error);
        if (all && result.face_count != json_array_size(boxes))
            fail_msg("%s: %zu faces instead of %zu", name, result.face_count, json_array_size(boxes));
        for (size_t i = 0; i < json_array_size(boxes); i++)
            if (!has_box(&result, json_array_get(boxes, i)))
                fail_msg("%s: box %zu is missing", name, i);
    }
    buffer_done(&bytes);
    mien_result_done(&result);
    mien_session_destroy(&session);
    json_decref(golden);
}

static void test_neo_keeps_what_the_system_keeps(void **state)
{
    (void)state;
    check_preset(MIEN_PRESET_NEO, "seed0", "kept", 0);
}

static void test_faceml_boxes_are_the_systems(void **state)
{
    (void)state;
    check_preset(MIEN_PRESET_FACEML, "seed1", "raw", 1);
}

static void test_history_boxes_are_the_systems(void **state)
{
    (void)state;
    check_preset(MIEN_PRESET_HISTORY_API, "seed3", "boxes", 1);
}

static void test_frames_and_pictures_agree(void **state)
{
    (void)state;
    buffer bytes = {0};
    read_photo("astronaut.png", &bytes);
    mien_session *session = open_session();
    mien_result encoded = {0}, raw = {0};
    mien_image image = {0};
    assert_ok(mien_analyze_bytes(session, bytes.data, bytes.length, NULL, &encoded, &error), &error);
    assert_int_equal(encoded.face_count, 1);
    static const mien_pixel_format formats[] = {MIEN_PIXEL_RGB8, MIEN_PIXEL_BGR8};
    for (size_t i = 0; i < 2; i++) {
        mien_decode_options decode;
        mien_decode_default_options(&decode);
        decode.format = formats[i];
        assert_ok(mien_image_decode(bytes.data, bytes.length, &decode, &image, &error), &error);
        mien_image_view view = mien_image_as_view(&image);
        assert_ok(mien_analyze_view(session, &view, NULL, &raw, &error), &error);
        assert_int_equal(raw.face_count, 1);
        assert_memory_equal(&raw.faces[0].box, &encoded.faces[0].box, sizeof(mien_rect));
        for (int k = 0; k < MIEN_EMOTION_COUNT; k++)
            assert_float_equal(raw.faces[0].probabilities[k], encoded.faces[0].probabilities[k], 1e-5);
        mien_image_done(&image);
    }
    mien_result_done(&encoded);
    mien_result_done(&raw);
    mien_session_destroy(&session);
    buffer_done(&bytes);
}

static uint8_t grey_ramp[64 * 48];

static mien_image_view ramp_view(void)
{
    for (size_t i = 0; i < sizeof grey_ramp; i++)
        grey_ramp[i] = (uint8_t)(i * 7 / 64);
    return (mien_image_view){grey_ramp, 64, 48, 64, MIEN_PIXEL_GREY8};
}

static void test_given_boxes_are_classified_in_order(void **state)
{
    (void)state;
    mien_image_view view = ramp_view();
    mien_session *session = open_session();
    mien_result result = {0};
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    const mien_rect boxes[] = {{40, 20, 100, 100}, {-5, -5, 20, 20}};
    options.face_boxes = boxes;
    options.face_box_count = 2;
    assert_ok(mien_analyze_view(session, &view, &options, &result, &error), &error);
    assert_int_equal(result.face_count, 2);
    assert_int_equal(result.faces[0].box.x, 40);
    assert_int_equal(result.faces[0].box.width, 24);
    assert_int_equal(result.faces[1].box.x, 0);
    assert_int_equal(result.faces[1].box.width, 15);
    float sum = 0;
    for (int k = 0; k < MIEN_EMOTION_COUNT; k++)
        sum += result.faces[0].probabilities[k];
    assert_float_equal(sum, 1, 1e-5);
    assert_float_equal(result.faces[0].probabilities[result.faces[0].emotion], result.faces[0].confidence, 0);
    const mien_rect outside = {64, 0, 10, 10};
    options.face_boxes = &outside;
    options.face_box_count = 1;
    assert_int_equal(mien_analyze_view(session, &view, &options, &result, &error), MIEN_EINVAL);
    assert_int_equal(result.face_count, 2); /* untouched */
    mien_result_done(&result);
    mien_session_destroy(&session);
}

static void test_bad_options_are_refused(void **state)
{
    (void)state;
    mien_image_view view = ramp_view();
    mien_session *session = open_session();
    mien_result result = {0};
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.preset = MIEN_PRESET_COUNT;
    assert_int_equal(mien_analyze_view(session, &view, &options, &result, &error), MIEN_EINVAL);
    mien_analyze_default_options(&options);
    options.scale_factor = 1;
    assert_int_equal(mien_analyze_view(session, &view, &options, &result, &error), MIEN_EINVAL);
    mien_analyze_default_options(&options);
    options.min_confidence = 2;
    assert_int_equal(mien_analyze_view(session, &view, &options, &result, &error), MIEN_EINVAL);
    view.stride = 10;
    assert_int_equal(mien_analyze_view(session, &view, NULL, &result, &error), MIEN_EINVAL);
    view.stride = (size_t)-256; /* bottom to top */
    assert_int_equal(mien_analyze_view(session, &view, NULL, &result, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_bytes(session, "text", 4, NULL, &result, &error), MIEN_EFORMAT);
    const mien_analyzer_options many = {.threads = 1000};
    mien_analyzer *none = NULL;
    assert_int_equal(mien_analyzer_create(&many, &none, &error), MIEN_EINVAL);
    const mien_analyzer_options missing = {.threads = 1, .model_path = "/nowhere/model.onnx"};
    assert_int_equal(mien_analyzer_create(&missing, &none, &error), MIEN_ENOTFOUND);
    assert_non_null(strstr(error.message, "/nowhere/model.onnx"));
    assert_null(none);
    mien_session_destroy(&session);
}

static mien_analyzer *analyzer_of(const char *model_path, mien_precision precision)
{
    const mien_analyzer_options options = {.threads = 1, .model_path = model_path, .precision = precision};
    mien_analyzer *made = NULL;
    assert_ok(mien_analyzer_create(&options, &made, &error), &error);
    return made;
}

/* What the analyser, which is destroyed, says of a picture of one face. */
static mien_face last_face_of(mien_analyzer *made, const buffer *picture)
{
    mien_session *session = NULL;
    mien_result result = {0};
    assert_ok(mien_session_create(made, &session, &error), &error);
    assert_ok(mien_analyze_bytes(session, picture->data, picture->length, NULL, &result, &error), &error);
    assert_int_equal(result.face_count, 1);
    mien_face face = result.faces[0];
    mien_result_done(&result);
    mien_session_destroy(&session);
    mien_analyzer_destroy(&made);
    return face;
}

/* What a model is called outside is what it calls itself, and every precision says the same of a clear face. */
static void test_shipped_models_by_name_and_precision(void **state)
{
    (void)state;
    buffer bytes = {0};
    read_photo("astronaut.png", &bytes);
    assert_string_equal(mien_shipped_model(0), "mien-wide");
    for (size_t i = 0; mien_shipped_model(i); i++) {
        float first = 0;
        for (mien_precision precision = MIEN_PRECISION_AUTO; mien_precision_name(precision); precision++) {
            mien_analyzer *named = analyzer_of(mien_shipped_model(i), precision);
            assert_string_equal(classifier_info(analyzer_classifier(named))->name, mien_shipped_model(i));
            assert_string_equal(nn_precision_name(analyzer_precision(named)),
                                precision == MIEN_PRECISION_AUTO ? "int8" : mien_precision_name(precision));
            float happy = last_face_of(named, &bytes).probabilities[MIEN_EMOTION_HAPPY];
            first = precision == MIEN_PRECISION_AUTO ? happy : first;
            assert_true(happy > 0.5f);
            assert_float_equal(happy, first, 0.05f);
        }
    }
    buffer_done(&bytes);
    mien_error error = {0};
    mien_analyzer *none = NULL;
    const mien_analyzer_options unknown = {.threads = 1, .model_path = "mien-huge"};
    assert_int_equal(mien_analyzer_create(&unknown, &none, &error), MIEN_ENOTFOUND);
    assert_non_null(strstr(error.message, "mien-small"));
    const mien_analyzer_options odd = {.threads = 1, .precision = (mien_precision)7};
    assert_int_equal(mien_analyzer_create(&odd, &none, &error), MIEN_EINVAL);
}

static void assert_same_probabilities(const mien_face *one, const mien_face *other)
{
    assert_memory_equal(one->probabilities, other->probabilities, sizeof one->probabilities);
}

/* Left to itself a model runs in eight bits where it has ranges for them, and only there. */
static void test_auto_precision(void **state)
{
    (void)state;
    static const char key[] = "mien.int8.ranges";
    buffer picture = {0}, file = {0};
    read_photo("astronaut.png", &picture);
    mien_face chosen = last_face_of(analyzer_of(NULL, MIEN_PRECISION_AUTO), &picture);
    mien_face eight = last_face_of(analyzer_of(NULL, MIEN_PRECISION_INT8), &picture);
    assert_same_probabilities(&chosen, &eight);

    assert_ok(file_read(MIEN_SOURCE_DIR "/models/emotion.onnx", 64 << 20, &file, &error), &error);
    char *found = memmem(file.data, file.length, key, strlen(key));
    assert_non_null(found);
    found[strlen("mien.")] = 'x'; /* a property that nobody knows */
    testing_put("without.onnx", file.data, file.length);
    const char *path = testing_path("without.onnx");
    chosen = last_face_of(analyzer_of(path, MIEN_PRECISION_AUTO), &picture);
    mien_face exact = last_face_of(analyzer_of(path, MIEN_PRECISION_F32), &picture);
    assert_same_probabilities(&chosen, &exact);
    buffer_done(&file);
    buffer_done(&picture);
}

static float happiness(mien_session *session, const buffer *bytes, mien_preset preset)
{
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.preset = preset;
    mien_result result = {0};
    assert_ok(mien_analyze_bytes(session, bytes->data, bytes->length, &options, &result, &error), &error);
    assert_int_equal(result.face_count, 1);
    float happy = result.faces[0].probabilities[MIEN_EMOTION_HAPPY];
    mien_result_done(&result);
    return happy;
}

/* Models that share what finds the faces, and the memory it runs in, answer as they do alone; one may go before. */
static void test_models_share_a_finder(void **state)
{
    (void)state;
    buffer bytes = {0};
    read_photo("astronaut.png", &bytes);
    mien_analyzer_options options;
    mien_analyzer_default_options(&options);
    finder *shared = NULL;
    finder_session *searching = NULL;
    mien_analyzer *models[2] = {0};
    mien_session *sessions[2] = {0}, *alone = open_session();
    assert_ok(finder_create(&options, &shared, &error), &error);
    assert_ok(finder_session_create(shared, &searching, &error), &error);
    for (size_t i = 0; i < 2; i++) {
        options.model_path = mien_shipped_model(1 - i);
        assert_ok(analyzer_create_with(&options, shared, &models[i], &error), &error);
        assert_ok(session_create_with(models[i], searching, &sessions[i], &error), &error);
    }
    for (mien_preset preset = MIEN_PRESET_DEFAULT; mien_preset_name(preset); preset++) {
        float wide = happiness(alone, &bytes, preset);
        float small = happiness(sessions[0], &bytes, preset);
        assert_true(happiness(sessions[1], &bytes, preset) == wide);
        assert_true(happiness(sessions[0], &bytes, preset) == small);
        assert_true(small != wide);
    }
    mien_session_destroy(&sessions[0]);
    mien_analyzer_destroy(&models[0]);
    assert_true(happiness(sessions[1], &bytes, MIEN_PRESET_DEFAULT) == happiness(alone, &bytes, MIEN_PRESET_DEFAULT));
    finder_session_destroy(&searching); /* sessions may outlive what they searched with, unused */
    mien_session_destroy(&sessions[1]);
    mien_analyzer_destroy(&models[1]);
    finder_destroy(&shared);
    mien_session_destroy(&alone);
    buffer_done(&bytes);
}

static void *analyze_often(void *argument)
{
    mien_session *session = NULL;
    mien_result result = {0};
    const buffer *bytes = argument;
    intptr_t wrong = mien_session_create(analyzer, &session, NULL) != MIEN_OK;
    for (int i = 0; i < 3 && !wrong; i++)
        wrong = mien_analyze_bytes(session, bytes->data, bytes->length, NULL, &result, NULL) != MIEN_OK ||
                result.face_count != 1;
    mien_result_done(&result);
    mien_session_destroy(&session);
    return (void *)wrong;
}

static void test_sessions_run_side_by_side(void **state)
{
    (void)state;
    buffer bytes = {0};
    read_photo("astronaut.png", &bytes);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, analyze_often, &bytes), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    buffer_done(&bytes);
}

static void test_names_go_both_ways(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mien_emotion emotion;
    } said[] = {{"Happiness", MIEN_EMOTION_HAPPY}, {"ANGER", MIEN_EMOTION_ANGRY}, {"calm", MIEN_EMOTION_NEUTRAL}};
    mien_error error = {0};
    mien_emotion emotion;
    mien_preset preset;
    mien_precision precision;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++) {
        assert_ok(mien_emotion_from_name(mien_emotion_name((mien_emotion)i), &emotion, &error), &error);
        assert_int_equal(emotion, i);
    }
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        assert_ok(mien_emotion_from_name(said[i].name, &emotion, &error), &error);
        assert_int_equal(emotion, said[i].emotion);
    }
    assert_int_equal(mien_emotion_from_name("happy ", &emotion, &error), MIEN_ENOTFOUND);
    assert_int_equal(mien_emotion_from_name("", &emotion, NULL), MIEN_ENOTFOUND);
    for (int i = 0; i < MIEN_PRESET_COUNT; i++) {
        assert_ok(mien_preset_from_name(mien_preset_name((mien_preset)i), &preset, &error), &error);
        assert_int_equal(preset, i);
    }
    for (int i = MIEN_PRECISION_AUTO; i <= MIEN_PRECISION_INT8; i++) {
        assert_ok(mien_precision_from_name(mien_precision_name((mien_precision)i), &precision, &error), &error);
        assert_int_equal(precision, i);
    }
    assert_null(mien_emotion_name(MIEN_EMOTION_COUNT));
    assert_null(mien_preset_name(MIEN_PRESET_COUNT));
    assert_null(mien_precision_name((mien_precision)4));
}

static void test_null_where_something_is_needed(void **state)
{
    (void)state;
    mien_error error = {0};
    mien_session *session = NULL;
    mien_tracker *tracker = NULL;
    mien_result result = {0};
    mien_frame_result frame = {0};
    uint8_t pixels[48 * 48] = {0};
    const mien_image_view view = {pixels, 48, 48, 48, MIEN_PIXEL_GREY8};
    mien_analyzer_default_options(NULL);
    mien_analyze_default_options(NULL);
    mien_tracker_default_options(NULL);
    assert_int_equal(mien_analyzer_create(NULL, NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_session_create(NULL, &session, &error), MIEN_EINVAL);
    assert_int_equal(mien_session_create(analyzer, NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_tracker_create(NULL, NULL, &error), MIEN_EINVAL);
    assert_ok(mien_session_create(analyzer, &session, &error), &error);
    assert_ok(mien_tracker_create(NULL, &tracker, &error), &error);
    assert_int_equal(mien_analyze_bytes(NULL, "x", 1, NULL, &result, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_bytes(session, "x", 1, NULL, NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_view(NULL, &view, NULL, &result, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_view(session, NULL, NULL, &result, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_view(session, &view, NULL, NULL, NULL), MIEN_EINVAL);
    assert_int_equal(mien_analyze_frame_view(NULL, tracker, &view, 0, NULL, &frame, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_frame_view(session, NULL, &view, 0, NULL, &frame, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_frame_view(session, tracker, &view, 0, NULL, NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_analyze_frame(session, NULL, "x", 1, 0, NULL, &frame, &error), MIEN_EINVAL);
    assert_int_equal(mien_emotion_from_name(NULL, &(mien_emotion){0}, &error), MIEN_EINVAL);
    assert_int_equal(mien_emotion_from_name("happy", NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_preset_from_name(NULL, &(mien_preset){0}, &error), MIEN_EINVAL);
    assert_int_equal(mien_preset_from_name("neo", NULL, &error), MIEN_EINVAL);
    assert_int_equal(mien_precision_from_name(NULL, &(mien_precision){0}, &error), MIEN_EINVAL);
    assert_int_equal(mien_precision_from_name("f32", NULL, &error), MIEN_EINVAL);
    assert_null(mien_image_as_view(NULL).data);
    mien_tracker_destroy(&tracker);
    mien_session_destroy(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_go_both_ways),
        cmocka_unit_test(test_neo_keeps_what_the_system_keeps),
        cmocka_unit_test(test_faceml_boxes_are_the_systems),
        cmocka_unit_test(test_history_boxes_are_the_systems),
        cmocka_unit_test(test_frames_and_pictures_agree),
        cmocka_unit_test(test_given_boxes_are_classified_in_order),
        cmocka_unit_test(test_bad_options_are_refused),
        cmocka_unit_test(test_null_where_something_is_needed),
        cmocka_unit_test(test_shipped_models_by_name_and_precision),
        unit_test_in_folder(test_auto_precision),
        cmocka_unit_test(test_models_share_a_finder),
        cmocka_unit_test(test_sessions_run_side_by_side),
    };
    return cmocka_run_group_tests_name("analyzer", tests, open_analyzer, close_analyzer);
}
