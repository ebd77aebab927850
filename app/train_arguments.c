/* The flags of `mien train`. Every setting of train/config.c is a flag of the same name, so the help and the flags are
 * made from its table. */
#include "train_arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "commands.h"
#include "train/trainer.h"
#include "train_output.h"

enum {
    TRAIN_OPT_CONFIG = 500,
    TRAIN_OPT_RESUME,
    TRAIN_OPT_OVERWRITE,
    TRAIN_OPT_QUIET,
    TRAIN_OPT_PROGRESS,
    TRAIN_OPT_SAMPLES,
    TRAIN_OPT_LIST,
    TRAIN_OPT_HELP,
    TRAIN_FIRST_KEY = 1000
};

static const double train_progress_seconds = 60;

/* One flag a line; config_write gives the defaults in the table's order. */
static void train_print_settings(void)
{
    size_t count;
    const config_key *keys = config_keys(&count);
    train_config config;
    buffer defaults = {0};
    config_default(&config);
    const char *line = config_write(&config, &defaults) ? "" : buffer_text(&defaults);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s", keys[i].name);
        for (char *at = name; *at; at++)
            *at = *at == '_' ? '-' : *at;
        int length = (int)strcspn(line, "\n");
        const char *value = memmem(line, (size_t)length, " = ", 3);
        int value_length = value ? length - (int)(value + 3 - line) : 0;
        printf("  --%-24s %s%s%s%s%s%.*s%s\n", name, keys[i].help, keys[i].choices ? " (" : "",
               keys[i].choices ? keys[i].choices : "", keys[i].choices ? ")" : "", value_length ? " [" : "",
               value_length, value_length ? value + 3 : "", value_length ? "]" : "");
        line += length + (line[length] == '\n');
    }
    buffer_done(&defaults);
}

static void train_print_help(void)
{
    printf(
        "usage: mien train --arch NAME --data FILE [--out FOLDER] [options]\n"
        "       mien train --resume --out FOLDER [options]\n"
        "       mien train --list\n\n"
        "Trains a network to tell which expression a face appears to show, or (mien-face) to find faces. FOLDER gets\n"
        "best.onnx, which `mien detect`, `mien serve` and `mien eval` take as --model, and all that a run needs to go "
        "on.\n\n"
        "  --config FILE              settings as lines of `key = value`; flags override them\n"
        "  --resume                   go on from FOLDER/checkpoint.bin\n"
        "  --overwrite                replace the run that FOLDER holds\n"
        "  --quiet                    print errors only\n"
        "  --progress SECONDS         between lines of progress where the output is no terminal [60]; 0: only epochs\n"
        "  --show-samples FILE        draw a sheet of augmented training samples (.jpg, .png) and end\n"
        "  --list                     the architectures and their recipes\n"
        "  -h, --help                 this text\n\n"
        "Settings; in brackets what holds where neither the architecture's recipe nor you say otherwise:\n");
    train_print_settings();
    printf("\nExit status: 0 the run ended, 1 it failed or was stopped, 2 wrong usage.\n\n"
           "  mien train --arch mien-tiny --data fer2013.csv --out runs/tiny\n"
           "  mien train --arch mien-small --data faces/ --init mien-small --lr 0.005 --epochs 10\n");
}

/* Flags of the settings' table behind the ones above. */
static void train_make_options(struct option *options, char names[][64])
{
    static const struct option fixed[] = {{"config", required_argument, NULL, TRAIN_OPT_CONFIG},
                                          {"resume", no_argument, NULL, TRAIN_OPT_RESUME},
                                          {"show-samples", required_argument, NULL, TRAIN_OPT_SAMPLES},
                                          {"overwrite", no_argument, NULL, TRAIN_OPT_OVERWRITE},
                                          {"progress", required_argument, NULL, TRAIN_OPT_PROGRESS},
                                          {"quiet", no_argument, NULL, TRAIN_OPT_QUIET},
                                          {"list", no_argument, NULL, TRAIN_OPT_LIST},
                                          {"help", no_argument, NULL, TRAIN_OPT_HELP}};
    size_t used = sizeof(fixed) / sizeof(fixed[0]), count;
    memcpy(options, fixed, sizeof(fixed));
    const config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], 64, "%s", keys[i].name);
        for (char *at = names[i]; *at; at++)
            *at = *at == '_' ? '-' : *at;
        options[used++] = (struct option){names[i], required_argument, NULL, TRAIN_FIRST_KEY + (int)i};
    }
    options[used] = (struct option){0};
}

int train_arguments_read(int argc, char **argv, train_arguments *arguments)
{
    struct option options[TRAIN_MOST_KEYS + 8];
    char names[TRAIN_MOST_KEYS][64];
    size_t count;
    const config_key *keys = config_keys(&count);
    train_make_options(options, names);
    arguments->progress = train_progress_seconds;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option >= TRAIN_FIRST_KEY) {
            if (arguments->setting_count == TRAIN_MOST_KEYS)
                return EXIT_USAGE;
            arguments->settings[arguments->setting_count].key = keys[option - TRAIN_FIRST_KEY].name;
            arguments->settings[arguments->setting_count++].value = optarg;
            continue;
        }
        switch (option) {
        case TRAIN_OPT_CONFIG:
            arguments->config_path = optarg;
            break;
        case TRAIN_OPT_RESUME:
            arguments->resume = true;
            break;
        case TRAIN_OPT_OVERWRITE:
            arguments->overwrite = true;
            break;
        case TRAIN_OPT_QUIET:
            arguments->quiet = true;
            break;
        case TRAIN_OPT_PROGRESS:
            if (!number_parse(optarg, 0, 1e9, &arguments->progress)) {
                fprintf(stderr, "mien train: --progress: '%s' is not a number of seconds\n", optarg);
                return EXIT_USAGE;
            }
            break;
        case TRAIN_OPT_SAMPLES:
            arguments->samples_path = optarg;
            break;
        case TRAIN_OPT_LIST:
            train_print_list();
            return EXIT_SUCCESS;
        case TRAIN_OPT_HELP:
        case 'h':
            train_print_help();
            return EXIT_SUCCESS;
        default:
            fprintf(stderr, "`mien train --help` lists the options\n");
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "mien train: unexpected argument '%s'\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

bool train_arguments_quiet(const train_arguments *arguments)
{
    return arguments->quiet || arguments->group.rank;
}

static mien_status train_apply(const train_arguments *arguments, train_config *config, mien_error *error)
{
    mien_status status = MIEN_OK;
    if (arguments->config_path)
        status = config_read(config, arguments->config_path, error);
    for (int i = 0; !status && i < arguments->setting_count; i++)
        status = config_set(config, arguments->settings[i].key, arguments->settings[i].value, error);
    return status;
}

/* A batch that the usual microbatch does not divide gets the largest one that does, unless one was asked for. */
static void train_fit_microbatch(const train_arguments *arguments, train_config *config)
{
    for (int i = 0; i < arguments->setting_count; i++)
        if (!strcmp(arguments->settings[i].key, "microbatch"))
            return;
    int fitting = config->microbatch;
    while (fitting > 1 && config->batch % fitting)
        fitting--;
    if (fitting > 1)
        config->microbatch = fitting;
    else if (config->batch <= 64)
        config->microbatch = config->batch;
}

mien_status train_arguments_settle(const train_arguments *arguments, train_config *config, mien_error *error)
{
    /* the architecture must be known before its recipe can be laid under the other settings */
    train_config first;
    const architecture *arch = NULL;
    config_default(&first);
    mien_status status = train_apply(arguments, &first, error);
    if (!status && arguments->resume)
        status = trainer_read_config(first.out, config, error);
    if (!status && arguments->resume) {
        first = *config;
        status = train_apply(arguments, config, error);
        if (!status && !train_arguments_quiet(arguments))
            train_print_changes(&first, config);
        return status;
    }
    if (!status)
        status = architecture_find(first.arch, &arch, error);
    if (status)
        return status;
    config_default(config);
    status = architecture_apply_recipe(arch, *first.backbone, config, error);
    if (!status)
        status = train_apply(arguments, config, error);
    if (!status)
        train_fit_microbatch(arguments, config);
    return status;
}
