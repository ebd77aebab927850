/* Image operations on one thread: best and median of some runs on a made-up picture of 1920 × 1280 pixels (blurred
 * noise, the same every time), one line per operation: "name best median" in milliseconds. bench/run.d/prep sets them
 * beside OpenCV's (bench/peers/opencv_prep.py, which makes the same picture). MIEN_CPU=c measures plain C. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <mien/image.h>

#include "base/clock.h"
#include "prep/prep.h"

enum { WIDE = 1920, HIGH = 1280, RUNS = 15, JPEG_QUALITY = 90 };

typedef struct material {
    mien_image colour, grey, target, half, smaller, smallest;
    uint8_t *jpeg, *png;
    size_t jpeg_length, png_length;
} material;

typedef mien_status (*operation)(material *m, mien_error *error);

static mien_image_view view_of(const mien_image *image)
{
    return mien_image_as_view(image);
}

static mien_status run_grey(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->colour);
    return prep_grey(&from, &m->target, error);
}

static mien_status run_exact(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_resize_linear_exact(&from, &m->smaller, error);
}

static mien_status run_exact_far(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_resize_linear_exact(&from, &m->smallest, error);
}

static mien_status run_linear(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_resize_linear(&from, &m->smaller, error);
}

static mien_status run_half(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_resize_linear(&from, &m->half, error);
}

static mien_status run_gaussian(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_gaussian(&from, &m->target, 3, 0, error);
}

static mien_status run_gaussian9(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_gaussian(&from, &m->target, 9, 0, error);
}

static mien_status run_equalise(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_equalise(&from, &m->target, error);
}

static mien_status run_clahe(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_clahe(&from, &m->target, 2.0, 8, 8, error);
}

static mien_status run_median(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_median(&from, &m->target, 3, error);
}

static mien_status run_median5(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_median(&from, &m->target, 5, error);
}

static mien_status run_bilateral(material *m, mien_error *error)
{
    mien_image_view from = view_of(&m->grey);
    return prep_bilateral(&from, &m->target, 2, 40, 40, error);
}

static mien_status decode(const uint8_t *bytes, size_t length, mien_error *error)
{
    mien_image image = {0};
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.format = MIEN_PIXEL_BGR8;
    mien_status status = mien_image_decode(bytes, length, &options, &image, error);
    mien_image_done(&image);
    return status;
}

static mien_status run_jpeg(material *m, mien_error *error)
{
    return decode(m->jpeg, m->jpeg_length, error);
}

static mien_status run_png(material *m, mien_error *error)
{
    return decode(m->png, m->png_length, error);
}

static const struct {
    const char *name;
    operation run;
} operations[] = {
    {"grey", run_grey},
    {"resize_exact_1.1", run_exact},
    {"resize_exact_2.6", run_exact_far},
    {"resize_linear_1.1", run_linear},
    {"resize_half", run_half},
    {"gaussian_3", run_gaussian},
    {"gaussian_9", run_gaussian9},
    {"equalise", run_equalise},
    {"clahe", run_clahe},
    {"median_3", run_median},
    {"median_5", run_median5},
    {"bilateral_5", run_bilateral},
    {"decode_jpeg", run_jpeg},
    {"decode_png", run_png},
};

/* Noise from a linear congruential generator, blurred; channels differ by their phase. */
static mien_status make_material(material *m, mien_error *error)
{
    mien_status status = mien_image_init(&m->colour, WIDE, HIGH, MIEN_PIXEL_BGR8, error);
    uint32_t state = 1;
    for (size_t i = 0; !status && i < (size_t)WIDE * HIGH * 3; i++) {
        state = state * 1664525u + 1013904223u;
        m->colour.data[i / (3 * WIDE) * m->colour.stride + i % (3 * WIDE)] = (uint8_t)(state >> 24);
    }
    mien_image *const greys[] = {&m->grey, &m->target, &m->half, &m->smaller, &m->smallest};
    const double scales[] = {1, 1, 2, 1.1, 2.6};
    for (size_t i = 0; !status && i < sizeof greys / sizeof greys[0]; i++)
        status = mien_image_init(greys[i], (size_t)(WIDE / scales[i] + 0.5), (size_t)(HIGH / scales[i] + 0.5),
                                 MIEN_PIXEL_GREY8, error);
    if (status)
        return status;
    mien_image_view colour = view_of(&m->colour);
    status = prep_gaussian(&colour, &m->colour, 9, 0, error);
    if (!status)
        status = prep_grey(&colour, &m->grey, error);
    if (!status)
        status = mien_image_encode_jpeg(&colour, JPEG_QUALITY, &m->jpeg, &m->jpeg_length, error);
    if (!status)
        status = mien_image_encode_png(&colour, &m->png, &m->png_length, error);
    return status;
}

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static mien_status save(const char *folder, const char *name, const uint8_t *bytes, size_t length)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(bytes, 1, length, file) == length;
    if (file)
        fclose(file);
    return written ? MIEN_OK : MIEN_EIO;
}

int main(int argc, char **argv)
{
    material m = {0};
    mien_error error = {0};
    mien_status status = make_material(&m, &error);
    if (!status && argc > 1) /* for the peer */
        status = save(argv[1], "picture.jpg", m.jpeg, m.jpeg_length);
    if (!status && argc > 1)
        status = save(argv[1], "picture.png", m.png, m.png_length);
    for (size_t i = 0; !status && i < sizeof operations / sizeof operations[0]; i++) {
        double times[RUNS];
        for (int run = 0; !status && run < RUNS; run++) {
            double start = clock_monotonic_ms();
            status = operations[i].run(&m, &error);
            times[run] = clock_monotonic_ms() - start;
        }
        qsort(times, RUNS, sizeof times[0], compare_times);
        printf("%s %.4f %.4f\n", operations[i].name, times[0], times[RUNS / 2]);
    }
    if (status)
        fprintf(stderr, "bench_prep: %s\n", error.message);
    mien_free(m.jpeg);
    mien_free(m.png);
    mien_image *const images[] = {&m.colour, &m.grey, &m.target, &m.half, &m.smaller, &m.smallest};
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++)
        mien_image_done(images[i]);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
