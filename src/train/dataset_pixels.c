/* FER-2013's own form: a CSV whose `pixels` column holds the grey values of one picture as text, "70 80 82 …". The
 * first row tells the size (a square); every later one must agree. The digits are read by hand: strtol would take
 * longer than unpacking the file. */
#include "train/dataset_builder.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

enum { PIXELS_FIELDS = 32 };

/* Reads at most `capacity` values 0..255 with spaces between; returns how many, or -1 at anything else. */
static long pixels_parse(const char *text, uint8_t *pixels, size_t capacity)
{
    size_t count = 0;
    for (;;) {
        while (*text == ' ')
            text++;
        if (!*text)
            return (long)count;
        unsigned value = 0;
        const char *begin = text;
        for (; (unsigned)(*text - '0') < 10 && text - begin < 4; text++)
            value = value * 10 + (unsigned)(*text - '0');
        if (text == begin || value > 255 || (*text && *text != ' '))
            return -1;
        if (count < capacity)
            pixels[count] = (uint8_t)value;
        count++;
    }
}

static mien_status pixels_find_size(dataset *data, const char *text, mien_error *error)
{
    uint8_t unused;
    long count = pixels_parse(text, &unused, 0);
    long side = count > 0 ? lround(sqrt((double)count)) : 0;
    if (side < 1 || side > 1024 || side * side != count)
        return error_set(error, MIEN_EFORMAT, "%ld pixels do not make a square picture", count);
    data->height = data->width = (size_t)side;
    return MIEN_OK;
}

static mien_status pixels_read_row(dataset_builder *builder, char *line, dataset_columns columns, mien_error *error)
{
    char *fields[PIXELS_FIELDS];
    int count = dataset_split_fields(line, fields, PIXELS_FIELDS);
    if (columns.label >= count || columns.pixels >= count || columns.split >= count)
        return error_set(error, MIEN_EFORMAT, "%d fields are too few", count);
    uint8_t label = 0;
    if (!dataset_parse_label(fields[columns.label], &label))
        return dataset_unknown_label(fields[columns.label], error);
    uint8_t split = DATASET_TRAINING;
    mien_status status = MIEN_OK;
    if (columns.split >= 0)
        status = dataset_parse_split(fields[columns.split], &split, error);
    if (!status && !builder->data.count)
        status = pixels_find_size(&builder->data, fields[columns.pixels], error);
    uint8_t *pixels = NULL;
    if (!status)
        status = dataset_builder_add(builder, label, split, NULL, &pixels, error);
    if (status)
        return status;
    size_t size = builder->data.height * builder->data.width;
    long got = pixels_parse(fields[columns.pixels], pixels, size);
    if (got != (long)size)
        return got < 0 ? error_set(error, MIEN_EFORMAT, "the pixels are not numbers of 0..255 with spaces between")
                       : error_set(error, MIEN_EFORMAT, "%ld pixels instead of %zu", got, size);
    return MIEN_OK;
}

mien_status dataset_read_pixels(dataset_builder *builder, const char *path, dataset_lines *lines,
                                dataset_columns columns, mien_error *error)
{
    for (;;) {
        char *line = NULL;
        size_t length = 0;
        mien_status status = dataset_lines_next(lines, &line, &length, error);
        if (status || !line)
            return status;
        if (!length)
            continue;
        status = pixels_read_row(builder, line, columns, error);
        if (status)
            return error_prefix(error, status, "%s, line %zu", path, dataset_lines_number(lines));
    }
}
