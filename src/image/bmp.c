/* BMP by a parser of our own: no small library reads all of it. Layout, little-endian throughout:
 *     0   "BM", file size (4, unreliable), reserved (4), offset of the pixels (4)
 *     14  header size (4): 12 = OS/2 core (16-bit sides, 3-byte palette), 40 = INFO, 52/56 = with masks, 64 = OS/2 2.x,
 *         108/124 = V4/V5; then width, height (negative: rows run downwards), planes, bits, compression, …, palette
 *     then masks (40-byte header with bitfields), palette, pixels: rows of 4-byte multiples, or run lengths
 *
 * Every position is held against the length before it is read. Alpha counts only where a mask names it and some pixel
 * has any (many writers leave it 0). */
#include "image/bmp.h"

#include <string.h>

#include "base/error.h"

enum {
    BMP_FILE_HEADER = 14,
    BMP_CORE_HEADER = 12,
    BMP_INFO_HEADER = 40,
    BMP_OS2_HEADER = 64,
    BMP_MASKS_AT = BMP_FILE_HEADER + BMP_INFO_HEADER, /* also inside the larger headers */
    BMP_PLAIN = 0,
    BMP_RLE8 = 1,
    BMP_RLE4 = 2,
    BMP_BITFIELDS = 3,
    BMP_ALPHA_BITFIELDS = 6,
};

static unsigned bmp_u16(const uint8_t *at)
{
    return (unsigned)at[0] | (unsigned)at[1] << 8;
}

static uint32_t bmp_u32(const uint8_t *at)
{
    return bmp_u16(at) | (uint32_t)bmp_u16(at + 2) << 16;
}

static mien_status bmp_cut_off(const image_source *source, mien_error *error)
{
    return error_set_at(error, MIEN_EFORMAT, source->length, "BMP: the picture is cut off after %zu bytes",
                        source->length);
}

static mien_status bmp_read_sides(const image_source *source, bmp_header *header, mien_error *error)
{
    const uint8_t *at = source->bytes + BMP_FILE_HEADER + 4;
    if (header->size == BMP_CORE_HEADER) {
        header->width = bmp_u16(at);
        header->height = bmp_u16(at + 2);
        header->bits = bmp_u16(at + 6);
    } else {
        int64_t width = (int32_t)bmp_u32(at), height = (int32_t)bmp_u32(at + 4);
        if (width < 0)
            return error_set_at(error, MIEN_EFORMAT, BMP_FILE_HEADER + 4, "BMP: the width is negative");
        header->width = (size_t)width;
        header->height = (size_t)(height < 0 ? -height : height);
        header->downwards = height < 0;
        header->bits = bmp_u16(at + 10);
        header->compression = bmp_u32(at + 12);
        header->colours = bmp_u32(at + 28);
    }
    return image_check_size(source, "BMP", header->width, header->height, error);
}

static mien_status bmp_check_kind(const bmp_header *header, mien_error *error)
{
    unsigned bits = header->bits, kind = header->compression;
    bool bits_known = bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
    if (!bits_known)
        return error_set(error, MIEN_EFORMAT, "BMP: %u bits a pixel do not exist", bits);
    if (kind > BMP_ALPHA_BITFIELDS || kind == 4 || kind == 5 || (header->size == BMP_OS2_HEADER && kind > BMP_RLE4))
        return error_set(error, MIEN_EUNSUPPORTED, "BMP: compression %u is not read", kind);
    bool fits = kind == BMP_PLAIN || (kind == BMP_RLE8 && bits == 8) || (kind == BMP_RLE4 && bits == 4) ||
                (kind != BMP_RLE8 && kind != BMP_RLE4 && (bits == 16 || bits == 32));
    if (!fits || (header->downwards && (kind == BMP_RLE8 || kind == BMP_RLE4)))
        return error_set(error, MIEN_EFORMAT, "BMP: compression %u and %u bits a pixel do not go together", kind, bits);
    return MIEN_OK;
}

/* Where the bits of one channel stand. A mask with holes is taken from its lowest to its highest bit. */
static bmp_channel bmp_channel_of(uint32_t mask)
{
    bmp_channel channel = {mask, 0, 0};
    if (mask) {
        channel.shift = (unsigned)__builtin_ctz(mask);
        channel.most = mask >> channel.shift;
    }
    return channel;
}

static mien_status bmp_read_masks(const image_source *source, bmp_header *header, size_t *end, mien_error *error)
{
    uint32_t masks[4] = {0x00ff0000, 0x0000ff00, 0x000000ff, 0};
    bool fields = header->compression == BMP_BITFIELDS || header->compression == BMP_ALPHA_BITFIELDS;
    if (fields) {
        bool alpha = header->size >= 56 || header->compression == BMP_ALPHA_BITFIELDS;
        size_t count = alpha ? 4 : 3, stop = BMP_MASKS_AT + 4 * count;
        if (stop > source->length)
            return bmp_cut_off(source, error);
        for (size_t i = 0; i < count; i++)
            masks[i] = bmp_u32(source->bytes + BMP_MASKS_AT + 4 * i);
        if (*end < stop)
            *end = stop;
    } else if (header->bits == 16) {
        masks[0] = 0x7c00;
        masks[1] = 0x03e0;
        masks[2] = 0x001f;
    }
    for (int i = 0; i < 4; i++)
        header->channels[i] = bmp_channel_of(masks[i]);
    return MIEN_OK;
}

/* Returns where the palette ends. */
static size_t bmp_read_palette(const image_source *source, bmp_header *header, size_t start)
{
    size_t entry = header->size == BMP_CORE_HEADER ? 3 : 4, count = (size_t)1 << header->bits;
    if (header->colours && header->colours < count)
        count = header->colours;
    for (size_t i = 0; i < count && start + (i + 1) * entry <= source->length; i++) {
        const uint8_t *at = source->bytes + start + i * entry;
        header->palette[i][0] = at[2];
        header->palette[i][1] = at[1];
        header->palette[i][2] = at[0];
    }
    return start + count * entry;
}

static mien_status bmp_read_header(const image_source *source, bmp_header *header, mien_error *error)
{
    if (source->length < BMP_FILE_HEADER + BMP_CORE_HEADER)
        return bmp_cut_off(source, error);
    header->size = bmp_u32(source->bytes + BMP_FILE_HEADER);
    bool known = header->size == BMP_CORE_HEADER || (header->size >= BMP_INFO_HEADER && header->size <= 124);
    if (!known)
        return error_set_at(error, MIEN_EFORMAT, BMP_FILE_HEADER,
                            "not a picture: it begins like a BMP, but its header of %u bytes is of no BMP",
                            header->size);
    size_t end = BMP_FILE_HEADER + (size_t)header->size;
    if (end > source->length)
        return bmp_cut_off(source, error);
    mien_status status = bmp_read_sides(source, header, error);
    if (!status)
        status = bmp_check_kind(header, error);
    if (!status)
        status = bmp_read_masks(source, header, &end, error);
    if (status)
        return status;
    size_t behind = header->bits <= 8 ? bmp_read_palette(source, header, end) : end;
    header->pixels = bmp_u32(source->bytes + 10);
    if (!header->pixels) /* some writers do not say */
        header->pixels = behind;
    if (header->pixels < end || header->pixels >= source->length)
        return error_set_at(error, MIEN_EFORMAT, 10, "BMP: the pixels are said to begin at byte %zu of %zu",
                            header->pixels, source->length);
    return MIEN_OK;
}

mien_status image_decode_bmp(const image_source *source, mien_image *image, image_origin *origin, mien_error *error)
{
    bmp_header header = {0};
    mien_status status = bmp_read_header(source, &header, error);
    if (status)
        return status;
    mien_image made = {0};
    bool runs = header.compression == BMP_RLE8 || header.compression == BMP_RLE4;
    mien_pixel_format format = header.channels[3].most ? MIEN_PIXEL_RGBA8 : MIEN_PIXEL_RGB8;
    if (!runs && !bmp_rows_fit(source, &header))
        return bmp_cut_off(source, error);
    status = image_ask(source, header.width, header.height, format, false, 0, error);
    if (!status)
        status = mien_image_init(&made, header.width, header.height, format, error);
    if (status)
        return status;
    if (runs && !bmp_read_runs(source, &header, &made))
        status = bmp_cut_off(source, error);
    else if (!runs)
        bmp_read_rows(source, &header, &made);
    if (status) {
        mien_image_done(&made);
        return status;
    }
    origin->orientation = 1;
    *image = made;
    return MIEN_OK;
}
