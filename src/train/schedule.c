/* Linear warm-up, then constant, half a cosine (Loshchilov & Hutter 2017), steps, or falls when the validation stands
 * still. */
#include "train/schedule.h"

#include <math.h>
#include <string.h>

static double schedule_share(const train_config *config, const schedule_state *state, double position)
{
    double least = (double)config->min_lr;
    if (!strcmp(config->schedule, "cosine")) {
        double length = (double)config->epochs - (double)config->warmup;
        double done = length > 0 ? (position - (double)config->warmup) / length : 1;
        done = fmin(fmax(done, 0), 1);
        return least + (1 - least) * 0.5 * (1 + cos(done * 3.14159265358979323846));
    }
    if (!strcmp(config->schedule, "step"))
        return fmax(least, pow((double)config->step_factor, floor(position / (double)config->step_epochs)));
    if (!strcmp(config->schedule, "plateau"))
        return fmax(least, pow((double)config->step_factor, (double)state->falls));
    return 1;
}

double schedule_rate(const train_config *config, const schedule_state *state, double position)
{
    double rate = (double)config->lr;
    if (position < (double)config->warmup)
        return rate * position / (double)config->warmup;
    return rate * schedule_share(config, state, position);
}

void schedule_observe(const train_config *config, schedule_state *state, double score)
{
    if (score > state->best) {
        state->best = score;
        state->stale = 0;
        return;
    }
    if (++state->stale >= config->plateau_patience) {
        state->stale = 0;
        state->falls++;
    }
}
