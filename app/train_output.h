/* What `mien train` prints about a run. */
#ifndef APP_TRAIN_OUTPUT_H
#define APP_TRAIN_OUTPUT_H

#include "train/architecture.h"
#include "train/trainer.h"

typedef struct train_screen {
    bool quiet, terminal;
    double progress_ms; /* between lines of progress where there is no terminal; 0 = none */
    double told_ms;     /* when the last line was printed, or the run began */
    bool told;          /* a line was printed since the run began */
    int patience;       /* epochs without improvement that end the run; 0 = it goes on */
} train_screen;

void train_screen_init(train_screen *screen, const train_config *config, bool quiet, double progress_seconds);

/** A recipe's lines, each between `before` and `after`. */
void train_print_recipe(const char *recipe, const char *before, const char *after);
/** The architectures and their recipes. */
void train_print_list(void);
/** What a resumed run does otherwise from here on. */
void train_print_changes(const train_config *before, const train_config *now);
/** What is trained on what, and how. */
void train_print_begin(const train_config *config, const trainer_rows *rows);
/** Who forgot the backbone's file should see it before the night is over. */
void train_print_random(const architecture *arch);
/** The classes of which the rows to train on hold nothing. */
void train_print_empty_classes(const train_config *config, const dataset *data);
/** trainer_events: `screen` is a train_screen. */
void train_print_progress(void *screen, const trainer_progress *progress);
void train_print_epoch(void *screen, const trainer_epoch *epoch);
/** @param samples_path  where samples were drawn in place of a run; NULL: there was a run. */
void train_print_end(const train_config *config, const char *samples_path, bool faces);

#endif
