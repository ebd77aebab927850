/* What `mien train` was told: its flags, and the settings of a run as recipe, file and flags make them. */
#ifndef APP_TRAIN_ARGUMENTS_H
#define APP_TRAIN_ARGUMENTS_H

#include "train/cluster.h"
#include "train/config.h"

enum { TRAIN_MOST_KEYS = 128 };

typedef struct train_arguments {
    const char *config_path, *samples_path;
    double progress; /* seconds between lines of progress where there is no terminal; 0 = none */
    bool resume, overwrite, quiet;
    bool together; /* the run ended in all processes alike */
    cluster group;
    struct {
        const char *key, *value;
    } settings[TRAIN_MOST_KEYS];
    int setting_count;
} train_arguments;

/** Read the flags, or print what they ask for. @return -1 to go on, or an exit status. */
int train_arguments_read(int argc, char **argv, train_arguments *arguments);

/** The settings of the run: the recipe of the architecture (of a resumed run its own settings), the file, the flags,
 *  each over the one before. */
mien_status train_arguments_settle(const train_arguments *arguments, train_config *config, mien_error *error);

/** Whether to print errors only: that was asked for, or another of several processes speaks for all. */
bool train_arguments_quiet(const train_arguments *arguments);

#endif
