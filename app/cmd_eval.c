/* `mien eval`: measures one or several models on one or several data sets, as a table for people or as JSON. One model
 * on one data set gives one object; anything more gives {"models": [one object each]}. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "commands.h"
#include "train/evaluate.h"

enum { EVAL_MOST = 32 };

typedef struct eval_arguments {
    const char *models[EVAL_MOST], *data[EVAL_MOST], *votes;
    size_t model_count, data_count;
    bool json, ensemble;
    evaluate_options options;
} eval_arguments;

typedef struct eval_results {
    evaluation list[EVAL_MOST * EVAL_MOST + EVAL_MOST];
    size_t count;
} eval_results;

static void eval_print_help(void)
{
    printf(
        "usage: mien eval --data FILE --model MODEL [--model MODEL …] [options]\n\n"
        "  --data FILE        fer2013.csv or .csv.xz, a CSV of paths and labels, or a folder of classes; repeatable\n"
        "  --split NAME       Training, PublicTest (default), PrivateTest or all\n"
        "  --model FILE       .onnx or Keras .h5; repeatable\n"
        "  --votes FILE       FER+ votes of the same rows (fer2013new.csv)\n"
        "  --truth WHAT       labels (default), or majority: FER+'s, without its unknown and not-a-face rows\n"
        "  --tta VIEWS        none (default), flip, or ten: corners and centre, each with its mirror image\n"
        "  --ensemble         also the mean of all the models\n"
        "  --precision P      f32 (default) or bf16\n"
        "  --threads N        pictures answered at once (default 1)\n"
        "  --bootstrap N      resamples behind the 95 %% interval (default 1000; 0 = none)\n"
        "  --json             JSON instead of tables\n");
}

static mien_status eval_set(eval_arguments *a, const char *name, const char *value, mien_error *error)
{
    if (!strcmp(name, "model") || !strcmp(name, "data")) {
        bool is_model = *name == 'm';
        size_t *count = is_model ? &a->model_count : &a->data_count;
        if (*count == EVAL_MOST)
            return error_set(error, MIEN_ELIMIT, "more than %d --%s", EVAL_MOST, name);
        (is_model ? a->models : a->data)[(*count)++] = value;
        return MIEN_OK;
    }
    if (!strcmp(name, "truth")) {
        if (strcmp(value, "labels") && strcmp(value, "majority"))
            return error_set(error, MIEN_EINVAL, "--truth: '%s' is neither labels nor majority", value);
        a->options.truth = *value == 'm' ? EVALUATE_MAJORITY : EVALUATE_LABELS;
        return MIEN_OK;
    }
    if (!strcmp(name, "precision")) {
        if (strcmp(value, "f32") && strcmp(value, "bf16"))
            return error_set(error, MIEN_EINVAL, "--precision: '%s' is neither f32 nor bf16", value);
        a->options.precision = *value == 'b' ? NN_BF16 : NN_F32;
        return MIEN_OK;
    }
    if (!strcmp(name, "tta"))
        return predict_views_from_name(value, &a->options.views, error);
    if (!strcmp(name, "split"))
        a->options.split = value;
    else
        a->votes = value;
    return MIEN_OK;
}

static mien_status eval_set_number(eval_arguments *a, const char *name, const char *value, mien_error *error)
{
    char *end = NULL;
    long number = strtol(value, &end, 10);
    bool threads = !strcmp(name, "threads");
    if (end == value || *end || number < threads || number > (threads ? 256 : 1000000))
        return error_set(error, MIEN_EINVAL, "--%s: '%s' is not a number that it takes", name, value);
    *(threads ? &a->options.threads : &a->options.bootstrap) = (size_t)number;
    return MIEN_OK;
}

/* Returns -1 to go on, or an exit status. */
static int eval_read_arguments(int argc, char **argv, eval_arguments *a)
{
    static const struct option options[] = {{"data", 1, NULL, 't'},
                                            {"split", 1, NULL, 't'},
                                            {"model", 1, NULL, 't'},
                                            {"votes", 1, NULL, 't'},
                                            {"truth", 1, NULL, 't'},
                                            {"tta", 1, NULL, 't'},
                                            {"precision", 1, NULL, 't'},
                                            {"threads", 1, NULL, 'n'},
                                            {"bootstrap", 1, NULL, 'n'},
                                            {"ensemble", 0, NULL, 'e'},
                                            {"json", 0, NULL, 'j'},
                                            {"help", 0, NULL, 'h'},
                                            {0}};
    mien_error error = {0};
    int index = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, &index)) != -1;) {
        mien_status status = MIEN_OK;
        if (option == 'h') {
            eval_print_help();
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return EXIT_USAGE;
        a->ensemble = a->ensemble || option == 'e';
        a->json = a->json || option == 'j';
        if (option == 't')
            status = eval_set(a, options[index].name, optarg, &error);
        if (option == 'n')
            status = eval_set_number(a, options[index].name, optarg, &error);
        if (status) {
            fprintf(stderr, "mien eval: %s\n", error.message);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !a->model_count || !a->data_count) {
        fprintf(stderr,
                "mien eval: --model and --data are needed, and nothing without a flag; see `mien eval --help`\n");
        return EXIT_USAGE;
    }
    return -1;
}

static void eval_print(const evaluation *e)
{
    const metrics *m = &e->figures;
    printf("%s on %s, %s: %zu pictures\n", e->model, e->data, e->split, e->count);
    printf("  top-1 %.4f", m->top1);
    if (e->high > 0)
        printf(" (95 %%: %.4f to %.4f)", e->low, e->high);
    printf("   macro F1 %.4f   balanced %.4f\n", m->macro_f1, m->balanced);
    printf("  loss %.4f   Brier %.4f   ECE %.4f", m->loss, m->brier, m->ece);
    if (e->soft_loss >= 0)
        printf("   loss against the votes %.4f", e->soft_loss);
    printf("\n  %.2f M parameters   %.1f M multiply-adds   %.3f ms a picture\n\n", (double)e->parameters / 1e6,
           (double)e->multiply_adds / 1e6, e->milliseconds);
    printf("  %-10s %9s %9s %9s %9s\n", "", "precision", "recall", "F1", "support");
    for (int c = 0; c < DATASET_CLASSES; c++)
        printf("  %-10s %9.4f %9.4f %9.4f %9zu\n", mien_emotion_name((mien_emotion)c), m->classes[c].precision,
               m->classes[c].recall, m->classes[c].f1, m->classes[c].support);
    printf("\n  %-10s", "true \\ said");
    for (int c = 0; c < DATASET_CLASSES; c++)
        printf(" %8s", mien_emotion_name((mien_emotion)c));
    for (int c = 0; c < DATASET_CLASSES; c++) {
        printf("\n  %-11s", mien_emotion_name((mien_emotion)c));
        for (int k = 0; k < DATASET_CLASSES; k++)
            printf(" %8zu", m->confusion[c][k]);
    }
    printf("\n\n");
}

static int eval_print_json(const eval_results *results)
{
    json_t *out = NULL;
    if (results->count == 1) {
        out = evaluation_to_json(&results->list[0]);
    } else {
        json_t *models = json_array();
        for (size_t i = 0; i < results->count; i++)
            json_array_append_new(models, evaluation_to_json(&results->list[i]));
        out = json_pack("{s:o}", "models", models);
    }
    char *text = out ? json_dumps(out, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(out);
    if (!text) {
        fprintf(stderr, "mien eval: no memory for the result\n");
        return EXIT_FAILURE;
    }
    puts(text);
    free(text);
    return EXIT_SUCCESS;
}

static mien_status eval_data_set(const eval_arguments *a, const char *path, eval_results *results, mien_error *error)
{
    dataset data = {0};
    dataset_options options = {.votes = a->votes};
    mien_status status = dataset_read(path, &options, &data, error);
    size_t first = results->count;
    for (size_t i = 0; !status && i < a->model_count; i++) {
        status = evaluate_model(a->models[i], path, &data, &a->options, &results->list[results->count], error);
        results->count += !status;
    }
    if (!status && a->ensemble && a->model_count > 1) {
        status = evaluate_ensemble(&results->list[first], a->model_count, &data, &a->options,
                                   &results->list[results->count], error);
        results->count += !status;
    }
    dataset_done(&data);
    return status;
}

int cmd_eval(int argc, char **argv)
{
    eval_arguments arguments = {0};
    evaluate_default_options(&arguments.options);
    int done = eval_read_arguments(argc, argv, &arguments);
    if (done >= 0)
        return done;
    eval_results *results = memory_zeroed(1, sizeof(*results));
    mien_error error = {0};
    mien_status status = results ? MIEN_OK : error_no_memory(&error, sizeof(*results));
    for (size_t i = 0; !status && i < arguments.data_count; i++)
        status = eval_data_set(&arguments, arguments.data[i], results, &error);
    int exit_status = EXIT_SUCCESS;
    if (status) {
        fprintf(stderr, "mien eval: %s\n", error.message);
        exit_status = EXIT_FAILURE;
    } else if (arguments.json) {
        exit_status = eval_print_json(results);
    } else {
        for (size_t i = 0; i < results->count; i++)
            eval_print(&results->list[i]);
    }
    for (size_t i = 0; results && i < results->count; i++)
        evaluation_done(&results->list[i]);
    memory_free(results);
    return exit_status;
}
