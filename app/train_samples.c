/* Samples are drawn as in the first epoch of a run with this seed, one picture after the other, and set side by side.
 * A recipe that spoils what it should teach is seen at once here, and hours later in the losses. */
#include "train_samples.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/draw.h"
#include "train/architecture.h"
#include "train/augment.h"
#include "train/face_augment.h"

enum { SAMPLES_ACROSS = 6, SAMPLES_GAP = 4, SAMPLES_QUALITY = 92, SAMPLES_SPREAD = 7919 };

static const image_colour samples_counts = {0, 220, 60}, samples_ignored = {255, 150, 0};

/* A sheet of SAMPLES_ACROSS² squares. */
static mien_status samples_begin(int side, mien_image *sheet, mien_error *error)
{
    size_t length = (size_t)SAMPLES_ACROSS * (size_t)(side + SAMPLES_GAP) + SAMPLES_GAP;
    mien_status status = mien_image_init(sheet, length, length, MIEN_PIXEL_RGB8, error);
    for (size_t i = 0; !status && i < sheet->stride * length; i++)
        sheet->data[i] = 255;
    return status;
}

static mien_status samples_write(const mien_image *sheet, const char *path, mien_error *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    mien_image_view view = mien_image_as_view(sheet);
    const char *ending = strrchr(path, '.');
    mien_status status = ending && !strcmp(ending, ".png")
                             ? mien_image_encode_png(&view, &bytes, &length, error)
                             : mien_image_encode_jpeg(&view, SAMPLES_QUALITY, &bytes, &length, error);
    if (!status)
        status = file_write(path, bytes, length, error);
    mien_free(bytes);
    return status;
}

/* The network's numbers back into pixels. */
static void samples_fill(mien_image *square, const float *input, int channels, float scale, float shift)
{
    size_t area = square->width * square->height;
    for (size_t y = 0; y < square->height; y++)
        for (size_t x = 0; x < square->width; x++)
            for (size_t c = 0; c < 3; c++) {
                float value = (input[(channels == 3 ? c : 0) * area + y * square->width + x] - shift) / scale;
                square->data[y * square->stride + 3 * x + c] = (uint8_t)lrintf(fminf(fmaxf(value, 0), 255));
            }
}

static mien_image samples_square(const mien_image *sheet, int number, size_t width, size_t height, int side)
{
    mien_image square = *sheet;
    size_t x = (size_t)(number % SAMPLES_ACROSS * (side + SAMPLES_GAP) + SAMPLES_GAP);
    size_t y = (size_t)(number / SAMPLES_ACROSS * (side + SAMPLES_GAP) + SAMPLES_GAP);
    square.data += y * sheet->stride + 3 * x;
    square.width = width;
    square.height = height;
    return square;
}

static mien_status samples_frame(mien_image *square, const face_target *targets, size_t count, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const face_target *face = &targets[i];
        image_box box = {face->left, face->top, face->right - face->left, face->bottom - face->top};
        status = image_draw_box(square, &box, face->ignored ? samples_ignored : samples_counts, 1.5f, error);
    }
    return status;
}

/* What drawing a sheet needs; zero-initialised means nothing is taken yet. */
typedef struct samples_sheet {
    mien_image image;
    size_t *rows, row_count;
    float *input;
    face_target *targets;
    int side;
} samples_sheet;

static mien_status samples_take(samples_sheet *sheet, size_t numbers, mien_error *error)
{
    sheet->input = memory_aligned(numbers, sizeof *sheet->input);
    sheet->targets = memory_array(FACE_AUGMENT_MOST_TARGETS, sizeof *sheet->targets);
    if (!sheet->input || !sheet->targets)
        return error_no_memory(error, numbers * sizeof *sheet->input);
    return samples_begin(sheet->side, &sheet->image, error);
}

static void samples_done(samples_sheet *sheet)
{
    memory_free(sheet->rows);
    memory_free(sheet->input);
    memory_free(sheet->targets);
    mien_image_done(&sheet->image);
}

static mien_status samples_draw_face(const train_config *config, const face_dataset *data, int number,
                                     face_augment_scratch *scratch, samples_sheet *sheet, mien_error *error)
{
    random_state stream;
    size_t count = 0, row = sheet->rows[(size_t)number * SAMPLES_SPREAD % sheet->row_count], side = (size_t)sheet->side;
    augment_stream(&stream, (uint64_t)config->seed, 0, (uint32_t)number);
    face_augment_sample(config, data, row, &stream, scratch, sheet->side, sheet->input, sheet->targets,
                        FACE_AUGMENT_MOST_TARGETS, &count);
    mien_image square = samples_square(&sheet->image, number, side, side, sheet->side);
    samples_fill(&square, sheet->input, 3, 1 / 127.5f, -1);
    return samples_frame(&square, sheet->targets, count, error);
}

mien_status train_show_faces(const train_config *config, const face_dataset *data, const char *path, mien_error *error)
{
    samples_sheet sheet = {.side = config->crop ? config->crop : FACE_AUGMENT_SIDE};
    face_augment_scratch scratch = {0};
    mien_status status = face_augment_scratch_init(&scratch, sheet.side, error);
    if (!status)
        status = samples_take(&sheet, (size_t)3 * (size_t)sheet.side * (size_t)sheet.side, error);
    if (!status)
        status = face_dataset_rows(data, false, &sheet.rows, &sheet.row_count, error);
    for (int i = 0; i < SAMPLES_ACROSS * SAMPLES_ACROSS && !status; i++)
        status = samples_draw_face(config, data, i, &scratch, &sheet, error);
    if (!status)
        status = samples_write(&sheet.image, path, error);
    samples_done(&sheet);
    face_augment_scratch_done(&scratch);
    return status;
}

static void samples_draw_emotion(const train_config *config, const dataset *data, const architecture *arch, int number,
                                 augment_scratch *scratch, samples_sheet *sheet)
{
    random_state stream;
    augment_target target = {arch->channels, arch->height, arch->width, 1, 0};
    size_t chosen = (size_t)number * SAMPLES_SPREAD % sheet->row_count, area = data->height * data->width;
    augment_stream(&stream, (uint64_t)config->seed, 0, (uint32_t)chosen);
    augment_picture(config, &target, data->pixels + sheet->rows[chosen] * area, (int)data->height, (int)data->width,
                    &stream, scratch, sheet->input);
    float share = 1;
    augment_mix mix = augment_draw_mix(config, config->mix_until > 0, &stream, &share);
    if (mix != AUGMENT_ALONE) {
        size_t second = random_below(&stream, (uint32_t)sheet->row_count);
        augment_picture(config, &target, data->pixels + sheet->rows[second] * area, (int)data->height, (int)data->width,
                        &stream, scratch, scratch->mixed);
        augment_apply_mix(mix, &target, &stream, scratch->mixed, sheet->input, &share);
    }
    mien_image square = samples_square(&sheet->image, number, (size_t)arch->width, (size_t)arch->height, sheet->side);
    samples_fill(&square, sheet->input, arch->channels, 1, 0);
}

mien_status train_show_emotions(const train_config *config, const dataset *data, const char *path, mien_error *error)
{
    const architecture *arch = NULL;
    mien_status status = architecture_find(config->arch, &arch, error);
    if (status)
        return status;
    samples_sheet sheet = {.side = arch->height > arch->width ? arch->height : arch->width};
    augment_scratch scratch = {0};
    status = augment_scratch_init(&scratch, error);
    if (!status)
        status = samples_take(&sheet, (size_t)AUGMENT_MOST_CHANNELS * (size_t)sheet.side * (size_t)sheet.side, error);
    if (!status)
        status = dataset_rows(data, config->split, config->drop_not_face, &sheet.rows, &sheet.row_count, error);
    for (int i = 0; i < SAMPLES_ACROSS * SAMPLES_ACROSS && !status; i++)
        samples_draw_emotion(config, data, arch, i, &scratch, &sheet);
    if (!status)
        status = samples_write(&sheet.image, path, error);
    samples_done(&sheet);
    augment_scratch_done(&scratch);
    return status;
}
