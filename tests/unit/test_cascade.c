/* Guards cascades: every file of opencv-data loads and half of it is refused; hostile XML; integral images, the two
 * evaluations of a stage, grouping and filters against plain definitions; a detector on made-up pictures. */
#include "testing.h"

#include <dirent.h>
#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "detect/cascade_scan.h"
#include "detect/detector.h"
#include "detect/filter.h"
#include "detect/group.h"

#define CASCADES "/usr/share/opencv4/"

enum { MOST_BYTES = 64 << 20 };

static buffer read_cascade(const char *name)
{
    char path[512];
    buffer bytes;
    mien_error error = {0};
    buffer_init(&bytes, MOST_BYTES);
    snprintf(path, sizeof path, CASCADES "%s", name);
    assert_ok(file_read(path, MOST_BYTES, &bytes, &error), &error);
    return bytes;
}

static cascade load_cascade(const char *name)
{
    buffer bytes = read_cascade(name);
    cascade made;
    mien_error error = {0};
    assert_ok(cascade_load(bytes.data, bytes.length, &made, &error), &error);
    buffer_done(&bytes);
    return made;
}

static size_t check_folder(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, CASCADES "%s", folder);
    DIR *open = opendir(path);
    if (!open)
        fail_msg("%s is missing: opencv-data is a dependency", path);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(open));) {
        if (!strstr(entry->d_name, ".xml"))
            continue;
        char name[512];
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        buffer bytes = read_cascade(name);
        cascade made;
        mien_error error = {0};
        if (cascade_load(bytes.data, bytes.length, &made, &error))
            fail_msg("%s: %s", name, error.message);
        assert_true(made.stage_count > 0 && made.node_count >= made.tree_count);
        cascade_done(&made);
        assert_int_equal(cascade_load(bytes.data, bytes.length / 2, &made, &error), MIEN_EFORMAT);
        assert_int_equal(cascade_load(bytes.data, bytes.length - 30, &made, &error), MIEN_EFORMAT);
        buffer_done(&bytes);
        count++;
    }
    closedir(open);
    return count;
}

static void test_every_cascade_loads(void **state)
{
    (void)state;
    assert_true(check_folder("haarcascades") >= 17);
    assert_true(check_folder("lbpcascades") >= 5);
}

static void test_known_content(void **state)
{
    (void)state;
    cascade c = load_cascade("haarcascades/haarcascade_frontalface_default.xml");
    assert_int_equal(c.kind, CASCADE_HAAR);
    assert_int_equal(c.width, 24);
    assert_int_equal(c.stage_count, 25);
    assert_int_equal(c.tree_count, 2913);
    assert_true(c.stumps && !c.tilted);
    cascade_done(&c);
    c = load_cascade("haarcascades/haarcascade_licence_plate_rus_16stages.xml"); /* the older form */
    assert_int_equal(c.width, 64);
    assert_int_equal(c.height, 16);
    assert_int_equal(c.stage_count, 16);
    cascade_done(&c);
    c = load_cascade("lbpcascades/lbpcascade_frontalface.xml");
    assert_int_equal(c.kind, CASCADE_LBP);
    cascade_done(&c);
}

/* One stage of one stump over a 6 × 6 window, with the parts that a test wants to break. */
static void small_cascade(char *text, size_t capacity, const char *nodes, const char *leaves, const char *rects)
{
    snprintf(text, capacity,
             "<?xml version=\"1.0\"?>\n<opencv_storage><cascade><stageType>BOOST</stageType>"
             "<featureType>HAAR</featureType><height>6</height><width>6</width><featureParams>"
             "<maxCatCount>0</maxCatCount></featureParams><stages><_><stageThreshold>0.5</stageThreshold>"
             "<weakClassifiers><_><internalNodes>%s</internalNodes><leafValues>%s</leafValues></_></weakClassifiers>"
             "</_></stages><features><_><rects>%s</rects></_></features></cascade></opencv_storage>",
             nodes, leaves, rects);
}

#define GOOD_NODES "0 -1 0 0."
#define GOOD_LEAVES "1. 0."
#define GOOD_RECTS "<_>0 0 6 6 -1.</_><_>0 0 3 6 2.</_>"

static void test_hostile_files(void **state)
{
    (void)state;
    static const struct {
        const char *nodes, *leaves, *rects;
        mien_status status;
    } cases[] = {
        {GOOD_NODES, GOOD_LEAVES, GOOD_RECTS, MIEN_OK},
        {"0 -1 1 0.", GOOD_LEAVES, GOOD_RECTS, MIEN_EFORMAT},            /* no such feature */
        {"0 -1 -1 0.", GOOD_LEAVES, GOOD_RECTS, MIEN_EFORMAT},           /* negative feature */
        {"0 -2 0 0.", GOOD_LEAVES, GOOD_RECTS, MIEN_EFORMAT},            /* no such leaf */
        {"1 -1 0 0.", GOOD_LEAVES, GOOD_RECTS, MIEN_EFORMAT},            /* no such node */
        {"1 0 0 0. 1 -2 0 0.", "1 2 3", GOOD_RECTS, MIEN_EFORMAT},       /* a circle */
        {"1 0 0 0. -1 -2 0 0.", "1 2 3", GOOD_RECTS, MIEN_OK},           /* a tree */
        {"0 -1 0", GOOD_LEAVES, GOOD_RECTS, MIEN_EFORMAT},               /* cut short */
        {"0 -1 0 nan", GOOD_LEAVES, GOOD_RECTS, MIEN_EFORMAT},           /* not a number */
        {"0 -1 0 0.", "1e300 0.", GOOD_RECTS, MIEN_EFORMAT},             /* beyond a float */
        {"0 -1 0 0.", "1.", GOOD_RECTS, MIEN_EFORMAT},                   /* a leaf too few */
        {"0 -1 0 0.", "1. 2. 3.", GOOD_RECTS, MIEN_EFORMAT},             /* a leaf too many */
        {"", "1.", GOOD_RECTS, MIEN_EFORMAT},                            /* no node */
        {GOOD_NODES, GOOD_LEAVES, "<_>0 0 7 6 -1.</_>", MIEN_EFORMAT},   /* beyond the window */
        {GOOD_NODES, GOOD_LEAVES, "<_>-1 0 6 6 -1.</_>", MIEN_EFORMAT},  /* before it */
        {GOOD_NODES, GOOD_LEAVES, "<_>0 0 0 6 -1.</_>", MIEN_EFORMAT},   /* empty */
        {GOOD_NODES, GOOD_LEAVES, "<_>0 0 6 6 1e300</_>", MIEN_EFORMAT}, /* absurd weight */
        {GOOD_NODES, GOOD_LEAVES, "<_>0 0 6 6</_>", MIEN_EFORMAT},       /* no weight */
        {GOOD_NODES, GOOD_LEAVES, "", MIEN_EFORMAT},                     /* no rectangle */
        {GOOD_NODES, GOOD_LEAVES, "&lol;", MIEN_EFORMAT},                /* an entity that nobody declared */
    };
    char text[2048];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small_cascade(text, sizeof text, cases[i].nodes, cases[i].leaves, cases[i].rects);
        cascade made;
        mien_error error = {0};
        mien_status status = cascade_load(text, strlen(text), &made, &error);
        if (status != cases[i].status)
            fail_msg("case %zu: %s (%s)", i, mien_status_name(status), error.message);
        if (!status)
            cascade_done(&made);
        else
            assert_true(error.message[0] != '\0');
    }
}

static void test_foreign_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mien_status status;
    } cases[] = {
        {"", MIEN_EFORMAT},
        {"not XML", MIEN_EFORMAT},
        {"<opencv_storage/>", MIEN_EFORMAT},
        {"<html><body/></html>", MIEN_EFORMAT},
        {"<opencv_storage><cascade><a/></cascade></opencv_storage>", MIEN_EFORMAT},
        {"<opencv_storage><cascade><stageType>BOOST</stageType><featureType>HOG</featureType></cascade></"
         "opencv_storage>",
         MIEN_EUNSUPPORTED},
        {"<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><opencv_storage>&c;</opencv_storage>", MIEN_EFORMAT},
        {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><opencv_storage/>", MIEN_EFORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cascade made;
        mien_error error = {0};
        mien_status status = cascade_load(cases[i].text, strlen(cases[i].text), &made, &error);
        if (status != cases[i].status)
            fail_msg("case %zu: %s (%s)", i, mien_status_name(status), error.message);
    }
    char deep[4096] = "";
    for (int i = 0; i < 300; i++)
        strcat(deep, "<a>");
    cascade made;
    mien_error error = {0};
    assert_int_equal(cascade_load(deep, strlen(deep), &made, &error), MIEN_ELIMIT);
}

static void fill_random(uint8_t *pixels, size_t count, uint64_t seed)
{
    random_state random;
    random_seed(&random, seed, 1);
    for (size_t i = 0; i < count; i++)
        pixels[i] = (uint8_t)random_below(&random, 256);
}

static int32_t sum_by_hand(const uint8_t *pixels, size_t width, size_t x, size_t y, bool squares, bool tilted)
{
    int64_t sum = 0;
    for (size_t j = 0; j < y; j++)
        for (size_t i = 0; i < width; i++) {
            int64_t p = pixels[j * width + i], off = (int64_t)i - (int64_t)x + 1;
            bool inside = tilted ? (off < 0 ? -off : off) <= (int64_t)(y - j) - 1 : i < x;
            sum += inside ? (squares ? p * p : p) : 0;
        }
    return (int32_t)sum;
}

static void test_integrals(void **state)
{
    (void)state;
    enum { SIDE = 37, STRIDE = 144, PLANE = (SIDE + 1) * STRIDE };
    uint8_t pixels[SIDE * SIDE + 64];
    static int32_t planes[3][PLANE];
    fill_random(pixels, sizeof pixels, 5);
    static const size_t sizes[][2] = {{1, 1}, {2, 3}, {16, 4}, {17, 9}, {31, 5}, {33, 7}, {37, 37}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t half = 0; half <= 64; half += 64) {
            size_t width = sizes[s][0], height = sizes[s][1];
            const integral_layout layout = {STRIDE, half};
            const integral_planes into = {planes[0], planes[1], planes[2]};
            integral_fill(pixels, width, width, height, &layout, &into);
            for (size_t y = 0; y <= height; y++)
                for (size_t x = 0; x <= width; x++) {
                    size_t at = y * STRIDE + integral_column(&layout, x);
                    assert_int_equal(planes[0][at], sum_by_hand(pixels, width, x, y, false, false));
                    assert_int_equal(planes[1][at], sum_by_hand(pixels, width, x, y, true, false));
                    assert_int_equal(planes[2][at], sum_by_hand(pixels, width, x, y, false, true));
                }
        }
}

/* A picture with structure at many sizes: noise summed over octaves. */
static void fill_landscape(uint8_t *pixels, size_t side, uint64_t seed)
{
    random_state random;
    random_seed(&random, seed, 2);
    float grid[64][64];
    float *sum = memory_zeroed(side * side, sizeof *sum);
    assert_non_null(sum);
    for (size_t cell = 4; cell <= side; cell *= 2) {
        for (size_t i = 0; i < 64 * 64; i++)
            grid[i / 64][i % 64] = random_range(&random, -1, 1);
        for (size_t i = 0; i < side * side; i++)
            sum[i] += grid[i / side / cell % 64][i % side / cell % 64];
    }
    for (size_t i = 0; i < side * side; i++) {
        float value = 128 + 40 * sum[i];
        pixels[i] = value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
    }
    memory_free(sum);
}

/* Fast and exact must agree on every stage of every window, the first of which is where they would differ unnoticed. */
static void check_stages(const char *name)
{
    enum { SIDE = 96, STRIDE = 272, PLANE = (SIDE + 1) * STRIDE };
    uint8_t pixels[SIDE * SIDE + 64];
    int32_t *memory = memory_zeroed(3 * PLANE + 64, sizeof *memory);
    assert_non_null(memory);
    const integral_planes planes = {memory, memory + PLANE, memory + 2 * PLANE};
    cascade c = load_cascade(name);
    cascade_program program;
    mien_error error = {0};
    assert_ok(cascade_program_create(&c, &program, &error), &error);
    assert_int_equal(program.path, CASCADE_PATH_STUMPS);
    size_t passed = 0, asked = 0;
    for (size_t half = 0; half <= 128; half += 128) {
        const integral_layout layout = {STRIDE, half};
        cascade_table table = {0};
        assert_ok(cascade_table_prepare(&table, &program, &layout, 2 * PLANE, &error), &error);
        fill_landscape(pixels, SIDE, 40 + half);
        integral_fill(pixels, SIDE, SIDE, SIDE, &layout, &planes);
        for (size_t y = 0; y + (size_t)c.height <= SIDE; y += 3)
            for (size_t x = 0; x + (size_t)c.width <= SIDE; x += 2) {
                size_t at = y * STRIDE + (half ? x / 2 : x);
                float scale = cascade_window_scale(&table, planes.sum + at, planes.square + at);
                for (int32_t s = 0; scale != 0 && s < c.stage_count; s++) {
                    bool exact = cascade_stage_exact(&table, s, planes.sum + at, scale);
                    assert_int_equal(cascade_stage_fast(&table, s, planes.sum + at, scale), exact);
                    passed += exact;
                    asked++;
                }
            }
        cascade_table_done(&table);
    }
    assert_true(passed > 0 && passed < asked);
    cascade_program_done(&program);
    cascade_done(&c);
    memory_free(memory);
}

static void test_fast_stages_are_exact(void **state)
{
    (void)state;
    check_stages("haarcascades/haarcascade_frontalface_default.xml");
    check_stages("haarcascades/haarcascade_frontalface_alt.xml");
    check_stages("haarcascades/haarcascade_frontalcatface_extended.xml"); /* tilted */
    check_stages("haarcascades/haarcascade_licence_plate_rus_16stages.xml");
}

static void test_visited(void **state)
{
    (void)state;
    for (uint32_t rejected = 0; rejected < 65536; rejected++)
        for (uint32_t first = 0; first < 2; first++) {
            uint32_t skip = first, expected = 0, over = first;
            for (uint32_t i = 0; i < 16; i++) {
                expected |= (over ^ 1) << i;
                over = !over && (rejected >> i & 1);
            }
            assert_int_equal(cascade_visited(rejected, &skip), expected);
            assert_int_equal(skip, over);
        }
}

static bool similar_by_hand(const mien_rect *a, const mien_rect *b)
{
    double delta =
        0.2 * ((a->width < b->width ? a->width : b->width) + (a->height < b->height ? a->height : b->height)) * 0.5;
    return abs(a->x - b->x) <= delta && abs(a->y - b->y) <= delta && abs(a->x + a->width - b->x - b->width) <= delta &&
           abs(a->y + a->height - b->y - b->height) <= delta;
}

/* Labels by spreading the smallest index until nothing changes. */
static void label_by_hand(const mien_rect *rects, size_t count, size_t *label)
{
    for (size_t i = 0; i < count; i++)
        label[i] = i;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++)
                if (label[j] < label[i] && similar_by_hand(rects + i, rects + j)) {
                    label[i] = label[j];
                    changed = true;
                }
    }
}

static void test_groups(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    mien_rect rects[COUNT];
    size_t label[COUNT];
    random_state random;
    random_seed(&random, 9, 9);
    for (size_t i = 0; i < COUNT; i++) {
        int32_t side = 20 + (int32_t)random_below(&random, 30);
        rects[i] = (mien_rect){(int32_t)random_below(&random, 150), (int32_t)random_below(&random, 150), side, side};
    }
    label_by_hand(rects, COUNT, label);
    buffer scratch = {0};
    detect_faces faces = {0};
    mien_error error = {0};
    buffer_init(&scratch, MOST_BYTES);
    assert_ok(group_rects(rects, COUNT, 2, 0.2, &scratch, &faces, &error), &error);
    assert_true(faces.count > 1);
    /* Each result is the mean of one class of more than two, and they come in the order of first members. */
    size_t last = 0;
    for (size_t f = 0; f < faces.count; f++) {
        bool found = false;
        for (size_t first = last; first < COUNT && !found; first++) {
            int32_t n = 0, x = 0, y = 0;
            for (size_t i = 0; i < COUNT; i++)
                if (label[i] == first)
                    n++, x += rects[i].x, y += rects[i].y;
            float share = n ? 1.0f / (float)n : 0;
            found = n > 2 && n == (int32_t)faces.data[f].score && lrintf((float)x * share) == faces.data[f].box.x &&
                    lrintf((float)y * share) == faces.data[f].box.y;
            last = found ? first + 1 : last;
        }
        assert_true(found);
    }
    faces.count = 0;
    assert_ok(group_rects(rects, COUNT, 0, 0.2, &scratch, &faces, &error), &error);
    assert_int_equal(faces.count, COUNT);
    faces.count = 0;
    assert_ok(group_rects(rects, 0, 3, 0.2, &scratch, &faces, &error), &error);
    assert_int_equal(faces.count, 0);
    buffer_done(&scratch);
    detect_faces_done(&faces);
}

/* A cascade that likes a dark left and a bright right half finds the one edge in a picture. */
static void test_finds_an_edge(void **state)
{
    (void)state;
    char text[2048];
    small_cascade(text, sizeof text, "0 -1 0 -0.5", "1. 0.", GOOD_RECTS); /* 2·left - all, by the deviation */
    detector *d = NULL;
    detect_scratch *scratch = NULL;
    mien_error error = {0};
    assert_ok(detector_open_cascade(text, strlen(text), &d, &error), &error);
    assert_string_equal(detector_kind(d), "cascade");
    assert_ok(detect_scratch_create(d, &scratch, &error), &error);
    uint8_t pixels[40 * 50];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = i % 50 < 25 ? 10 : 200;
    mien_image_view view = {pixels, 50, 40, 50, MIEN_PIXEL_GREY8};
    detect_options options;
    detect_default_options(&options);
    options.min_width = options.min_height = 6;
    options.min_neighbors = 0;
    detect_faces faces = {0};
    for (options.threads = 1; options.threads <= 3; options.threads++) {
        assert_ok(detector_find(d, scratch, &view, &options, &faces, &error), &error);
        assert_true(faces.count > 10);
        for (size_t i = 0; i < faces.count; i++)
            assert_true(faces.data[i].box.x <= 25 && faces.data[i].box.x + faces.data[i].box.width >= 24);
    }
    memset(pixels, 77, sizeof pixels); /* flat: nothing, and that is no error */
    options.threads = 1;
    assert_ok(detector_find(d, scratch, &view, &options, &faces, &error), &error);
    assert_int_equal(faces.count, 0);
    view.width = view.height = 1;
    assert_ok(detector_find(d, scratch, &view, &options, &faces, &error), &error);
    assert_int_equal(faces.count, 0);
    options.scale_factor = 1;
    assert_int_equal(detector_find(d, scratch, &view, &options, &faces, &error), MIEN_EINVAL);
    view.width = 0;
    assert_int_equal(detector_find(d, scratch, &view, NULL, &faces, &error), MIEN_EINVAL);
    detect_scratch_destroy(&scratch);
    detector_destroy(&d);
    detect_faces_done(&faces);
}

static void add_face(detect_faces *faces, int32_t x, int32_t y, int32_t width, int32_t height, float score)
{
    const detect_face face = {{x, y, width, height}, score};
    mien_error error = {0};
    assert_ok(detect_faces_add(faces, &face, &error), &error);
}

static void test_filters(void **state)
{
    (void)state;
    static uint8_t pixels[400 * 400];
    fill_random(pixels, sizeof pixels, 3);
    memset(pixels + 400 * 300, 90, 400 * 100); /* a flat strip */
    mien_image_view view = {pixels, 400, 400, 400, MIEN_PIXEL_GREY8};
    detect_faces faces = {0};
    mien_error error = {0};
    add_face(&faces, 0, 0, 29, 29, 1);     /* small */
    add_face(&faces, 0, 0, 60, 40, 1);     /* wide */
    add_face(&faces, 10, 310, 50, 50, 1);  /* flat */
    add_face(&faces, 0, 0, 301, 301, 1);   /* large */
    add_face(&faces, 380, 0, 40, 40, 1);   /* partly outside */
    add_face(&faces, 100, 100, 50, 50, 1); /* kept */
    add_face(&faces, 105, 105, 50, 50, 1); /* the same again */
    add_face(&faces, 200, 100, 50, 50, 1); /* kept */
    assert_ok(filter_neo(&view, &faces, &error), &error);
    assert_int_equal(faces.count, 2);
    assert_int_equal(faces.data[0].box.x, 100);
    assert_int_equal(faces.data[1].box.x, 200);

    faces.count = 0;
    add_face(&faces, 0, 0, 40, 40, 0.5f);
    add_face(&faces, 4, 0, 40, 40, 0.9f);
    add_face(&faces, 100, 0, 40, 40, 0.7f);
    filter_suppress_by_score(&faces, 0.4f);
    assert_int_equal(faces.count, 2);
    assert_int_equal(faces.data[0].box.x, 4);
    assert_int_equal(faces.data[1].box.x, 100);

    const mien_rect box = {423, 251, 98, 98}, edge = {11, 178, 69, 69}, low = {806, 578, 180, 180};
    mien_rect padded = filter_pad(&box, &FILTER_PADDING_HISTORY, 819, 546);
    assert_memory_equal(&padded, (&(mien_rect){406, 234, 126, 129}), sizeof padded);
    padded = filter_pad(&edge, &FILTER_PADDING_HISTORY, 500, 375);
    assert_memory_equal(&padded, (&(mien_rect){0, 166, 89, 91}), sizeof padded);
    padded = filter_pad(&low, &FILTER_PADDING_HISTORY, 1024, 768);
    assert_memory_equal(&padded, (&(mien_rect){774, 546, 233, 222}), sizeof padded);
    detect_faces_done(&faces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cascade_loads),
        cmocka_unit_test(test_known_content),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_integrals),
        cmocka_unit_test(test_fast_stages_are_exact),
        cmocka_unit_test(test_visited),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_finds_an_edge),
        cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
