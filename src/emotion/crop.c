/* Crops. The region is converted to the network's colours first and resized then, as the systems do that trained on
 * such crops. Quality is a product of three saturating terms: size (a face of 48 px carries what FER-2013 has),
 * sharpness (variance of the Laplacian, Pech-Pacheco et al. 2000) and contrast. */
#include "emotion/crop.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/convert.h"
#include "prep/prep.h"

/* Where each term of the quality reaches one half. */
static const float half_side = 24, half_sharpness = 60, half_contrast = 12;

void crop_buffers_done(crop_buffers *buffers)
{
    mien_image_done(&buffers->region.image);
    mien_image_done(&buffers->sized.image);
    mien_image_done(&buffers->grey.image);
}

/* Give `image` that size and format, reusing its memory when it is large enough. */
static mien_status crop_reshape(crop_buffer *kept, size_t width, size_t height, mien_pixel_format format,
                                mien_error *error)
{
    size_t row, bytes;
    if (!memory_multiply(width, mien_pixel_bytes(format), &row) || !memory_multiply(row, height, &bytes))
        return error_set(error, MIEN_ELIMIT, "a crop of %zu × %zu is too large", width, height);
    if (!kept->image.data || bytes > kept->capacity) {
        mien_image made = {0};
        mien_status status = mien_image_init(&made, width, height, format, error);
        if (status)
            return status;
        mien_image_done(&kept->image);
        *kept = (crop_buffer){made, made.stride * height};
        return MIEN_OK;
    }
    kept->image = (mien_image){kept->image.data, width, height, row, format};
    return MIEN_OK;
}

static mien_pixel_format crop_format(const model_input *input)
{
    if (input->pixels == MODEL_PIXELS_GREY)
        return MIEN_PIXEL_GREY8;
    return input->pixels == MODEL_PIXELS_RGB ? MIEN_PIXEL_RGB8 : MIEN_PIXEL_BGR8;
}

/* The whole pixels that the box touches, inside the picture. */
static mien_image_view crop_view(const mien_image_view *picture, const classifier_box *box)
{
    if (!(box->width > 0 && box->height > 0))
        return (mien_image_view){0};
    double left = floor((double)box->x + 0.5), top = floor((double)box->y + 0.5);
    double right = floor((double)box->x + (double)box->width + 0.5);
    double bottom = floor((double)box->y + (double)box->height + 0.5);
    left = fmin(fmax(left, 0), (double)picture->width);
    top = fmin(fmax(top, 0), (double)picture->height);
    right = fmin(fmax(right, left), (double)picture->width);
    bottom = fmin(fmax(bottom, top), (double)picture->height);
    return image_crop(picture, (int64_t)left, (int64_t)top, (int64_t)(right - left), (int64_t)(bottom - top));
}

static void crop_normalise(const mien_image *image, const model_input *input, float *nchw)
{
    size_t plane = image->width * image->height, bytes = mien_pixel_bytes(image->format);
    for (int c = 0; c < input->channels; c++) {
        /* a grey picture for a network of three channels is given three times */
        size_t channel = bytes == 1 ? 0 : (size_t)c;
        float scale = input->scale / input->std[c], shift = -input->mean[c] / input->std[c];
        float *to = nchw + plane * (size_t)c;
        for (size_t y = 0; y < image->height; y++) {
            const uint8_t *row = image->data + y * image->stride + channel;
            for (size_t x = 0; x < image->width; x++)
                *to++ = (float)row[x * bytes] * scale + shift;
        }
    }
}

static float crop_saturate(float value, float half)
{
    return value / (value + half);
}

static float crop_quality(const mien_image_view *grey, float side)
{
    double sum = 0, squares = 0, edge_sum = 0, edge_squares = 0;
    size_t count = grey->width * grey->height, edges = 0;
    for (size_t y = 0; y < grey->height; y++) {
        const uint8_t *row = grey->data + y * grey->stride;
        for (size_t x = 0; x < grey->width; x++) {
            sum += row[x];
            squares += (double)row[x] * row[x];
            if (!x || !y || x + 1 == grey->width || y + 1 == grey->height)
                continue;
            int laplacian = row[x - 1] + row[x + 1] + row[x - grey->stride] + row[x + grey->stride] - 4 * row[x];
            edge_sum += laplacian;
            edge_squares += (double)laplacian * laplacian;
            edges++;
        }
    }
    double n = (double)count, m = edges ? (double)edges : 1;
    double deviation = sqrt(fmax(squares / n - sum / n * (sum / n), 0));
    double sharpness = fmax(edge_squares / m - edge_sum / m * (edge_sum / m), 0);
    return crop_saturate(side, half_side) * crop_saturate((float)sharpness, half_sharpness) *
           crop_saturate((float)deviation, half_contrast);
}

mien_status crop_to_input(crop_buffers *buffers, const mien_image_view *picture, const classifier_box *box,
                          const model_input *input, float *nchw, float *quality, mien_error *error)
{
    mien_image_view source = crop_view(picture, box);
    if (!source.width || !source.height)
        return error_set(error, MIEN_EINVAL, "the face box lies outside the picture");
    mien_pixel_format format = crop_format(input);
    mien_status status = crop_reshape(&buffers->region, source.width, source.height, format, error);
    if (!status)
        status = image_convert(&source, &buffers->region.image, error);
    if (!status)
        status = crop_reshape(&buffers->sized, (size_t)input->width, (size_t)input->height, format, error);
    if (status)
        return status;
    mien_image_view region = mien_image_as_view(&buffers->region.image);
    status = prep_resize_linear(&region, &buffers->sized.image, error);
    if (status)
        return status;

    mien_image_view grey = mien_image_as_view(&buffers->sized.image);
    if (format != MIEN_PIXEL_GREY8) {
        status = crop_reshape(&buffers->grey, grey.width, grey.height, MIEN_PIXEL_GREY8, error);
        if (!status)
            status = image_convert(&grey, &buffers->grey.image, error);
        if (status)
            return status;
        grey = mien_image_as_view(&buffers->grey.image);
    }
    crop_normalise(&buffers->sized.image, input, nchw);
    *quality = crop_quality(&grey, fminf(box->width, box->height));
    return MIEN_OK;
}
