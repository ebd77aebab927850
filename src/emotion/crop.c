/* Crops, and their quality: a product of three saturating terms, of size (a face of 48 px carries what FER-2013 has),
 * sharpness (variance of the Laplacian, Pech-Pacheco et al. 2000) and contrast, each measured on a small grey copy. */
#include "emotion/crop.h"

#include <math.h>

#include "base/error.h"
#include "prep/crop.h"

enum { QUALITY_SIDE = 48 };

/* Where each term of the quality reaches one half. */
static const float half_side = 24, half_sharpness = 60, half_contrast = 12;

static bool crop_touches(const mien_image_view *picture, const classifier_box *box)
{
    return box->width > 0 && box->height > 0 && box->x < (float)picture->width && box->y < (float)picture->height &&
           box->x + box->width > 0 && box->y + box->height > 0;
}

static prep_crop crop_of_box(const mien_image_view *picture, const classifier_box *box)
{
    prep_crop crop = prep_crop_default(picture);
    crop.x = box->x;
    crop.y = box->y;
    crop.width = box->width;
    crop.height = box->height;
    return crop;
}

static float crop_saturate(double value, float half)
{
    return (float)(value / (value + (double)half));
}

/* `grey`: QUALITY_SIDE × QUALITY_SIDE, 0..255; `side`: the shorter side of the box in the picture. */
static float crop_quality(const float *grey, float side)
{
    double sum = 0, squares = 0, edge_sum = 0, edge_squares = 0;
    const double count = QUALITY_SIDE * QUALITY_SIDE, edges = (QUALITY_SIDE - 2) * (QUALITY_SIDE - 2);
    for (int y = 0; y < QUALITY_SIDE; y++) {
        const float *row = grey + (size_t)y * QUALITY_SIDE;
        for (int x = 0; x < QUALITY_SIDE; x++) {
            sum += (double)row[x];
            squares += (double)row[x] * (double)row[x];
            if (!x || !y || x + 1 == QUALITY_SIDE || y + 1 == QUALITY_SIDE)
                continue;
            float laplacian = row[x - 1] + row[x + 1] + row[x - QUALITY_SIDE] + row[x + QUALITY_SIDE] - 4 * row[x];
            edge_sum += (double)laplacian;
            edge_squares += (double)laplacian * (double)laplacian;
        }
    }
    double deviation = sqrt(fmax(squares / count - sum / count * (sum / count), 0));
    double sharpness = fmax(edge_squares / edges - edge_sum / edges * (edge_sum / edges), 0);
    return crop_saturate((double)side, half_side) * crop_saturate(sharpness, half_sharpness) *
           crop_saturate(deviation, half_contrast);
}

mien_status crop_to_input(const mien_image_view *picture, const classifier_box *box, float shrunk,
                          const model_input *input, float *nchw, float *quality, mien_error *error)
{
    if (!crop_touches(picture, box))
        return error_set(error, MIEN_EINVAL, "the face box lies outside the picture");
    float grey[QUALITY_SIDE * QUALITY_SIDE];
    prep_crop crop = crop_of_box(picture, box);
    crop.format = MIEN_PIXEL_GREY8;
    crop.scale[0] = 1;
    crop.shift[0] = 0;
    mien_status status = prep_crop_resize(picture, &crop, QUALITY_SIDE, QUALITY_SIDE, grey, error);
    if (status)
        return status;

    size_t width = (size_t)input->width, height = (size_t)input->height;
    crop = crop_of_box(picture, box);
    crop.format = input->pixels == MODEL_PIXELS_GREY  ? MIEN_PIXEL_GREY8
                  : input->pixels == MODEL_PIXELS_RGB ? MIEN_PIXEL_RGB8
                                                      : MIEN_PIXEL_BGR8;
    for (int c = 0; c < 3; c++) {
        int channel = c < input->channels ? c : 0;
        crop.scale[c] = input->scale / input->std[channel];
        crop.shift[c] = -input->mean[channel] / input->std[channel];
    }
    /* a grey picture for a network of three channels is given three times, each with its own mean and deviation */
    bool repeated = input->pixels == MODEL_PIXELS_GREY && input->channels > 1;
    for (int c = 0; c < (repeated ? input->channels : 1) && !status; c++) {
        crop.scale[0] = input->scale / input->std[c];
        crop.shift[0] = -input->mean[c] / input->std[c];
        status = prep_crop_resize(picture, &crop, width, height, nchw + (size_t)c * width * height, error);
    }
    if (!status)
        *quality = crop_quality(grey, fminf(box->width, box->height) * shrunk);
    return status;
}
