/* `mien train`: reads the settings and the data, and runs the trainer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "commands.h"
#include "pipeline/shipped.h"
#include "train/architecture.h"
#include "train/trainer.h"
#include "train_arguments.h"
#include "train_faces.h"
#include "train_output.h"
#include "train_samples.h"

enum { TRAIN_COMMAND = 4096 };

/* A signal handler can only reach what is static. */
static atomic_bool train_stop;

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
    train_screen screen;
    train_screen_init(&screen, config, train_arguments_quiet(arguments), arguments->progress);
    trainer_events events = {&screen, train_print_progress, train_print_epoch, &train_stop};
    trainer_rows rows = trainer_count_rows(t);
    if (!screen.quiet)
        train_print_begin(config, &rows);
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
    if (!status && !train_arguments_quiet(arguments))
        train_print_empty_classes(config, &training);
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

static int train_with_data(train_arguments *arguments, const train_config *config, const char *command)
{
    mien_error error = {0};
    const architecture *arch = NULL;
    mien_status status = architecture_find(config->arch, &arch, &error);
    if (!status && arch->random_recipe && !*config->backbone && !arguments->resume && !train_arguments_quiet(arguments))
        train_print_random(arch);
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
    if (!train_arguments_quiet(arguments))
        train_print_end(config, arguments->samples_path, arch->detector);
    return EXIT_SUCCESS;
}

/* Everything that must be known before data are read. Returns -1 to go on, or an exit status. */
static int train_check(const train_arguments *arguments, train_config *config)
{
    mien_error error = {0};
    if (train_arguments_settle(arguments, config, &error))
        return train_fail(&error);
    if (!*config->data) {
        fprintf(stderr, "mien train: --data is missing; `mien train --help` tells more\n");
        return EXIT_USAGE;
    }
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
    int done = train_arguments_read(argc, argv, &arguments);
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
