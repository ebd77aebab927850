/* `mien calibrate`: runs a model on pictures that it will meet, notes the range of every activation, and writes the
 * model with them, so that it can run in eight bits (several times faster) wherever it is loaded. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "commands.h"
#include "train/predict.h"

typedef struct calibrate_arguments {
    const char *data, *model, *out, *split;
    long count;
} calibrate_arguments;

static void calibrate_print_help(void)
{
    printf("usage: mien calibrate --data FILE --model MODEL [options]\n\n"
           "  --data FILE     fer2013.csv or .csv.xz, a CSV of paths and labels, or a folder of classes\n"
           "  --split NAME    Training (default), PublicTest, PrivateTest or all\n"
           "  --model FILE    .onnx or Keras .h5\n"
           "  --out FILE      where to write the .onnx (default: over the model)\n"
           "  --count N       pictures taken at random from the data (default 512)\n");
}

/* Returns -1 to go on, or an exit status. */
static int calibrate_read_arguments(int argc, char **argv, calibrate_arguments *a)
{
    static const struct option options[] = {{"data", 1, NULL, 'd'},
                                            {"split", 1, NULL, 's'},
                                            {"model", 1, NULL, 'm'},
                                            {"out", 1, NULL, 'o'},
                                            {"count", 1, NULL, 'n'},
                                            {"help", 0, NULL, 'h'},
                                            {0}};
    char *end = NULL;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            calibrate_print_help();
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return EXIT_USAGE;
        if (option == 'n')
            a->count = strtol(optarg, &end, 10);
        const char **text = option == 'd' ? &a->data : option == 's' ? &a->split : option == 'm' ? &a->model : &a->out;
        if (option != 'n')
            *text = optarg;
    }
    if (optind < argc || !a->data || !a->model || (end && *end) || a->count < 1 || a->count > 10000) {
        fprintf(stderr, "mien calibrate: --data and --model are needed, --count is 1 to 10000; see --help\n");
        return EXIT_USAGE;
    }
    a->out = a->out ? a->out : a->model;
    return -1;
}

/* The first `count` places hold rows drawn at random, the same ones every time. */
static size_t calibrate_draw(size_t *rows, size_t rows_count, size_t count)
{
    random_state random;
    random_seed(&random, 2013, 8);
    count = count < rows_count ? count : rows_count;
    for (size_t i = 0; i < count; i++) {
        size_t other = i + random_below(&random, (uint32_t)(rows_count - i)), row = rows[i];
        rows[i] = rows[other];
        rows[other] = row;
    }
    return count;
}

int cmd_calibrate(int argc, char **argv)
{
    calibrate_arguments a = {.split = "Training", .count = 512};
    int usage = calibrate_read_arguments(argc, argv, &a);
    if (usage >= 0)
        return usage;
    mien_error error = {0};
    dataset data = {0};
    model m = {0};
    size_t *rows = NULL, count = 0;
    mien_status status = model_load(a.model, NULL, &m, &error);
    if (!status)
        status = dataset_read(a.data, NULL, &data, &error);
    if (!status)
        status = dataset_rows(&data, a.split, false, &rows, &count, &error);
    if (!status) {
        count = calibrate_draw(rows, count, (size_t)a.count);
        status = predict_calibrate(&m, &data, rows, count, &error);
    }
    if (!status)
        status = model_save_onnx(&m, a.out, &error);
    if (status)
        fprintf(stderr, "mien calibrate: %s\n", error.message);
    else
        printf("%s: ranges from %zu pictures of %s\n", a.out, count, a.data);
    memory_free(rows);
    model_done(&m);
    dataset_done(&data);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
