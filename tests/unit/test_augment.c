/* Guards the making of training pictures: nothing asked for changes nothing, a picture depends on its stream alone,
 * each setting does what it says and as much as it says, and values stay in their range. */
#include "testing.h"

#include <math.h>

#include "base/clock.h"
#include "base/memory.h"
#include "train/augment.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE };

static const augment_target target = {.channels = 1, .height = SIDE, .width = SIDE, .scale = 1.0f / 255, .shift = 0};

static void make_source(uint8_t *pixels)
{
    random_state stream;
    random_seed(&stream, 7, 7);
    for (int i = 0; i < PIXELS; i++)
        pixels[i] = (uint8_t)random_below(&stream, 256);
}

static train_config everything(void)
{
    train_config config;
    config_default(&config);
    config.flip = 0.5f;
    config.rotation = 15;
    config.shift = config.zoom = config.brightness = 0.1f;
    config.contrast = config.gamma = 0.2f;
    config.erasing = config.blur = 0.5f;
    config.noise = 0.05f;
    return config;
}

static void test_nothing_asked_changes_nothing(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    float out[PIXELS], plain[PIXELS];
    augment_scratch scratch;
    mien_error error;
    random_state stream;
    train_config config;
    config_default(&config);
    make_source(source);
    assert_ok(augment_scratch_init(&scratch, &error), &error);
    augment_stream(&stream, 1, 0, 0);
    augment_picture(&config, &target, source, SIDE, SIDE, &stream, &scratch, out);
    augment_plain(&target, 0, false, source, SIDE, SIDE, plain);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(fabsf(out[i] - (float)source[i] / 255) < 1e-6f);
        assert_true(fabsf(plain[i] - out[i]) < 1e-6f);
    }
    augment_scratch_done(&scratch);
}

static void test_depends_on_the_stream_alone(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    float first[PIXELS], again[PIXELS], other[PIXELS];
    augment_scratch scratch;
    mien_error error;
    train_config config = everything();
    make_source(source);
    assert_ok(augment_scratch_init(&scratch, &error), &error);
    for (uint32_t row = 0; row < 50; row++) {
        random_state stream;
        augment_stream(&stream, 3, 2, row);
        augment_picture(&config, &target, source, SIDE, SIDE, &stream, &scratch, first);
        augment_stream(&stream, 3, 3, row);
        augment_picture(&config, &target, source, SIDE, SIDE, &stream, &scratch, other);
        augment_stream(&stream, 3, 2, row);
        augment_picture(&config, &target, source, SIDE, SIDE, &stream, &scratch, again);
        assert_memory_equal(first, again, sizeof(first));
        assert_true(memcmp(first, other, sizeof(first)));
        for (int i = 0; i < PIXELS; i++)
            assert_true(first[i] > -0.4f && first[i] < 1.4f);
    }
    augment_scratch_done(&scratch);
}

static void test_flip_is_a_mirror(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    float out[PIXELS], plain[PIXELS];
    augment_scratch scratch;
    mien_error error;
    random_state stream;
    train_config config;
    config_default(&config);
    config.flip = 1;
    make_source(source);
    assert_ok(augment_scratch_init(&scratch, &error), &error);
    augment_stream(&stream, 1, 0, 0);
    augment_picture(&config, &target, source, SIDE, SIDE, &stream, &scratch, out);
    augment_plain(&target, 0, true, source, SIDE, SIDE, plain);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            float expected = (float)source[y * SIDE + SIDE - 1 - x] / 255;
            assert_true(fabsf(out[y * SIDE + x] - expected) < 1e-5f);
            assert_true(fabsf(plain[y * SIDE + x] - expected) < 1e-5f);
        }
    augment_scratch_done(&scratch);
}

enum { DRAWS = 40 };

static void draw(const train_config *config, const uint8_t *source, uint32_t row, float *out)
{
    augment_scratch scratch;
    mien_error error;
    random_state stream;
    assert_ok(augment_scratch_init(&scratch, &error), &error);
    augment_stream(&stream, 9, 0, row);
    augment_picture(config, &target, source, SIDE, SIDE, &stream, &scratch, out);
    augment_scratch_done(&scratch);
}

/* Where a bright dot that stood 12.5 pixels right of the middle and half a pixel below it went to, from the middle. */
static void draw_dot(const train_config *config, uint32_t row, double *x, double *y)
{
    uint8_t source[PIXELS] = {0};
    float out[PIXELS];
    double mass = 0;
    for (int i = 0; i < 25; i++)
        source[(22 + i / 5) * SIDE + 34 + i % 5] = 200;
    draw(config, source, row, out);
    *x = *y = 0;
    for (int i = 0; i < PIXELS; i++) {
        mass += (double)out[i];
        *x += (double)out[i] * (i % SIDE - 23.5);
        *y += (double)out[i] * (i / SIDE - 23.5);
    }
    *x /= mass;
    *y /= mass;
}

static void test_places_move_as_far_as_asked(void **state)
{
    (void)state;
    train_config shift, rotation, zoom;
    config_default(&shift);
    rotation = zoom = shift;
    shift.shift = 0.1f;
    rotation.rotation = 20;
    zoom.zoom = 0.2f;
    double farthest = 0, widest = 0, least = 2, most = 0, x = 0, y = 0;
    for (uint32_t row = 0; row < DRAWS; row++) {
        draw_dot(&shift, row, &x, &y);
        farthest = fmax(farthest, fmax(fabs(x - 12.5), fabs(y - 0.5)));
        draw_dot(&rotation, row, &x, &y);
        assert_true(fabs(hypot(x, y) - hypot(12.5, 0.5)) < 0.2);
        widest = fmax(widest, fabs(atan2(y, x) - atan2(0.5, 12.5)));
        draw_dot(&zoom, row, &x, &y);
        assert_true(fabs(atan2(y, x) - atan2(0.5, 12.5)) < 0.02);
        least = fmin(least, hypot(x, y) / hypot(12.5, 0.5));
        most = fmax(most, hypot(x, y) / hypot(12.5, 0.5));
    }
    assert_true(farthest > 4 && farthest <= 4.81);
    assert_true(widest > 15 * 0.01745 && widest <= 20.2 * 0.01745);
    assert_true(least > 1 / 1.21 && least < 0.9 && most < 1 / 0.79 && most > 1.1);
}

static void test_light_changes_as_much_as_asked(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    float out[PIXELS];
    train_config brightness, contrast, gamma;
    config_default(&brightness);
    contrast = gamma = brightness;
    brightness.brightness = 0.2f;
    contrast.contrast = 0.3f;
    gamma.gamma = 0.4f;
    for (int i = 0; i < PIXELS; i++)
        source[i] = (uint8_t)(i % 256);
    double lightest = 0, steepest = 0, bent = 0;
    for (uint32_t row = 0; row < DRAWS; row++) {
        draw(&brightness, source, row, out);
        lightest = fmax(lightest, fabs((double)out[128] - 128.0 / 255));
        assert_true(fabs((double)out[128] - (double)out[100] - 28.0 / 255) < 1e-5);
        draw(&contrast, source, row, out);
        steepest = fmax(steepest, fabs(((double)out[156] - (double)out[100]) / (56.0 / 255) - 1));
        assert_true(fabs(((double)out[127] + (double)out[128]) / 2 - 0.5) < 1e-5);
        draw(&gamma, source, row, out);
        bent = fmax(bent, fabs(log(log((double)out[128]) / log(128.0 / 255))));
        assert_true(out[0] == 0 && fabsf(out[255] - 1) < 1e-6f);
    }
    assert_true(lightest > 0.15 && lightest <= 0.2001);
    assert_true(steepest > 0.22 && steepest <= 0.3001);
    assert_true(bent > 0.3 && bent <= 0.4001);
}

static double roughness(const float *picture)
{
    double sum = 0;
    for (int i = 1; i < PIXELS; i++)
        sum += fabs((double)picture[i] - (double)picture[i - 1]);
    return sum / PIXELS;
}

static void test_damage_is_as_large_as_asked(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    float plain[PIXELS], out[PIXELS];
    train_config erasing, blur, noise;
    config_default(&erasing);
    blur = noise = erasing;
    erasing.erasing = blur.blur = 1;
    noise.noise = 0.1f;
    make_source(source);
    augment_plain(&target, 0, false, source, SIDE, SIDE, plain);
    double largest = 0, loudest = 0;
    for (uint32_t row = 0; row < DRAWS; row++) {
        draw(&erasing, source, row, out);
        float grey = -1;
        int erased = 0;
        for (int i = 0; i < PIXELS; i++) {
            if (fabsf(out[i] - plain[i]) < 1e-6f)
                continue;
            erased++;
            assert_true(grey < 0 || out[i] == grey);
            grey = out[i];
        }
        largest = fmax(largest, (double)erased / PIXELS);
        draw(&blur, source, row, out);
        assert_true(roughness(out) < 0.6 * roughness(plain));
        draw(&noise, source, row, out);
        double square = 0;
        for (int i = 0; i < PIXELS; i++)
            square += pow((double)out[i] - (double)plain[i], 2);
        loudest = fmax(loudest, sqrt(square / PIXELS));
    }
    assert_true(largest > 0.15 && largest <= 0.25);
    assert_true(loudest > 0.08 && loudest < 0.105);
}

static void test_crop_and_channels(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    static float out[3 * 44 * 44];
    const augment_target small = {.channels = 3, .height = 44, .width = 44, .scale = 1, .shift = -3};
    make_source(source);
    augment_plain(&small, 44, false, source, SIDE, SIDE, out);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 44; y++)
            for (int x = 0; x < 44; x++)
                assert_true(fabsf(out[(c * 44 + y) * 44 + x] - ((float)source[(y + 2) * SIDE + x + 2] - 3)) < 1e-3f);
}

static void test_mixes(void **state)
{
    (void)state;
    static float first[PIXELS], second[PIXELS];
    random_state stream;
    train_config config;
    config_default(&config);
    float share = 0;
    augment_stream(&stream, 1, 0, 0);
    assert_int_equal(augment_draw_mix(&config, true, &stream, &share), AUGMENT_ALONE);
    assert_true(share == 1);
    config.mixup = 0.4f;
    assert_int_equal(augment_draw_mix(&config, false, &stream, &share), AUGMENT_ALONE);
    assert_int_equal(augment_draw_mix(&config, true, &stream, &share), AUGMENT_MIXUP);
    assert_true(share >= 0 && share <= 1);
    for (int i = 0; i < PIXELS; i++) {
        first[i] = 1;
        second[i] = 0;
    }
    augment_apply_mix(AUGMENT_MIXUP, &target, &stream, second, first, &share);
    assert_true(fabsf(first[100] - share) < 1e-6f);
    for (int repeat = 0; repeat < 100; repeat++) {
        double sum = 0;
        share = random_unit(&stream);
        for (int i = 0; i < PIXELS; i++)
            first[i] = 1;
        augment_apply_mix(AUGMENT_CUTMIX, &target, &stream, second, first, &share);
        for (int i = 0; i < PIXELS; i++)
            sum += (double)first[i];
        assert_true(fabs(sum / PIXELS - (double)share) < 1e-4);
    }
}

/* Says how fast it is; what it must reach is measured by the benchmarks, not here. */
static void test_tells_its_speed(void **state)
{
    (void)state;
    uint8_t source[PIXELS];
    static float out[PIXELS];
    augment_scratch scratch;
    mien_error error;
    train_config config = everything();
    make_source(source);
    assert_ok(augment_scratch_init(&scratch, &error), &error);
    double begin = clock_monotonic_ms();
    for (uint32_t row = 0; row < 5000; row++) {
        random_state stream;
        augment_stream(&stream, 3, 2, row);
        augment_picture(&config, &target, source, SIDE, SIDE, &stream, &scratch, out);
    }
    print_message("%.0f pictures a second with everything on\n", 5000e3 / (clock_monotonic_ms() - begin));
    augment_scratch_done(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_asked_changes_nothing),
        cmocka_unit_test(test_depends_on_the_stream_alone),
        cmocka_unit_test(test_flip_is_a_mirror),
        cmocka_unit_test(test_places_move_as_far_as_asked),
        cmocka_unit_test(test_light_changes_as_much_as_asked),
        cmocka_unit_test(test_damage_is_as_large_as_asked),
        cmocka_unit_test(test_crop_and_channels),
        cmocka_unit_test(test_mixes),
        cmocka_unit_test(test_tells_its_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
