/* The loop over epochs: shuffle, step, checkpoint, validate with the averaged weights, keep the best, stop when asked
 * or when nothing improves any more. */

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/trainer_state.h"

static const double run_progress_ms = 500;

/* The order of an epoch's pictures; the rows left over after the last full batch differ from epoch to epoch. */
static void run_shuffle(trainer *t)
{
    if (t->ordered_epoch == t->now.epoch)
        return;
    random_state stream;
    augment_stream(&stream, (uint64_t)t->config.seed, (uint32_t)t->now.epoch, UINT32_MAX);
    for (size_t i = 0; i < t->samples; i++)
        t->order[i] = (uint32_t)i;
    for (size_t i = t->samples; i > 1; i--) {
        size_t k = random_below(&stream, (uint32_t)i);
        uint32_t kept = t->order[i - 1];
        t->order[i - 1] = t->order[k];
        t->order[k] = kept;
    }
    t->ordered_epoch = t->now.epoch;
}

static void run_speed(const trainer *t, double *images_per_second, double *remaining)
{
    double seconds = (clock_monotonic_ms() - t->started_ms) / 1000;
    int64_t steps = t->now.epoch * (int64_t)t->steps + t->now.step;
    int64_t made = steps - t->started_steps, left = (int64_t)t->config.epochs * (int64_t)t->steps - steps;
    *images_per_second = seconds > 0 ? (double)made * (double)t->config.batch / seconds : 0;
    *remaining = made > 0 ? seconds / (double)made * (double)left : 0;
}

static void run_count_time(trainer *t)
{
    t->now.seconds = t->started_seconds + (clock_monotonic_ms() - t->started_ms) / 1000;
}

static double run_share(const trainer *t)
{
    return t->now.answers > 0 ? t->now.right / t->now.answers : 0;
}

static void run_report(trainer *t, const trainer_events *events, double rate)
{
    double now = clock_monotonic_ms();
    if (!events->progress || now - t->progress_ms < run_progress_ms)
        return;
    t->progress_ms = now;
    trainer_progress p = {.kind = t->task->kind,
                          .epoch = (int)t->now.epoch + 1,
                          .epochs = t->config.epochs,
                          .step = t->now.step,
                          .steps = (int64_t)t->steps,
                          .rate = rate};
    p.loss = t->now.loss_sum / (double)t->now.seen;
    p.share = run_share(t);
    run_speed(t, &p.images_per_second, &p.remaining_seconds);
    events->progress(events->context, &p);
}

static mien_status run_checkpoint(trainer *t, mien_error *error)
{
    mien_status status = MIEN_OK;
    run_count_time(t);
    t->checkpoint_ms = clock_monotonic_ms();
    if (!t->group.rank)
        status = trainer_save(t, error);
    return cluster_agree(&t->group, status, error);
}

static mien_status run_finish_epoch(trainer *t, double rate, const trainer_events *events, mien_error *error)
{
    trainer_epoch epoch = {
        .kind = t->task->kind, .epoch = (int)t->now.epoch + 1, .epochs = t->config.epochs, .rate = rate};
    epoch.loss = t->now.loss_sum / (double)t->now.seen;
    epoch.share = run_share(t);
    mien_status status = trainer_measure_statistics(t, error);
    if (!status)
        status = t->task->validate(t, &epoch, error);
    if (!status && (!isfinite(epoch.loss) || !isfinite(epoch.validation.ece)))
        status = error_set(error, MIEN_ELIMIT, "epoch %d: the network's answers are not finite any more", epoch.epoch);
    if (status)
        return status;
    epoch.improved = epoch.score > t->now.best_score;
    if (epoch.improved) {
        t->now.best_score = epoch.score;
        t->now.best_epoch = t->now.epoch;
        t->now.stale = 0;
    } else {
        t->now.stale++;
    }
    epoch.best_score = t->now.best_score;
    epoch.best_epoch = (int)t->now.best_epoch + 1;
    schedule_observe(&t->config, &t->now.schedule, epoch.score);
    run_speed(t, &epoch.images_per_second, &epoch.remaining_seconds);
    run_count_time(t);
    epoch.seconds = t->now.seconds;
    if (epoch.improved && !t->group.rank)
        status = trainer_save_best(t, &epoch, error);
    if (!status && !t->group.rank)
        status = trainer_log_epoch(t, &epoch, error);
    status = cluster_agree(&t->group, status, error);
    if (status)
        return status;
    t->now.epoch++;
    t->now.step = 0;
    t->now.loss_sum = 0;
    t->now.right = t->now.answers = 0;
    t->now.seen = 0;
    if (events->epoch)
        events->epoch(events->context, &epoch);
    return run_checkpoint(t, error);
}

static mien_status run_epoch(trainer *t, const trainer_events *events, mien_error *error)
{
    /* of the step before: a resumed epoch may have none left */
    double rate = schedule_rate(&t->config, &t->now.schedule, trainer_position(t, t->now.step - 1));
    run_shuffle(t);
    while (t->now.step < (int64_t)t->steps) {
        trainer_signals signals = {.stop = events->stop && atomic_load(events->stop)};
        signals.checkpoint = clock_monotonic_ms() - t->checkpoint_ms > (double)t->config.checkpoint_minutes * 60000;
        mien_status status = trainer_step(t, &signals, &rate, error);
        if (status)
            return status;
        run_report(t, events, rate);
        if (signals.stop || signals.checkpoint)
            status = run_checkpoint(t, error);
        if (!status && signals.stop)
            status = error_set(error, MIEN_ECANCELLED, "stopped in epoch %d", (int)t->now.epoch + 1);
        if (status)
            return status;
    }
    return run_finish_epoch(t, rate, events, error);
}

/* A process that was killed while it wrote leaves a part of a file beside it, 50 MB of a large network. */
static void run_clear_leftovers(const trainer *t)
{
    static const char *const names[] = {"checkpoint.bin", "best.onnx", "config.txt"};
    char path[2 * CONFIG_TEXT];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!trainer_path(t, names[i], path, sizeof(path), NULL))
            file_clear_leftovers(path);
}

static mien_status run_write_config(const trainer *t, mien_error *error)
{
    char path[2 * CONFIG_TEXT];
    buffer text = {0};
    mien_status status = file_make_folders(t->config.out, error);
    if (!status)
        status = trainer_path(t, "config.txt", path, sizeof(path), error);
    if (!status) {
        config_write(&t->config, &text);
        status = buffer_status(&text, error);
    }
    if (!status)
        status = file_write(path, text.data, text.length, error);
    buffer_done(&text);
    return status;
}

mien_status trainer_run(trainer *t, const trainer_events *events, mien_error *error)
{
    static const trainer_events none = {0};
    if (!events)
        events = &none;
    t->started_ms = t->checkpoint_ms = clock_monotonic_ms();
    t->started_seconds = t->now.seconds;
    t->started_steps = t->now.epoch * (int64_t)t->steps + t->now.step;
    if (!t->group.rank)
        run_clear_leftovers(t);
    mien_status status = t->group.rank ? MIEN_OK : run_write_config(t, error);
    status = cluster_agree(&t->group, status, error);
    while (!status && t->now.epoch < t->config.epochs) {
        if (t->config.patience > 0 && t->now.stale >= t->config.patience)
            break;
        status = run_epoch(t, events, error);
    }
    return status;
}
