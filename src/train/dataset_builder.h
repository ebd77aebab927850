/* A data set while it is being read: shared by the readers of train/, used by nobody else. */
#ifndef TRAIN_DATASET_BUILDER_H
#define TRAIN_DATASET_BUILDER_H

#include "train/dataset.h"
#include "train/dataset_lines.h"

typedef struct dataset_builder {
    dataset data;
    size_t capacity, most_rows;
    dataset_options options;
} dataset_builder;

/** Room for one more row; *pixels is where its height × width bytes go. The size must have been set before. */
mien_status dataset_builder_add(dataset_builder *builder, uint8_t label, dataset_split split, const char *path,
                                uint8_t **pixels, mien_error *error);

/** The kinds of source. `lines` stands after the header, whose columns are given; -1 = absent. */
typedef struct dataset_columns {
    int label, pixels, path, split;
} dataset_columns;

mien_status dataset_read_pixels(dataset_builder *builder, const char *path, dataset_lines *lines,
                                dataset_columns columns, mien_error *error);
mien_status dataset_read_paths(dataset_builder *builder, const char *path, dataset_lines *lines,
                               dataset_columns columns, mien_error *error);
mien_status dataset_read_folder(dataset_builder *builder, const char *path, mien_error *error);
mien_status dataset_read_votes(dataset *data, const char *path, mien_error *error);

/** Cut `line` at its commas in place; a field in double quotes may hold commas. Returns how many fields there are (at
 *  most `capacity` are stored). */
int dataset_split_fields(char *line, char **fields, int capacity);
/** "0".."6" or a name; false when it is neither. */
bool dataset_parse_label(const char *text, uint8_t *label);
/** Says that `label` is none of ours, and which ones are. @return MIEN_EFORMAT. */
mien_status dataset_unknown_label(const char *label, mien_error *error);

#endif
