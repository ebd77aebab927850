/* The options that `mien detect`, `mien video` and `mien bench` have in common: which models look, by which preset, for
 * how small a face. Their rows of the getopt table and their lines of the help stand here once. */
#ifndef APP_VISION_OPTIONS_H
#define APP_VISION_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include <mien/mien.h>

/** What getopt_long gives for them; a subcommand's own options begin at OPTION_OWN. */
enum {
    OPTION_PRESET = 256,
    OPTION_MODEL,
    OPTION_PRECISION,
    OPTION_DETECTOR,
    OPTION_CASCADE,
    OPTION_MIN_FACE,
    OPTION_OWN
};

/** Rows for getopt_long. */
/* clang-format off */
#define VISION_OPTIONS                                   \
    {"preset", required_argument, NULL, OPTION_PRESET},       \
    {"model", required_argument, NULL, OPTION_MODEL},         \
    {"precision", required_argument, NULL, OPTION_PRECISION}, \
    {"detector", required_argument, NULL, OPTION_DETECTOR},   \
    {"cascade", required_argument, NULL, OPTION_CASCADE},     \
    {"min-face", required_argument, NULL, OPTION_MIN_FACE}
/* clang-format on */

/** What help says of them; of models and precisions a subcommand that takes several says something else. */
#define VISION_HELP VISION_HELP_PRESET VISION_HELP_EMOTION VISION_HELP_FINDING
#define VISION_HELP_PRESET "  --preset NAME        default, neo, faceml or history-api: detector and settings to use\n"
#define VISION_HELP_EMOTION                                                                                            \
    "  --model FILE         emotion model (.onnx), or one that ships: mien-wide (default), mien-small\n"               \
    "  --precision P        arithmetic of the emotion model: f32, bf16, int8, or auto (default): int8 for\n"           \
    "                       models that carry their ranges, on processors that have it; else f32\n"
#define VISION_HELP_FINDING                                                                                            \
    "  --detector FILE      face network (.onnx) instead of the shipped one\n"                                         \
    "  --cascade FILE       OpenCV cascade (.xml) for the presets that use one\n"                                      \
    "  --min-face PX        smallest face side in pixels; fewer pixels, more faces and more time\n"                    \
    "                       (default: the preset's rule; for default 32 of a picture fitted into 1024)\n"

typedef enum option_outcome { OPTION_TAKEN, OPTION_WRONG, OPTION_UNKNOWN } option_outcome;

/** Take one of these options; `text` is kept. OPTION_WRONG has been said on standard error, with the command's name. */
option_outcome vision_option(const char *command, int option, const char *text, mien_analyzer_options *analyzer,
                             mien_analyze_options *analyze);

/** Read a subcommand's arguments: its own options go to `take`, --help prints `help`.
 *  @return -1 to go on with the operands from argv[optind], or the exit status. */
int options_read(const char *command, int argc, char **argv, const struct option *table, const char *help,
                 option_outcome (*take)(int option, const char *text, void *settings), void *settings);

/** The number that an option was given, whole where `whole`; false after saying on standard error what it should be
 * (`range`). */
bool option_number(const char *command, const char *option, const char *text, double low, double high, bool whole,
                   const char *range, double *value);

#endif
