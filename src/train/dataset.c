/* The front of the data set readers: tells the kind of source by what it is (a folder, or a CSV by its header), keeps
 * the growing arrays and answers questions about rows. Everything is held as 8-bit pixels: all of FER-2013 is 82 MB,
 * which leaves no reading to do while training. */
#include "train/dataset.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "emotion/emotion.h"
#include "train/dataset_builder.h"
#include "train/quoted.h"

enum { DATASET_SIDE = 48, DATASET_MOST_SIDE = 4096, DATASET_FIELDS = 32, DATASET_FIRST_ROWS = 1024 };
/* Models that have this class answer "disgust" with it; pictures of it must not teach disgust. */
static const char dataset_contempt[] = "contempt";
static const size_t dataset_most_rows = 10000000;

static const char dataset_test[] = "test";
static const char *const dataset_split_names[DATASET_SPLITS] = {"Training", "PublicTest", "PrivateTest"};

const char *dataset_split_name(dataset_split split)
{
    return (unsigned)split < DATASET_SPLITS ? dataset_split_names[split] : NULL;
}

mien_status dataset_split_from_name(const char *name, dataset_split *split, mien_error *error)
{
    static const struct {
        const char *name;
        dataset_split split;
    } names[] = {{"Training", DATASET_TRAINING},      {"train", DATASET_TRAINING},
                 {"PublicTest", DATASET_PUBLIC_TEST}, {"validation", DATASET_PUBLIC_TEST},
                 {"val", DATASET_PUBLIC_TEST},        {"valid", DATASET_PUBLIC_TEST},
                 {dataset_test, DATASET_PUBLIC_TEST}, {"PrivateTest", DATASET_PRIVATE_TEST}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcasecmp(name, names[i].name)) {
            *split = names[i].split;
            return MIEN_OK;
        }
    return error_set(error, MIEN_EINVAL, "'%s' is not a split: Training, PublicTest or PrivateTest", name);
}

void dataset_done(dataset *data)
{
    if (!data)
        return;
    for (size_t i = 0; data->paths && i < data->count; i++)
        memory_free(data->paths[i]);
    memory_free(data->paths);
    memory_free(data->pixels);
    memory_free(data->labels);
    memory_free(data->splits);
    memory_free(data->votes);
    memory_free(data->not_face);
    *data = (dataset){0};
}

static bool dataset_grow(void **block, size_t count, size_t size)
{
    void *grown = memory_resize(*block, count, size);
    if (grown)
        *block = grown;
    return grown;
}

static mien_status dataset_builder_grow(dataset_builder *builder, mien_error *error)
{
    dataset *data = &builder->data;
    size_t size = data->height * data->width;
    size_t capacity = builder->capacity ? builder->capacity + builder->capacity / 2 : DATASET_FIRST_ROWS;
    if (!dataset_grow((void **)&data->pixels, capacity, size) || !dataset_grow((void **)&data->labels, capacity, 1) ||
        !dataset_grow((void **)&data->splits, capacity, 1) ||
        !dataset_grow((void **)&data->paths, capacity, sizeof(char *)))
        return error_set(error, MIEN_ENOMEM, "no memory for %zu pictures of %zu x %zu", capacity, data->width,
                         data->height);
    builder->capacity = capacity;
    return MIEN_OK;
}

mien_status dataset_builder_add(dataset_builder *builder, uint8_t label, uint8_t split, const char *path,
                                uint8_t **pixels, mien_error *error)
{
    dataset *data = &builder->data;
    if (data->count >= builder->most_rows)
        return error_set(error, MIEN_ELIMIT, "more than %zu rows", builder->most_rows);
    if (data->count == builder->capacity) {
        mien_status status = dataset_builder_grow(builder, error);
        if (status)
            return status;
    }
    char *kept = NULL;
    if (path && !(kept = memory_text(path)))
        return error_no_memory(error, strlen(path) + 1);
    data->paths[data->count] = kept;
    data->labels[data->count] = label;
    data->splits[data->count] = split;
    *pixels = data->pixels + data->count * data->height * data->width;
    data->count++;
    return MIEN_OK;
}

int dataset_split_fields(char *line, char **fields, int capacity)
{
    int count = 0;
    for (char *at = line; at; count++) {
        if (count < capacity)
            fields[count] = at;
        char *comma = strchr(*at == '"' ? quoted_read(at, NULL) : at, ',');
        if (comma)
            *comma = '\0';
        at = comma ? comma + 1 : NULL;
    }
    return count;
}

mien_status dataset_parse_split(const char *text, uint8_t *split, mien_error *error)
{
    char name[16] = "";
    dataset_split found = DATASET_TRAINING;
    text += strspn(text, " ");
    size_t length = strlen(text);
    while (length && text[length - 1] == ' ')
        length--;
    if (length < sizeof(name))
        snprintf(name, sizeof(name), "%.*s", (int)length, text);
    mien_status status = dataset_split_from_name(length < sizeof(name) ? name : text, &found, error);
    if (!status)
        *split = strcasecmp(name, dataset_test) ? (uint8_t)found : DATASET_TEST;
    return status;
}

/* Who has test pictures beside those to validate on keeps them for the end; else they are what there is to validate on.
 */
static void dataset_place_tests(dataset *data)
{
    bool public = memchr(data->splits, DATASET_PUBLIC_TEST, data->count);
    data->test_apart = public && memchr(data->splits, DATASET_TEST, data->count);
    for (size_t i = 0; i < data->count; i++)
        if (data->splits[i] == DATASET_TEST)
            data->splits[i] = public ? DATASET_PRIVATE_TEST : DATASET_PUBLIC_TEST;
}

bool dataset_parse_label(const char *text, uint8_t *label)
{
    while (*text == ' ')
        text++;
    size_t length = strlen(text);
    while (length && text[length - 1] == ' ')
        length--;
    if (length == 1 && text[0] >= '0' && text[0] < '0' + DATASET_CLASSES) {
        *label = (uint8_t)(text[0] - '0');
        return true;
    }
    mien_emotion found = emotion_from_label(text, length);
    bool contempt = length == strlen(dataset_contempt) && !strncasecmp(text, dataset_contempt, length);
    if (found >= MIEN_EMOTION_COUNT || contempt)
        return false;
    *label = (uint8_t)found;
    return true;
}

static bool dataset_is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcasecmp(name, *names))
            return true;
    return false;
}

/* The first column of a kind; a second one would make it a matter of chance which is read. */
static mien_status dataset_take_column(int index, char *const *fields, int *column, mien_error *error)
{
    if (*column >= 0)
        return error_set(error, MIEN_EFORMAT, "'%.40s' and '%.40s' both tell the same: which column counts?",
                         fields[*column], fields[index]);
    *column = index;
    return MIEN_OK;
}

/* Columns by their names in the header, in any order. */
static mien_status dataset_find_columns(char *header, dataset_columns *columns, mien_error *error)
{
    static const char *const labels[] = {"emotion", "label", "class", NULL};
    static const char *const paths[] = {"path", "file", "image", "filename", NULL};
    static const char *const splits[] = {"usage", "split", NULL};
    static const char *const pixels[] = {"pixels", NULL};
    mien_status status = MIEN_OK;
    char *fields[DATASET_FIELDS];
    int count = dataset_split_fields(header, fields, DATASET_FIELDS);
    for (int i = 0; i < count && i < DATASET_FIELDS && !status; i++) {
        fields[i] += strspn(fields[i], " ");
        fields[i][strcspn(fields[i], " ")] = '\0';
        int *column = dataset_is_one_of(fields[i], labels)   ? &columns->label
                      : dataset_is_one_of(fields[i], pixels) ? &columns->pixels
                      : dataset_is_one_of(fields[i], paths)  ? &columns->path
                      : dataset_is_one_of(fields[i], splits) ? &columns->split
                                                             : NULL;
        if (column)
            status = dataset_take_column(i, fields, column, error);
    }
    return status;
}

static mien_status dataset_read_csv(dataset_builder *builder, const char *path, mien_error *error)
{
    dataset_lines *lines = NULL;
    mien_status status = dataset_lines_open(path, &lines, error);
    if (status)
        return status;
    char *header = NULL;
    size_t length = 0;
    status = dataset_lines_next(lines, &header, &length, error);
    if (status)
        goto out;
    dataset_columns columns = {-1, -1, -1, -1};
    if (header)
        status = dataset_find_columns(header, &columns, error);
    if (status)
        error_prefix(error, status, "%s, line 1", path);
    else if (columns.label < 0 || (columns.pixels < 0 && columns.path < 0))
        status = error_set(error, MIEN_EFORMAT,
                           "%s, line 1: no header with emotion,pixels[,Usage] or path,label[,split]", path);
    else if (columns.pixels >= 0)
        status = dataset_read_pixels(builder, path, lines, columns, error);
    else
        status = dataset_read_paths(builder, path, lines, columns, error);
out:
    dataset_lines_close(&lines);
    return status;
}

mien_status dataset_unknown_label(const char *label, mien_error *error)
{
    buffer known = {0};
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        buffer_append_format(&known, "%s%s", i ? ", " : "", mien_emotion_name((mien_emotion)i));
    error_set(error, MIEN_EFORMAT, "'%.40s' is not an emotion (%s, and what else they are called)", label,
              buffer_text(&known));
    buffer_done(&known);
    return MIEN_EFORMAT;
}

/* Votes have no names but their order, so nothing may be missing from the rows that they are given to. */
static mien_status dataset_add_votes(dataset *data, bool folder, const char *votes, mien_error *error)
{
    if (folder)
        return error_set(error, MIEN_EINVAL,
                         "%s: FER+ votes belong to FER-2013's rows in their order; a folder has none", votes);
    if (data->skipped)
        return error_set(error, MIEN_EINVAL, "%s: votes belong to rows in their order, but %zu pictures were left out",
                         votes, data->skipped);
    return dataset_read_votes(data, votes, error);
}

mien_status dataset_read(const char *path, const dataset_options *options, dataset *out, mien_error *error)
{
    dataset_builder builder = {.options = options ? *options : (dataset_options){0}};
    builder.most_rows = builder.options.most_rows ? builder.options.most_rows : dataset_most_rows;
    builder.data.height = builder.options.height ? builder.options.height : DATASET_SIDE;
    builder.data.width = builder.options.width ? builder.options.width : DATASET_SIDE;
    if (builder.data.height > DATASET_MOST_SIDE || builder.data.width > DATASET_MOST_SIDE)
        return error_set(error, MIEN_EINVAL, "pictures of %zu x %zu are too large to train on", builder.data.width,
                         builder.data.height);
    struct stat about;
    bool folder = !stat(path, &about) && S_ISDIR(about.st_mode);
    mien_status status = folder ? dataset_read_folder(&builder, path, error) : dataset_read_csv(&builder, path, error);
    if (!status && !builder.data.count)
        status = error_set(error, MIEN_EFORMAT, "%s: holds no pictures", path);
    if (!status)
        dataset_place_tests(&builder.data);
    if (!status && builder.options.votes)
        status = dataset_add_votes(&builder.data, folder, builder.options.votes, error);
    if (status)
        dataset_done(&builder.data);
    else
        *out = builder.data;
    return status;
}

static mien_status dataset_no_rows(const dataset *data, const char *split, mien_error *error)
{
    bool seen[DATASET_SPLITS] = {false};
    for (size_t i = 0; i < data->count; i++)
        seen[data->splits[i]] = true;
    char others[64] = "";
    for (int i = 0; i < DATASET_SPLITS; i++)
        if (seen[i])
            snprintf(others + strlen(others), sizeof(others) - strlen(others), "%s%s", *others ? ", " : "",
                     dataset_split_name((dataset_split)i));
    return error_set(error, MIEN_ENOTFOUND, "no rows of the split %s; there are rows of %s", split, others);
}

mien_status dataset_rows(const dataset *data, const char *split, bool drop_not_face, size_t **rows, size_t *count,
                         mien_error *error)
{
    dataset_split wanted = DATASET_SPLITS;
    if (strcasecmp(split, "all")) {
        mien_status status = dataset_split_from_name(split, &wanted, error);
        if (status)
            return status;
        if (data->test_apart && !strcasecmp(split, dataset_test))
            wanted = DATASET_PRIVATE_TEST;
    }
    size_t *found = memory_array(data->count, sizeof(*found));
    if (!found)
        return error_no_memory(error, data->count * sizeof(*found));
    size_t n = 0;
    for (size_t i = 0; i < data->count; i++) {
        bool dropped = drop_not_face && data->not_face && data->not_face[i];
        if (!dropped && (wanted == DATASET_SPLITS || data->splits[i] == wanted))
            found[n++] = i;
    }
    if (!n) {
        memory_free(found);
        return dataset_no_rows(data, split, error);
    }
    *rows = found;
    *count = n;
    return MIEN_OK;
}
