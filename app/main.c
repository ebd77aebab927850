/* `mien`: one program, one table of subcommands. Everything it can do is in the library; the program only reads
 * arguments, prints and sets the exit status. */
#include <stdio.h>
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
    {"calibrate", cmd_calibrate, "add to a model what it needs to run in eight bits"},
};

static void print_help(FILE *to)
{
    fprintf(to, "mien %s: apparent facial expression in pictures, videos and live frames\n\n", mien_version());
    fprintf(to, "usage: mien <command> [options]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n`mien <command> --help` explains one command.\n"
                "First steps:  mien detect photo.jpg     mien serve\n\n"
                "A label is the expression that a face appears to show, not what a person feels.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("mien %s\n", mien_version());
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "mien: there is no command \"%s\"; `mien --help` lists them\n", name);
    return EXIT_USAGE;
}
