/* Guards the readers of training data: FER-2013's CSV plain and packed, FER+ votes, a CSV of paths, folders of classes,
 * and that what is wrong is named with its line. */
#include "folder.h"

#include <lzma.h>
#include <unistd.h>

#include "base/memory.h"
#include "train/dataset_builder.h"

static const char three_rows[] = "emotion,pixels,Usage\n"
                                 "0,0 1 2 255,Training\n"
                                 "3,9 8 7 6,PublicTest\r\n"
                                 "6,10 20 30 40,Training\n";

static void check_three_rows(const dataset *data)
{
    static const uint8_t pixels[] = {0, 1, 2, 255, 9, 8, 7, 6, 10, 20, 30, 40};
    assert_int_equal(data->count, 3);
    assert_int_equal(data->height, 2);
    assert_int_equal(data->width, 2);
    assert_memory_equal(data->pixels, pixels, sizeof(pixels));
    assert_int_equal(data->labels[1], MIEN_EMOTION_HAPPY);
    assert_int_equal(data->splits[1], DATASET_PUBLIC_TEST);
    size_t *rows = NULL, count = 0;
    mien_error error;
    assert_ok(dataset_rows(data, "Training", false, &rows, &count, &error), &error);
    assert_int_equal(count, 2);
    assert_int_equal(rows[1], 2);
    memory_free(rows);
    assert_int_equal(dataset_rows(data, "PrivateTest", false, &rows, &count, &error), MIEN_ENOTFOUND);
    assert_int_equal(dataset_rows(data, "Sunday", false, &rows, &count, &error), MIEN_EINVAL);
}

static void test_reads_plain_csv(void **state)
{
    (void)state;
    dataset data = {0};
    mien_error error;
    testing_put_text("plain.csv", three_rows);
    assert_ok(dataset_read(testing_path("plain.csv"), NULL, &data, &error), &error);
    check_three_rows(&data);
    dataset_done(&data);
}

static void test_reads_packed_csv_and_refuses_half_of_it(void **state)
{
    (void)state;
    uint8_t packed[1024];
    size_t length = 0;
    assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)three_rows,
                                             sizeof(three_rows) - 1, packed, &length, sizeof(packed)),
                     LZMA_OK);
    mien_error error;
    dataset data = {0};
    testing_put("packed.csv.xz", packed, length);
    assert_ok(dataset_read(testing_path("packed.csv.xz"), NULL, &data, &error), &error);
    check_three_rows(&data);
    dataset_done(&data);
    testing_put("half.csv.xz", packed, length / 2);
    assert_int_equal(dataset_read(testing_path("half.csv.xz"), NULL, &data, &error), MIEN_EFORMAT);
    assert_int_equal(data.count, 0);
}

static void test_names_the_line_of_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        mien_status status;
    } cases[] = {
        {"emotion,pixels,Usage\n0,1 2 3 4,Training\n0,1 2 3,Training\n", "line 3: 3 pixels instead of 4", MIEN_EFORMAT},
        {"emotion,pixels,Usage\n7,1 2 3 4,Training\n", "line 2: '7' is not an emotion", MIEN_EFORMAT},
        {"emotion,pixels,Usage\n0,1 2 256 4,Training\n", "line 2", MIEN_EFORMAT},
        {"emotion,pixels,Usage\n0,1 2 x 4,Training\n", "line 2", MIEN_EFORMAT},
        {"emotion,pixels,Usage\n0,1 2 3,Training\n", "line 2: 3 pixels do not make a square", MIEN_EFORMAT},
        {"emotion,pixels,Usage\n0,1 2 3 4,Sunday\n", "line 2: 'Sunday'", MIEN_EINVAL},
        {"emotion,pixels,Usage\n0\n", "line 2: 1 fields are too few", MIEN_EFORMAT},
        {"emotion,pixels,Label\n0,1,0\n", "line 1: 'emotion' and 'Label' both tell the same", MIEN_EFORMAT},
        {"emotion,pixels\ncontempt,1\n", "line 2: 'contempt' is not an emotion", MIEN_EFORMAT},
        {"a,b,c\n1,2,3\n", "line 1: no header", MIEN_EFORMAT},
        {"", "no header", MIEN_EFORMAT},
        {"emotion,pixels,Usage\n", "holds no pictures", MIEN_EFORMAT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dataset data = {0};
        mien_error error = {0};
        testing_put_text("bad.csv", cases[i].text);
        assert_int_equal(dataset_read(testing_path("bad.csv"), NULL, &data, &error), cases[i].status);
        if (!strstr(error.message, cases[i].says))
            fail_msg("case %zu says: %s", i, error.message);
    }
    dataset data = {0};
    mien_error error = {0};
    assert_int_equal(dataset_read(testing_path("absent.csv"), NULL, &data, &error), MIEN_ENOTFOUND);
}

/* As spreadsheets save it: a mark before the UTF-8, carriage returns, quotes. */
static void test_reads_what_spreadsheets_save(void **state)
{
    (void)state;
    dataset data = {0};
    mien_error error = {0};
    testing_put_text("sheet.csv", "\xef\xbb\xbf\"emotion\",\"pixels\"\r\n\"3\",\"1 2 3 4\"\r\n");
    assert_ok(dataset_read(testing_path("sheet.csv"), NULL, &data, &error), &error);
    assert_int_equal(data.count, 1);
    assert_int_equal(data.labels[0], 3);
    dataset_done(&data);
}

static void test_limit_on_rows(void **state)
{
    (void)state;
    dataset data = {0};
    mien_error error;
    dataset_options options = {.most_rows = 2};
    testing_put_text("plain.csv", three_rows);
    assert_int_equal(dataset_read(testing_path("plain.csv"), &options, &data, &error), MIEN_ELIMIT);
}

static const char votes_header[] =
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n";

static void test_votes(void **state)
{
    (void)state;
    char text[1024];
    snprintf(text, sizeof(text), "%s%s", votes_header,
             "Training,fer0000000.png,4,0,0,1,3,0,0,2,0,0\n"
             "PublicTest,fer0000001.png,0,0,0,0,0,0,0,6,4,0\n"
             "Training,,0,0,0,0,0,0,0,0,0,10\n");
    static const struct {
        uint8_t votes[DATASET_VOTES];
        int majority, plurality; /* -1 = none */
    } rules[] = {
        {{4, 0, 0, 1, 3, 0, 0, 2, 0, 0}, -1, MIEN_EMOTION_NEUTRAL},
        {{5, 0, 0, 1, 4, 0, 0, 0, 0, 0},
         MIEN_EMOTION_NEUTRAL,
         MIEN_EMOTION_NEUTRAL}, /* 5 of 9: the one does not count */
        {{5, 5, 0, 0, 0, 0, 0, 0, 0, 0}, -1, MIEN_EMOTION_NEUTRAL},
        {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, -1, MIEN_EMOTION_NEUTRAL},
        {{0, 0, 0, 2, 0, 0, 1, 6, 1, 0}, -1, -1},
        {{1, 1, 1, 1, 1, 0, 2, 1, 1, 1}, MIEN_EMOTION_FEAR, MIEN_EMOTION_FEAR},
        {{0, 0, 0, 0, 0, 0, 0, 0, 6, 4}, -1, -1},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        uint8_t found = 99;
        assert_int_equal(dataset_majority(rules[i].votes, &found) ? found : -1, rules[i].majority);
        assert_int_equal(dataset_plurality(rules[i].votes, &found) ? found : -1, rules[i].plurality);
    }
    dataset data = {0};
    mien_error error;
    testing_put_text("plain.csv", three_rows);
    testing_put_text("votes.csv", strchr(text, '\n') + 1);
    dataset_options headless = {.votes = testing_path("votes.csv")};
    assert_int_equal(dataset_read(testing_path("plain.csv"), &headless, &data, &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "line 1: column 1 is 'Training' instead of 'Usage'"));
    testing_put_text("votes.csv", text);
    dataset_options options = {.votes = testing_path("votes.csv")};
    assert_ok(dataset_read(testing_path("plain.csv"), &options, &data, &error), &error);
    float soft[DATASET_CLASSES];
    uint8_t label = 99;
    assert_true(dataset_soft_votes(data.votes, soft));
    assert_true(soft[MIEN_EMOTION_NEUTRAL] == 0.5f && soft[MIEN_EMOTION_SAD] == 0.125f);
    assert_true(soft[MIEN_EMOTION_ANGRY] == 0.375f && soft[MIEN_EMOTION_HAPPY] == 0);
    assert_true(dataset_plurality(data.votes, &label));
    assert_int_equal(label, MIEN_EMOTION_NEUTRAL);
    assert_false(dataset_soft_votes(data.votes + DATASET_VOTES, soft));
    assert_false(dataset_majority(data.votes + DATASET_VOTES, &label));
    size_t *rows = NULL, count = 0;
    assert_ok(dataset_rows(&data, "Training", true, &rows, &count, &error), &error);
    assert_int_equal(count, 1);
    memory_free(rows);
    dataset_done(&data);
}

static void test_votes_that_do_not_match(void **state)
{
    (void)state;
    char text[1024];
    dataset data = {0};
    mien_error error;
    dataset_options options = {.votes = testing_path("votes.csv")};
    snprintf(text, sizeof(text), "%sTraining,a,4,0,0,1,3,0,0,2,0,0\n", votes_header);
    testing_put_text("plain.csv", three_rows);
    testing_put_text("votes.csv", text);
    assert_int_equal(dataset_read(testing_path("plain.csv"), &options, &data, &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "1 rows"));
    snprintf(text, sizeof(text), "%sPublicTest,a,4,0,0,1,3,0,0,2,0,0\n", votes_header);
    testing_put_text("votes.csv", text);
    assert_int_equal(dataset_read(testing_path("plain.csv"), &options, &data, &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "do not match"));
}

static void put_picture(const char *name, uint8_t grey)
{
    mien_error error;
    mien_image image = {0};
    assert_ok(mien_image_init(&image, 96, 96, MIEN_PIXEL_GREY8, &error), &error);
    for (size_t y = 0; y < 96; y++)
        memset(image.data + y * image.stride, grey, 96);
    testing_put_png(name, &image);
    mien_image_done(&image);
}

static void count_skipped(void *context, const char *path, const mien_error *error)
{
    (void)error;
    assert_non_null(strstr(path, "broken"));
    ++*(int *)context;
}

static void test_folders_of_classes(void **state)
{
    (void)state;
    mien_error error;
    testing_put_folder("tree/train/Happiness");
    testing_put_folder("tree/train/sad");
    testing_put_folder("tree/test/anger");
    put_picture("tree/train/Happiness/b.png", 20);
    put_picture("tree/train/Happiness/a.png", 10);
    put_picture("tree/train/sad/c.png", 30);
    put_picture("tree/test/anger/d.png", 40);
    testing_put_text("tree/train/sad/broken.png", "not a picture");
    dataset data = {0};
    int skipped = 0;
    dataset_options options = {.skip = count_skipped, .skip_context = &skipped};
    assert_ok(dataset_read(testing_path("tree"), &options, &data, &error), &error);
    assert_int_equal(skipped, 1);
    assert_int_equal(data.count, 4);
    static const uint8_t labels[] = {MIEN_EMOTION_ANGRY, MIEN_EMOTION_HAPPY, MIEN_EMOTION_HAPPY, MIEN_EMOTION_SAD};
    static const uint8_t greys[] = {40, 10, 20, 30};
    assert_memory_equal(data.labels, labels, 4);
    assert_int_equal(data.splits[0], DATASET_PUBLIC_TEST);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < (size_t)48 * 48; k++)
            assert_int_equal(data.pixels[i * 48 * 48 + k], greys[i]);
    dataset_done(&data);
    assert_int_equal(dataset_read(testing_path("tree"), NULL, &data, &error), MIEN_EFORMAT);
    assert_non_null(strstr(error.message, "broken.png"));
}

static void count_left_out(void *context, const char *path, const mien_error *error)
{
    (void)path;
    (void)error;
    ++*(int *)context;
}

/* What lies in a folder is read or named, and nothing is waited for or walked through twice. */
static void test_folders_as_they_are_found(void **state)
{
    (void)state;
    mien_error error;
    testing_put_folder("found/sad/subject-1/day-2");
    put_picture("found/sad/subject-1/day-2/a.png", 10);
    put_picture("found/sad/b.png", 20);
    put_picture("found/stray.png", 30);
    assert_int_equal(mkfifo(testing_path("found/sad/pipe.png"), 0600), 0);
    assert_int_equal(symlink(".", testing_path("found/sad/round")), 0);
    assert_int_equal(symlink("nowhere.png", testing_path("found/sad/gone.png")), 0);
    dataset data = {0};
    int left_out = 0;
    dataset_options options = {.skip = count_left_out, .skip_context = &left_out};
    assert_ok(dataset_read(testing_path("found"), &options, &data, &error), &error);
    assert_int_equal(data.count, 2);
    assert_int_equal(left_out, 4);
    dataset_done(&data);
}

static size_t rows_of(const dataset *data, const char *split)
{
    size_t *rows = NULL, count = 0;
    mien_error error;
    assert_ok(dataset_rows(data, split, false, &rows, &count, &error), &error);
    memory_free(rows);
    return count;
}

/* Test pictures are for the end where there are others to validate on. */
static void test_test_beside_validation(void **state)
{
    (void)state;
    mien_error error;
    dataset data = {0};
    put_picture("a.png", 10);
    testing_put_text("three.csv",
                     "path,label,split\na.png,sad,train\na.png,sad,val\na.png,sad,Test\na.png,sad,test \n");
    assert_ok(dataset_read(testing_path("three.csv"), NULL, &data, &error), &error);
    assert_int_equal(rows_of(&data, "PublicTest"), 1);
    assert_int_equal(rows_of(&data, "PrivateTest"), 2);
    assert_int_equal(rows_of(&data, "test"), 2);
    dataset_done(&data);
    testing_put_text("two.csv", "path,label,split\na.png,sad,train\na.png,sad,test\n");
    assert_ok(dataset_read(testing_path("two.csv"), NULL, &data, &error), &error);
    assert_int_equal(rows_of(&data, "PublicTest"), 1);
    assert_int_equal(rows_of(&data, "test"), 1);
    dataset_done(&data);
}

static void test_quoted_fields(void **state)
{
    (void)state;
    char line[] = "\"a, \"\"b\"\", c\",,\"\", d ,\"x\"y,\"open, end";
    static const char *const expected[] = {"a, \"b\", c", "", "", " d ", "x", "open, end"};
    char *fields[8];
    assert_int_equal(dataset_split_fields(line, fields, 8), 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(fields[i], expected[i]);
}

static void test_csv_of_paths(void **state)
{
    (void)state;
    mien_error error;
    dataset data = {0};
    put_picture("one.png", 77);
    testing_put_text("paths.csv", "label,path\njoy,one.png\n");
    assert_ok(dataset_read(testing_path("paths.csv"), NULL, &data, &error), &error);
    assert_int_equal(data.count, 1);
    assert_int_equal(data.labels[0], MIEN_EMOTION_HAPPY);
    assert_int_equal(data.pixels[0], 77);
    dataset_done(&data);
    testing_put_text("paths.csv", "label,path\njoy,absent.png\n");
    assert_int_equal(dataset_read(testing_path("paths.csv"), NULL, &data, &error), MIEN_ENOTFOUND);
    assert_non_null(strstr(error.message, "line 2"));
}

static void test_fer2013_as_published(void **state)
{
    (void)state;
    char path[512], votes[512];
    testing_shared_file("fer2013/fer2013.csv.xz", path, sizeof(path));
    testing_shared_file("fer2013/fer2013new.csv", votes, sizeof(votes));
    dataset data = {0};
    mien_error error;
    dataset_options options = {.votes = votes};
    assert_ok(dataset_read(path, &options, &data, &error), &error);
    assert_int_equal(data.count, 28709 + 3589);
    assert_int_equal(data.height, 48);
    size_t classes[DATASET_CLASSES] = {0}, *rows = NULL, count = 0;
    assert_ok(dataset_rows(&data, "Training", false, &rows, &count, &error), &error);
    assert_int_equal(count, 28709);
    for (size_t i = 0; i < count; i++)
        classes[data.labels[rows[i]]]++;
    assert_int_equal(classes[MIEN_EMOTION_DISGUST], 436);
    assert_int_equal(classes[MIEN_EMOTION_HAPPY], 7215);
    memory_free(rows);
    dataset_done(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_plain_csv),
        cmocka_unit_test(test_reads_packed_csv_and_refuses_half_of_it),
        cmocka_unit_test(test_names_the_line_of_what_is_wrong),
        cmocka_unit_test(test_reads_what_spreadsheets_save),
        cmocka_unit_test(test_limit_on_rows),
        cmocka_unit_test(test_votes),
        cmocka_unit_test(test_votes_that_do_not_match),
        cmocka_unit_test(test_folders_of_classes),
        cmocka_unit_test(test_folders_as_they_are_found),
        cmocka_unit_test(test_test_beside_validation),
        cmocka_unit_test(test_quoted_fields),
        cmocka_unit_test(test_csv_of_paths),
        cmocka_unit_test(test_fer2013_as_published),
    };
    return cmocka_run_group_tests(tests, testing_folder_make, testing_folder_remove);
}
