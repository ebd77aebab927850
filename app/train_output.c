/* A line for each epoch goes to standard output. What happens in between goes to standard error: on a terminal as one
 * line that is written over and over, else as a plain line now and then, since the epochs of a large network take many
 * minutes and a file should show as well that the run lives, how fast it is and how long it will take. */
#include "train_output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { OUTPUT_COLUMNS = 80, OUTPUT_LINE = 256 };
static const double output_first_ms = 10000; /* soon enough to see that a run would take a week */

void train_screen_init(train_screen *screen, const train_config *config, bool quiet, double progress_seconds)
{
    *screen = (train_screen){.quiet = quiet,
                             .terminal = isatty(STDERR_FILENO),
                             .progress_ms = 1000 * progress_seconds,
                             .told_ms = clock_monotonic_ms(),
                             .patience = config->patience};
}

void train_print_recipe(const char *recipe, const char *before, const char *after)
{
    for (const char *line = recipe; *line; line += strcspn(line, "\n") + 1)
        printf("%s%.*s%s", before, (int)strcspn(line, "\n"), line, after);
}

void train_print_list(void)
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

void train_print_changes(const train_config *before, const train_config *now)
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

void train_print_begin(const train_config *config, const trainer_rows *rows)
{
    printf("%s: %zu pictures to train on, %zu to validate on%s\n", config->arch, rows->training, rows->validation,
           rows->held_out ? ", held out of the data" : "");
    printf("settings: epochs %d, batch %d, %s, learning rate %g (%s), %s, threads: %d; %s/config.txt has them all\n",
           config->epochs, config->batch, config->optimizer, (double)config->lr, config->schedule, config->precision,
           config->threads, config->out);
    fflush(stdout);
}

void train_print_random(const architecture *arch)
{
    printf("%s: no backbone, so all layers begin with random weights; where not set otherwise:", arch->name);
    train_print_recipe(arch->random_recipe, " ", ";");
    printf("\n");
    fflush(stdout);
}

/* Folders without a picture are easily overlooked, and a class that is never seen is never said. */
void train_print_empty_classes(const train_config *config, const dataset *data)
{
    size_t counts[DATASET_CLASSES] = {0}, *rows = NULL, count = 0;
    if (dataset_rows(data, config->split, false, &rows, &count, NULL))
        return;
    for (size_t i = 0; i < count; i++)
        counts[data->labels[rows[i]]]++;
    memory_free(rows);
    for (int c = 0; c < DATASET_CLASSES; c++)
        if (!counts[c])
            fprintf(stderr, "mien train: none of the %zu pictures to train on is labelled %s\n", count,
                    mien_emotion_name((mien_emotion)c));
}

/* A line that is longer than the terminal is wide would begin a new one at every turn. */
static void train_overwrite_line(const char *line)
{
    struct winsize window = {0};
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || !window.ws_col ? OUTPUT_COLUMNS : window.ws_col;
    fprintf(stderr, "\r%.*s\033[K", columns - 1, line);
}

/* Whether it is time for a line where there is no terminal. */
static bool train_progress_due(train_screen *screen)
{
    double now = clock_monotonic_ms();
    double wait = screen->told ? screen->progress_ms : fmin(screen->progress_ms, output_first_ms);
    if (screen->progress_ms <= 0 || now - screen->told_ms < wait)
        return false;
    screen->told_ms = now;
    screen->told = true;
    return true;
}

void train_print_progress(void *context, const trainer_progress *p)
{
    train_screen *screen = context;
    char line[OUTPUT_LINE];
    int left = (int)p->remaining_seconds;
    if (screen->quiet || (!screen->terminal && !train_progress_due(screen)))
        return;
    snprintf(line, sizeof(line),
             "epoch %d/%d step %lld/%lld  %.0f images/s  %d:%02d:%02d left  loss %.4f  %s %.3f  lr %.2g", p->epoch,
             p->epochs, (long long)p->step, (long long)p->steps, p->images_per_second, left / 3600, left / 60 % 60,
             left % 60, p->loss, p->kind == TRAINER_FACES ? "overlap" : "top-1", p->share, p->rate);
    if (screen->terminal)
        train_overwrite_line(line);
    else
        fprintf(stderr, "%s\n", line);
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

void train_print_epoch(void *context, const trainer_epoch *e)
{
    train_screen *screen = context;
    if (screen->quiet)
        return;
    int left = (int)e->remaining_seconds;
    screen->told_ms = clock_monotonic_ms();
    screen->told = true;
    if (screen->terminal)
        fprintf(stderr, "\r\033[K");
    train_print_figures(e);
    printf(" | best %.4f (%d)  lr %.2g  %.0f images/s  %d:%02d:%02d left\n", e->best_score, e->best_epoch, e->rate,
           e->images_per_second, left / 3600, left / 60 % 60, left % 60);
    if (screen->patience > 0 && e->epoch - e->best_epoch >= screen->patience && e->epoch < e->epochs)
        printf("The run ends here: no later epoch was better than epoch %d (patience = %d)\n", e->best_epoch,
               screen->patience);
    fflush(stdout);
}

void train_print_end(const train_config *config, const char *samples_path, bool faces)
{
    if (samples_path)
        printf("The samples are drawn in %s\n", samples_path);
    else if (faces)
        printf("The best epoch's network is %s/best.onnx\n", config->out);
    else
        printf("The best epoch's model is %s/best.onnx; `mien eval` measures it\n", config->out);
}
