/* The settings' table. One table serves the file, the flags, the help text and the copy that each run keeps, so that a
 * setting cannot exist in one place and be missing in another. */
#include "train/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define AT(field) offsetof(train_config, field), sizeof(((train_config *)0)->field)
#define TEXT(field, help)                                                                                              \
    {                                                                                                                  \
#field, CONFIG_STRING, AT(field), 0, 0, NULL, help                                                             \
    }
#define CHOICE(field, choices, help)                                                                                   \
    {                                                                                                                  \
#field, CONFIG_STRING, AT(field), 0, 0, choices, help                                                          \
    }
#define WHOLE(field, least, most, help)                                                                                \
    {                                                                                                                  \
#field, CONFIG_INTEGER, AT(field), least, most, NULL, help                                                     \
    }
#define LONG(field, least, most, help)                                                                                 \
    {                                                                                                                  \
#field, CONFIG_LONG, AT(field), least, most, NULL, help                                                        \
    }
#define NUMBER(field, least, most, help)                                                                               \
    {                                                                                                                  \
#field, CONFIG_NUMBER, AT(field), least, most, NULL, help                                                      \
    }
#define SWITCH(field, help)                                                                                            \
    {                                                                                                                  \
#field, CONFIG_SWITCH, AT(field), 0, 1, "on|off", help                                                         \
    }

static const config_key config_table[] = {
    TEXT(arch, "architecture, by name"),
    TEXT(data, "fer2013.csv or .csv.xz, a CSV of paths and labels, or a folder with one folder per class; faces: "
               "annotations.csv"),
    TEXT(split, "rows to train on, by their Usage"),
    TEXT(validation, "data to validate on; empty = the same as data"),
    TEXT(validation_split, "rows to validate on, by their Usage"),
    NUMBER(holdout, 0, 0.5, "share of the training rows to validate on where the validation split has none"),
    TEXT(votes, "FER+ votes of the same rows (fer2013new.csv)"),
    NUMBER(votes_weight, 0, 1, "share of the FER+ votes in the target; the label has the rest"),
    NUMBER(votes_head, 0, 10, "weight of a second output that learns the votes alone; 0 = no such output"),
    SWITCH(drop_not_face, "leave out training rows whose FER+ votes say that there is no face"),
    SWITCH(find_faces, "pictures of files show people: find the surest face of each and train on that"),
    TEXT(init,
         "models whose weights to begin with, separated by commas, the mean of several: files, or ones that ship"),
    TEXT(backbone, "model whose layers stand below the head (mobilenetv2)"),
    SWITCH(freeze_backbone, "keep the backbone's weights as they are"),
    WHOLE(freeze, 0, 10000, "leading layers with weights that are kept as they are"),
    TEXT(out, "folder of the run"),
    LONG(limit, 0, 1e12, "use only that many training rows; 0 = all"),
    WHOLE(epochs, 1, 100000, "times over the training rows"),
    WHOLE(batch, 1, 65536, "pictures in a step"),
    WHOLE(microbatch, 1, 4096, "pictures that are normalised together; divides the batch"),
    WHOLE(threads, 1, 256, "worker threads; the result does not depend on them"),
    LONG(seed, 0, 9007199254740992.0, "seed of every random number"),
    CHOICE(precision, "f32|bf16", "arithmetic; parameters and their averages are always f32"),
    CHOICE(optimizer, "sgd|adam|adamw", "sgd is with Nesterov momentum"),
    NUMBER(lr, 0, 100, "learning rate at its highest"),
    NUMBER(momentum, 0, 0.9999, "of sgd; the first beta of Adam"),
    NUMBER(beta2, 0, 0.999999, "the second beta of Adam"),
    NUMBER(epsilon, 1e-12, 1, "of Adam"),
    NUMBER(weight_decay, 0, 1, "of kernels; never of biases and normalisation"),
    NUMBER(clip, 0, 1e9, "largest norm of the gradient; 0 = no limit"),
    NUMBER(ema, 0, 0.999999, "decay of the weights' running average, which is validated and saved; 0 = none"),
    WHOLE(statistics, 0, 1000000,
          "pictures that normalisation is measured on anew before each validation; 0 = the running mean"),
    CHOICE(schedule, "constant|cosine|step|plateau", "how the learning rate falls"),
    NUMBER(warmup, 0, 100000, "epochs of linear rise"),
    NUMBER(min_lr, 0, 1, "lowest share of the learning rate"),
    WHOLE(step_epochs, 1, 100000, "schedule step: epochs between falls"),
    NUMBER(step_factor, 0, 1, "schedules step and plateau: factor of each fall"),
    WHOLE(plateau_patience, 1, 100000, "schedule plateau: epochs without improvement before a fall"),
    WHOLE(patience, 0, 100000, "epochs without improvement before the run ends; 0 = never"),
    NUMBER(label_smoothing, 0, 0.9, "share of the target spread over all classes"),
    CHOICE(class_weights, "none|balanced|sqrt", "weight of a sample by its class: 1, n/(7 n_c), or the root of it"),
    TEXT(teachers, "models to learn from as well, files or names, with commas between"),
    NUMBER(distill_weight, 0, 1, "share of the teachers in the loss"),
    NUMBER(distill_temperature, 0.1, 100, "temperature of the teachers' probabilities"),
    SWITCH(distill_stored, "ask the teachers once, about the pictures as they are stored: quicker, less exact"),
    SWITCH(distill_mirror, "ask the teachers about the mirror image as well and take the mean"),
    CHOICE(distill_precision, "same|f32|bf16|int8",
           "arithmetic of the teachers; same: the training's; int8: for models that keep their ranges"),
    NUMBER(flip, 0, 1, "probability of a mirror image"),
    NUMBER(rotation, 0, 180, "degrees either way"),
    NUMBER(shift, 0, 0.5, "share of the side, either way"),
    NUMBER(zoom, 0, 0.9, "share either way"),
    NUMBER(brightness, 0, 1, "share of the range, either way"),
    NUMBER(contrast, 0, 1, "share either way"),
    NUMBER(gamma, 0, 2, "largest logarithm (base e) of the exponent, either way"),
    NUMBER(erasing, 0, 1, "probability that a rectangle is erased"),
    NUMBER(blur, 0, 1, "probability of a slight blur"),
    NUMBER(noise, 0, 1, "largest deviation of added noise, as a share of the range"),
    NUMBER(mixup, 0, 10, "alpha of the mixing of two pictures; 0 = none"),
    NUMBER(cutmix, 0, 10, "alpha of the pasting of one picture into another; 0 = none"),
    NUMBER(mix_probability, 0, 1, "probability that a picture is mixed at all"),
    NUMBER(mix_until, 0, 1, "share of the run after which pictures are mixed no more"),
    TEXT(images, "faces: folder of the annotated pictures; empty = images/ beside the annotations"),
    WHOLE(picture_side, 64, 8192, "faces: pictures are kept no larger than this"),
    TEXT(negatives_data, "faces: folder of pictures without any face"),
    TEXT(paste_data, "faces: crops of faces that are pasted into pictures (as data of emotions)"),
    NUMBER(mosaic, 0, 1, "faces: probability that a sample is made of four pictures"),
    NUMBER(paste, 0, 1, "faces: probability that faces are pasted in"),
    NUMBER(negatives, 0, 1, "faces: probability that a sample shows no face"),
    NUMBER(jpeg, 0, 1, "faces: probability of compression to a random quality"),
    NUMBER(saturation, 0, 1, "faces: share of the colour, either way"),
    NUMBER(grey, 0, 1, "faces: probability that a sample has no colour"),
    NUMBER(tint, 0, 1, "faces: share of each channel, either way"),
    NUMBER(face_min, 1, 1024, "faces: smaller ones are ignored (root of the area in the sample, pixels)"),
    NUMBER(face_most, 0.05, 4, "faces: largest size aimed at, as a share of the sample's side"),
    NUMBER(face_small, 0, 1, "faces: share of the samples that aim at faces of up to 32 pixels"),
    NUMBER(enlarge, 1, 16, "faces: pictures are enlarged no more than this"),
    WHOLE(samples, 1, 1000, "faces: samples cut out of each picture in an epoch"),
    NUMBER(box_weight, 0, 100, "faces: weight of the boxes in the loss; the scores have 1"),
    NUMBER(dropout, -1, 0.95, "probability in the head; negative = the architecture's"),
    WHOLE(crop, 0, 4096, "side of a random crop that the network sees; 0 = the whole picture"),
    NUMBER(checkpoint_minutes, 0.01, 100000, "minutes between checkpoints inside an epoch"),
};

const config_key *config_keys(size_t *count)
{
    *count = sizeof(config_table) / sizeof(config_table[0]);
    return config_table;
}

void config_default(train_config *config)
{
    *config = (train_config){
        .arch = "baseline",
        .split = "Training",
        .validation_split = "PublicTest",
        .drop_not_face = true,
        .freeze_backbone = true,
        .holdout = 0.1f,
        .out = "runs/run",
        .epochs = 30,
        .batch = 128,
        .microbatch = 32,
        .threads = 2,
        .seed = 2025,
        .precision = "f32",
        .optimizer = "adam",
        .lr = 1e-3f,
        .momentum = 0.9f,
        .beta2 = 0.999f,
        .epsilon = 1e-7f,
        .schedule = "constant",
        .step_epochs = 10,
        .step_factor = 0.5f,
        .plateau_patience = 3,
        .class_weights = "none",
        .distill_weight = 0.5f,
        .distill_temperature = 2,
        .distill_precision = "same",
        .mix_probability = 1,
        .mix_until = 1,
        .picture_side = 1024,
        .face_min = 8,
        .face_most = 0.8f,
        .face_small = 0.5f,
        .enlarge = 2,
        .samples = 4,
        .box_weight = 2,
        .dropout = -1,
        .checkpoint_minutes = 5,
    };
}

static bool config_same_name(const char *key, const char *name)
{
    for (; *key && *name; key++, name++)
        if (*key != (*name == '-' ? '_' : *name))
            return false;
    return *key == *name;
}

static bool config_is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = choices; at;) {
        const char *bar = strchr(at, '|');
        size_t size = bar ? (size_t)(bar - at) : strlen(at);
        if (size == length && !memcmp(at, value, size))
            return true;
        at = bar ? bar + 1 : NULL;
    }
    return false;
}

static mien_status config_set_text(void *field, const config_key *key, const char *value, mien_error *error)
{
    size_t length = strlen(value);
    if (key->choices && !config_is_choice(key->choices, value))
        return error_set(error, MIEN_EINVAL, "%s: '%s' is not one of %s", key->name, value, key->choices);
    if (length >= key->capacity)
        return error_set(error, MIEN_EINVAL, "%s: longer than %zu characters", key->name, key->capacity - 1);
    /* a line break would end the line that the run's configuration keeps the value in */
    if (strpbrk(value, "\n\r"))
        return error_set(error, MIEN_EINVAL, "%s: holds a line break", key->name);
    memcpy(field, value, length + 1);
    return MIEN_OK;
}

static mien_status config_set_switch(void *field, const config_key *key, const char *value, mien_error *error)
{
    bool on = config_is_choice("on|yes|true|1", value);
    if (!on && !config_is_choice("off|no|false|0", value))
        return error_set(error, MIEN_EINVAL, "%s: '%s' is not one of %s", key->name, value, key->choices);
    *(bool *)field = on;
    return MIEN_OK;
}

static mien_status config_set_number(void *field, const config_key *key, const char *value, mien_error *error)
{
    char *end = NULL;
    double number = strtod(value, &end);
    bool whole = key->kind != CONFIG_NUMBER;
    if (end == value || *end || !isfinite(number) || (whole && number != floor(number)))
        return error_set(error, MIEN_EINVAL, "%s: '%s' is not a %s", key->name, value,
                         whole ? "whole number" : "number");
    if (number < key->least || number > key->most)
        return error_set(error, MIEN_EINVAL, "%s: %s is not within %g..%g", key->name, value, key->least, key->most);
    if (key->kind == CONFIG_INTEGER)
        *(int *)field = (int)number;
    else if (key->kind == CONFIG_LONG)
        *(int64_t *)field = (int64_t)number;
    else
        *(float *)field = (float)number;
    return MIEN_OK;
}

mien_status config_set(train_config *config, const char *name, const char *value, mien_error *error)
{
    size_t count;
    const config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        if (!config_same_name(keys[i].name, name))
            continue;
        void *field = (char *)config + keys[i].offset;
        if (keys[i].kind == CONFIG_STRING)
            return config_set_text(field, &keys[i], value, error);
        if (keys[i].kind == CONFIG_SWITCH)
            return config_set_switch(field, &keys[i], value, error);
        return config_set_number(field, &keys[i], value, error);
    }
    return error_set(error, MIEN_EINVAL, "no setting is called '%s'", name);
}
