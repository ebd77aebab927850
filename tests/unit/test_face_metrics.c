/* Guards how face detectors are measured: matching, ranges of size, ignored faces, average precision, and the reading
 * of annotations. */
#include "testing.h"

#include <math.h>

#include "train/face_annotations.h"
#include "train/face_metrics.h"

static face_truth truth(float x, float y, float side, bool ignore)
{
    return (face_truth){{x, y, side, side}, ignore};
}

static face_answer answer(float x, float y, float side, float score)
{
    return (face_answer){{x, y, side, side}, score};
}

static face_figures figures(const face_metrics *metrics, face_size size)
{
    face_figures f;
    face_metrics_compute(metrics, FACE_OVERLAP_40, size, &f);
    return f;
}

static void test_matching(void **state)
{
    (void)state;
    const face_truth truths[] = {truth(0, 0, 40, false), truth(100, 0, 40, false), truth(200, 0, 200, true),
                                 truth(0, 100, 20, false), truth(0, 200, 150, false)};
    const face_answer answers[] = {
        answer(2, 0, 40, 0.9f),    /* the first face */
        answer(0, 2, 40, 0.95f),   /* the same, surer: this one is the hit */
        answer(250, 50, 40, 0.8f), /* inside an ignored face */
        answer(500, 0, 40, 0.7f),  /* nothing */
        answer(0, 100, 20, 0.6f),  /* a small face */
        answer(20, 210, 140, 0.5f) /* the large face */
    };
    int8_t hits[6];
    face_metrics metrics = {0};
    mien_error error = {0};
    assert_ok(face_metrics_add(&metrics, truths, 5, answers, 6, hits, &error), &error);
    static const int8_t expected[6] = {-1, 1, 0, -1, 0, 1};
    assert_memory_equal(hits, expected, sizeof hits);

    face_figures f = figures(&metrics, FACE_SIZE_FROM_32);
    assert_int_equal(f.truths, 3);
    assert_int_equal(f.answers, 4);
    assert_int_equal(f.hits, 2);
    assert_true(fabs(f.recall - 2.0 / 3) < 1e-9 && fabs(f.precision - 0.5) < 1e-9);
    assert_true(fabs(f.f1 - 4.0 / 7) < 1e-9);
    /* By score: hit, wrong, wrong, hit: precision 1 up to recall 1/3, then 1/2. */
    assert_true(fabs(f.average_precision - (1.0 + 0.5) / 3) < 1e-9);
    f = figures(&metrics, FACE_SIZE_16);
    assert_int_equal(f.truths, 1);
    assert_int_equal(f.hits, 1);
    assert_int_equal(f.answers, 1);
    assert_int_equal(figures(&metrics, FACE_SIZE_ALL).truths, 4);
    assert_int_equal(figures(&metrics, FACE_SIZE_64).truths, 0);
    face_metrics_done(&metrics);
}

/* Answers below the threshold stand in the curve and in average precision, and nowhere else. */
static void test_threshold(void **state)
{
    (void)state;
    const face_truth truths[] = {truth(0, 0, 40, false), truth(100, 0, 40, false), truth(0, 100, 20, false)};
    const face_answer answers[] = {answer(0, 0, 40, 0.9f), answer(500, 0, 40, 0.8f), answer(101, 0, 40, 0.3f)};
    face_metrics metrics = {.threshold = 0.5f};
    mien_error error = {0};
    int8_t hits[3];
    bool missed[3];
    assert_ok(face_metrics_add_telling(&metrics, truths, 3, answers, 3, hits, missed, &error), &error);
    static const int8_t expected[3] = {1, -1, 0};
    assert_memory_equal(hits, expected, sizeof hits);
    assert_true(!missed[0] && missed[1] && !missed[2]); /* the third is too small to be asked for */
    face_figures f = figures(&metrics, FACE_SIZE_FROM_32);
    assert_true(f.answers == 2 && f.hits == 1 && f.recall == 0.5 && f.precision == 0.5);
    assert_true(fabs(f.average_precision - (1 + 2.0 / 3) / 2) < 1e-9);
    face_point points[8], best;
    assert_int_equal(face_metrics_curve(&metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, points, 8, &best), 3);
    assert_true(points[0].recall == 0.5 && points[0].precision == 1 && points[2].recall == 1);
    assert_true(best.score == 0.3f);
    assert_int_equal(face_metrics_curve(&metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, points, 1, NULL), 1);
    assert_true(points[0].recall == 1);
    face_metrics_done(&metrics);
}

/* The score at which a precision is still held, where wrong answers are surer than some right ones. */
static void test_recall_at_a_precision(void **state)
{
    (void)state;
    const face_truth truths[] = {truth(0, 0, 40, false), truth(100, 0, 40, false), truth(200, 0, 40, false),
                                 truth(300, 0, 40, false)};
    const face_answer answers[] = {answer(0, 0, 40, 0.9f), answer(100, 0, 40, 0.8f), answer(600, 0, 40, 0.7f),
                                   answer(200, 0, 40, 0.6f), answer(700, 0, 40, 0.5f)};
    face_metrics metrics = {0};
    mien_error error = {0};
    float score = 0;
    assert_ok(face_metrics_add(&metrics, truths, 4, answers, 5, NULL, &error), &error);
    assert_float_equal(face_metrics_recall_at(&metrics, 0, FACE_SIZE_FROM_32, 0.95, &score), 0.5, 1e-9);
    assert_float_equal(score, 0.8, 1e-6);
    assert_float_equal(face_metrics_recall_at(&metrics, 0, FACE_SIZE_FROM_32, 0.7, &score), 0.75, 1e-9);
    assert_float_equal(score, 0.6, 1e-6);
    assert_float_equal(face_metrics_recall_at(&metrics, 0, FACE_SIZE_16, 0.7, &score), 0, 1e-9);
    assert_float_equal(score, 1, 1e-6);
    face_metrics_done(&metrics);
}

static void test_nothing(void **state)
{
    (void)state;
    face_metrics metrics = {0};
    mien_error error = {0};
    const face_truth one = truth(0, 0, 50, false);
    const face_answer wrong = answer(90, 0, 50, 1);
    assert_true(figures(&metrics, FACE_SIZE_ALL).f1 == 0);
    assert_ok(face_metrics_add(&metrics, NULL, 0, NULL, 0, NULL, &error), &error);
    assert_ok(face_metrics_add(&metrics, &one, 1, NULL, 0, NULL, &error), &error);
    assert_ok(face_metrics_add(&metrics, NULL, 0, &wrong, 1, NULL, &error), &error);
    face_figures f = figures(&metrics, FACE_SIZE_FROM_32);
    assert_int_equal(f.truths, 1);
    assert_int_equal(f.answers, 1);
    assert_true(f.recall == 0 && f.precision == 0 && f.average_precision == 0);
    assert_int_equal(metrics.pictures, 3);
    face_metrics_done(&metrics);
}

static void test_annotations(void **state)
{
    (void)state;
    face_annotations a;
    mien_error error = {0};
    assert_ok(face_annotations_parse("file,x,y,width,height,blur,ignore\r\nb.jpg,1,2,3.5,4,0,0\r\na.jpg,5,6,7,8,2,1\n"
                                     "b.jpg,9,10,11,12,0,1\n\n",
                                     &a, &error),
              &error);
    assert_int_equal(a.picture_count, 2);
    assert_int_equal(a.face_count, 3);
    assert_string_equal(a.pictures[0].file, "b.jpg");
    assert_int_equal(a.pictures[0].count, 2);
    assert_true(a.faces[0].box.width == 3.5f && !a.faces[0].ignore);
    assert_true(a.faces[1].box.x == 9 && a.faces[1].ignore);
    assert_string_equal(a.pictures[1].file, "a.jpg");
    assert_int_equal(a.pictures[1].first, 2);
    face_annotations_done(&a);
    static const char *const bad[] = {"",
                                      "file,x,y,width\n",
                                      "file,x,y,width,height\na,1,2,3\n",
                                      "file,x,y,width,height\na,1,2,3,b\n",
                                      "file,x,y,width,height\na,1,2,-3,4\n",
                                      "file,x,y,width,height\n,1,2,3,4\n",
                                      "file,x,y,width,height\na,1,2,nan,4\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(face_annotations_parse(bad[i], &a, &error), MIEN_EFORMAT);
    assert_ok(face_annotations_parse("file,x,y,width,height\n", &a, &error), &error);
    assert_int_equal(a.picture_count, 0);
    face_annotations_done(&a);
    assert_int_equal(face_annotations_read("/nowhere.csv", &a, &error), MIEN_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matching), cmocka_unit_test(test_nothing),
                                       cmocka_unit_test(test_threshold), cmocka_unit_test(test_recall_at_a_precision),
                                       cmocka_unit_test(test_annotations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
