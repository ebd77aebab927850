/* The trainer as it stands: the network `baseline` with its recipe's augmentation, batch 128, reading from memory;
 * images a second by the wall clock and by processor time (times the threads: what idle cores would give), as one JSON
 * object. Arguments: precision, threads, pictures, epochs, and optionally another architecture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "train/architecture.h"
#include "train/trainer.h"

static dataset make_noise(size_t count)
{
    dataset data = {.count = count, .height = 48, .width = 48};
    random_state stream;
    random_seed(&stream, 1, 1);
    data.pixels = memory_array(count, 48 * 48);
    data.labels = memory_array(count, 1);
    data.splits = memory_zeroed(count, 1);
    if (!data.pixels || !data.labels || !data.splits)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < count * 48 * 48; i++)
        data.pixels[i] = (uint8_t)random_below(&stream, 256);
    for (size_t i = 0; i < count; i++)
        data.labels[i] = (uint8_t)random_below(&stream, DATASET_CLASSES);
    data.splits[0] = DATASET_PUBLIC_TEST; /* nothing to speak of is validated */
    return data;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        return 2;
    size_t pictures = (size_t)atoll(argv[3]);
    char folder[] = "/tmp/mien_bench_XXXXXX", command[64];
    const architecture *arch = NULL;
    train_config config;
    trainer *t = NULL;
    mien_error error = {0};
    if (!mkdtemp(folder))
        return 1;
    dataset data = make_noise(pictures);
    config_default(&config);
    mien_status status = architecture_find(argc == 6 ? argv[5] : "baseline", &arch, &error);
    if (!status)
        status = config_set(&config, "arch", arch->name, &error);
    if (!status)
        status = config_parse(&config, arch->recipe, arch->name, &error);
    if (!status)
        status = config_set(&config, "precision", argv[1], &error);
    if (!status)
        status = config_set(&config, "threads", argv[2], &error);
    if (!status)
        status = config_set(&config, "epochs", argv[4], &error);
    config.ema = 0; /* the peer has neither */
    config.statistics = 0;
    if (!status)
        status = config_set(&config, "out", folder, &error);
    if (!status)
        status = trainer_create(&config, &data, &data, NULL, &t, &error);
    double begin = clock_monotonic_ms();
    uint64_t used = clock_cpu_ns();
    if (!status)
        status = trainer_run(t, NULL, &error);
    double wall = (clock_monotonic_ms() - begin) / 1e3, processor = (double)(clock_cpu_ns() - used) / 1e9;
    double images = (double)((pictures - 1) / (size_t)config.batch * (size_t)config.batch * (size_t)config.epochs);
    if (status)
        fprintf(stderr, "%s\n", error.message);
    else
        printf("{\"wall\": %.1f, \"processor\": %.1f}\n", images / wall, images / processor * config.threads);
    trainer_destroy(&t);
    dataset_done(&data);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) || status ? EXIT_FAILURE : EXIT_SUCCESS;
}
