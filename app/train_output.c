/* A line for each epoch goes to standard output, the steps in between only to a terminal, so that a file of the output
 * can be read. */
#include "train_output.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

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

void train_print_rows(const train_config *config, const trainer_rows *rows)
{
    printf("%s: %zu pictures to train on, %zu to validate on%s\n", config->arch, rows->training, rows->validation,
           rows->held_out ? ", held out of the data" : "");
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

void train_print_progress(void *context, const trainer_progress *p)
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

void train_print_epoch(void *context, const trainer_epoch *e)
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

void train_print_end(const train_config *config, const char *samples_path, bool faces)
{
    if (samples_path)
        printf("The samples are drawn in %s\n", samples_path);
    else if (faces)
        printf("The best epoch's network is %s/best.onnx\n", config->out);
    else
        printf("The best epoch's model is %s/best.onnx; `mien eval` measures it\n", config->out);
}
