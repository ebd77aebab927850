/* The options that `mien detect` and `mien video` have in common: which models look, by which preset, for how small a
 * face. Each subcommand names them in its own getopt table and help. */
#ifndef APP_VISION_OPTIONS_H
#define APP_VISION_OPTIONS_H

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

typedef enum option_outcome { OPTION_TAKEN, OPTION_WRONG, OPTION_UNKNOWN } option_outcome;

/** Take one of these options; `text` is kept. OPTION_WRONG has been said on standard error, with the command's name. */
option_outcome vision_option(const char *command, int option, const char *text, mien_analyzer_options *analyzer,
                             mien_analyze_options *analyze);

/** The number that an option was given; false after saying on standard error what it should be (`range`). */
bool option_number(const char *command, const char *option, const char *text, double low, double high,
                   const char *range, double *value);

#endif
