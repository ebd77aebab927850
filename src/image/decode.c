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

mien_status mien_image_decode(const void *bytes, size_t length, const mien_decode_options *options, mien_image *image,
                              mien_error *error)
{
    mien_decode_options defaults;
    mien_decode_default_options(&defaults);
    if (!options)
        options = &defaults;
    size_t pixel = mien_pixel_bytes(options->format);
    if (!image || !pixel || pixel > 3)
        return error_set(error, MIEN_EINVAL, "a picture is decoded to grey, RGB or BGR, not to format %d",
                         (int)options->format);

    image_source source = {bytes, length, decode_limits(&options->limits), options->format};
    image_decoder decoder = NULL;
    mien_status status = decode_find(&source, &decoder, error);
    if (status)
        return status;
    mien_image made = {0};
    unsigned orientation = 1;
    status = decoder(&source, &made, &orientation, error);
    if (status)
        return status;
    image_convert_in_place(&made, options->format);
    if (!options->ignore_orientation)
        status = image_orient(&made, orientation, error);
    if (status)
        mien_image_done(&made);
    else
        *image = made;
    return status;
}
