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

mien_status train_show_faces(const train_config *config, const face_dataset *data, int side, const char *path,
                             mien_error *error)
{
    mien_image sheet = {0};
    face_augment_scratch scratch = {0};
    size_t *rows = NULL, row_count = 0, area = (size_t)side * (size_t)side;
    float *input = NULL;
    face_target *targets = NULL;
    mien_status status = face_augment_scratch_init(&scratch, side, error);
    if (status)
        return status;
    if ((status = samples_begin(side, &sheet, error)))
        goto out;
    if ((status = face_dataset_rows(data, false, &rows, &row_count, error)))
        goto out;
    input = memory_aligned(3 * area, sizeof *input);
    targets = memory_array(FACE_AUGMENT_MOST_TARGETS, sizeof *targets);
    if (!input || !targets) {
        status = error_no_memory(error, 3 * area * sizeof *input);
        goto out;
    }
    for (int i = 0; i < SAMPLES_ACROSS * SAMPLES_ACROSS && !status; i++) {
        random_state stream;
        size_t count = 0;
        augment_stream(&stream, (uint64_t)config->seed, 0, (uint32_t)i);
        face_augment_sample(config, data, rows[(size_t)i * SAMPLES_SPREAD % row_count], &stream, &scratch, side, input,
                            targets, FACE_AUGMENT_MOST_TARGETS, &count);
        mien_image square = samples_square(&sheet, i, (size_t)side, (size_t)side, side);
        samples_fill(&square, input, 3, 1 / 127.5f, -1);
        status = samples_frame(&square, targets, count, error);
    }
    if (!status)
        status = samples_write(&sheet, path, error);
out:
    memory_free(rows);
    memory_free(input);
    memory_free(targets);
    mien_image_done(&sheet);
    face_augment_scratch_done(&scratch);
    return status;
}

mien_status train_show_emotions(const train_config *config, const dataset *data, const char *path, mien_error *error)
{
    const architecture *arch = NULL;
    mien_status status = architecture_find(config->arch, &arch, error);
    if (status)
        return status;
    augment_target target = {arch->channels, arch->height, arch->width, 1, 0};
    int side = arch->height > arch->width ? arch->height : arch->width;
    size_t area = (size_t)arch->height * (size_t)arch->width, *rows = NULL, row_count = 0;
    mien_image sheet = {0};
    augment_scratch scratch = {0};
    float *input = memory_aligned(AUGMENT_MOST_CHANNELS * area, sizeof *input);
    if (!input)
        return error_no_memory(error, AUGMENT_MOST_CHANNELS * area * sizeof *input);
    if ((status = augment_scratch_init(&scratch, error)))
        goto out;
    if ((status = samples_begin(side, &sheet, error)))
        goto out;
    if ((status = dataset_rows(data, config->split, config->drop_not_face, &rows, &row_count, error)))
        goto out;
    for (int i = 0; i < SAMPLES_ACROSS * SAMPLES_ACROSS; i++) {
        random_state stream;
        uint32_t row = (uint32_t)((size_t)i * SAMPLES_SPREAD % row_count);
        augment_stream(&stream, (uint64_t)config->seed, 0, row);
        augment_picture(config, &target, data->pixels + rows[row] * data->height * data->width, (int)data->height,
                        (int)data->width, &stream, &scratch, input);
        mien_image square = samples_square(&sheet, i, (size_t)arch->width, (size_t)arch->height, side);
        samples_fill(&square, input, arch->channels, 1, 0);
    }
    status = samples_write(&sheet, path, error);
out:
    memory_free(rows);
    memory_free(input);
    mien_image_done(&sheet);
    augment_scratch_done(&scratch);
    return status;
}
