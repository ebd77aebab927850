/* What the tests of training runs share, whatever is trained: running a trainer to its end, stopping it after a step,
 * and reading the model that a run left. Runs write below the test's folder. */
#ifndef TESTS_TRAINING_H
#define TESTS_TRAINING_H

#include "folder.h"

#include "base/memory.h"
#include "model/model.h"
#include "train/trainer.h"

/** The parameters that a run ended with, to be freed. */
typedef struct training_result {
    float *parameters;
    size_t count;
} training_result;

static inline void training_forget(training_result *result)
{
    memory_free(result->parameters);
}

/** Run to the end; destroys the trainer. */
static inline training_result training_finish(trainer *t, const trainer_events *events)
{
    training_result result = {0};
    mien_error error = {0};
    assert_ok(trainer_run(t, events, &error), &error);
    const float *parameters = trainer_parameters(t, &result.count);
    result.parameters = memory_array(result.count, sizeof(float));
    assert_non_null(result.parameters);
    memcpy(result.parameters, parameters, result.count * sizeof(float));
    trainer_destroy(&t);
    return result;
}

/** The same where only what it wrote or told matters. */
static inline void training_run(trainer *t, const trainer_events *events)
{
    training_result result = training_finish(t, events);
    training_forget(&result);
}

static inline void training_resume(trainer *t)
{
    mien_error error = {0};
    assert_ok(trainer_resume(t, &error), &error);
}

/** Do one step and stop with a checkpoint, as a program that is interrupted; destroys the trainer. */
static inline void training_step(trainer *t)
{
    atomic_bool stop = true;
    trainer_events events = {.stop = &stop};
    mien_error error = {0};
    assert_int_equal(trainer_run(t, &events, &error), MIEN_ECANCELLED);
    trainer_destroy(&t);
}

static inline bool training_same(const training_result *a, const training_result *b)
{
    assert_int_equal(a->count, b->count);
    return !memcmp(a->parameters, b->parameters, a->count * sizeof(float));
}

/** The best model of a run; the caller ends it with model_done. */
static inline model training_best(const train_config *config)
{
    char path[CONFIG_TEXT + 32];
    model best = {0};
    mien_error error = {0};
    snprintf(path, sizeof path, "%s/best.onnx", config->out);
    assert_ok(model_load(path, NULL, &best, &error), &error);
    return best;
}

#endif
