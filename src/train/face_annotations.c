/* Lines are read in any order and then sorted by the picture's first line, so that the faces of one picture stand
 * together. File names with commas are not a thing these files have: a name ends at the first comma. */
#include "train/face_annotations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

enum { ANNOTATIONS_MOST_BYTES = 256 << 20, ANNOTATIONS_MOST_COLUMNS = 64 };

typedef enum annotation_column {
    COLUMN_FILE = 0,
    COLUMN_X,
    COLUMN_Y,
    COLUMN_WIDTH,
    COLUMN_HEIGHT,
    COLUMN_IGNORE,
    COLUMN_COUNT
} annotation_column;

static const char *const column_names[COLUMN_COUNT] = {"file", "x", "y", "width", "height", "ignore"};

typedef struct annotation_line {
    const char *file;
    size_t file_length, number;
    face_truth face;
} annotation_line;

/* Which field each column is in, -1 = none. */
static mien_status annotations_read_header(const char *line, size_t length, int at[COLUMN_COUNT], mien_error *error)
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        at[c] = -1;
    for (int field = 0; field < ANNOTATIONS_MOST_COLUMNS; field++) {
        const char *comma = memchr(line, ',', length);
        size_t word = comma ? (size_t)(comma - line) : length;
        for (int c = 0; c < COLUMN_COUNT; c++)
            if (strlen(column_names[c]) == word && !memcmp(column_names[c], line, word))
                at[c] = field;
        if (!comma)
            break;
        length -= word + 1;
        line = comma + 1;
    }
    for (int c = 0; c < COLUMN_IGNORE; c++)
        if (at[c] < 0)
            return error_set(error, MIEN_EFORMAT, "annotations: no column \"%s\"", column_names[c]);
    return MIEN_OK;
}

static bool annotations_number(const char *text, size_t length, float *value)
{
    char copy[40], *end;
    if (!length || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *value = strtof(copy, &end);
    return !*end && isfinite(*value) && fabsf(*value) < 1e7f;
}

static bool annotations_read_line(const char *line, size_t length, const int at[COLUMN_COUNT], annotation_line *out)
{
    float value[COLUMN_COUNT] = {0};
    int found = 0;
    for (int field = 0; field < ANNOTATIONS_MOST_COLUMNS; field++) {
        const char *comma = memchr(line, ',', length);
        size_t word = comma ? (size_t)(comma - line) : length;
        for (int c = 0; c < COLUMN_COUNT; c++) {
            if (at[c] != field)
                continue;
            if (c == COLUMN_FILE) {
                out->file = line;
                out->file_length = word;
            } else if (!annotations_number(line, word, &value[c])) {
                return false;
            }
            found += c < COLUMN_IGNORE;
        }
        if (!comma)
            break;
        length -= word + 1;
        line = comma + 1;
    }
    out->face = (face_truth){{value[COLUMN_X], value[COLUMN_Y], value[COLUMN_WIDTH], value[COLUMN_HEIGHT]},
                             value[COLUMN_IGNORE] != 0};
    return found == COLUMN_IGNORE && out->file_length && value[COLUMN_WIDTH] >= 0 && value[COLUMN_HEIGHT] >= 0;
}

static mien_status annotations_read_lines(const char *text, buffer *lines, mien_error *error)
{
    int at[COLUMN_COUNT];
    size_t number = 0;
    for (const char *line = text; *line; number++) {
        size_t length = strcspn(line, "\r\n");
        const char *next = line + length;
        next += *next == '\r';
        next += *next == '\n';
        annotation_line read = {.number = number};
        mien_status status = MIEN_OK;
        if (!number)
            status = annotations_read_header(line, length, at, error);
        else if (length && !annotations_read_line(line, length, at, &read))
            status = error_set(error, MIEN_EFORMAT, "annotations line %zu: not a face", number + 1);
        else if (length)
            status = buffer_append(lines, &read, sizeof read) ? buffer_status(lines, error) : MIEN_OK;
        if (status)
            return status;
        line = next;
    }
    return number ? MIEN_OK : error_set(error, MIEN_EFORMAT, "annotations: the file is empty");
}

static int annotations_compare_files(const annotation_line *a, const annotation_line *b)
{
    size_t shorter = a->file_length < b->file_length ? a->file_length : b->file_length;
    int order = memcmp(a->file, b->file, shorter);
    return order ? order : (a->file_length > b->file_length) - (a->file_length < b->file_length);
}

static int annotations_by_file(const void *a, const void *b)
{
    const annotation_line *first = a, *second = b;
    int order = annotations_compare_files(first, second);
    return order ? order : (first->number > second->number) - (first->number < second->number);
}

static int annotations_by_number(const void *a, const void *b)
{
    const annotation_line *first = a, *second = b;
    return (first->number > second->number) - (first->number < second->number);
}

/* Give every line the number of its picture's first line, then bring them into that order; ties keep theirs, since the
 * lines of a picture already stand in it and are copied out in one go. */
static mien_status annotations_gather(annotation_line *lines, size_t count, face_annotations *out, mien_error *error)
{
    face_annotations made = {.faces = memory_array(count, sizeof *made.faces)};
    made.pictures = memory_zeroed(count, sizeof *made.pictures);
    annotation_line *firsts = memory_array(count, sizeof *firsts);
    mien_status status = made.faces && made.pictures && firsts ? MIEN_OK : error_no_memory(error, count);
    if (!status && count)
        qsort(lines, count, sizeof *lines, annotations_by_file);
    size_t pictures = 0;
    for (size_t i = 0; i < count && !status; i++)
        if (!i || annotations_compare_files(lines + i, lines + i - 1)) {
            firsts[pictures] = lines[i];
            firsts[pictures++].file_length = i; /* where its lines begin */
        }
    if (pictures)
        qsort(firsts, pictures, sizeof *firsts, annotations_by_number);
    for (size_t p = 0; p < pictures && !status; p++) {
        const annotation_line *line = lines + firsts[p].file_length;
        face_picture *picture = made.pictures + made.picture_count;
        *picture = (face_picture){memory_text_span(line->file, line->file_length), made.face_count, 0};
        if (!picture->file)
            status = error_no_memory(error, line->file_length);
        made.picture_count += !status;
        for (; !status && line < lines + count && !annotations_compare_files(line, lines + firsts[p].file_length);
             line++, picture->count++)
            made.faces[made.face_count++] = line->face;
    }
    memory_free(firsts);
    if (status)
        face_annotations_done(&made);
    else
        *out = made;
    return status;
}

mien_status face_annotations_parse(const char *text, face_annotations *out, mien_error *error)
{
    buffer lines;
    buffer_init(&lines, 4 * (size_t)ANNOTATIONS_MOST_BYTES);
    mien_status status = annotations_read_lines(text, &lines, error);
    if (!status)
        status = annotations_gather((annotation_line *)lines.data, lines.length / sizeof(annotation_line), out, error);
    buffer_done(&lines);
    return status;
}

mien_status face_annotations_read(const char *path, face_annotations *out, mien_error *error)
{
    buffer text;
    buffer_init(&text, ANNOTATIONS_MOST_BYTES);
    mien_status status = file_read(path, ANNOTATIONS_MOST_BYTES, &text, error);
    if (!status)
        status = face_annotations_parse(buffer_text(&text), out, error);
    buffer_done(&text);
    return status;
}

void face_annotations_done(face_annotations *annotations)
{
    if (!annotations)
        return;
    for (size_t i = 0; i < annotations->picture_count; i++)
        memory_free(annotations->pictures[i].file);
    memory_free(annotations->pictures);
    memory_free(annotations->faces);
    memset(annotations, 0, sizeof *annotations);
}
