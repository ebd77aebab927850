/* Guards that what clients send stays within the memory there is: large JPEGs decoded smaller with their full size
 * told, memory asked for before it is taken, the budget that large pictures wait for, and the container's limit. */
#include "folder.h"

#include <pthread.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/decode.h"
#include "mien/analyzer.h"
#include "server/memory_gate.h"
#include "server/memory_plan.h"

enum { WIDTH = 4000, HEIGHT = 240 };

/* A JPEG whose left half is dark, to be turned a quarter to the right where `turned`. */
static uint8_t *jpeg_picture(bool turned, size_t *length)
{
    static const uint8_t exif[] = {0xff, 0xe1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', '*', 0, 8, 0, 0, 0,
                                   1,    0,    0x12, 1,  3,   0,   1,   0,   0, 0, 6,   0,   0,   0, 0, 0, 0, 0};
    mien_image image = {0};
    mien_error error = {0};
    uint8_t *bytes = NULL;
    assert_ok(mien_image_init(&image, WIDTH, HEIGHT, MIEN_PIXEL_RGB8, &error), &error);
    for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < 3 * WIDTH; x++)
            image.data[y * image.stride + x] = x < 3 * WIDTH / 2 ? 20 : 220;
    mien_image_view view = mien_image_as_view(&image);
    assert_ok(mien_image_encode_jpeg(&view, 90, &bytes, length, &error), &error);
    mien_image_done(&image);
    if (turned) {
        uint8_t *with = memory_array(*length + sizeof exif, 1);
        assert_non_null(with);
        memcpy(with, bytes, 2);
        memcpy(with + 2, exif, sizeof exif);
        memcpy(with + 2 + sizeof exif, bytes + 2, *length - 2);
        *length += sizeof exif;
        mien_free(bytes);
        return with;
    }
    return bytes;
}

static mien_status note_need(void *context, const image_need *need, mien_error *error)
{
    (void)error;
    *(image_need *)context = *need;
    return MIEN_OK;
}

static void test_a_large_jpeg_is_decoded_smaller(void **state)
{
    (void)state;
    static const struct {
        size_t least_side, detail;
        unsigned shrunk;
    } cases[] = {{0, 0, 1},    {4000, 0, 1}, {2001, 0, 1}, {2000, 0, 2},
                 {1000, 0, 4}, {10, 0, 8},   {10, 100, 2}, {10, 95, 1}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool turned = i & 1;
        size_t length, shrunk = cases[i / 2].shrunk;
        uint8_t *bytes = jpeg_picture(turned, &length);
        image_need need = {0};
        image_wish wish = {.least_side = cases[i / 2].least_side,
                           .least_detail = cases[i / 2].detail,
                           .least_detail_seen = 48,
                           .ask = note_need,
                           .context = &need};
        mien_image image = {0};
        image_full_size full = {0};
        mien_error error = {0};
        assert_ok(image_decode(bytes, length, NULL, &wish, &image, &full, &error), &error);
        assert_int_equal(full.width, turned ? HEIGHT : WIDTH);
        assert_int_equal(full.height, turned ? WIDTH : HEIGHT);
        assert_int_equal(image.width, full.width / shrunk);
        assert_int_equal(image.height, full.height / shrunk);
        assert_int_equal(need.kept, 3 * image.width * image.height);
        assert_int_equal(need.reading, turned ? 2 * need.kept : need.kept);
        assert_true(image.data[0] < 60); /* the dark half stands where it stood */
        assert_true(image.data[(image.height - 1) * image.stride + 3 * (image.width - 1)] > 180);
        mien_image_done(&image);
        mien_free(bytes);
    }
}

static mien_status refuse(void *context, uint64_t bytes, mien_error *error)
{
    (void)error;
    *(uint64_t *)context = bytes;
    return MIEN_EBUSY;
}

static void test_an_analysis_asks_before_it_takes(void **state)
{
    (void)state;
    mien_analyzer *analyzer = NULL;
    mien_session *session = NULL;
    mien_error error = {0};
    if (mien_analyzer_create(NULL, &analyzer, &error) == MIEN_ENOTFOUND) {
        print_message("skipped: %s\n", error.message);
        skip();
    }
    assert_ok(mien_session_create(analyzer, &session, &error), &error);
    size_t length;
    uint8_t *bytes = jpeg_picture(false, &length);
    uint64_t asked = 0, pixels = (uint64_t)WIDTH * HEIGHT;
    mien_result result = {0};
    mien_analyze_options options;
    mien_analyze_default_options(&options);
    options.reserve = refuse;
    options.reserve_context = &asked;
    assert_int_equal(mien_analyze_bytes(session, bytes, length, &options, &result, &error), MIEN_EBUSY);
    assert_null(result.faces);
    uint64_t shrunk = asked;
    options.preset = MIEN_PRESET_NEO;
    assert_int_equal(mien_analyze_bytes(session, bytes, length, &options, &result, &error), MIEN_EBUSY);
    assert_true(asked >= 5 * pixels); /* the picture, grey, and prepared */
    assert_true(shrunk < 2 * pixels); /* our own preset looks at a quarter of the pixels */
    options.reserve = NULL;
    options.preset = MIEN_PRESET_DEFAULT;
    assert_ok(mien_analyze_bytes(session, bytes, length, &options, &result, &error), &error);
    assert_int_equal(result.width, WIDTH);
    assert_int_equal(result.height, HEIGHT);
    mien_result_done(&result);
    mien_free(bytes);
    mien_session_destroy(&session);
    mien_analyzer_destroy(&analyzer);
}

enum { MEGA = 1 << 20 };

static void test_the_budget_is_kept(void **state)
{
    (void)state;
    memory_gate *gate = NULL;
    mien_error error = {0};
    assert_ok(memory_gate_create(100 * MEGA, 0, &gate, &error), &error);
    assert_int_equal(memory_gate_take(gate, 101 * MEGA, &error), MIEN_ELIMIT);
    assert_ok(memory_gate_take(gate, 60 * MEGA, &error), &error);
    assert_int_equal(memory_gate_take(gate, 50 * MEGA, &error), MIEN_EBUSY); /* nobody waits for no time */
    assert_ok(memory_gate_take(gate, 40 * MEGA, &error), &error);
    assert_ok(memory_gate_take(gate, MEMORY_GATE_SMALL, &error), &error); /* passes beside it */
    assert_int_equal(memory_gate_count(gate).taken, 100 * MEGA);
    memory_gate_give(gate, MEMORY_GATE_SMALL);
    memory_gate_give(gate, 40 * MEGA);
    memory_gate_give(gate, 60 * MEGA);
    assert_int_equal(memory_gate_count(gate).taken, 0);
    assert_int_equal(memory_gate_count(gate).waiting, 0);
    memory_gate_destroy(&gate);
}

typedef struct asker {
    memory_gate *gate;
    uint64_t bytes;
    mien_status status;
} asker;

static void *ask_once(void *context)
{
    asker *a = context;
    mien_error error;
    a->status = memory_gate_take(a->gate, a->bytes, &error);
    if (!a->status)
        memory_gate_give(a->gate, a->bytes);
    return NULL;
}

static void test_who_came_first_goes_first(void **state)
{
    (void)state;
    memory_gate *gate = NULL;
    mien_error error = {0};
    pthread_t threads[2];
    assert_ok(memory_gate_create(100 * MEGA, 60, &gate, &error), &error);
    assert_ok(memory_gate_take(gate, 50 * MEGA, &error), &error);
    asker large = {gate, 90 * MEGA, MIEN_EINTERNAL}, medium = {gate, 20 * MEGA, MIEN_EINTERNAL};
    pthread_create(&threads[0], NULL, ask_once, &large);
    while (memory_gate_count(gate).waiting < 1)
        sched_yield();
    pthread_create(&threads[1], NULL, ask_once, &medium); /* would fit, but is not first */
    while (memory_gate_count(gate).waiting < 2)
        sched_yield();
    assert_int_equal(memory_gate_count(gate).taken, 50 * MEGA);
    memory_gate_give(gate, 50 * MEGA);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(large.status, MIEN_OK);
    assert_int_equal(medium.status, MIEN_OK);
    assert_int_equal(memory_gate_count(gate).taken, 0);
    memory_gate_destroy(&gate);
}

/* A file below the test's own folder, with the folders that lead to it. */
static void put(const char *name, const char *text)
{
    char path[512], command[600];
    mien_error error = {0};
    snprintf(path, sizeof path, "%s", testing_path(name));
    snprintf(command, sizeof command, "mkdir -p '%.*s'", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(system(command), 0);
    assert_ok(file_write(path, text, strlen(text), &error), &error);
}

static void test_the_containers_limit_is_read(void **state)
{
    (void)state;
    char root[512];
    snprintf(root, sizeof root, "%s", testing_path("machine"));
    assert_int_equal(memory_plan_container(root), 0); /* no such files */
    put("machine/proc/self/cgroup", "0::/a/b\n");
    put("machine/sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_int_equal(memory_plan_container(root), 0);
    put("machine/sys/fs/cgroup/a/memory.max", "268435456\n"); /* of the group above */
    assert_int_equal(memory_plan_container(root), 268435456);
    put("machine/sys/fs/cgroup/a/b/memory.max", "134217728\n");
    assert_int_equal(memory_plan_container(root), 134217728);
    put("machine/proc/self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/outside\n0::/\n"); /* version 1, seen from inside */
    put("machine/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(memory_plan_container(root), 0);
    put("machine/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
    assert_int_equal(memory_plan_container(root), 536870912);
}

static void test_defaults_fit_the_limit(void **state)
{
    (void)state;
    char root[512];
    mien_error error = {0};
    settings small, set;
    put("box/proc/self/cgroup", "0::/\n");
    put("box/sys/fs/cgroup/memory.max", "268435456\n");
    snprintf(root, sizeof root, "%s", testing_path("box"));
    assert_ok(settings_init(&small, &error), &error);
    memory_plan_apply(&small, 2, root);
    assert_int_equal(small.memory_limit, 268435456);
    assert_true(small.max_bodies > 0 && small.max_body <= small.max_bodies);
    assert_true(small.max_pictures >= 90000000); /* a progressive JPEG of 23 megapixels */
    assert_true(3 * small.max_bodies + small.max_pictures < 268435456 - (100 << 20));
    assert_ok(settings_init(&set, &error), &error);
    set.memory_limit = 1 << 30;
    set.max_pictures = 12345678;
    set.max_bodies = 200 << 20;
    memory_plan_apply(&set, 2, root);
    assert_int_equal(set.memory_limit, 1 << 30); /* what the operator says stands */
    assert_int_equal(set.max_pictures, 12345678);
    assert_int_equal(set.max_bodies, 200 << 20);
    assert_int_equal(set.max_body, 16 << 20);
    settings_done(&small);
    settings_done(&set);
}

static long pictures_with(long connections, const char *certificate)
{
    mien_error error = {0};
    settings settings;
    assert_ok(settings_init(&settings, &error), &error);
    settings.memory_limit = 512 << 20;
    settings.max_connections = connections;
    settings.max_bodies = 8 << 20;
    memory_free(settings.tls_certificate);
    settings.tls_certificate = memory_text(certificate);
    memory_plan_apply(&settings, 2, "");
    long pictures = settings.max_pictures;
    settings_done(&settings);
    return pictures;
}

/* Idle connections are reserved for before pictures are: a thousand of them, and more with TLS. */
static void test_connections_are_counted(void **state)
{
    (void)state;
    long few = pictures_with(1, ""), many = pictures_with(1001, ""), secure = pictures_with(1001, "x.pem");
    assert_int_equal(few - many, 1000 * 4096);
    assert_true(many - secure > 40 << 20);
    assert_true(pictures_with(100000, "x.pem") > 100 << 20); /* never all of it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_large_jpeg_is_decoded_smaller),
        cmocka_unit_test(test_an_analysis_asks_before_it_takes),
        cmocka_unit_test(test_the_budget_is_kept),
        cmocka_unit_test(test_who_came_first_goes_first),
        unit_test_in_folder(test_the_containers_limit_is_read),
        unit_test_in_folder(test_defaults_fit_the_limit),
        cmocka_unit_test(test_connections_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
