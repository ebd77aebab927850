/* PNG by libspng, row by row into the final memory. Palettes and few-bit greys are expanded, 16-bit channels lose their
 * lower byte, transparency (a channel or tRNS) is kept as alpha for the conversion over white. Check sums are verified:
 * a damaged picture is refused rather than shown. */
#include <spng.h>

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "image/decode.h"

/* Colour profiles and texts are inflated into memory; this is far above any honest one. */
enum { PNG_MAX_CHUNK = 8 << 20, PNG_MAX_CHUNKS_KEPT = 16 << 20 };

static mien_status png_failure(int code, mien_error *error)
{
    switch (code) {
    case SPNG_EMEM:
    case SPNG_EZLIB_INIT: /* it fails for want of memory only */
        return error_set(error, MIEN_ENOMEM, "out of memory: reading a PNG");
    case SPNG_IO_EOF:
        return error_set(error, MIEN_EFORMAT, "PNG: the picture is cut off");
    case SPNG_ECHUNK_LIMITS:
        return error_set(error, MIEN_ELIMIT,
                         "PNG: what it holds besides the picture (profile, texts) is too large, too much or empty");
    default:
        return error_set(error, MIEN_EFORMAT, "PNG: damaged: %s", spng_strerror(code));
    }
}

static mien_pixel_format png_format(bool transparent, const struct spng_ihdr *header, mien_pixel_format wanted)
{
    if (transparent || header->color_type & 4)
        return MIEN_PIXEL_RGBA8;
    if (wanted == MIEN_PIXEL_GREY8 && header->color_type == SPNG_COLOR_TYPE_GRAYSCALE && header->bit_depth <= 8)
        return MIEN_PIXEL_GREY8;
    return MIEN_PIXEL_RGB8;
}

static int png_read_rows(spng_ctx *png, mien_image *image)
{
    int spng_format = image->format == MIEN_PIXEL_RGBA8  ? SPNG_FMT_RGBA8
                      : image->format == MIEN_PIXEL_RGB8 ? SPNG_FMT_RGB8
                                                         : SPNG_FMT_G8;
    int flags = SPNG_DECODE_PROGRESSIVE | (image->format == MIEN_PIXEL_RGBA8 ? SPNG_DECODE_TRNS : 0);
    size_t row_bytes = image->width * mien_pixel_bytes(image->format);
    int code = spng_decode_image(png, NULL, 0, spng_format, flags);
    while (!code) {
        struct spng_row_info row;
        code = spng_get_row_info(png, &row);
        if (!code)
            code = spng_decode_row(png, image->data + row.row_num * image->stride, row_bytes);
    }
    return code == SPNG_EOI ? 0 : code;
}

static unsigned png_orientation(spng_ctx *png)
{
    struct spng_exif exif;
    spng_decode_chunks(png); /* eXIf may follow the pixels; what is wrong behind them is of no concern */
    return spng_get_exif(png, &exif) ? 1 : exif_orientation((const uint8_t *)exif.data, exif.length);
}

static mien_status png_read(spng_ctx *png, const image_source *source, mien_image *image, image_origin *origin,
                            mien_error *error)
{
    struct spng_ihdr header;
    int code = spng_set_chunk_limits(png, PNG_MAX_CHUNK, PNG_MAX_CHUNKS_KEPT);
    if (!code)
        code = spng_set_png_buffer(png, source->bytes, source->length);
    if (!code)
        code = spng_get_ihdr(png, &header);
    if (code)
        return png_failure(code, error);
    mien_status status = image_check_size(source, "PNG", header.width, header.height, error);
    if (status)
        return status;
    mien_image made = {0};
    struct spng_trns key;
    code = spng_get_trns(png, &key); /* reads all that stands before the pixels */
    if (code && code != SPNG_ECHUNKAVAIL)
        return png_failure(code, error);
    mien_pixel_format format = png_format(!code, &header, source->format);
    bool turned = memmem(source->bytes, source->length, "eXIf", 4) != NULL; /* wherever it stands */
    status = image_ask(source, header.width, header.height, format, turned, 0, error);
    if (!status)
        status = mien_image_init(&made, header.width, header.height, format, error);
    if (status)
        return status;
    code = png_read_rows(png, &made);
    if (code) {
        mien_image_done(&made);
        return png_failure(code, error);
    }
    origin->orientation = png_orientation(png);
    *image = made;
    return MIEN_OK;
}

mien_status image_decode_png(const image_source *source, mien_image *image, image_origin *origin, mien_error *error)
{
    spng_ctx *png = spng_ctx_new(0);
    if (!png)
        return error_set(error, MIEN_ENOMEM, "out of memory: reading a PNG");
    mien_status status = png_read(png, source, image, origin, error);
    spng_ctx_free(png);
    return status;
}
