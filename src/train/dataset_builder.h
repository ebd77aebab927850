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

/** The split of rows that their source calls "test", until it is known whether others are there to validate on. */
enum { DATASET_TEST = DATASET_SPLITS };

/** Room for one more row; *pixels is where its height × width bytes go. The size must have been set before. */
mien_status dataset_builder_add(dataset_builder *builder, uint8_t label, uint8_t split, const char *path,
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

/** Cut `line` at its commas in place; a field in double quotes may hold commas and doubled
 *  quotes. Returns how many fields there are (at
 *  most `capacity` are stored). */
int dataset_split_fields(char *line, char **fields, int capacity);
/** A split by its name, blanks around it left out; "test" is DATASET_TEST. */
mien_status dataset_parse_split(const char *text, uint8_t *split, mien_error *error);
/** "0".."6" or a name; false when it is neither, or contempt, which models but not labels may call disgust. */
bool dataset_parse_label(const char *text, uint8_t *label);
/** Says that `label` is none of ours, and which ones are. @return MIEN_EFORMAT. */
mien_status dataset_unknown_label(const char *label, mien_error *error);

#endif
