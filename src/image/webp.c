/* WebP by libwebp: still pictures straight into the final memory, of animations the first frame as the animation
 * decoder puts it on its canvas. The EXIF chunk is found by the demuxer; where that fails, the picture counts as
 * upright. */
#include <webp/decode.h>
#include <webp/demux.h>

#include <string.h>

#include "base/error.h"
#include "image/decode.h"

static mien_status webp_failure(VP8StatusCode code, mien_error *error)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return error_set(error, MIEN_ENOMEM, "out of memory: reading a WebP");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return error_set(error, MIEN_EFORMAT, "WebP: the picture is cut off");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return error_set(error, MIEN_EUNSUPPORTED, "WebP: the picture uses an unknown feature");
    default:
        return error_set(error, MIEN_EFORMAT, "WebP: the picture is damaged");
    }
}

static mien_status webp_read_still(const image_source *source, const WebPBitstreamFeatures *features, mien_image *image,
                                   mien_error *error)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return error_set(error, MIEN_EINTERNAL, "WebP: the library is of another version");
    mien_pixel_format format = features->has_alpha                 ? MIEN_PIXEL_RGBA8
                               : source->format == MIEN_PIXEL_BGR8 ? MIEN_PIXEL_BGR8
                                                                   : MIEN_PIXEL_RGB8;
    mien_image made = {0};
    mien_status status = mien_image_init(&made, (size_t)features->width, (size_t)features->height, format, error);
    if (status)
        return status;
    config.output.colorspace = format == MIEN_PIXEL_RGBA8 ? MODE_RGBA : format == MIEN_PIXEL_BGR8 ? MODE_BGR : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = made.data;
    config.output.u.RGBA.stride = (int)made.stride;
    config.output.u.RGBA.size = made.stride * made.height;
    VP8StatusCode code = WebPDecode(source->bytes, source->length, &config);
    WebPFreeDecBuffer(&config.output);
    if (code) {
        mien_image_done(&made);
        return webp_failure(code, error);
    }
    *image = made;
    return MIEN_OK;
}

static mien_status webp_copy_canvas(const uint8_t *canvas, uint32_t width, uint32_t height, mien_image *image,
                                    mien_error *error)
{
    mien_status status = mien_image_init(image, width, height, MIEN_PIXEL_RGBA8, error);
    for (size_t y = 0; !status && y < height; y++)
        memcpy(image->data + y * image->stride, canvas + y * 4 * width, (size_t)4 * width);
    return status;
}

static mien_status webp_read_animation(const image_source *source, mien_image *image, mien_error *error)
{
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options))
        return error_set(error, MIEN_EINTERNAL, "WebP: the library is of another version");
    options.color_mode = MODE_RGBA;
    WebPData data = {source->bytes, source->length};
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, &options);
    if (!decoder)
        return error_set(error, MIEN_EFORMAT, "WebP: the animation is damaged or cut off");

    mien_status status;
    WebPAnimInfo info;
    uint8_t *canvas;
    int milliseconds;
    if (!WebPAnimDecoderGetInfo(decoder, &info) || !WebPAnimDecoderGetNext(decoder, &canvas, &milliseconds))
        status = error_set(error, MIEN_EFORMAT, "WebP: the animation's first frame is damaged or cut off");
    else
        status = webp_copy_canvas(canvas, info.canvas_width, info.canvas_height, image, error);
    WebPAnimDecoderDelete(decoder);
    return status;
}

static unsigned webp_orientation(const image_source *source)
{
    WebPData data = {source->bytes, source->length};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer)
        return 1;
    unsigned orientation = 1;
    WebPChunkIterator chunk;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        const uint8_t *bytes = chunk.chunk.bytes;
        size_t lead = chunk.chunk.size > 6 && memcmp(bytes, "Exif\0\0", 6) == 0 ? 6 : 0; /* some writers keep it */
        orientation = exif_orientation(bytes + lead, chunk.chunk.size - lead);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    WebPDemuxDelete(demuxer);
    return orientation;
}

/* What libwebp takes besides our image, bytes a pixel: the lossless decoder holds the whole picture as four bytes, the
 * other one only alpha, and the animation decoder two canvases and the frame. */
static uint64_t webp_bytes_beside(const WebPBitstreamFeatures *features)
{
    enum { LOSSLESS = 2 };
    uint64_t each = features->has_animation ? 13 : features->format == LOSSLESS ? 4 : features->has_alpha ? 5 : 0;
    return each * (uint64_t)features->width * (uint64_t)features->height;
}

mien_status image_decode_webp(const image_source *source, mien_image *image, image_origin *origin, mien_error *error)
{
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(source->bytes, source->length, &features);
    if (code)
        return webp_failure(code, error);
    mien_status status = image_check_size(source, "WebP", (uint64_t)features.width, (uint64_t)features.height, error);
    if (status)
        return status;
    unsigned orientation = webp_orientation(source);
    bool four = features.has_animation || features.has_alpha;
    status = image_ask(source, (size_t)features.width, (size_t)features.height,
                       four ? MIEN_PIXEL_RGBA8 : MIEN_PIXEL_RGB8, orientation > 1, webp_bytes_beside(&features), error);
    if (status)
        return status;
    status = features.has_animation ? webp_read_animation(source, image, error)
                                    : webp_read_still(source, &features, image, error);
    if (!status)
        origin->orientation = orientation;
    return status;
}
