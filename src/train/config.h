/* Every setting of a training run in one plain structure, filled from an architecture's recipe, a `key = value` file
 * and command-line flags, in that order, and written back in full to the run's folder, the checkpoint and the report.
 */
#ifndef TRAIN_CONFIG_H
#define TRAIN_CONFIG_H

#include "base/buffer.h"

#include <stdbool.h>

enum { CONFIG_TEXT = 1024 };

typedef struct train_config {
    /* what */
    char arch[64];
    char data[CONFIG_TEXT];
    char split[64];
    char validation[CONFIG_TEXT]; /* "" = data */
    char validation_split[64];
    char votes[CONFIG_TEXT]; /* FER+ file, "" = none */
    float votes_weight, votes_head;
    bool drop_not_face, find_faces;
    char init[CONFIG_TEXT]; /* models whose weights are taken over, by commas: their mean; "" = random */
    char backbone[CONFIG_TEXT];
    bool freeze_backbone;
    int freeze; /* leading convolutions and dense layers kept as they are */
    char out[CONFIG_TEXT];
    float holdout; /* share of the training rows that validates where there are no rows for it */
    int64_t limit; /* training rows used, 0 = all */
    /* how long and how much */
    int epochs, batch, microbatch, threads;
    int64_t seed;
    char precision[16]; /* f32, bf16 */
    /* optimiser */
    char optimizer[16]; /* sgd, adam, adamw */
    float lr, momentum, beta2, epsilon, weight_decay, clip, ema;
    int statistics; /* training pictures whose batch statistics are validated and saved, 0 = the running ones are */
    /* schedule */
    char schedule[16]; /* constant, cosine, step, plateau */
    float warmup;      /* epochs */
    float min_lr;      /* share of lr at the end */
    int step_epochs;
    float step_factor;
    int plateau_patience;
    int patience; /* epochs without a better validation before stopping, 0 = never */
    /* loss */
    float label_smoothing;
    char class_weights[16]; /* none, balanced, sqrt */
    char teachers[CONFIG_TEXT];
    float distill_weight, distill_temperature;
    bool distill_stored, distill_mirror;
    char distill_precision[16]; /* same (as the training), f32, bf16, int8 */
    /* augmentation */
    float flip, rotation, shift, zoom, brightness, contrast, gamma, erasing, blur, noise;
    float mixup, cutmix, mix_probability, mix_until;
    /* faces to be found: the pictures and how samples are cut out of them */
    char images[CONFIG_TEXT]; /* folder of the annotated pictures, "" = images/ beside the annotations */
    char negatives_data[CONFIG_TEXT], paste_data[CONFIG_TEXT];
    int picture_side;
    float mosaic, paste, negatives, jpeg, saturation, grey, tint;
    float face_min, face_most, face_small, enlarge;
    int samples;
    float box_weight;
    float dropout; /* negative = the architecture's */
    int crop;      /* side of the random crop, 0 = the whole picture */
    /* checkpoint */
    float checkpoint_minutes;
} train_config;

typedef enum config_kind { CONFIG_STRING, CONFIG_INTEGER, CONFIG_LONG, CONFIG_NUMBER, CONFIG_SWITCH } config_kind;

/** One key: the same name serves the file ("label_smoothing = 0.1") and the flag ("--label-smoothing 0.1"). */
typedef struct config_key {
    const char *name;
    config_kind kind;
    size_t offset, capacity;
    double least, most;
    const char *choices; /* "a|b|c", or NULL */
    const char *help;
} config_key;

const config_key *config_keys(size_t *count);

void config_default(train_config *config);
/** `name` may have '-' for '_'. MIEN_EINVAL says which key and what it takes; the configuration is untouched then. */
mien_status config_set(train_config *config, const char *name, const char *value, mien_error *error);
/** Lines of `key = value`; '#' begins a comment, double quotes keep blanks and '#' in a value. The error names `path`
 * and the line. */
mien_status config_parse(train_config *config, const char *text, const char *path, mien_error *error);
mien_status config_read(train_config *config, const char *path, mien_error *error);
/** Every key in the table's order, so that what is written can be read again to the same structure. */
mien_status config_write(const train_config *config, buffer *out);

#endif
