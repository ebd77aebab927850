/* The parts of `mien bench`: pictures to measure with, measurements, what is shown of them. Everything is measured
 * through the public interface, so it is what a program with libmien gets; only the face network's precision, which no
 * caller chooses, is set from inside. */
#ifndef APP_BENCH_H
#define APP_BENCH_H

#include <stdbool.h>

#include <mien/mien.h>
#include <mien/tracker.h>

#include "base/buffer.h"
#include "nn/plan.h"

enum {
    BENCH_PRECISIONS = NN_INT8 + 1,
    BENCH_MOST_MODELS = 16,
    BENCH_FRAME_WIDTH = 640,
    BENCH_FRAME_HEIGHT = 480,
    BENCH_STEPS = 30 /* of the camera before it turns back */
};

typedef struct bench_settings {
    mien_analyzer_options analyzer; /* what pictures are measured with */
    mien_analyze_options analyze;
    const char *models[BENCH_MOST_MODELS];
    size_t model_count;
    bool precisions[BENCH_PRECISIONS]; /* which are compared */
    double seconds;                    /* for each measurement */
    size_t threads;
    bool json;
} bench_settings;

/** Of repeated runs. The best of times is the least, of rates the highest. */
typedef struct bench_figure {
    double best, median;
    size_t runs;
} bench_figure;

typedef struct bench_picture {
    const char *name; /* "(made by mien)" for the one that is */
    buffer bytes;     /* encoded */
} bench_picture;

/** What is measured with. Zero-initialised means none; free with bench_pictures_done(). */
typedef struct bench_pictures {
    bench_picture *list;
    size_t count;
    bool made;        /* by mien; no face is in it */
    mien_image first; /* decoded; empty until bench_pictures_decode() */
    mien_rect box;    /* in it: where a face is said to be where none was found */
} bench_pictures;

/** A camera of 640×480 that pans over a picture: JPEG files. */
typedef struct bench_frames {
    uint8_t *bytes[BENCH_STEPS];
    size_t length[BENCH_STEPS];
} bench_frames;

mien_status bench_pictures_read(char *const *paths, size_t count, const mien_analyze_options *options,
                                bench_pictures *pictures, mien_error *error);
/** One picture of 1280×720 with the detail of a photograph, the same every time. */
mien_status bench_pictures_make(bench_pictures *pictures, mien_error *error);
mien_status bench_pictures_decode(bench_pictures *pictures, const mien_analyze_options *options, mien_error *error);
void bench_pictures_done(bench_pictures *pictures);

mien_status bench_frames_make(const bench_picture *picture, const mien_analyze_options *options, bench_frames *frames,
                              mien_error *error);
void bench_frames_done(bench_frames *frames);

/** Where the time of one picture goes; milliseconds. */
typedef struct bench_steps {
    size_t width, height;
    size_t faces; /* found */
    bool given;   /* no face was found, and one was classified where it was said to be */
    bench_figure decode, detect, classify, total;
} bench_steps;

/** One network in one precision; milliseconds. */
typedef struct bench_row {
    const char *name;          /* as it was given; the same pointer in each of its rows */
    nn_precision wanted, here; /* here: what it runs in on this processor */
    bench_figure figure;
    mien_error reason; /* why it does not run like that; code MIEN_OK: it does */
} bench_row;

/** What pictures are measured with: the first model, the detector, one session. */
typedef struct bench_bed {
    const bench_settings *settings;
    bench_pictures *pictures;
    mien_analyzer *analyzer;
    mien_session *session;
    mien_result result;
    double load_ms, first_ms; /* models loaded; the first picture, which prepares what later ones find prepared */
} bench_bed;

mien_status bench_bed_init(bench_bed *bed, const bench_settings *settings, bench_pictures *pictures, mien_error *error);
void bench_bed_done(bench_bed *bed);

mien_status bench_measure_picture(bench_bed *bed, size_t index, bench_steps *steps, mien_error *error);
/** A face of the first picture by that model, which is borrowed as the row's name. */
mien_status bench_measure_model(bench_bed *bed, const char *model, nn_precision precision, bench_row *row,
                                mien_error *error);
/** The search of the first picture by the default preset's face network. */
mien_status bench_measure_network(bench_bed *bed, nn_precision precision, bench_row *row, mien_error *error);

/** Sorts them: the least, the one in the middle, how many (at least one). */
bench_figure bench_summarise(double *values, size_t count);
/** Classify the first picture's box, which is decoded. A picture that shows nobody would cost nothing after the search;
 *  this is what a face costs. */
mien_status bench_classify_given(const bench_bed *bed, mien_session *session, mien_result *result, mien_error *error);

typedef enum bench_load { BENCH_PICTURES, BENCH_STREAMS } bench_load;
/** How many pictures, or frames of streams, all threads together answer in a second. */
mien_status bench_measure_load(const bench_bed *bed, bench_load load, bench_figure *figure, mien_error *error);

/** Most bytes of memory that the process has held so far; 0 = the system does not say. */
uint64_t bench_peak_memory(void);
size_t bench_processors(void);
typedef struct bench_instruction {
    unsigned flag; /* of cpu_flags() */
    const char *shown, *name;
} bench_instruction;
/** The instruction sets that mien uses here, simplest first; NULL past the last. */
const bench_instruction *bench_processor_can(size_t index);
/** What /proc/cpuinfo calls the processor, else the kind of machine. */
void bench_processor_name(char *name, size_t capacity);

/** Everything that was measured. */
typedef struct bench_report {
    const bench_settings *settings;
    const bench_pictures *pictures;
    const bench_bed *bed;
    nn_precision emotion_precision; /* of the model that pictures are measured with: as wanted */
    const char *emotion_name;
    const char *detector_kind, *detector_name;
    nn_precision detector_precision; /* of a network: as wanted */
    bench_steps *steps;              /* of each picture */
    bench_figure picture_rate, frame_rate;
    bench_row models[BENCH_MOST_MODELS * BENCH_PRECISIONS], networks[BENCH_PRECISIONS];
    size_t model_rows, network_rows;
    uint64_t one_session, all_sessions; /* peak memory, bytes */
} bench_report;

void bench_print_head(const bench_report *report);
void bench_print_picture(const bench_report *report, size_t index);
void bench_print_load(const bench_report *report);
void bench_print_models(const bench_report *report);
void bench_print_networks(const bench_report *report);
void bench_print_tail(const bench_report *report);
/** One object; MIEN_ENOMEM. */
mien_status bench_print_json(const bench_report *report, mien_error *error);

#endif
