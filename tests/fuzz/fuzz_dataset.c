/* Guards the readers of training data against any bytes: a CSV (plain or packed), and a file of votes beside a good
 * one. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "train/dataset.h"

static const char rows[] = "emotion,pixels,Usage\n0,0 1 2 255,Training\n3,9 8 7 6,PublicTest\n";

/* Bytes as a file that needs no disk. */
static int as_file(const char *name, const void *bytes, size_t length, char *path, size_t capacity)
{
    int fd = memfd_create(name, 0);
    if (fd >= 0 && write(fd, bytes, length) != (ssize_t)length) {
        close(fd);
        return -1;
    }
    snprintf(path, capacity, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char any[64], good[64];
    mien_error error;
    dataset read = {0};
    dataset_options options = {.most_rows = 1000};
    int fd_any = as_file("any", data, size, any, sizeof(any));
    int fd_good = as_file("good", rows, sizeof(rows) - 1, good, sizeof(good));
    if (fd_any >= 0 && fd_good >= 0) {
        if (!dataset_read(any, &options, &read, &error))
            dataset_done(&read);
        options.votes = any;
        if (!dataset_read(good, &options, &read, &error))
            dataset_done(&read);
    }
    if (fd_any >= 0)
        close(fd_any);
    if (fd_good >= 0)
        close(fd_good);
    return 0;
}
