/* The description that travels with a network, as typed fields for the program and as text entries for files.
 *
 * One table says which key is which field, so that the ONNX metadata, the side file of a Keras model and a command-line
 * override are all the same two walks: set by key, and visit every entry. Numbers are written with nine significant
 * digits: enough to get the same float back.
 */
#include "model/model.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum field_kind { FIELD_TEXT, FIELD_SIZE, FIELD_REAL, FIELD_CHANNELS, FIELD_BOOL } field_kind;

typedef struct field {
    const char *key;
    field_kind kind;
    size_t offset;
    double low, high; /* allowed range of numbers */
} field;

#define AT(member) offsetof(model_info, member)

static const field fields[] = {
    {"name", FIELD_TEXT, AT(name), 0, 0},
    {"description", FIELD_TEXT, AT(description), 0, 0},
    {"training", FIELD_TEXT, AT(training), 0, 0},
    {"input.width", FIELD_SIZE, AT(input.width), 0, 16384},
    {"input.height", FIELD_SIZE, AT(input.height), 0, 16384},
    {"input.channels", FIELD_SIZE, AT(input.channels), 1, MODEL_MAX_CHANNELS},
    {"input.scale", FIELD_REAL, AT(input.scale), -1e6, 1e6},
    {"input.mean", FIELD_CHANNELS, AT(input.mean), -1e6, 1e6},
    {"input.std", FIELD_CHANNELS, AT(input.std), 1e-9, 1e6},
    {"crop.scale", FIELD_REAL, AT(crop.scale), 0.05, 20},
    {"crop.shift_x", FIELD_REAL, AT(crop.shift_x), -10, 10},
    {"crop.shift_y", FIELD_REAL, AT(crop.shift_y), -10, 10},
    {"crop.square", FIELD_BOOL, AT(crop.square), 0, 1},
    {"temperature", FIELD_REAL, AT(temperature), 1e-3, 1e3},
    {"uncertain_below", FIELD_REAL, AT(uncertain_below), 0, 1},
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0], NUMBER_DIGITS = 9, NUMBER_BYTES = 32 };

static const char *const task_names[] = {"unknown", "emotion", "face-detector"};
static const char *const pixel_names[] = {"grey", "rgb", "bgr"};
static const char measured[] = "measured.";

void model_info_init(model_info *info, const nn_graph *graph)
{
    *info = (model_info){.temperature = 1, .crop = {.scale = 1, .square = true}};
    info->input.channels = 1;
    info->input.scale = 1.0f / 255.0f;
    for (int c = 0; c < MODEL_MAX_CHANNELS; c++)
        info->input.std[c] = 1;
    int index = graph ? nn_graph_input(graph) : -1;
    if (index < 0 || graph->nodes[index].shape.rank != 4)
        return;
    const int64_t *dim = graph->nodes[index].shape.dim;
    if (dim[1] >= 1 && dim[1] <= MODEL_MAX_CHANNELS)
        info->input.channels = (int)dim[1];
    info->input.height = dim[2] > 0 && dim[2] <= 16384 ? (int)dim[2] : 0;
    info->input.width = dim[3] > 0 && dim[3] <= 16384 ? (int)dim[3] : 0;
    info->input.pixels = info->input.channels == 1 ? MODEL_PIXELS_GREY : MODEL_PIXELS_RGB;
}

static void labels_free(char **labels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memory_free(labels[i]);
    memory_free(labels);
}

void model_info_done(model_info *info)
{
    memory_free(info->name);
    memory_free(info->description);
    memory_free(info->training);
    labels_free(info->labels, info->label_count);
    for (size_t i = 0; i < info->figure_count; i++)
        memory_free(info->figures[i].name);
    memory_free(info->figures);
    for (size_t i = 0; i < info->property_count; i++) {
        memory_free(info->properties[i].key);
        memory_free(info->properties[i].value);
    }
    memory_free(info->properties);
    *info = (model_info){0};
}

/* ---- setting ---- */

static mien_status bad_value(const field *f, const char *value, mien_error *error)
{
    return error_set(error, MIEN_EINVAL, "%s cannot be \"%.60s\"", f->key, value);
}

static bool parse_number(const char *text, char **end, double low, double high, double *number)
{
    errno = 0;
    double parsed = number_read(text, end);
    if (*end == text || errno == ERANGE || !isfinite(parsed) || parsed < low || parsed > high)
        return false;
    *number = parsed;
    return true;
}

/* One number for all channels, or one for each in order. */
static mien_status set_channels(float *channels, const field *f, const char *value, mien_error *error)
{
    float parsed[MODEL_MAX_CHANNELS] = {0};
    int count = 0;
    const char *at = value;
    for (;;) {
        char *end;
        double number;
        if (count == MODEL_MAX_CHANNELS || !parse_number(at, &end, f->low, f->high, &number))
            return bad_value(f, value, error);
        parsed[count++] = (float)number;
        if (!*end)
            break;
        if (*end != ',')
            return bad_value(f, value, error);
        at = end + 1;
    }
    for (int c = 0; c < MODEL_MAX_CHANNELS; c++)
        channels[c] = parsed[c < count ? c : count - 1];
    return MIEN_OK;
}

static mien_status set_field(model_info *info, const field *f, const char *value, mien_error *error)
{
    void *place = (char *)info + f->offset;
    if (f->kind == FIELD_TEXT) {
        char *copy = memory_text(value);
        if (!copy)
            return error_no_memory(error, strlen(value));
        char **text = place;
        memory_free(*text);
        *text = copy;
        return MIEN_OK;
    }
    if (f->kind == FIELD_CHANNELS)
        return set_channels(place, f, value, error);
    char *end;
    double number;
    if (!parse_number(value, &end, f->low, f->high, &number) || *end)
        return bad_value(f, value, error);
    if (f->kind == FIELD_REAL)
        *(float *)place = (float)number;
    else if (number != floor(number))
        return bad_value(f, value, error);
    else if (f->kind == FIELD_SIZE)
        *(int *)place = (int)number;
    else
        *(bool *)place = number != 0;
    return MIEN_OK;
}

static mien_status set_choice(const char *key, const char *const *names, size_t count, const char *value, int *choice,
                              mien_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(names[i], value)) {
            *choice = (int)i;
            return MIEN_OK;
        }
    }
    return error_set(error, MIEN_EINVAL, "%s cannot be \"%.60s\"", key, value);
}

static bool label_is_plain(const char *label)
{
    for (const char *c = label; *c; c++) {
        if (*c == ',' || (unsigned char)*c < 0x20)
            return false;
    }
    return *label != '\0';
}

mien_status model_info_set_labels(model_info *info, const char *const *labels, size_t count, mien_error *error)
{
    if (count > MODEL_MAX_LABELS)
        return error_set(error, MIEN_ELIMIT, "%zu labels; the most is %d", count, MODEL_MAX_LABELS);
    char **copies = memory_zeroed(count, sizeof *copies);
    if (!copies)
        return error_no_memory(error, count * sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        if (!label_is_plain(labels[i])) {
            labels_free(copies, count);
            return error_set(error, MIEN_EINVAL, "label %zu is empty or holds a comma or a control character", i);
        }
        copies[i] = memory_text(labels[i]);
        if (!copies[i]) {
            labels_free(copies, count);
            return error_no_memory(error, strlen(labels[i]));
        }
    }
    labels_free(info->labels, info->label_count);
    info->labels = copies;
    info->label_count = count;
    return MIEN_OK;
}

static mien_status set_label_text(model_info *info, const char *value, mien_error *error)
{
    char *text = memory_text(value);
    if (!text)
        return error_no_memory(error, strlen(value));
    const char *labels[MODEL_MAX_LABELS];
    size_t count = 0;
    mien_status status = MIEN_OK;
    for (char *at = text; at && *text;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        if (count == MODEL_MAX_LABELS) {
            status = error_set(error, MIEN_ELIMIT, "more than %d labels", MODEL_MAX_LABELS);
            goto out;
        }
        labels[count++] = at;
        at = comma ? comma + 1 : NULL;
    }
    status = model_info_set_labels(info, labels, count, error);
out:
    memory_free(text);
    return status;
}

mien_status model_info_set_figure(model_info *info, const char *name, double value, mien_error *error)
{
    if (!isfinite(value) || !*name)
        return error_set(error, MIEN_EINVAL, "the figure \"%.60s\" has no finite value", name);
    for (size_t i = 0; i < info->figure_count; i++) {
        if (!strcmp(info->figures[i].name, name)) {
            info->figures[i].value = value;
            return MIEN_OK;
        }
    }
    if (info->figure_count >= MODEL_MAX_PROPERTIES)
        return error_set(error, MIEN_ELIMIT, "more than %d measured figures", MODEL_MAX_PROPERTIES);
    char *copy = memory_text(name);
    model_figure *grown = memory_resize(info->figures, info->figure_count + 1, sizeof *grown);
    if (grown)
        info->figures = grown;
    if (!grown || !copy) {
        memory_free(copy);
        return error_no_memory(error, (info->figure_count + 1) * sizeof *grown);
    }
    grown[info->figure_count++] = (model_figure){copy, value};
    return MIEN_OK;
}

static mien_status set_property(model_info *info, const char *key, const char *value, mien_error *error)
{
    char *value_copy = memory_text(value);
    if (!value_copy)
        return error_no_memory(error, strlen(value));
    for (size_t i = 0; i < info->property_count; i++) {
        if (!strcmp(info->properties[i].key, key)) {
            memory_free(info->properties[i].value);
            info->properties[i].value = value_copy;
            return MIEN_OK;
        }
    }
    mien_status status = MIEN_OK;
    char *key_copy = NULL;
    if (info->property_count >= MODEL_MAX_PROPERTIES) {
        status = error_set(error, MIEN_ELIMIT, "more than %d properties", MODEL_MAX_PROPERTIES);
        goto fail;
    }
    key_copy = memory_text(key);
    model_property *grown = memory_resize(info->properties, info->property_count + 1, sizeof *grown);
    if (grown)
        info->properties = grown;
    if (!grown || !key_copy) {
        status = error_no_memory(error, (info->property_count + 1) * sizeof *grown);
        goto fail;
    }
    grown[info->property_count++] = (model_property){key_copy, value_copy};
    return MIEN_OK;
fail:
    memory_free(key_copy);
    memory_free(value_copy);
    return status;
}

mien_status model_info_set(model_info *info, const char *key, const char *value, mien_error *error)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!strcmp(fields[i].key, key))
            return set_field(info, &fields[i], value, error);
    }
    if (!strcmp(key, "labels"))
        return set_label_text(info, value, error);
    int choice = 0;
    mien_status status;
    if (!strcmp(key, "task")) {
        status = set_choice(key, task_names, 3, value, &choice, error);
        if (!status)
            info->task = (model_task)choice;
        return status;
    }
    if (!strcmp(key, "input.pixels")) {
        status = set_choice(key, pixel_names, 3, value, &choice, error);
        if (!status)
            info->input.pixels = (model_pixels)choice;
        return status;
    }
    if (!strncmp(key, measured, sizeof measured - 1)) {
        char *end;
        double number;
        if (!parse_number(value, &end, -1e300, 1e300, &number) || *end)
            return error_set(error, MIEN_EINVAL, "%.80s cannot be \"%.60s\"", key, value);
        return model_info_set_figure(info, key + sizeof measured - 1, number, error);
    }
    return set_property(info, key, value, error);
}

/* ---- reading back ---- */

const char *model_info_property(const model_info *info, const char *key)
{
    for (size_t i = 0; i < info->property_count; i++) {
        if (!strcmp(info->properties[i].key, key))
            return info->properties[i].value;
    }
    return NULL;
}

/* The text of a field, or NULL when there is nothing to say. */
static const char *field_text(const model_info *info, const field *f, char *text, size_t capacity)
{
    const void *place = (const char *)info + f->offset;
    const float *channel = place;
    switch (f->kind) {
    case FIELD_TEXT:
        return *(char *const *)place;
    case FIELD_SIZE:
        snprintf(text, capacity, "%d", *(const int *)place);
        return text;
    case FIELD_BOOL:
        return *(const bool *)place ? "1" : "0";
    case FIELD_REAL:
        number_write((double)*channel, NUMBER_DIGITS, text, capacity);
        return text;
    case FIELD_CHANNELS:
        break;
    }
    int count = info->input.channels < MODEL_MAX_CHANNELS ? info->input.channels : MODEL_MAX_CHANNELS;
    size_t length = 0;
    text[0] = '\0';
    for (int c = 0; c < count; c++) {
        char number[NUMBER_BYTES];
        number_write((double)channel[c], NUMBER_DIGITS, number, sizeof number);
        length += (size_t)snprintf(text + length, capacity - length, "%s%s", c ? "," : "", number);
    }
    return text;
}

static mien_status visit_labels(const model_info *info, model_info_visitor visitor, void *context, mien_error *error)
{
    buffer joined = {0};
    for (size_t i = 0; i < info->label_count; i++) {
        if (i)
            buffer_append_byte(&joined, ',');
        buffer_append_text(&joined, info->labels[i]);
    }
    mien_status status = buffer_status(&joined, error);
    if (!status && info->label_count)
        status = visitor(context, "labels", buffer_text(&joined), error);
    buffer_done(&joined);
    return status;
}

static mien_status visit_figures(const model_info *info, model_info_visitor visitor, void *context, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < info->figure_count && !status; i++) {
        char value[NUMBER_BYTES];
        buffer key = {0};
        buffer_append_text(&key, measured);
        buffer_append_text(&key, info->figures[i].name);
        number_write(info->figures[i].value, NUMBER_DIGITS, value, sizeof value);
        status = buffer_status(&key, error);
        if (!status)
            status = visitor(context, buffer_text(&key), value, error);
        buffer_done(&key);
    }
    return status;
}

mien_status model_info_visit(const model_info *info, model_info_visitor visitor, void *context, mien_error *error)
{
    mien_status status = visitor(context, "task", task_names[info->task], error);
    if (!status)
        status = visit_labels(info, visitor, context, error);
    if (!status)
        status = visitor(context, "input.pixels", pixel_names[info->input.pixels], error);
    for (size_t i = 0; i < FIELD_COUNT && !status; i++) {
        char text[MODEL_MAX_CHANNELS * NUMBER_BYTES];
        const char *value = field_text(info, &fields[i], text, sizeof text);
        if (value)
            status = visitor(context, fields[i].key, value, error);
    }
    if (!status)
        status = visit_figures(info, visitor, context, error);
    for (size_t i = 0; i < info->property_count && !status; i++)
        status = visitor(context, info->properties[i].key, info->properties[i].value, error);
    return status;
}

static mien_status copy_entry(void *context, const char *key, const char *value, mien_error *error)
{
    return model_info_set(context, key, value, error);
}

mien_status model_info_copy(const model_info *from, model_info *to, mien_error *error)
{
    model_info copy;
    model_info_init(&copy, NULL);
    mien_status status = model_info_visit(from, copy_entry, &copy, error);
    if (status) {
        model_info_done(&copy);
        return status;
    }
    *to = copy;
    return MIEN_OK;
}
