/* The figures of face detectors. Everything that is shown comes from train/face_metrics.h; here it is only laid out. */
#include "eval_faces_output.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "commands.h"

enum { FACES_JSON_POINTS = 100 };

mien_status faces_result_time(faces_result *result, double milliseconds, mien_error *error)
{
    size_t count = result->metrics.pictures;
    if (count > result->capacity) {
        size_t capacity = 2 * count + 256;
        double *times = memory_resize(result->milliseconds, capacity, sizeof *times);
        if (!times)
            return error_no_memory(error, capacity * sizeof *times);
        result->milliseconds = times;
        result->capacity = capacity;
    }
    result->milliseconds[count - 1] = milliseconds;
    return MIEN_OK;
}

void faces_result_done(faces_result *result)
{
    face_metrics_done(&result->metrics);
    face_gallery_done(&result->gallery);
    memory_free(result->milliseconds);
    result->milliseconds = NULL;
}

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void summarise_times(faces_result *result, double *mean, double *median)
{
    size_t count = result->metrics.pictures;
    *mean = *median = 0;
    if (!count)
        return;
    qsort(result->milliseconds, count, sizeof *result->milliseconds, compare_times);
    for (size_t i = 0; i < count; i++)
        *mean += result->milliseconds[i] / (double)count;
    *median = result->milliseconds[count / 2];
}

static double best_f1(const face_metrics *metrics, face_point *best)
{
    face_point point;
    *best = (face_point){0};
    face_metrics_curve(metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, &point, 1, best);
    double sum = best->recall + best->precision;
    return sum > 0 ? 2 * best->recall * best->precision / sum : 0;
}

void faces_print_table(faces_result *result)
{
    double mean, median;
    face_point best;
    summarise_times(result, &mean, &median);
    double f1 = best_f1(&result->metrics, &best);
    printf("%s: %zu pictures, %.2f ms a picture (median %.2f)\n  %-7s %6s", result->name, result->metrics.pictures,
           mean, median, "size", "faces");
    for (int o = 0; o < FACE_OVERLAP_COUNT; o++)
        printf("   recall  prec.     F1     AP @%.1f", (double)face_overlap_value(o));
    printf("\n");
    for (int size = 0; size < FACE_SIZE_COUNT; size++) {
        for (int o = 0; o < FACE_OVERLAP_COUNT; o++) {
            face_figures f;
            face_metrics_compute(&result->metrics, o, (face_size)size, &f);
            if (!o)
                printf("  %-7s %6zu", face_size_name((face_size)size), f.truths);
            printf("    %.3f  %.3f  %.3f  %.3f     ", f.recall, f.precision, f.f1, f.average_precision);
        }
        printf("\n");
    }
    printf("  threshold %.3g; the best F1 of 32+ at IoU 0.4 would be %.3f at %.3g\n", (double)result->metrics.threshold,
           f1, (double)best.score);
}

static json_t *figures_to_json(const face_metrics *metrics)
{
    json_t *figures = json_array();
    for (int o = 0; o < FACE_OVERLAP_COUNT; o++)
        for (int size = 0; size < FACE_SIZE_COUNT; size++) {
            face_figures f;
            face_metrics_compute(metrics, o, (face_size)size, &f);
            json_array_append_new(
                figures, json_pack("{s:f,s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "iou", o == FACE_OVERLAP_40 ? 0.4 : 0.5,
                                   "size", face_size_name((face_size)size), "faces", (json_int_t)f.truths, "answers",
                                   (json_int_t)f.answers, "hits", (json_int_t)f.hits, "recall", f.recall, "precision",
                                   f.precision, "f1", f.f1, "average_precision", f.average_precision));
        }
    return figures;
}

static json_t *curve_to_json(const face_metrics *metrics)
{
    face_point points[FACES_JSON_POINTS];
    json_t *curve = json_array();
    size_t count = face_metrics_curve(metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, points, FACES_JSON_POINTS, NULL);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(curve,
                              json_pack("[f,f,f]", (double)points[i].score, points[i].recall, points[i].precision));
    return curve;
}

int faces_print_json(faces_result *result)
{
    double mean, median;
    face_point best;
    summarise_times(result, &mean, &median);
    double f1 = best_f1(&result->metrics, &best);
    json_t *all =
        json_pack("{s:s,s:s,s:I,s:f,s:f,s:f,s:{s:f,s:f},s:o,s:o}", "detector", result->name, "data", result->data,
                  "pictures", (json_int_t)result->metrics.pictures, "ms_per_picture", mean, "ms_median", median,
                  "threshold", (double)result->metrics.threshold, "best", "f1", f1, "threshold", (double)best.score,
                  "figures", figures_to_json(&result->metrics), "curve", curve_to_json(&result->metrics));
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    if (!text)
        return EXIT_FAILURE;
    printf("%s\n", text);
    free(text);
    return EXIT_SUCCESS;
}

mien_status faces_write_report(faces_result *results, size_t count, const char *path, mien_error *error)
{
    face_report_entry *entries = memory_zeroed(count, sizeof *entries);
    buffer page = {0};
    if (!entries)
        return error_no_memory(error, count * sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (face_report_entry){
            .name = results[i].name, .metrics = &results[i].metrics, .gallery = &results[i].gallery};
        summarise_times(&results[i], &entries[i].mean_ms, &entries[i].median_ms);
    }
    mien_status status = face_report_html(entries, count, count ? results[0].data : "", &page, error);
    if (!status)
        status = file_write(path, page.data, page.length, error);
    buffer_done(&page);
    memory_free(entries);
    return status;
}
