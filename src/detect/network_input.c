/* A tile is shrunk in the picture's own format and then spread into planes. */
#include "detect/network_input.h"

#include <string.h>

#include "image/convert.h"
#include "prep/prep.h"

/* Where red, green and blue stand in a pixel. */
static void network_channel_order(mien_pixel_format format, size_t order[NETWORK_CHANNELS])
{
    bool grey = format == MIEN_PIXEL_GREY8, blue_first = format == MIEN_PIXEL_BGR8 || format == MIEN_PIXEL_BGRA8;
    for (size_t c = 0; c < NETWORK_CHANNELS; c++)
        order[c] = grey ? 0 : blue_first ? NETWORK_CHANNELS - 1 - c : c;
}

/* Pixels into planes; what the tile does not cover is the mean, which the network knows as nothing. */
static void network_fill(const network_detector *detector, const mien_image_view *tile, int width, int height,
                         float *planes)
{
    size_t bytes = mien_pixel_bytes(tile->format), order[NETWORK_CHANNELS], area = (size_t)width * (size_t)height;
    const model_input *input = &detector->input;
    network_channel_order(tile->format, order);
    memset(planes, 0, area * NETWORK_CHANNELS * sizeof *planes);
    for (size_t c = 0; c < NETWORK_CHANNELS; c++) {
        size_t from = order[input->pixels == MODEL_PIXELS_BGR ? NETWORK_CHANNELS - 1 - c : c];
        float scale = input->scale / input->std[c], shift = -input->mean[c] / input->std[c];
        for (size_t y = 0; y < tile->height; y++) {
            const uint8_t *row = tile->data + y * tile->stride + from;
            float *to = planes + c * area + y * (size_t)width;
            for (size_t x = 0; x < tile->width; x++)
                to[x] = (float)row[x * bytes] * scale + shift;
        }
    }
}

/* The part of the picture at the size it is to be seen; no copy where that is its own. */
static mien_status network_shrink(network_small *small, const mien_image_view *picture, const network_view *view,
                                  mien_image_view *tile, mien_error *error)
{
    mien_image_view part =
        image_crop(picture, (int64_t)view->x, (int64_t)view->y, (int64_t)view->width, (int64_t)view->height);
    if (part.width == view->seen_width && part.height == view->seen_height) {
        *tile = part;
        return MIEN_OK;
    }
    size_t stride = view->seen_width * mien_pixel_bytes(picture->format), needed = stride * view->seen_height;
    if (needed > small->bytes) {
        mien_image_done(&small->image);
        small->bytes = 0;
        mien_status status =
            mien_image_init(&small->image, view->seen_width, view->seen_height, picture->format, error);
        if (status)
            return status;
        small->bytes = small->image.stride * view->seen_height;
    }
    mien_image target = {small->image.data, view->seen_width, view->seen_height, stride, picture->format};
    mien_status status = prep_resize_linear(&part, &target, error);
    if (!status)
        *tile = mien_image_as_view(&target);
    return status;
}

mien_status network_see(const network_detector *detector, const mien_image_view *picture, const network_view *view,
                        int width, int height, network_small *small, float *planes, mien_error *error)
{
    mien_image_view tile;
    mien_status status = network_shrink(small, picture, view, &tile, error);
    if (!status)
        network_fill(detector, &tile, width, height, planes);
    return status;
}

void network_small_done(network_small *small)
{
    mien_image_done(&small->image);
    small->bytes = 0;
}
