/* FER+ (Barsoum et al. 2016): ten people's votes for each row of FER-2013, in the same order. The rows must match in
 * number; a file for all three splits serves a data set that has only the first two, since Training and PublicTest come
 * first in both. Ours are seven classes: contempt has no place among them, so its votes are left out like "unknown". */
#include "train/dataset_builder.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/memory.h"

enum { VOTES_FIELDS = 2 + DATASET_VOTES };

static const mien_emotion votes_class[DATASET_VOTES] = {
    [VOTE_NEUTRAL] = MIEN_EMOTION_NEUTRAL,   [VOTE_HAPPINESS] = MIEN_EMOTION_HAPPY,
    [VOTE_SURPRISE] = MIEN_EMOTION_SURPRISE, [VOTE_SADNESS] = MIEN_EMOTION_SAD,
    [VOTE_ANGER] = MIEN_EMOTION_ANGRY,       [VOTE_DISGUST] = MIEN_EMOTION_DISGUST,
    [VOTE_FEAR] = MIEN_EMOTION_FEAR,         [VOTE_CONTEMPT] = MIEN_EMOTION_COUNT,
    [VOTE_UNKNOWN] = MIEN_EMOTION_COUNT,     [VOTE_NOT_FACE] = MIEN_EMOTION_COUNT,
};

bool dataset_soft_votes(const uint8_t votes[DATASET_VOTES], float target[DATASET_CLASSES])
{
    float sum = 0, share[DATASET_CLASSES] = {0};
    for (int i = 0; i < DATASET_VOTES; i++)
        if (votes_class[i] < MIEN_EMOTION_COUNT) {
            share[votes_class[i]] += votes[i];
            sum += votes[i];
        }
    if (sum <= 0)
        return false;
    for (int c = 0; c < DATASET_CLASSES; c++)
        target[c] = share[c] / sum;
    return true;
}

static int votes_largest(const uint8_t votes[DATASET_VOTES])
{
    int best = 0;
    for (int i = 1; i < DATASET_VOTES; i++)
        if (votes[i] > votes[best])
            best = i;
    return best;
}

bool dataset_plurality(const uint8_t votes[DATASET_VOTES], uint8_t *label)
{
    int best = votes_largest(votes);
    if (!votes[best] || votes_class[best] >= MIEN_EMOTION_COUNT)
        return false;
    *label = (uint8_t)votes_class[best];
    return true;
}

bool dataset_majority(const uint8_t votes[DATASET_VOTES], uint8_t *label)
{
    int sum = 0, most = votes[votes_largest(votes)];
    for (int i = 0; i < DATASET_VOTES; i++)
        sum += votes[i] > 1 ? votes[i] : 0;
    return most > 1 && 2 * most > sum && dataset_plurality(votes, label);
}

/* Columns have no other names in the rows, so another order of them would be another meaning. */
static mien_status votes_check_header(char *line, mien_error *error)
{
    static const char *const names[VOTES_FIELDS] = {"Usage",    "Image name", "neutral", "happiness",
                                                    "surprise", "sadness",    "anger",   "disgust",
                                                    "fear",     "contempt",   "unknown", "NF"};
    char *fields[VOTES_FIELDS];
    int count = dataset_split_fields(line, fields, VOTES_FIELDS);
    for (int i = 0; i < VOTES_FIELDS; i++)
        if (i >= count || strcasecmp(fields[i], names[i]))
            return error_set(error, MIEN_EFORMAT, "column %d is '%.40s' instead of '%s' as in fer2013new.csv", i + 1,
                             i < count ? fields[i] : "", names[i]);
    return MIEN_OK;
}

static mien_status votes_parse_row(char *line, uint8_t votes[DATASET_VOTES], uint8_t *not_face, char **usage,
                                   mien_error *error)
{
    char *fields[VOTES_FIELDS];
    int count = dataset_split_fields(line, fields, VOTES_FIELDS);
    if (count != VOTES_FIELDS)
        return error_set(error, MIEN_EFORMAT, "%d fields instead of %d", count, VOTES_FIELDS);
    int most = 0;
    for (int i = 0; i < DATASET_VOTES; i++) {
        char *end = NULL;
        long value = strtol(fields[2 + i], &end, 10);
        if (end == fields[2 + i] || *end || value < 0 || value > 255)
            return error_set(error, MIEN_EFORMAT, "'%.40s' is not a number of votes", fields[2 + i]);
        votes[i] = (uint8_t)value;
        if (votes[i] > votes[most])
            most = i;
    }
    *not_face = !fields[1][0] || most == VOTE_NOT_FACE;
    *usage = fields[0];
    return MIEN_OK;
}

static mien_status votes_read_line(dataset *data, size_t row, char *line, mien_error *error)
{
    char *usage = NULL;
    mien_status status = votes_parse_row(line, data->votes + row * DATASET_VOTES, &data->not_face[row], &usage, error);
    dataset_split split = DATASET_TRAINING;
    if (!status)
        status = dataset_split_from_name(usage, &split, error);
    if (!status && split != data->splits[row])
        status = error_set(error, MIEN_EFORMAT, "row %zu is of %s here and of %s in the data: the files do not match",
                           row + 1, usage, dataset_split_name(data->splits[row]));
    return status;
}

static mien_status votes_read_lines(dataset *data, const char *path, dataset_lines *lines, mien_error *error)
{
    size_t row = 0;
    for (;;) {
        char *line = NULL;
        size_t length = 0;
        mien_status status = dataset_lines_next(lines, &line, &length, error);
        if (status)
            return status;
        if (!line || row == data->count)
            break;
        if (dataset_lines_number(lines) == 1)
            status = votes_check_header(line, error);
        else if (length)
            status = votes_read_line(data, row++, line, error);
        if (status)
            return error_prefix(error, status, "%s, line %zu", path, dataset_lines_number(lines));
    }
    if (row < data->count)
        return error_set(error, MIEN_EFORMAT, "%s: votes for %zu rows, but there are %zu pictures", path, row,
                         data->count);
    return MIEN_OK;
}

mien_status dataset_read_votes(dataset *data, const char *path, mien_error *error)
{
    data->votes = memory_zeroed(data->count, DATASET_VOTES);
    data->not_face = memory_zeroed(data->count, 1);
    if (!data->votes || !data->not_face)
        return error_no_memory(error, data->count * (DATASET_VOTES + 1));
    dataset_lines *lines = NULL;
    mien_status status = dataset_lines_open(path, &lines, error);
    if (!status)
        status = votes_read_lines(data, path, lines, error);
    dataset_lines_close(&lines);
    return status;
}
