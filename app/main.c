/* `mien`: one program, one table of subcommands. Everything it can do is in the library; the program only reads
 * arguments, prints and sets the exit status. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mien/mien.h>

#include "commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"detect", cmd_detect, "find faces in pictures and say which expression each shows"},
    {"video", cmd_video, "follow the faces of a video and sum up what each shows"},
    {"serve", cmd_serve, "answer over HTTP, WebSocket and Socket.IO, with a web page"},
    {"train", cmd_train, "train a model from FER-2013 or from your own pictures"},
    {"eval", cmd_eval, "measure models and compare them"},
    {"bench", cmd_bench, "measure how fast mien is on this machine"},
};

static void print_help(FILE *to)
{
    fprintf(to, "mien %s: apparent facial expression in pictures, videos and live frames\n\n", mien_version());
    fprintf(to, "usage: mien <command> [options]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n`mien <command> --help` explains one command.\n"
                "First steps:  mien detect photo.jpg     mien serve\n\n"
                "A label is the expression that a face appears to show, not what a person feels.\n");
}

/* A closed standard stream is replaced by one that refuses, or the next file that is opened would take its number and
 * be written over by what we print. */
static void fill_closed_streams(void)
{
    for (int stream = 0; stream <= 2; stream++)
        if (fcntl(stream, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", stream ? O_RDONLY : O_WRONLY); /* the lowest free number is this one */
}

/* What was printed may still fail to arrive: a full disk must not look like success. */
static int finish(int status)
{
    bool lost = ferror(stdout);
    errno = 0;
    lost |= fflush(stdout) != 0;
    if (!lost)
        return status;
    fprintf(stderr, "mien: standard output cannot be written%s%s\n", errno ? ": " : "", errno ? strerror(errno) : "");
    return status ? status : EXIT_FAILURE;
}

static int run(int argc, char **argv)
{
    static char help[] = "--help";
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    bool asks = !strcmp(name, "help");
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || (asks && argc == 2)) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("mien %s\n", mien_version());
        return 0;
    }
    if (asks) { /* `mien help detect` is `mien detect --help` */
        argv[1] = argv[2];
        argv[2] = help;
        argc = 3;
        name = argv[1];
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(name, commands[i].name)) {
            char full_name[32];
            snprintf(full_name, sizeof full_name, "mien %s", name);
            argv[1] = full_name; /* getopt begins its messages with it */
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "mien: there is no command \"%s\"; `mien --help` lists them\n", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    fill_closed_streams();
    return finish(run(argc, argv));
}
