/* Lines of a text file that may be packed with xz, without holding the file in memory. */
#ifndef TRAIN_DATASET_LINES_H
#define TRAIN_DATASET_LINES_H

#include <mien/base.h>

typedef struct dataset_lines dataset_lines;

mien_status dataset_lines_open(const char *path, dataset_lines **lines, mien_error *error);
void dataset_lines_close(dataset_lines **lines);
/** The next line without its end, NUL-terminated, valid until the next call; *line is NULL after the last one. */
mien_status dataset_lines_next(dataset_lines *lines, char **line, size_t *length, mien_error *error);
/** Number of the line last given, from 1. */
size_t dataset_lines_number(const dataset_lines *lines);

#endif
