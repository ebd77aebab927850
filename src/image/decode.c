/* Decoding, whatever the format: the kind is told by the first bytes (names lie, and uploads have none), the limits are
 * checked from the header before memory is taken, then the format's own file does the work and this one converts and
 * turns the result upright. Formats that people often send and that mien does not read are told by name. */
#include "image/decode.h"

#include <string.h>

#include "base/error.h"
#include "image/convert.h"

enum { DECODE_SNIFF_BYTES = 12 };

static const mien_image_limits decode_default_limits = {
    .max_bytes = (size_t)64 << 20, .max_pixels = 50000000, .max_side = 32768};

void mien_decode_default_options(mien_decode_options *options)
{
    if (options)
        *options = (mien_decode_options){.limits = decode_default_limits, .format = MIEN_PIXEL_RGB8};
}

typedef struct decode_kind {
    size_t offset, length; /* where `mark` stands */
    const char *mark;
    image_decoder decoder; /* NULL = known and not read */
    const char *name;
} decode_kind;

static const decode_kind decode_kinds[] = {
    {0, 3, "\xff\xd8\xff", image_decode_jpeg, "JPEG"},
    {0, 8, "\x89PNG\r\n\x1a\n", image_decode_png, "PNG"},
    {8, 4, "WEBP", image_decode_webp, "WebP"},
    {0, 6, "GIF87a", image_decode_gif, "GIF"},
    {0, 6, "GIF89a", image_decode_gif, "GIF"},
    {0, 2, "BM", image_decode_bmp, "BMP"},
    {4, 7, "ftyphei", NULL, "HEIC"},
    {4, 8, "ftypmif1", NULL, "HEIF"},
    {4, 7, "ftypavi", NULL, "AVIF"},
    {4, 4, "ftyp", NULL, "MP4, a video,"},
    {8, 4, "AVI ", NULL, "AVI, a video,"},
    {0, 4, "\x1a\x45\xdf\xa3", NULL, "WebM or Matroska, a video,"},
    {0, 3, "II*", NULL, "TIFF"},
    {0, 4, "MM\0*", NULL, "TIFF"},
    {0, 4, "%PDF", NULL, "PDF"},
    {4, 4, "JXL ", NULL, "JPEG XL"},
    {0, 2, "\xff\x0a", NULL, "JPEG XL"},
    {4, 4, "jP  ", NULL, "JPEG 2000"},
};

static const decode_kind *decode_kind_of(const uint8_t *bytes, size_t length)
{
    uint8_t head[DECODE_SNIFF_BYTES] = {0};
    memcpy(head, bytes, length < sizeof head ? length : sizeof head);
    for (size_t i = 0; i < sizeof decode_kinds / sizeof decode_kinds[0]; i++) {
        const decode_kind *kind = decode_kinds + i;
        if (memcmp(head + kind->offset, kind->mark, kind->length) == 0)
            return kind;
    }
    return NULL;
}

mien_status image_check_size(const image_source *source, const char *kind, uint64_t width, uint64_t height,
                             mien_error *error)
{
    const mien_image_limits *limits = &source->limits;
    if (!width || !height)
        return error_set(error, MIEN_EFORMAT, "%s: the picture is %llu × %llu pixels, which is none", kind,
                         (unsigned long long)width, (unsigned long long)height);
    if (width > limits->max_side || height > limits->max_side || width > limits->max_pixels / height)
        return error_set(error, MIEN_ELIMIT,
                         "%s: the picture is %llu × %llu pixels; at most %zu a side and %llu in all are allowed", kind,
                         (unsigned long long)width, (unsigned long long)height, limits->max_side,
                         (unsigned long long)limits->max_pixels);
    return MIEN_OK;
}

static mien_status decode_find(const image_source *source, image_decoder *decoder, mien_error *error)
{
    if (!source->bytes || !source->length)
        return error_set(error, MIEN_EFORMAT, "not a picture: there are no bytes at all");
    if (source->length > source->limits.max_bytes)
        return error_set(error, MIEN_ELIMIT, "the picture is %zu bytes long; at most %zu are allowed", source->length,
                         source->limits.max_bytes);
    const decode_kind *kind = decode_kind_of(source->bytes, source->length);
    if (!kind)
        return error_set(error, MIEN_EFORMAT, "not a picture: the bytes are none of JPEG, PNG, WebP, GIF, BMP");
    if (!kind->decoder)
        return error_set(error, MIEN_EUNSUPPORTED, "%s is not read as a picture; use JPEG, PNG, WebP, GIF or BMP",
                         kind->name);
    *decoder = kind->decoder;
    return MIEN_OK;
}

static mien_image_limits decode_limits(const mien_image_limits *wanted)
{
    mien_image_limits limits = *wanted;
    if (!limits.max_bytes)
        limits.max_bytes = decode_default_limits.max_bytes;
    if (!limits.max_pixels)
        limits.max_pixels = decode_default_limits.max_pixels;
    if (!limits.max_side)
        limits.max_side = decode_default_limits.max_side;
    return limits;
}

mien_status image_ask(const image_source *source, size_t width, size_t height, mien_pixel_format format, bool turned,
                      uint64_t beside, mien_error *error)
{
    if (!source->wish.ask)
        return MIEN_OK;
    uint64_t kept = (uint64_t)width * height * mien_pixel_bytes(format);
    uint64_t turning = turned && source->upright ? 2 * kept : 0;
    uint64_t reading = kept + beside > turning ? kept + beside : turning;
    image_need need = {width, height, kept, reading};
    return source->wish.ask(source->wish.context, &need, error);
}

static image_full_size decode_full_size(const mien_image *image, const image_origin *origin, bool upright)
{
    image_full_size full = {image->width, image->height};
    if (origin->width) {
        bool lying = upright && origin->orientation >= 5 && origin->orientation <= 8;
        full =
            lying ? (image_full_size){origin->height, origin->width} : (image_full_size){origin->width, origin->height};
    }
    return full;
}

mien_status mien_image_decode(const void *bytes, size_t length, const mien_decode_options *options, mien_image *image,
                              mien_error *error)
{
    static const image_wish none;
    return image_decode(bytes, length, options, &none, image, NULL, error);
}

mien_status image_decode(const void *bytes, size_t length, const mien_decode_options *options, const image_wish *wish,
                         mien_image *image, image_full_size *full, mien_error *error)
{
    mien_decode_options defaults;
    mien_decode_default_options(&defaults);
    if (!options)
        options = &defaults;
    size_t pixel = mien_pixel_bytes(options->format);
    if (!image || !pixel || pixel > 3)
        return error_set(error, MIEN_EINVAL, "a picture is decoded to grey, RGB or BGR, not to format %d",
                         (int)options->format);

    bool upright = !options->ignore_orientation;
    image_source source = {bytes, length, decode_limits(&options->limits), options->format, upright, *wish};
    image_decoder decoder = NULL;
    mien_status status = decode_find(&source, &decoder, error);
    if (status)
        return status;
    mien_image made = {0};
    image_origin origin = {.orientation = 1};
    status = decoder(&source, &made, &origin, error);
    if (status)
        return status;
    image_convert_in_place(&made, options->format);
    if (upright)
        status = image_orient(&made, origin.orientation, error);
    if (status) {
        mien_image_done(&made);
        return status;
    }
    if (full)
        *full = decode_full_size(&made, &origin, upright);
    *image = made;
    return MIEN_OK;
}
