/* Runs a model over the rows of a split and gathers its figures. The interval is the percentile bootstrap over
 * pictures: no assumption about their distribution, and a few milliseconds, since only "right or wrong" is resampled.
 */
#include "train/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "train/calibrate.h"

void evaluate_default_options(evaluate_options *options)
{
    *options = (evaluate_options){.split = "PublicTest", .threads = 1, .bootstrap = 1000, .seed = 1, .output = -1};
}

void evaluation_done(evaluation *e)
{
    if (!e)
        return;
    memory_free(e->model);
    memory_free(e->data);
    memory_free(e->split);
    memory_free(e->training);
    memory_free(e->rows);
    memory_free(e->truth);
    memory_free(e->probabilities);
    *e = (evaluation){0};
}

static int evaluate_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void evaluate_interval(const float *probabilities, const uint8_t *truth, size_t count, size_t resamples, uint64_t seed,
                       double *low, double *high)
{
    *low = *high = 0;
    double *scores = memory_array(resamples, sizeof(*scores));
    uint8_t *right = memory_array(count, 1);
    if (scores && right && count && count <= UINT32_MAX && resamples) {
        for (size_t i = 0; i < count; i++)
            right[i] = metrics_argmax(probabilities + i * DATASET_CLASSES, DATASET_CLASSES) == truth[i];
        for (size_t r = 0; r < resamples; r++) {
            random_state stream;
            random_seed(&stream, seed, r);
            size_t sum = 0;
            for (size_t i = 0; i < count; i++)
                sum += right[random_below(&stream, (uint32_t)count)];
            scores[r] = (double)sum / (double)count;
        }
        qsort(scores, resamples, sizeof(*scores), evaluate_compare);
        *low = scores[(size_t)(0.025 * (double)(resamples - 1))];
        *high = scores[(size_t)ceil(0.975 * (double)(resamples - 1))];
    }
    memory_free(scores);
    memory_free(right);
}

static const char *const evaluate_truths[] = {"labels", "FER+'s majority", "FER+'s largest vote"};

mien_status evaluate_truth_from_name(const char *name, evaluate_truth *truth, mien_error *error)
{
    static const char *const names[] = {"labels", "majority", "plurality"};
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
        if (!strcmp(name, names[i])) {
            *truth = (evaluate_truth)i;
            return MIEN_OK;
        }
    return error_set(error, MIEN_EINVAL, "'%s' is none of labels, majority, plurality", name);
}

static bool evaluate_row_truth(const dataset *data, evaluate_truth truth, size_t row, uint8_t *label)
{
    if (truth == EVALUATE_MAJORITY)
        return dataset_majority(data->votes + row * DATASET_VOTES, label);
    if (truth == EVALUATE_PLURALITY)
        return dataset_plurality(data->votes + row * DATASET_VOTES, label);
    *label = data->labels[row];
    return true;
}

static mien_status evaluate_choose_rows(const dataset *data, const evaluate_options *options, evaluation *e,
                                        mien_error *error)
{
    if (options->truth != EVALUATE_LABELS && !data->votes)
        return error_set(error, MIEN_EINVAL, "%s is asked for, but there are no votes (--votes fer2013new.csv)",
                         evaluate_truths[options->truth]);
    mien_status status = dataset_rows(data, options->split, false, &e->rows, &e->count, error);
    if (status)
        return status;
    e->truth = memory_array(e->count, 1);
    e->probabilities = memory_array(e->count * DATASET_CLASSES, sizeof(float));
    if (!e->truth || !e->probabilities)
        return error_no_memory(error, e->count * DATASET_CLASSES * sizeof(float));
    size_t kept = 0;
    for (size_t i = 0; i < e->count; i++) {
        size_t row = e->rows[i];
        uint8_t truth = 0;
        if (!evaluate_row_truth(data, options->truth, row, &truth))
            continue;
        e->rows[kept] = row;
        e->truth[kept++] = truth;
    }
    e->count = kept;
    return kept ? MIEN_OK : error_set(error, MIEN_ENOTFOUND, "no row is left to compare with");
}

/* Cross-entropy against the votes of the rows that have any. */
static double evaluate_soft_loss(const dataset *data, const evaluation *e)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; data->votes && i < e->count; i++) {
        float target[DATASET_CLASSES];
        if (!dataset_soft_votes(data->votes + e->rows[i] * DATASET_VOTES, target))
            continue;
        count++;
        for (int c = 0; c < DATASET_CLASSES; c++)
            sum -= (double)target[c] * log(fmax((double)e->probabilities[i * DATASET_CLASSES + (size_t)c], 1e-12));
    }
    return count ? sum / (double)count : -1;
}

static mien_status evaluate_name(evaluation *e, const char *model_path, const char *data_name,
                                 const evaluate_options *options, mien_error *error)
{
    static const char *const views[] = {"one look", "picture and mirror image", "ten crops"};
    const char *split = options->split;
    snprintf(e->manner, sizeof(e->manner), "against %s, %s, %s", evaluate_truths[options->truth], views[options->views],
             nn_precision_name(options->precision));
    e->model = memory_text(model_path);
    e->data = memory_text(data_name);
    e->split = memory_text(split);
    return e->model && e->data && e->split ? MIEN_OK : error_no_memory(error, strlen(model_path) + strlen(data_name));
}

static void evaluate_figures(const dataset *data, const evaluate_options *options, evaluation *e)
{
    metrics_compute(e->probabilities, e->truth, e->count, &e->figures);
    e->soft_loss = evaluate_soft_loss(data, e);
    e->resampled = options->bootstrap > 0;
    if (e->resampled)
        evaluate_interval(e->probabilities, e->truth, e->count, options->bootstrap, options->seed, &e->low, &e->high);
}

/* The output that answers, said in the manner where it is not the first. */
static int evaluate_output(const model *m, const evaluate_options *options, evaluation *e)
{
    int output = options->output;
    if (output < 0)
        output = options->truth != EVALUATE_LABELS && predict_has_votes_output(m);
    size_t used = strlen(e->manner);
    if (output)
        snprintf(e->manner + used, sizeof(e->manner) - used, ", output %d", output);
    return output;
}

static mien_status evaluate_loaded(const model *m, const dataset *data, const evaluate_options *options, evaluation *e,
                                   mien_error *error)
{
    thread_pool *pool = NULL;
    predictor *p = NULL;
    size_t *rows = NULL;
    predictor_options how = {
        .precision = options->precision, .workers = options->threads, .output = evaluate_output(m, options, e)};
    /* ranges are found on training pictures, never on those that are measured, unless there are no others */
    if (options->precision == NN_INT8 &&
        !dataset_rows(data, dataset_split_name(DATASET_TRAINING), false, &rows, &how.calibration_count, NULL))
        how.calibration_rows = rows;
    else if (options->precision == NN_INT8)
        how.calibration_rows = e->rows;
    if (options->precision == NN_INT8 && !rows)
        how.calibration_count = e->count;
    how.calibration = data;
    mien_status status = thread_pool_create(options->threads, &pool, error);
    if (!status)
        status = predictor_create(m, &how, &p, error);
    if (!status && options->temperature > 0)
        predictor_set_temperature(p, options->temperature);
    double begin = clock_monotonic_ms();
    if (!status)
        status = predictor_run(p, pool, data, e->rows, e->count, options->views, e->probabilities, error);
    e->milliseconds = (clock_monotonic_ms() - begin) / (double)e->count;
    e->parameters = nn_graph_parameters(&m->graph);
    e->multiply_adds = nn_graph_multiply_adds(&m->graph);
    if (!status && m->info.training && !(e->training = memory_text(m->info.training)))
        status = error_no_memory(error, strlen(m->info.training));
    predictor_destroy(&p);
    thread_pool_destroy(&pool);
    memory_free(rows);
    return status;
}

mien_status evaluate_model(const char *model_path, const char *data_name, const dataset *data,
                           const evaluate_options *options, evaluation *out, mien_error *error)
{
    evaluation e = {0};
    model m = {0};
    mien_status status = evaluate_name(&e, model_path, data_name, options, error);
    if (!status)
        status = evaluate_choose_rows(data, options, &e, error);
    if (!status)
        status = options->load ? options->load(model_path, &m, error) : model_load(model_path, NULL, &m, error);
    if (!status) {
        status = evaluate_loaded(&m, data, options, &e, error);
        if (status)
            error_prefix(error, status, "%s", model_path);
    }
    model_done(&m);
    if (status) {
        evaluation_done(&e);
        return status;
    }
    evaluate_figures(data, options, &e);
    *out = e;
    return MIEN_OK;
}

mien_status evaluate_ensemble(const evaluation *members, size_t count, const dataset *data,
                              const evaluate_options *options, evaluation *out, mien_error *error)
{
    evaluation e = {0};
    mien_status status = evaluate_name(&e, "ensemble", members[0].data, options, error);
    if (!status)
        status = evaluate_choose_rows(data, options, &e, error);
    if (!status)
        snprintf(e.manner + strlen(e.manner), sizeof(e.manner) - strlen(e.manner), ", the mean of %zu models", count);
    for (size_t k = 0; !status && k < count; k++)
        if (members[k].count != e.count)
            status = error_set(error, MIEN_EINVAL, "the members of an ensemble must answer for the same rows");
    if (status) {
        evaluation_done(&e);
        return status;
    }
    for (size_t i = 0; i < e.count * DATASET_CLASSES; i++) {
        float sum = 0;
        for (size_t k = 0; k < count; k++)
            sum += members[k].probabilities[i];
        e.probabilities[i] = sum / (float)count;
    }
    for (size_t k = 0; k < count; k++) {
        e.milliseconds += members[k].milliseconds;
        e.parameters += members[k].parameters;
        e.multiply_adds += members[k].multiply_adds;
    }
    evaluate_figures(data, options, &e);
    *out = e;
    return MIEN_OK;
}

static json_t *evaluate_json_classes(const metrics *m)
{
    json_t *all = json_object();
    for (int c = 0; c < DATASET_CLASSES; c++) {
        const metrics_class *k = &m->classes[c];
        json_object_set_new(all, mien_emotion_name((mien_emotion)c),
                            json_pack("{s:f, s:f, s:f, s:I}", "precision", k->precision, "recall", k->recall, "f1",
                                      k->f1, "support", (json_int_t)k->support));
    }
    return all;
}

static json_t *evaluate_json_confusion(const metrics *m)
{
    json_t *rows = json_array();
    for (int c = 0; c < DATASET_CLASSES; c++) {
        json_t *row = json_array();
        for (int k = 0; k < DATASET_CLASSES; k++)
            json_array_append_new(row, json_integer((json_int_t)m->confusion[c][k]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *evaluate_json_reliability(const evaluation *e)
{
    metrics_bin bins[METRICS_BINS];
    metrics_reliability(e->probabilities, e->truth, e->count, bins);
    json_t *all = json_array();
    for (int b = 0; b < METRICS_BINS; b++)
        json_array_append_new(all, json_pack("{s:I, s:f, s:f}", "count", (json_int_t)bins[b].count, "confidence",
                                             bins[b].confidence, "accuracy", bins[b].accuracy));
    return all;
}

static json_t *evaluate_json_risk(const evaluation *e)
{
    calibrate_point curve[CALIBRATE_POINTS];
    if (calibrate_curve(e->probabilities, e->truth, e->count, curve, NULL))
        return NULL;
    json_t *all = json_array();
    for (int i = 0; i < CALIBRATE_POINTS; i++)
        json_array_append_new(all, json_pack("{s:f, s:f, s:f}", "coverage", curve[i].coverage, "risk", curve[i].risk,
                                             "threshold", curve[i].threshold));
    return all;
}

json_t *evaluate_json_name(const char *name)
{
    json_t *string = json_string(name);
    buffer clean = {0};
    for (; !string && *name; name++)
        if ((signed char)*name < 0)
            buffer_append_text(&clean, "\xef\xbf\xbd");
        else
            buffer_append_byte(&clean, (uint8_t)*name);
    if (!string)
        string = json_string(buffer_text(&clean));
    buffer_done(&clean);
    return string;
}

json_t *evaluation_to_json(const evaluation *e)
{
    const metrics *m = &e->figures;
    json_t *out = json_pack("{s:o, s:o, s:s, s:I, s:f, s:f, s:o, s:o}", "model", evaluate_json_name(e->model), "data",
                            evaluate_json_name(e->data), "split", e->split, "count", (json_int_t)e->count, "top1",
                            m->top1, "macro_f1", m->macro_f1, "per_class", evaluate_json_classes(m), "confusion",
                            evaluate_json_confusion(m));
    if (!out)
        return NULL;
    json_object_set_new(out, "manner", json_string(e->manner));
    json_object_set_new(out, "balanced_accuracy", json_real(m->balanced));
    if (e->resampled)
        json_object_set_new(out, "top1_interval", json_pack("[f, f]", e->low, e->high));
    json_object_set_new(out, "loss", json_real(m->loss));
    json_object_set_new(out, "brier", json_real(m->brier));
    json_object_set_new(out, "ece", json_real(m->ece));
    json_object_set_new(out, "reliability", evaluate_json_reliability(e));
    json_object_set_new(out, "risk_coverage", evaluate_json_risk(e));
    if (e->soft_loss >= 0)
        json_object_set_new(out, "votes_loss", json_real(e->soft_loss));
    json_object_set_new(out, "ms_per_image", json_real(e->milliseconds));
    json_object_set_new(out, "parameters", json_integer((json_int_t)e->parameters));
    json_object_set_new(out, "multiply_adds", json_integer((json_int_t)e->multiply_adds));
    return out;
}
