/* Guards that faces are found as OpenCV 4.6 finds them on 82 photographs: the raw rectangles of the three presets,
 * neo's kept ones and history-api's padded ones, as ../shared/photos/opencv_golden.json gives them. The raw rectangles
 * there come from OpenCV on several threads, whose order depends on timing; they are compared as sets. What is made of
 * them is compared in order. */
#include "testing.h"

#include <jansson.h>

#include "base/file.h"
#include "detect/detector.h"
#include "detect/filter.h"
#include "prep/prep.h"

#define CASCADE "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"

enum { MOST_BYTES = 64 << 20 };

/* Sanitizers make it ten times slower; a part of the photographs then has to do. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EVERY 8
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EVERY 8
#endif
#endif
#ifndef EVERY
#define EVERY 1
#endif

typedef struct fixture {
    detector *detector;
    detect_scratch *scratch;
    detect_faces faces;
    mien_image grey, work, brighter;
} fixture;

static void read_file(const char *path, buffer *bytes)
{
    mien_error error = {0};
    buffer_init(bytes, MOST_BYTES);
    assert_ok(file_read(path, MOST_BYTES, bytes, &error), &error);
}

static void open_picture(fixture *f, const char *file)
{
    char name[512], path[1024];
    buffer bytes;
    mien_error error = {0};
    snprintf(name, sizeof name, "photos/%s", file);
    read_file(testing_shared_file(name, path, sizeof path), &bytes);
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.ignore_orientation = 1;
    options.format = MIEN_PIXEL_GREY8;
    assert_ok(mien_image_decode(bytes.data, bytes.length, &options, &f->grey, &error), &error);
    assert_ok(mien_image_init(&f->work, f->grey.width, f->grey.height, MIEN_PIXEL_GREY8, &error), &error);
    assert_ok(mien_image_init(&f->brighter, f->grey.width, f->grey.height, MIEN_PIXEL_GREY8, &error), &error);
    buffer_done(&bytes);
}

static void close_picture(fixture *f)
{
    mien_image_done(&f->grey);
    mien_image_done(&f->work);
    mien_image_done(&f->brighter);
}

static void find(fixture *f, const mien_image *image, double scale_factor, int min_neighbors, int32_t least,
                 int threads)
{
    detect_options options;
    detect_default_options(&options);
    options.scale_factor = scale_factor;
    options.min_neighbors = min_neighbors;
    options.min_width = options.min_height = least;
    options.threads = threads;
    mien_image_view view = mien_image_as_view(image);
    mien_error error = {0};
    assert_ok(detector_find(f->detector, f->scratch, &view, &options, &f->faces, &error), &error);
}

static mien_rect rect_of(const json_t *entry)
{
    int32_t side[4];
    for (size_t i = 0; i < 4; i++)
        side[i] = (int32_t)json_integer_value(json_array_get(entry, i));
    return (mien_rect){side[0], side[1], side[2], side[3]};
}

static int by_place(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(mien_rect));
}

/* Is the list of faces the list of rectangles, as a set or in order? */
static size_t differs(const char *file, const char *what, const detect_faces *faces, const json_t *expected,
                      bool ordered)
{
    mien_rect found[256], wanted[256];
    size_t count = json_array_size(expected);
    bool same = count == faces->count && count <= 256;
    for (size_t i = 0; same && i < count; i++) {
        found[i] = faces->data[i].box;
        wanted[i] = rect_of(json_array_get(expected, i));
    }
    if (same && !ordered) {
        qsort(found, count, sizeof *found, by_place);
        qsort(wanted, count, sizeof *wanted, by_place);
    }
    if (same && !memcmp(found, wanted, count * sizeof *found))
        return 0;
    print_message("%s: %s differ: %zu, expected %zu\n", file, what, faces->count, count);
    return 1;
}

/* The recorded raw rectangles as faces: filters are held against what OpenCV's order made of them. */
static void take_recorded(fixture *f, const json_t *raw)
{
    mien_error error = {0};
    f->faces.count = 0;
    for (size_t i = 0; i < json_array_size(raw); i++) {
        const detect_face face = {rect_of(json_array_get(raw, i)), 1};
        assert_ok(detect_faces_add(&f->faces, &face, &error), &error);
    }
}

static size_t check_neo(fixture *f, const char *file, const json_t *golden)
{
    mien_image_view grey = mien_image_as_view(&f->grey), work = mien_image_as_view(&f->work);
    mien_error error = {0};
    assert_ok(prep_gaussian(&grey, &f->work, 3, 0, &error), &error);
    assert_ok(prep_equalise(&work, &f->work, &error), &error);
    find(f, &f->work, 1.1, 4, 30, 1);
    size_t wrong = differs(file, "neo, raw", &f->faces, json_object_get(golden, "raw"), false);
    take_recorded(f, json_object_get(golden, "raw"));
    assert_ok(filter_neo(&work, &f->faces, &error), &error);
    return wrong + differs(file, "neo, kept", &f->faces, json_object_get(golden, "kept"), true);
}

static size_t check_faceml(fixture *f, const char *file, const json_t *golden)
{
    find(f, &f->grey, 1.1, 5, 30, 2);
    return differs(file, "faceml", &f->faces, json_object_get(golden, "raw"), false);
}

/* The second search alone looks at the brightened copy. */
static size_t check_history(fixture *f, const char *file, const json_t *golden)
{
    static const struct {
        double scale_factor;
        int min_neighbors;
    } searches[3] = {{1.15, 10}, {1.1, 5}, {1.08, 4}};
    mien_image_view grey = mien_image_as_view(&f->grey), work = mien_image_as_view(&f->work);
    int32_t least = (int32_t)json_integer_value(json_object_get(golden, "min_size"));
    mien_error error = {0};
    assert_ok(prep_clahe(&grey, &f->work, 2.0, 8, 8, &error), &error);
    assert_ok(prep_brighten(&work, &f->brighter, 1.1f, 5, &error), &error);
    int stage = 0;
    for (int i = 0; i < 3 && !stage; i++) {
        find(f, i == 1 ? &f->brighter : &f->work, searches[i].scale_factor, searches[i].min_neighbors, least, 1);
        stage = f->faces.count ? i + 1 : 0;
    }
    size_t wrong = stage != (int)json_integer_value(json_object_get(golden, "stage"));
    wrong += differs(file, "history-api, raw", &f->faces, json_object_get(golden, "raw"), false);
    assert_ok(filter_history(&f->faces, (int32_t)f->grey.width, (int32_t)f->grey.height, &error), &error);
    return wrong + differs(file, "history-api, boxes", &f->faces, json_object_get(golden, "boxes"), true);
}

static void test_photographs(void **state)
{
    (void)state;
    char path[1024];
    json_t *golden = json_load_file(testing_shared_file("photos/opencv_golden.json", path, sizeof path), 0, NULL);
    assert_non_null(golden);
    fixture f = {0};
    buffer bytes;
    mien_error error = {0};
    read_file(CASCADE, &bytes);
    assert_ok(detector_open_cascade(bytes.data, bytes.length, &f.detector, &error), &error);
    assert_ok(detect_scratch_create(f.detector, &f.scratch, &error), &error);
    buffer_done(&bytes);
    const char *file;
    json_t *entry;
    size_t wrong = 0, number = 0;
    json_object_foreach(golden, file, entry)
    {
        if (number++ % EVERY)
            continue;
        open_picture(&f, file);
        wrong += check_neo(&f, file, json_object_get(entry, "seed0"));
        wrong += check_faceml(&f, file, json_object_get(entry, "seed1"));
        wrong += check_history(&f, file, json_object_get(entry, "seed3"));
        close_picture(&f);
    }
    assert_true(number > 0);
    detect_scratch_destroy(&f.scratch);
    detector_destroy(&f.detector);
    detect_faces_done(&f.faces);
    json_decref(golden);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_photographs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
