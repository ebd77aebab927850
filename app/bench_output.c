/* What `mien bench` shows people: tables, each as soon as its figures are there. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LEAST = 14, NAME_MOST = 40, PRECISION_WIDTH = 6, LABEL_LEAST = 48, FIGURE_WIDTH = 10, STEP_WIDTH = 13 };

/* Three digits say as much as a measurement is worth. */
static int decimals(double value)
{
    return value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;
}

static void print_step(const bench_figure *figure)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f/%.*f", decimals(figure->best), figure->best, decimals(figure->median),
             figure->median);
    printf("%*s", STEP_WIDTH, text);
}

static void print_figure(const bench_figure *figure)
{
    printf("%*.*f%*.*f", FIGURE_WIDTH, decimals(figure->best), figure->best, FIGURE_WIDTH, decimals(figure->median),
           figure->median);
}

/* Characters of UTF-8, each of which is taken for a column. */
static size_t columns_of(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += (*text & 0xC0) != 0x80;
    return columns;
}

static void print_padded(const char *text, size_t width)
{
    size_t columns = columns_of(text);
    printf("%s%*s", text, width > columns ? (int)(width - columns) : 0, "");
}

/* The end of a long path says more than its beginning. */
static void print_name(const char *name, size_t width)
{
    size_t columns = columns_of(name);
    printf("  ");
    if (columns > NAME_MOST) {
        for (size_t left = columns - NAME_MOST + 1; left; left -= (*name & 0xC0) != 0x80)
            name++;
        while ((*name & 0xC0) == 0x80)
            name++;
        printf("…");
        width--;
    }
    print_padded(name, width);
}

static size_t wider(size_t width, const char *name)
{
    size_t columns = columns_of(name);
    columns = columns > NAME_MOST ? NAME_MOST : columns;
    return columns > width ? columns : width;
}

static size_t picture_width(const bench_report *r)
{
    size_t width = NAME_LEAST;
    for (size_t i = 0; i < r->pictures->count; i++)
        width = wider(width, r->pictures->list[i].name);
    return width;
}

static void print_heading(const char *text, size_t width)
{
    print_padded(text, width);
    printf("%*s%*s\n", FIGURE_WIDTH, "best", FIGURE_WIDTH, "median");
}

/* "int8", or "int8 (runs as f32 here)". */
static const char *precision_text(nn_precision wanted, char *text, size_t capacity)
{
    nn_precision here = nn_precision_here(wanted);
    snprintf(text, capacity, here == wanted ? "%s" : "%s (runs as %s here)", nn_precision_name(wanted),
             nn_precision_name(here));
    return text;
}

static void print_processor(void)
{
    char name[256];
    const char *held_back = getenv("MIEN_CPU");
    const bench_instruction *can;
    bench_processor_name(name, sizeof name);
    size_t count = bench_processors();
    printf("mien %s on %s, %zu processor%s", mien_version(), name, count, count == 1 ? "" : "s");
    for (size_t i = 0; (can = bench_processor_can(i)); i++)
        printf("%s%s", i ? ", " : ": ", can->shown);
    printf("%s%s%s\n", held_back ? " (held back by MIEN_CPU=" : "", held_back ? held_back : "", held_back ? ")" : "");
    if (nn_precision_here(NN_BF16) != NN_BF16)
        printf("It has no instructions for bf16 (AVX-512 BF16): bf16 runs as %s.\n",
               nn_precision_name(nn_precision_here(NN_BF16)));
    if (nn_precision_here(NN_INT8) != NN_INT8)
        printf("It has no instructions for int8 (AVX-512 VNNI): int8 runs as %s.\n",
               nn_precision_name(nn_precision_here(NN_INT8)));
}

void bench_print_head(const bench_report *r)
{
    char text[64];
    print_processor();
    printf("Emotion model   %s, %s\n", r->emotion_name, precision_text(r->emotion_precision, text, sizeof text));
    if (strcmp(r->detector_kind, "network") != 0)
        printf("Face detector   cascade: %s\n", r->detector_name);
    else
        printf("Face network    %s, %s\n", r->detector_name, precision_text(r->detector_precision, text, sizeof text));
    if (r->pictures->made)
        printf(
            "Picture         synthetic, a JPEG of %zu KB; no face is in it, so a box is given to be classified as one\n"
            "                (`mien bench photo.jpg` measures with your own pictures)\n",
            r->pictures->list[0].bytes.length / 1000);
    printf("Start           %.0f ms to load the models, %.0f ms for the first picture; what follows is warm\n\n",
           r->bed->load_ms, r->bed->first_ms);
    printf("One picture on one thread, ms, best/median\n  ");
    print_padded("", picture_width(r));
    printf("%11s%9s%*s%*s%*s%*s\n", "pixels", "faces", STEP_WIDTH, "decode", STEP_WIDTH, "detect", STEP_WIDTH,
           "classify", STEP_WIDTH, "all");
}

void bench_print_picture(const bench_report *r, size_t index)
{
    const bench_steps *s = &r->steps[index];
    char size[48], faces[32];
    snprintf(size, sizeof size, "%zu×%zu", s->width, s->height);
    snprintf(faces, sizeof faces, s->given ? "1 given" : "%zu", s->faces);
    print_name(r->pictures->list[index].name, picture_width(r));
    printf("%12s%9s", size, faces); /* × is two bytes */
    print_step(&s->decode);
    print_step(&s->detect);
    print_step(&s->classify);
    print_step(&s->total);
    printf("\n");
    fflush(stdout);
}

void bench_print_load(const bench_report *r)
{
    char heading[96];
    size_t threads = r->settings->threads;
    snprintf(heading, sizeof heading, "%zu thread%s, each with a session, a second", threads, threads == 1 ? "" : "s");
    printf("\n");
    print_heading(heading, LABEL_LEAST);
    print_padded(r->pictures->count == 1 ? "  pictures, the one above" : "  pictures, those above", LABEL_LEAST);
    print_figure(&r->picture_rate);
    printf("\n");
    print_padded("  frames of 640×480, JPEG, with tracking", LABEL_LEAST);
    print_figure(&r->frame_rate);
    printf("\n");
    fflush(stdout);
}

/* `label` columns before the figures. The best runs are compared: other programs slow down the others by chance. */
static void print_row(const bench_row *row, const bench_row *plain, size_t width, size_t label)
{
    print_name(row->name, width);
    printf("  ");
    print_padded(nn_precision_name(row->wanted), label - width - 4);
    if (row->reason.code) {
        printf("%*s   %s\n", FIGURE_WIDTH, "-", row->reason.message);
        return;
    }
    print_figure(&row->figure);
    if (row->here != row->wanted)
        printf("   ran as %s", nn_precision_name(row->here));
    else if (plain && row != plain && row->figure.best > 0)
        printf("   %.1f times as fast as f32", plain->figure.best / row->figure.best);
    printf("\n");
}

/* The rows of one network stand together; each is compared with its f32. */
static void print_rows(const char *heading, const bench_row *rows, size_t count)
{
    const bench_row *plain = NULL;
    size_t width = NAME_LEAST;
    for (size_t i = 0; i < count; i++)
        width = wider(width, rows[i].name);
    size_t label = width + 4 + PRECISION_WIDTH;
    label = label < LABEL_LEAST ? LABEL_LEAST : label;
    printf("\n");
    print_heading(heading, label);
    for (size_t i = 0; i < count; i++) {
        if (i && rows[i].name != rows[i - 1].name)
            plain = NULL;
        if (rows[i].wanted == NN_F32)
            plain = &rows[i];
        print_row(&rows[i], plain, width, label);
    }
    fflush(stdout);
}

void bench_print_models(const bench_report *r)
{
    print_rows("Classifying one face on one thread, ms", r->models, r->model_rows);
}

void bench_print_networks(const bench_report *r)
{
    char heading[128];
    if (!r->network_rows) {
        printf("\nA cascade finds the faces: there are no precisions of it to compare.\n");
        return;
    }
    snprintf(heading, sizeof heading, "Detecting in %zu×%zu on one thread, ms", r->pictures->first.width,
             r->pictures->first.height);
    print_rows(heading, r->networks, r->network_rows);
}

/* Twice over, so that it is not said of the ordinary scatter of a virtual machine. */
static bool was_disturbed(const bench_report *r)
{
    bool disturbed = r->picture_rate.best > 2 * r->picture_rate.median || r->frame_rate.best > 2 * r->frame_rate.median;
    for (size_t i = 0; i < r->pictures->count; i++)
        disturbed |= r->steps[i].total.median > 2 * r->steps[i].total.best;
    for (size_t i = 0; i < r->model_rows; i++)
        disturbed |= r->models[i].figure.median > 2 * r->models[i].figure.best;
    return disturbed;
}

void bench_print_tail(const bench_report *r)
{
    if (r->one_session)
        printf("\nMemory at most, pictures included: %.0f MB with one session, %.0f MB with %zu more.\n",
               (double)r->one_session / 1e6, (double)r->all_sessions / 1e6, r->settings->threads);
    if (was_disturbed(r))
        printf("\nSome medians are far from the best: other programs used the processors meanwhile.\n");
}
