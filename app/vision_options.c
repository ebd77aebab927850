/* Options that subcommands share, read in one place so that they mean and refuse the same everywhere. */
#include "vision_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "commands.h"

bool option_number(const char *command, const char *option, const char *text, double low, double high, bool whole,
                   const char *range, double *value)
{
    double number;
    if (!number_parse(text, low, high, &number) || (whole && number != floor(number))) {
        fprintf(stderr, "mien %s: --%s %s: expected %s\n", command, option, text, range);
        return false;
    }
    *value = number;
    return true;
}

int options_read(const char *command, int argc, char **argv, const struct option *table, const char *help,
                 option_outcome (*take)(int option, const char *text, void *settings), void *settings)
{
    int option;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        option_outcome outcome = take(option, optarg, settings);
        if (outcome == OPTION_UNKNOWN)
            fprintf(stderr, "`mien %s --help` lists the options\n", command);
        if (outcome != OPTION_TAKEN)
            return EXIT_USAGE;
    }
    return -1;
}

static option_outcome named(const char *command, mien_status status, const mien_error *error)
{
    if (!status)
        return OPTION_TAKEN;
    fprintf(stderr, "mien %s: %s\n", command, error->message);
    return OPTION_WRONG;
}

option_outcome vision_option(const char *command, int option, const char *text, mien_analyzer_options *analyzer,
                             mien_analyze_options *analyze)
{
    mien_error error = {0};
    double pixels = 0;
    switch (option) {
    case OPTION_PRESET:
        return named(command, mien_preset_from_name(text, &analyze->preset, &error), &error);
    case OPTION_MODEL:
        analyzer->model_path = text;
        return OPTION_TAKEN;
    case OPTION_PRECISION:
        return named(command, mien_precision_from_name(text, &analyzer->precision, &error), &error);
    case OPTION_DETECTOR:
        analyzer->detector_path = text;
        return OPTION_TAKEN;
    case OPTION_CASCADE:
        analyzer->cascade_path = text;
        return OPTION_TAKEN;
    case OPTION_MIN_FACE:
        if (!option_number(command, "min-face", text, 1, 1e6, true, "a number of pixels, 1 to 1000000", &pixels))
            return OPTION_WRONG;
        analyze->min_face = (int32_t)pixels;
        return OPTION_TAKEN;
    default:
        return OPTION_UNKNOWN;
    }
}
