/* `mien train`: reads the settings (recipe of the architecture, configuration file, flags, each over the one before),
 * the data, and runs the trainer. Every setting of train/config.c is a flag of the same name. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "commands.h"
#include "pipeline/shipped.h"
#include "train/architecture.h"
#include "train/trainer.h"
#include "train_faces.h"
#include "train_samples.h"

enum { TRAIN_MOST_KEYS = 128, TRAIN_COMMAND = 4096, TRAIN_FIRST_KEY = 1000 };
enum {
    TRAIN_OPT_CONFIG = 500,
    TRAIN_OPT_RESUME,
    TRAIN_OPT_OVERWRITE,
    TRAIN_OPT_QUIET,
    TRAIN_OPT_SAMPLES,
    TRAIN_OPT_LIST,
    TRAIN_OPT_HELP
};

/* A signal handler can only reach what is static. */
static atomic_bool train_stop;

typedef struct train_arguments {
    const char *config_path, *samples_path;
    bool resume, overwrite, quiet;
    bool together; /* the run ended in all processes alike */
    cluster group;
    struct {
        const char *key, *value;
    } settings[TRAIN_MOST_KEYS];
    int setting_count;
} train_arguments;

typedef struct train_screen {
    bool quiet, terminal;
} train_screen;

static void train_on_signal(int number)
{
    (void)number;
    atomic_store(&train_stop, true);
}

static int train_fail(const mien_error *error)
{
    fprintf(stderr, "mien train: %s\n", error->message);
    return error->code == MIEN_EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

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
        "  --show-samples FILE        draw a sheet of augmented training samples (.jpg, .png) and end\n"
        "  --list                     the architectures and their recipes\n"
        "  -h, --help                 this text\n\n"
        "Settings; in brackets what holds where neither the architecture's recipe nor you say otherwise:\n");
    train_print_settings();
    printf("\nExit status: 0 the run ended, 1 it failed or was stopped, 2 wrong usage.\n\n"
           "  mien train --arch mien-tiny --data fer2013.csv --out runs/tiny\n"
           "  mien train --arch mien-small --data faces/ --init mien-small --lr 0.005 --epochs 10\n");
}

/* A recipe's lines, each between `before` and `after`. */
static void train_print_recipe(const char *recipe, const char *before, const char *after)
{
    for (const char *line = recipe; *line; line += strcspn(line, "\n") + 1)
        printf("%s%.*s%s", before, (int)strcspn(line, "\n"), line, after);
}

static void train_print_list(void)
{
    size_t count;
    const architecture *list = architecture_list(&count);
    for (size_t i = 0; i < count; i++) {
        train_config config;
        model m = {0};
        config_default(&config);
        snprintf(config.arch, sizeof(config.arch), "%s", list[i].name);
        printf("%s: %s\n", list[i].name, list[i].summary);
        if (!architecture_build(&config, &m, NULL, NULL))
            printf("  input %d x %d x %d, %.2f M parameters, %.1f M multiply-adds\n", list[i].width, list[i].height,
                   list[i].channels, (double)nn_graph_parameters(&m.graph) / 1e6,
                   (double)architecture_multiply_adds(&list[i], &m.graph) / 1e6);
        model_done(&m);
        train_print_recipe(list[i].recipe, "  ", "\n");
        if (list[i].random_recipe) {
            printf("  without a backbone:\n");
            train_print_recipe(list[i].random_recipe, "    ", "\n");
        }
    }
}

/* Flags of the settings' table behind the ones above. */
static void train_make_options(struct option *options, char names[][64])
{
    static const struct option fixed[] = {{"config", required_argument, NULL, TRAIN_OPT_CONFIG},
                                          {"resume", no_argument, NULL, TRAIN_OPT_RESUME},
                                          {"show-samples", required_argument, NULL, TRAIN_OPT_SAMPLES},
                                          {"overwrite", no_argument, NULL, TRAIN_OPT_OVERWRITE},
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

/* Returns -1 to go on, or an exit status. */
static int train_read_arguments(int argc, char **argv, train_arguments *arguments)
{
    struct option options[TRAIN_MOST_KEYS + 8];
    char names[TRAIN_MOST_KEYS][64];
    size_t count;
    const config_key *keys = config_keys(&count);
    train_make_options(options, names);
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

static mien_status train_apply(const train_arguments *arguments, train_config *config, mien_error *error)
{
    mien_status status = MIEN_OK;
    if (arguments->config_path)
        status = config_read(config, arguments->config_path, error);
    for (int i = 0; !status && i < arguments->setting_count; i++)
        status = config_set(config, arguments->settings[i].key, arguments->settings[i].value, error);
    return status;
}

/* What a resumed run does otherwise from here on. */
static void train_print_changes(const train_config *before, const train_config *now)
{
    buffer was = {0}, is = {0};
    if (!config_write(before, &was) && !config_write(now, &is))
        for (const char *a = buffer_text(&was), *b = buffer_text(&is); *a && *b;) {
            size_t old = strcspn(a, "\n"), length = strcspn(b, "\n");
            const char *value = memmem(a, old, " = ", 3);
            if (value && (old != length || memcmp(a, b, old) != 0))
                printf("from here on %.*s (it was %.*s)\n", (int)length, b, (int)(a + old - value - 3), value + 3);
            a += old + (a[old] == '\n');
            b += length + (b[length] == '\n');
        }
    buffer_done(&was);
    buffer_done(&is);
}

/* The architecture must be known before its recipe can be laid under the other settings. */
static mien_status train_settle(const train_arguments *arguments, train_config *config, mien_error *error)
{
    train_config first;
    const architecture *arch = NULL;
    config_default(&first);
    mien_status status = train_apply(arguments, &first, error);
    if (!status && arguments->resume)
        status = trainer_read_config(first.out, config, error);
    if (!status && arguments->resume) {
        first = *config;
        status = train_apply(arguments, config, error);
        if (!status && !arguments->quiet && !arguments->group.rank)
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

static void train_print_progress(void *context, const trainer_progress *p)
{
    const train_screen *screen = context;
    if (screen->quiet || !screen->terminal)
        return;
    int left = (int)p->remaining_seconds;
    fprintf(stderr, "\repoch %d/%d step %lld/%lld  loss %.4f  %s %.3f  lr %.2g  %.0f images/s  %d:%02d:%02d left  ",
            p->epoch, p->epochs, (long long)p->step, (long long)p->steps, p->loss,
            p->kind == TRAINER_FACES ? "overlap" : "top-1", p->share, p->rate, p->images_per_second, left / 3600,
            left / 60 % 60, left % 60);
}

static void train_print_figures(const trainer_epoch *e)
{
    const trainer_faces *f = &e->faces;
    printf("epoch %d/%d  loss %.4f  ", e->epoch, e->epochs, e->loss);
    if (e->kind == TRAINER_FACES)
        printf("overlap %.4f | %zu faces  AP %.4f  recall %.4f at 93 %%, %.4f at 95 %% (score %.2f)", e->share,
               f->faces, f->average_precision, f->recall_93, f->recall_95, f->threshold_95);
    else
        printf("top-1 %.4f | validation loss %.4f  top-1 %.4f  macro F1 %.4f", e->share, e->validation.loss,
               e->validation.top1, e->validation.macro_f1);
    if (e->kind == TRAINER_CLASSES && e->votes_top1 >= 0)
        printf("  FER+ %.4f", e->votes_top1);
}

static void train_print_epoch(void *context, const trainer_epoch *e)
{
    const train_screen *screen = context;
    if (screen->quiet)
        return;
    int left = (int)e->remaining_seconds;
    if (screen->terminal)
        fprintf(stderr, "\r\033[K");
    train_print_figures(e);
    printf(" | best %.4f (%d)  %.0f images/s  %d:%02d:%02d left\n", e->best_score, e->best_epoch, e->images_per_second,
           left / 3600, left / 60 % 60, left % 60);
    fflush(stdout);
}

static void train_skip_picture(void *context, const char *path, const mien_error *error)
{
    (void)context;
    (void)path;
    fprintf(stderr, "mien train: left out: %s\n", error->message);
}

static mien_status train_read_data(const train_config *config, const char *path, bool votes, dataset *data,
                                   mien_error *error)
{
    const architecture *arch = NULL;
    mien_status status = architecture_find(config->arch, &arch, error);
    if (status)
        return status;
    dataset_options options = {.votes = votes && *config->votes ? config->votes : NULL, .skip = train_skip_picture};
    options.height = (size_t)arch->height;
    options.width = (size_t)arch->width;
    train_faces *faces = NULL;
    if (config->find_faces) {
        status = train_faces_create(&faces, error);
        options.locate = train_faces_locate;
        options.locate_context = faces;
    }
    if (!status)
        status = dataset_read(path, &options, data, error);
    train_faces_destroy(&faces);
    return status;
}

static bool train_holds_run(const train_config *config)
{
    char path[CONFIG_TEXT + 32];
    snprintf(path, sizeof(path), "%s/checkpoint.bin", config->out);
    return !access(path, F_OK);
}

static void train_join_command(int argc, char **argv, char *command)
{
    size_t used = (size_t)snprintf(command, TRAIN_COMMAND, "%s", argv[0]); /* main.c makes it "mien train" */
    for (int i = 1; i < argc && used < TRAIN_COMMAND; i++)
        used += (size_t)snprintf(command + used, TRAIN_COMMAND - used, " %s", argv[i]);
}

/* Folders without a picture are easily overlooked, and a class that is never seen is never said. */
static void train_name_empty_classes(const train_arguments *arguments, const train_config *config, const dataset *data)
{
    size_t counts[DATASET_CLASSES] = {0}, *rows = NULL, count = 0;
    if (arguments->quiet || arguments->group.rank || dataset_rows(data, config->split, false, &rows, &count, NULL))
        return;
    for (size_t i = 0; i < count; i++)
        counts[data->labels[rows[i]]]++;
    memory_free(rows);
    for (int c = 0; c < DATASET_CLASSES; c++)
        if (!counts[c])
            fprintf(stderr, "mien train: none of the %zu pictures to train on is labelled %s\n", count,
                    mien_emotion_name((mien_emotion)c));
}

static void train_say_end(const train_arguments *arguments, const train_config *config, bool faces)
{
    if (arguments->quiet || arguments->group.rank)
        return;
    if (arguments->samples_path)
        printf("The samples are drawn in %s\n", arguments->samples_path);
    else if (faces)
        printf("The best epoch's network is %s/best.onnx\n", config->out);
    else
        printf("The best epoch's model is %s/best.onnx; `mien eval` measures it\n", config->out);
}

static void train_print_rows(const train_config *config, const trainer_rows *rows)
{
    printf("%s: %zu pictures to train on, %zu to validate on%s\n", config->arch, rows->training, rows->validation,
           rows->held_out ? ", held out of the data" : "");
    fflush(stdout);
}

/* What an earlier run in the same folder left must not be taken for this one's, should it end before it has its own. */
static void train_forget_run(const train_config *config)
{
    static const char *const names[] = {"checkpoint.bin", "best.onnx", "log.jsonl"};
    char path[CONFIG_TEXT + 32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", config->out, names[i]);
        unlink(path);
    }
}

/* A trainer that is there is run to its end and taken down. */
static mien_status train_run(const train_arguments *arguments, const train_config *config, trainer *t,
                             mien_error *error)
{
    train_screen screen = {.quiet = arguments->quiet || arguments->group.rank, .terminal = isatty(STDERR_FILENO)};
    trainer_events events = {&screen, train_print_progress, train_print_epoch, &train_stop};
    trainer_rows rows = trainer_count_rows(t);
    if (!screen.quiet)
        train_print_rows(config, &rows);
    if (arguments->overwrite && !arguments->resume && !arguments->group.rank)
        train_forget_run(config);
    mien_status status = arguments->resume ? trainer_resume(t, error) : MIEN_OK;
    if (!status)
        status = trainer_run(t, &events, error);
    trainer_destroy(&t);
    return status;
}

static mien_status train_classes(const train_arguments *arguments, const train_config *config, const char *command,
                                 mien_error *error)
{
    dataset training = {0}, other = {0};
    trainer_place place = {command, &arguments->group, shipped_load};
    trainer *t = NULL;
    mien_status status = train_read_data(config, config->data, true, &training, error);
    if (!status && *config->validation && !arguments->samples_path)
        status = train_read_data(config, config->validation, false, &other, error);
    if (!status)
        train_name_empty_classes(arguments, config, &training);
    if (!status && arguments->samples_path)
        status = train_show_emotions(config, &training, arguments->samples_path, error);
    else if (!status)
        status = trainer_create(config, &training, *config->validation ? &other : &training, &place, &t, error);
    if (!status && t)
        status = train_run(arguments, config, t, error);
    dataset_done(&training);
    dataset_done(&other);
    return status;
}

static mien_status train_detector(const train_arguments *arguments, const train_config *config, const char *command,
                                  mien_error *error)
{
    face_dataset data = {0};
    face_dataset_options options = {.skip = train_skip_picture};
    trainer_place place = {command, &arguments->group, shipped_load};
    trainer *t = NULL;
    mien_status status = face_dataset_read_configured(config, &options, &data, error);
    if (!status && arguments->samples_path)
        status = train_show_faces(config, &data, arguments->samples_path, error);
    else if (!status)
        status = trainer_create_faces(config, &data, &place, &t, error);
    if (!status && t)
        status = train_run(arguments, config, t, error);
    face_dataset_done(&data);
    return status;
}

/* Who forgot the backbone's file should see it before the night is over. */
static void train_say_random(const train_arguments *arguments, const train_config *config, const architecture *arch)
{
    if (!arch->random_recipe || *config->backbone || arguments->resume || arguments->quiet || arguments->group.rank)
        return;
    printf("%s: no backbone, so all layers begin with random weights; where not set otherwise:", arch->name);
    train_print_recipe(arch->random_recipe, " ", ";");
    printf("\n");
    fflush(stdout);
}

static int train_with_data(train_arguments *arguments, const train_config *config, const char *command)
{
    mien_error error = {0};
    const architecture *arch = NULL;
    mien_status status = architecture_find(config->arch, &arch, &error);
    if (!status)
        train_say_random(arguments, config, arch);
    if (!status)
        status = arch->detector ? train_detector(arguments, config, command, &error)
                                : train_classes(arguments, config, command, &error);
    arguments->together = !status || status == MIEN_ECANCELLED;
    if (status == MIEN_ECANCELLED && arguments->group.rank)
        return EXIT_FAILURE;
    if (status == MIEN_ECANCELLED) {
        fprintf(stderr, "\nmien train: %s; go on with: mien train --resume --out %s\n", error.message, config->out);
        return EXIT_FAILURE;
    }
    if (status)
        return train_fail(&error);
    train_say_end(arguments, config, arch->detector);
    return EXIT_SUCCESS;
}

/* Everything that must be known before data are read. Returns -1 to go on, or an exit status. */
static int train_check(const train_arguments *arguments, train_config *config)
{
    mien_error error = {0};
    if (train_settle(arguments, config, &error))
        return train_fail(&error);
    if (!*config->data) {
        fprintf(stderr, "mien train: --data is missing; `mien train --help` tells more\n");
        return EXIT_USAGE;
    }
    if (!arguments->resume)
        train_fit_microbatch(arguments, config);
    bool begins = !arguments->resume && !arguments->samples_path;
    if (begins && !arguments->overwrite && !arguments->group.rank && train_holds_run(config)) {
        fprintf(stderr, "mien train: %s holds a run already: --resume goes on with it, --overwrite replaces it\n",
                config->out);
        return EXIT_USAGE;
    }
    if (!strcmp(config->precision, "bf16") && !(cpu_flags() & CPU_AVX512_BF16)) {
        fprintf(stderr, "mien train: this processor has no bf16 arithmetic; training in f32\n");
        config_set(config, "precision", "f32", NULL);
    }
    return -1;
}

int cmd_train(int argc, char **argv)
{
    train_arguments arguments = {0};
    train_config config;
    mien_error error = {0};
    char command[TRAIN_COMMAND];
    train_join_command(argc, argv, command);
    int done = train_read_arguments(argc, argv, &arguments);
    if (done >= 0)
        return done;
    if (cluster_start(&arguments.group, &error))
        return train_fail(&error);
    done = train_check(&arguments, &config);
    /* a process that gives up must not leave the others waiting for it */
    if (cluster_agree(&arguments.group, done >= 0 ? MIEN_EINVAL : MIEN_OK, &error) && done < 0)
        done = EXIT_USAGE;
    if (done < 0) {
        struct sigaction action = {.sa_handler = train_on_signal, .sa_flags = (int)SA_RESETHAND};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        done = train_with_data(&arguments, &config, command);
    }
    /* to leave MPI without saying goodbye is what makes its launcher end the others as well */
    if (arguments.together || arguments.group.size < 2)
        cluster_stop(&arguments.group);
    return done;
}
