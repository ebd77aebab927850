/* `mien eval`: measures one or several models on one or several data sets, as tables for people, as JSON or as a page;
 * fits a model's temperature and threshold of doubt; looks for pictures that stand in two splits. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "commands.h"
#include "eval_faces.h"
#include "eval_output.h"
#include "eval_predictions.h"
#include "pipeline/shipped.h"
#include "train/calibrate.h"
#include "train/report.h"
#include "train_faces.h"

static const double eval_risk = 0.2;
static const float eval_duplicate = 0.98f;
enum { EVAL_PERMUTATIONS = 2000 };

typedef struct eval_arguments {
    const char *models[EVAL_MOST], *data[EVAL_MOST], *votes, *groups, *report, *calibrate, *predictions;
    size_t model_count, data_count;
    bool json, ensemble, duplicates, find_faces;
    double risk;
    evaluate_options options;
} eval_arguments;

static void eval_print_help(void)
{
    printf(
        "usage: mien eval --data FILE --model MODEL [--model MODEL …] [options]\n"
        "       mien eval --data FILE --duplicates\n"
        "       mien eval --faces FILE --images DIR [options]    (face detectors: mien eval --faces --help)\n\n"
        "Measures how often models of expressions agree with labels that people gave, and how well they know when "
        "not.\n\n"
        "  --data FILE        fer2013.csv or .csv.xz, a CSV of paths and labels, or a folder of classes; repeatable\n"
        "  --split NAME       Training, PublicTest (default), PrivateTest or all\n"
        "  --model FILE       .onnx, Keras .h5 or .keras, or one that ships: mien-wide, mien-small; repeatable\n"
        "  --votes FILE       FER+ votes of the same rows (fer2013new.csv)\n"
        "  --truth WHAT       labels (default); majority: FER+'s, by its authors' rule (more than half of the votes,\n"
        "                     single ones not counted); plurality: FER+'s largest vote, doubtful rows included\n"
        "  --tta VIEWS        none (default), flip, or ten: corners and centre, each with its mirror image\n"
        "  --find-faces       pictures of files show people: the surest face of each answers, as in training\n"
        "  --ensemble         also the mean of all the models\n"
        "  --groups FILE      CSV with a column `group`, one line for each picture: figures per group, the gap\n"
        "  --duplicates       nearly equal pictures, above all those in two splits (--json: all); needs no model\n"
        "  --precision P      f32 (default), bf16 or int8 (ranges from the model or from Training rows)\n"
        "  --output N         which output answers; default 0, and for FER+'s truth the one that learnt the votes\n"
        "  --threads N        pictures answered at once (default 1)\n"
        "  --bootstrap N      resamples behind the 95 %% interval (default 1000; 0 = none)\n"
        "  --calibrate FILE   fit temperature and threshold of doubt, and write the model with them as FILE\n"
        "  --risk SHARE       of wrong answers that the threshold of doubt allows (default 0.2)\n"
        "  --json             JSON instead of tables\n"
        "  --predictions FILE every answer as a line of CSV: row, truth, probability of each class\n"
        "  --report FILE      a page (HTML) with curves, matrices and the surest mistakes\n"
        "  -h, --help         this text\n\n"
        "Exit status: 0 done, 1 something failed, 2 wrong usage.\n\n"
        "  mien eval --data fer2013.csv --model mien-wide\n"
        "  mien eval --data mine/ --split all --model runs/run/best.onnx --model mien-small --report compare.html\n");
}

static mien_status eval_set_choice(eval_arguments *a, const char *name, const char *value, mien_error *error)
{
    if (!strcmp(name, "truth")) {
        mien_status status = evaluate_truth_from_name(value, &a->options.truth, error);
        return status ? error_prefix(error, status, "--truth") : MIEN_OK;
    }
    if (!strcmp(name, "tta"))
        return predict_views_from_name(value, &a->options.views, error);
    if (!nn_precision_from_name(value, &a->options.precision))
        return error_set(error, MIEN_EINVAL, "--precision: '%s' is none of f32, bf16, int8", value);
    return MIEN_OK;
}

static mien_status eval_set_text(eval_arguments *a, const char *name, const char *value, mien_error *error)
{
    if (!strcmp(name, "model") || !strcmp(name, "data")) {
        bool is_model = *name == 'm';
        size_t *count = is_model ? &a->model_count : &a->data_count;
        if (*count == EVAL_MOST)
            return error_set(error, MIEN_ELIMIT, "more than %d --%s", EVAL_MOST, name);
        (is_model ? a->models : a->data)[(*count)++] = value;
        return MIEN_OK;
    }
    const char **to = !strcmp(name, "split")    ? &a->options.split
                      : !strcmp(name, "votes")  ? &a->votes
                      : !strcmp(name, "groups") ? &a->groups
                      : !strcmp(name, "report") ? &a->report
                      : *name == 'p'            ? &a->predictions
                                                : &a->calibrate;
    *to = value;
    return MIEN_OK;
}

static mien_status eval_set_number(eval_arguments *a, const char *name, const char *value, mien_error *error)
{
    double number, least = !strcmp(name, "threads");
    double most = *name == 't' ? 256 : *name == 'r' ? 1 : *name == 'o' ? 15 : 1e6;
    bool whole = *name != 'r';
    if (!number_parse(value, least, most, &number) || (whole && number != floor(number)))
        return error_set(error, MIEN_EINVAL, "--%s: '%s' is not a %snumber within %g..%g", name, value,
                         whole ? "whole " : "", least, most);
    if (*name == 'r')
        a->risk = number;
    else if (*name == 'o')
        a->options.output = (int)number;
    else
        *(*name == 't' ? &a->options.threads : &a->options.bootstrap) = (size_t)number;
    return MIEN_OK;
}

static mien_status eval_set(eval_arguments *a, int kind, const char *name, const char *value, mien_error *error)
{
    switch (kind) {
    case 't':
        return eval_set_text(a, name, value, error);
    case 'c':
        return eval_set_choice(a, name, value, error);
    case 'n':
        return eval_set_number(a, name, value, error);
    default:
        a->ensemble = a->ensemble || kind == 'e';
        a->json = a->json || kind == 'j';
        a->duplicates = a->duplicates || kind == 'd';
        a->find_faces = a->find_faces || kind == 'f';
        return MIEN_OK;
    }
}

/* Returns -1 to go on, or an exit status. */
static int eval_read_arguments(int argc, char **argv, eval_arguments *a)
{
    static const struct option options[] = {
        {"data", 1, NULL, 't'},      {"split", 1, NULL, 't'},       {"model", 1, NULL, 't'},
        {"votes", 1, NULL, 't'},     {"groups", 1, NULL, 't'},      {"report", 1, NULL, 't'},
        {"calibrate", 1, NULL, 't'}, {"predictions", 1, NULL, 't'}, {"truth", 1, NULL, 'c'},
        {"tta", 1, NULL, 'c'},       {"precision", 1, NULL, 'c'},   {"threads", 1, NULL, 'n'},
        {"bootstrap", 1, NULL, 'n'}, {"risk", 1, NULL, 'n'},        {"output", 1, NULL, 'n'},
        {"ensemble", 0, NULL, 'e'},  {"duplicates", 0, NULL, 'd'},  {"find-faces", 0, NULL, 'f'},
        {"json", 0, NULL, 'j'},      {"help", 0, NULL, 'h'},        {0}};
    mien_error error = {0};
    int index = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, &index)) != -1;) {
        if (option == 'h') {
            eval_print_help();
            return EXIT_SUCCESS;
        }
        if (option == '?') {
            fprintf(stderr, "`mien eval --help` lists the options\n");
            return EXIT_USAGE;
        }
        if (eval_set(a, option, options[index].name, optarg, &error)) {
            fprintf(stderr, "mien eval: %s\n", error.message);
            return EXIT_USAGE;
        }
    }
    bool needs_model = a->calibrate || !a->duplicates, several = a->model_count > 1 || a->data_count > 1;
    if (a->calibrate && (a->options.views || a->options.output > 0)) {
        fprintf(stderr, "mien eval: --calibrate fits what serves: the first output at one look, so without --tta and "
                        "--output\n");
        return EXIT_USAGE;
    }
    if (optind < argc || !a->data_count || (needs_model && !a->model_count) || (a->calibrate && several)) {
        fprintf(stderr, "mien eval: needs --data and --model (one of each to calibrate); see `mien eval --help`\n");
        return EXIT_USAGE;
    }
    return -1;
}

static mien_status eval_add(eval_results *results, size_t data, evaluation *e, mien_error *error)
{
    if (results->count == EVAL_MOST_RESULTS) {
        evaluation_done(e);
        return error_set(error, MIEN_ELIMIT, "more than %d results", EVAL_MOST_RESULTS);
    }
    results->data_of[results->count] = data;
    results->list[results->count++] = *e;
    return MIEN_OK;
}

static mien_status eval_group(const eval_arguments *a, eval_results *results, size_t first, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = first; i < results->count && !status; i++) {
        results->groups[i] = memory_zeroed(1, sizeof(groups_result));
        if (!results->groups[i])
            return error_no_memory(error, sizeof(groups_result));
        status = groups_compute(&results->grouping[results->data_of[i]], &results->list[i], EVAL_PERMUTATIONS,
                                a->options.seed, results->groups[i], error);
    }
    return status;
}

static mien_status eval_models(const eval_arguments *a, const char *path, eval_results *results, mien_error *error)
{
    size_t at = results->data_count - 1, first = results->count;
    const dataset *data = &results->data[at];
    mien_status status = a->groups ? groups_read(a->groups, data->count, &results->grouping[at], error) : MIEN_OK;
    for (size_t i = 0; !status && i < a->model_count; i++) {
        evaluation e;
        status = evaluate_model(a->models[i], path, data, &a->options, &e, error);
        if (!status)
            status = eval_add(results, at, &e, error);
    }
    if (!status && a->ensemble && a->model_count > 1) {
        evaluation e;
        status = evaluate_ensemble(&results->list[first], a->model_count, data, &a->options, &e, error);
        if (!status)
            status = eval_add(results, at, &e, error);
    }
    if (!status && a->groups)
        status = eval_group(a, results, first, error);
    return status;
}

static mien_status eval_duplicates(const eval_arguments *a, eval_results *results, mien_error *error)
{
    const dataset *data = &results->data[results->data_count - 1];
    duplicates_pair *pairs = NULL;
    size_t count = 0;
    mien_status status = duplicates_find(data, eval_duplicate, &pairs, &count, error);
    if (!status && a->json)
        eval_keep_duplicates(results, a->data[results->data_count - 1], pairs, count);
    else if (!status)
        eval_print_duplicates(data, pairs, count);
    memory_free(pairs);
    return status;
}

/* Pictures of files are kept at the first model's size, so that none is shrunk and enlarged again. */
static mien_status eval_size_pictures(const eval_arguments *a, dataset_options *options, mien_error *error)
{
    model m = {0};
    if (!a->model_count)
        return MIEN_OK;
    mien_status status = shipped_load(a->models[0], &m, error);
    if (!status && m.info.input.height > 0 && m.info.input.width > 0) {
        options->height = (size_t)m.info.input.height;
        options->width = (size_t)m.info.input.width;
    }
    model_done(&m);
    return status;
}

static void eval_skip_picture(void *context, const char *path, const mien_error *error)
{
    (void)context;
    (void)path;
    fprintf(stderr, "mien eval: left out: %s\n", error->message);
}

static mien_status eval_data_set(const eval_arguments *a, const char *path, eval_results *results, mien_error *error)
{
    dataset_options options = {.votes = a->votes, .skip = eval_skip_picture};
    if (a->groups) /* a line for each picture: one that is left out would shift those behind it */
        options.skip = NULL;
    train_faces *faces = NULL;
    mien_status status = eval_size_pictures(a, &options, error);
    if (!status && a->find_faces) {
        status = train_faces_create(&faces, error);
        options.locate = train_faces_locate;
        options.locate_context = faces;
    }
    if (!status)
        status = dataset_read(path, &options, &results->data[results->data_count], error);
    train_faces_destroy(&faces);
    if (status)
        return status;
    results->data_count++;
    if (a->duplicates)
        status = eval_duplicates(a, results, error);
    return status ? status : eval_models(a, path, results, error);
}

static mien_status eval_write_report(const eval_arguments *a, const eval_results *results, mien_error *error)
{
    report_entry *entries = memory_zeroed(results->count + 1, sizeof(*entries));
    buffer page = {0};
    if (!entries)
        return error_no_memory(error, results->count * sizeof(*entries));
    for (size_t i = 0; i < results->count; i++)
        entries[i] = (report_entry){&results->list[i], &results->data[results->data_of[i]], results->groups[i]};
    mien_status status = report_html(entries, results->count, &page, error);
    if (!status)
        status = file_write(a->report, page.data, page.length, error);
    buffer_done(&page);
    memory_free(entries);
    return status;
}

/* What eight-bit inference needs to know, found on training pictures where there are any. */
static mien_status eval_keep_ranges(const dataset *data, model *m, mien_error *error)
{
    size_t *rows = NULL, count = 0;
    mien_status status = dataset_rows(data, "Training", false, &rows, &count, NULL);
    if (status)
        status = dataset_rows(data, "all", false, &rows, &count, error);
    predictor_options how = {.workers = 1, .calibration = data, .calibration_rows = rows, .calibration_count = count};
    if (!status)
        status = predictor_keep_ranges(m, &how, error);
    memory_free(rows);
    return status;
}

/* Fits on the first result, which was computed at temperature 1, and leaves it as the calibrated model would give it.
 */
static mien_status eval_calibrate(const eval_arguments *a, const dataset *data, evaluation *e, mien_error *error)
{
    model m = {0};
    calibrate_point point;
    float temperature = calibrate_temperature(e->probabilities, e->truth, e->count);
    double before = e->figures.ece;
    calibrate_apply(e->probabilities, e->count, temperature, e->probabilities);
    metrics_compute(e->probabilities, e->truth, e->count, &e->figures);
    mien_status status = calibrate_threshold(e->probabilities, e->truth, e->count, a->risk, &point, error);
    if (!status)
        status = shipped_load(a->models[0], &m, error);
    if (status)
        return status;
    m.info.temperature = temperature;
    m.info.uncertain_below = (float)point.threshold;
    status = model_info_set_figure(&m.info, "coverage", point.coverage, error);
    if (!status)
        status = model_info_set_figure(&m.info, "risk", point.risk, error);
    if (!status)
        status = model_info_set_figure(&m.info, "ece", e->figures.ece, error);
    if (!status)
        status = eval_keep_ranges(data, &m, error);
    if (!status)
        status = model_save_onnx(&m, a->calibrate, error);
    model_done(&m);
    if (!status)
        fprintf(stderr,
                "temperature %.4f: ECE %.4f becomes %.4f; answers below %.4f are uncertain: %.1f %% are answered, "
                "%.1f %% of them wrong\n",
                (double)temperature, before, e->figures.ece, point.threshold, 100 * point.coverage, 100 * point.risk);
    return status;
}

static mien_status eval_go(eval_arguments *a, eval_results *results, mien_error *error)
{
    mien_status status = MIEN_OK;
    if (a->calibrate) {
        a->options.temperature = 1;
        a->options.output = 0; /* it answers when the model serves, whatever is true here */
    }
    for (size_t i = 0; !status && i < a->data_count; i++)
        status = eval_data_set(a, a->data[i], results, error);
    if (!status && a->calibrate)
        status = eval_calibrate(a, &results->data[0], &results->list[0], error);
    if (!status && a->predictions)
        status = eval_predictions_write(a->predictions, results, error);
    if (!status && a->report)
        status = eval_write_report(a, results, error);
    return status;
}

static void eval_free(eval_results *results)
{
    for (size_t i = 0; results && i < results->count; i++) {
        evaluation_done(&results->list[i]);
        memory_free(results->groups[i]);
    }
    for (size_t i = 0; results && i < results->data_count; i++) {
        groups_done(&results->grouping[i]);
        dataset_done(&results->data[i]);
    }
    if (results)
        json_decref(results->duplicates);
    memory_free(results);
}

int cmd_eval(int argc, char **argv)
{
    if (eval_faces_wanted(argc, argv))
        return eval_faces(argc, argv);
    eval_arguments arguments = {.risk = eval_risk};
    evaluate_default_options(&arguments.options);
    arguments.options.load = shipped_load;
    int done = eval_read_arguments(argc, argv, &arguments);
    if (done >= 0)
        return done;
    eval_results *results = memory_zeroed(1, sizeof(*results));
    mien_error error = {0};
    mien_status status = results ? eval_go(&arguments, results, &error) : error_no_memory(&error, sizeof(*results));
    int exit_status = EXIT_SUCCESS;
    if (status) {
        fprintf(stderr, "mien eval: %s\n", error.message);
        exit_status = EXIT_FAILURE;
    } else if (arguments.json) {
        exit_status = eval_print_json(results);
    } else {
        eval_print_tables(results);
    }
    eval_free(results);
    return exit_status;
}
