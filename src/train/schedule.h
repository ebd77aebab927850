/* The learning rate as a function of where the run stands. */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include "train/config.h"

/** What "plateau" remembers; part of a checkpoint. */
typedef struct schedule_state {
    double best;   /* of the validation, larger is better */
    int64_t stale; /* epochs without improvement since the last fall */
    int64_t falls;
} schedule_state;

/** Learning rate of a step. `position` is in epochs, with its fraction: 2.5 is the middle of the third. */
double schedule_rate(const train_config *config, const schedule_state *state, double position);
/** Tell it an epoch's validation score. */
void schedule_observe(const train_config *config, schedule_state *state, double score);

#endif
