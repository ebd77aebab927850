/* One microbatch of pictures and their emotions: made (augmented, mixed), compared with labels, votes and teachers; and
 * the validation of the whole. Nothing here depends on which worker does what: pictures come from their own random
 * streams. */
#include "train/trainer_classes.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/loss.h"
#include "train/metrics.h"

/* Target of one stored row for the first output, and FER+'s for the second (negative where there is none). */
static void classes_target(const trainer *t, size_t row, float *label, float *votes)
{
    const dataset *data = ((const trainer_classes *)t->own)->training;
    memset(label, 0, DATASET_CLASSES * sizeof(float));
    label[data->labels[row]] = 1;
    votes[0] = -1;
    if (!data->votes || !dataset_soft_votes(data->votes + row * DATASET_VOTES, votes))
        return;
    for (int c = 0; c < DATASET_CLASSES; c++)
        label[c] += t->config.votes_weight * (votes[c] - label[c]);
}

static void classes_picture(const trainer *t, size_t row, random_state *stream, augment_scratch *scratch, float *out)
{
    const dataset *data = ((const trainer_classes *)t->own)->training;
    augment_picture(&t->config, &((const trainer_classes *)t->own)->target,
                    data->pixels + row * data->height * data->width, (int)data->height, (int)data->width, stream,
                    scratch, out);
}

static void classes_mix_targets(float share, const float *second, float *first)
{
    for (int c = 0; c < DATASET_CLASSES; c++)
        first[c] = second[c] + share * (first[c] - second[c]);
}

/* The picture at a position of the epoch, mixed with another one where the recipe says so. */
static void classes_sample(const trainer *t, size_t position, bool mixing, trainer_worker *worker, size_t index)
{
    const trainer_classes *own = t->own;
    trainer_pupil *pupil = worker->own;
    size_t size = (size_t)own->target.channels * (size_t)own->target.height * (size_t)own->target.width;
    float *input = nn_tape_input(worker->tape) + index * size;
    float *label = pupil->targets + index * DATASET_CLASSES, *votes = pupil->votes + index * DATASET_CLASSES;
    uint32_t chosen = t->order[position];
    random_state stream;
    augment_stream(&stream, (uint64_t)t->config.seed, (uint32_t)t->now.epoch, chosen);
    classes_picture(t, own->rows[chosen], &stream, &pupil->scratch, input);
    classes_target(t, own->rows[chosen], label, votes);
    float *taught = pupil->teacher + index * DATASET_CLASSES, share = 1;
    if (own->taught)
        memcpy(taught, own->taught + (size_t)chosen * DATASET_CLASSES, DATASET_CLASSES * sizeof(float));
    augment_mix mix = augment_draw_mix(&t->config, mixing, &stream, &share);
    if (mix != AUGMENT_ALONE) {
        size_t second = random_below(&stream, (uint32_t)own->row_count), row = own->rows[second];
        float other_label[DATASET_CLASSES], other_votes[DATASET_CLASSES];
        classes_picture(t, row, &stream, &pupil->scratch, pupil->scratch.mixed);
        augment_apply_mix(mix, &own->target, &stream, pupil->scratch.mixed, input, &share);
        classes_target(t, row, other_label, other_votes);
        classes_mix_targets(share, other_label, label);
        if (own->taught)
            classes_mix_targets(share, own->taught + second * DATASET_CLASSES, taught);
        if (votes[0] >= 0 && other_votes[0] >= 0)
            classes_mix_targets(share, other_votes, votes);
        else
            votes[0] = -1;
    }
    pupil->weights[index] = 0;
    for (int c = 0; c < DATASET_CLASSES; c++)
        pupil->weights[index] += label[c] * own->class_weights[c];
}

mien_status classes_fill(trainer *t, size_t first, bool mixing, size_t worker_index, mien_error *error)
{
    const trainer_classes *own = t->own;
    trainer_worker *worker = &t->workers[worker_index];
    const trainer_pupil *pupil = worker->own;
    for (size_t i = 0; i < (size_t)t->config.microbatch; i++)
        classes_sample(t, first + i, mixing, worker, i);
    if (!own->teachers)
        return MIEN_OK;
    return distill_predict(own->teachers, worker_index, nn_tape_input(worker->tape), pupil->teacher,
                           own->votes_taught ? pupil->teacher_votes : NULL, error);
}

/* Loss and gradient of the first output: the label's cross-entropy and the teachers' share. */
static double classes_first_loss(const trainer *t, trainer_worker *worker, size_t index)
{
    const trainer_classes *own = t->own;
    const trainer_pupil *pupil = worker->own;
    const float *teacher = own->teachers || own->taught ? pupil->teacher : NULL;
    const float *logits = nn_tape_output(worker->tape, 0) + index * DATASET_CLASSES;
    float *gradient = worker->gradients[0] + index * DATASET_CLASSES;
    float target[DATASET_CLASSES];
    float scale = 1 / (float)t->config.batch, share = teacher ? t->config.distill_weight : 0;
    memcpy(target, pupil->targets + index * DATASET_CLASSES, sizeof(target));
    loss_smooth(target, DATASET_CLASSES, t->config.label_smoothing);
    float loss =
        loss_cross_entropy(logits, target, DATASET_CLASSES, (1 - share) * scale * pupil->weights[index], gradient);
    if (teacher)
        loss += loss_distill(logits, teacher + index * DATASET_CLASSES, DATASET_CLASSES, t->config.distill_temperature,
                             share * scale, gradient);
    return (double)loss;
}

/* The same of the second output, whose truth is the votes; a picture without any has only the teachers. */
static double classes_second_loss(const trainer *t, trainer_worker *worker, size_t index)
{
    const trainer_classes *own = t->own;
    const trainer_pupil *pupil = worker->own;
    const float *logits = nn_tape_output(worker->tape, 1) + index * DATASET_CLASSES;
    const float *votes = pupil->votes + index * DATASET_CLASSES;
    float *gradient = worker->gradients[1] + index * DATASET_CLASSES;
    float weight = t->config.votes_head / (float)t->config.batch, loss = 0;
    float share = own->votes_taught ? t->config.distill_weight : 0;
    if (votes[0] >= 0)
        loss += loss_cross_entropy(logits, votes, DATASET_CLASSES, (1 - share) * weight, gradient);
    if (own->votes_taught)
        loss += loss_distill(logits, pupil->teacher_votes + index * DATASET_CLASSES, DATASET_CLASSES,
                             t->config.distill_temperature, share * weight, gradient);
    return (double)loss;
}

mien_status classes_compare(trainer *t, trainer_worker *worker, trainer_slot *slot, mien_error *error)
{
    (void)error;
    const trainer_pupil *pupil = worker->own;
    double loss = 0;
    for (size_t i = 0; i < (size_t)t->config.microbatch; i++) {
        const float *logits = nn_tape_output(worker->tape, 0) + i * DATASET_CLASSES;
        slot->answers++;
        slot->right += metrics_argmax(logits, DATASET_CLASSES) ==
                       metrics_argmax(pupil->targets + i * DATASET_CLASSES, DATASET_CLASSES);
        loss += classes_first_loss(t, worker, i);
        if (t->outputs > 1)
            loss += classes_second_loss(t, worker, i);
    }
    slot->loss = loss;
    return MIEN_OK;
}

typedef struct predict_job {
    trainer *t;
    const float *parameters;
    const dataset *data;
    const size_t *rows;
    size_t count;
    int output;
    float *out;
} predict_job;

static void predict_task(void *context, size_t index, size_t worker_index)
{
    const predict_job *job = context;
    trainer *t = job->t;
    trainer_worker *worker = &t->workers[worker_index];
    trainer_slot *slot = &t->slot[worker_index];
    if (slot->status)
        return;
    size_t micro = (size_t)t->config.microbatch, first = index * micro;
    size_t here = job->count - first < micro ? job->count - first : micro;
    const augment_target *target = &((const trainer_classes *)t->own)->target;
    size_t size = (size_t)target->channels * (size_t)target->height * (size_t)target->width;
    const dataset *data = job->data;
    for (size_t i = 0; i < micro; i++) {
        size_t row = job->rows[first + (i < here ? i : 0)];
        augment_plain(target, t->config.crop, false, data->pixels + row * data->height * data->width, (int)data->height,
                      (int)data->width, nn_tape_input(worker->tape) + i * size);
    }
    slot->status =
        nn_tape_forward(worker->tape, job->parameters, worker->version != t->version, false, 0, &slot->error);
    if (slot->status)
        return;
    worker->version = t->version;
    const float *logits = nn_tape_output(worker->tape, (size_t)job->output);
    for (size_t i = 0; i < here; i++)
        loss_softmax(logits + i * DATASET_CLASSES, DATASET_CLASSES, 1, job->out + (first + i) * DATASET_CLASSES);
}

/* Probabilities of an output in inference mode: `out` [check_count, classes]. */
static mien_status classes_predict(trainer *t, int output, float *out, mien_error *error)
{
    const trainer_classes *own = t->own;
    size_t rank = (size_t)t->group.rank, size = (size_t)t->group.size, micro = (size_t)t->config.microbatch;
    size_t count = own->check_count, begin = count * rank / size, end = count * (rank + 1) / size;
    /* each process answers for its share; the others' places are zero until they are summed */
    memset(out, 0, count * DATASET_CLASSES * sizeof(float));
    predict_job job = {t,      optimizer_average(t->opt),    own->validation, own->checked + begin, end - begin,
                       output, out + begin * DATASET_CLASSES};
    t->version++;
    mien_status status = trainer_work(t, (end - begin + micro - 1) / micro, predict_task, &job, error);
    t->version++;
    status = cluster_agree(&t->group, status, error);
    return status ? status : cluster_sum_floats(&t->group, out, count * DATASET_CLASSES, error);
}

/* Accuracy against FER+'s majority, on the rows that have one. */
static double classes_votes_top1(const trainer *t, const float *probabilities)
{
    const trainer_classes *own = t->own;
    size_t correct = 0, count = 0;
    for (size_t i = 0; i < own->check_count; i++) {
        uint8_t label = 0;
        if (!dataset_majority(own->validation->votes + own->checked[i] * DATASET_VOTES, &label))
            continue;
        count++;
        correct += metrics_argmax(probabilities + i * DATASET_CLASSES, DATASET_CLASSES) == label;
    }
    return count ? (double)correct / (double)count : -1;
}

mien_status classes_validate(trainer *t, trainer_epoch *epoch, mien_error *error)
{
    const trainer_classes *own = t->own;
    float *probabilities = memory_array(own->check_count * DATASET_CLASSES, sizeof(float));
    uint8_t *labels = memory_array(own->check_count, 1);
    mien_status status = MIEN_OK;
    if (!probabilities || !labels) {
        status = error_no_memory(error, own->check_count * DATASET_CLASSES * sizeof(float));
        goto out;
    }
    status = classes_predict(t, 0, probabilities, error);
    if (status)
        goto out;
    for (size_t i = 0; i < own->check_count; i++)
        labels[i] = own->validation->labels[own->checked[i]];
    metrics_compute(probabilities, labels, own->check_count, &epoch->validation);
    epoch->score = epoch->validation.top1;
    epoch->votes_top1 = -1;
    if (own->validation->votes && t->outputs > 1)
        status = classes_predict(t, 1, probabilities, error);
    if (!status && own->validation->votes)
        epoch->votes_top1 = classes_votes_top1(t, probabilities);
out:
    memory_free(probabilities);
    memory_free(labels);
    return status;
}
