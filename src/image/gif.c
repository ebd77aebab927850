/* GIF by giflib, the first frame only: records are read up to the first picture and the rest of the file is not looked
 * at, so a long animation costs no more than a still. The frame is put on the canvas that the header announces; what it
 * does not cover, or leaves transparent, is white. */
#include <gif_lib.h>

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/decode.h"

typedef struct gif_reader {
    GifFileType *file;
    const uint8_t *bytes;
    size_t left;
    int transparent; /* palette index, or NO_TRANSPARENT_COLOR */
} gif_reader;

static int gif_feed(GifFileType *file, GifByteType *to, int wanted)
{
    gif_reader *reader = file->UserData;
    size_t count = wanted < 0 ? 0 : (size_t)wanted < reader->left ? (size_t)wanted : reader->left;
    memcpy(to, reader->bytes, count);
    reader->bytes += count;
    reader->left -= count;
    return (int)count;
}

static mien_status gif_failure(int code, mien_error *error)
{
    switch (code) {
    case D_GIF_ERR_NOT_ENOUGH_MEM:
        return error_set(error, MIEN_ENOMEM, "out of memory: reading a GIF");
    case D_GIF_ERR_READ_FAILED:
    case D_GIF_ERR_EOF_TOO_SOON:
        return error_set(error, MIEN_EFORMAT, "GIF: the picture is cut off");
    case D_GIF_ERR_NO_COLOR_MAP:
        return error_set(error, MIEN_EFORMAT, "GIF: the picture has no palette");
    default: {
        const char *text = GifErrorString(code);
        return error_set(error, MIEN_EFORMAT, "GIF: damaged: %s", text ? text : "unknown error");
    }
    }
}

/* Read one extension; the graphics control block names the transparent colour of the picture that follows. */
static bool gif_skip_extension(gif_reader *reader)
{
    int kind;
    GifByteType *block;
    if (DGifGetExtension(reader->file, &kind, &block) == GIF_ERROR)
        return false;
    while (block) {
        GraphicsControlBlock control;
        if (kind == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
            reader->transparent = control.TransparentColor;
        if (DGifGetExtensionNext(reader->file, &block) == GIF_ERROR)
            return false;
    }
    return true;
}

/* Go on to the first picture's descriptor. */
static mien_status gif_find_picture(gif_reader *reader, mien_error *error)
{
    for (;;) {
        GifRecordType record;
        if (DGifGetRecordType(reader->file, &record) == GIF_ERROR)
            return gif_failure(reader->file->Error, error);
        if (record == TERMINATE_RECORD_TYPE)
            return error_set(error, MIEN_EFORMAT, "GIF: there is no picture in the file");
        if (record == IMAGE_DESC_RECORD_TYPE) {
            if (DGifGetImageDesc(reader->file) == GIF_ERROR)
                return gif_failure(reader->file->Error, error);
            return MIEN_OK;
        }
        if (record == EXTENSION_RECORD_TYPE && !gif_skip_extension(reader))
            return gif_failure(reader->file->Error, error);
    }
}

static void gif_put_row(const gif_reader *reader, const ColorMapObject *palette, const uint8_t *indices, size_t row,
                        mien_image *image)
{
    const GifImageDesc *frame = &reader->file->Image;
    size_t y = (size_t)frame->Top + row, left = (size_t)frame->Left;
    if (y >= image->height)
        return;
    uint8_t *to = image->data + y * image->stride + 3 * left;
    for (size_t x = 0; x < (size_t)frame->Width && left + x < image->width; x++, to += 3) {
        if (indices[x] == reader->transparent || indices[x] >= palette->ColorCount)
            continue;
        const GifColorType *colour = palette->Colors + indices[x];
        to[0] = colour->Red;
        to[1] = colour->Green;
        to[2] = colour->Blue;
    }
}

/* Rows come in order, or interlaced: every 8th from 0, every 8th from 4, every 4th from 2, every 2nd from 1. */
static mien_status gif_read_rows(gif_reader *reader, uint8_t *indices, mien_image *image, mien_error *error)
{
    static const size_t starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &reader->file->Image;
    const ColorMapObject *palette = frame->ColorMap ? frame->ColorMap : reader->file->SColorMap;
    if (!palette)
        return gif_failure(D_GIF_ERR_NO_COLOR_MAP, error);
    for (size_t pass = 0; pass < (frame->Interlace ? 4 : 1); pass++)
        for (size_t row = frame->Interlace ? starts[pass] : 0; row < (size_t)frame->Height;
             row += frame->Interlace ? steps[pass] : 1) {
            if (DGifGetLine(reader->file, indices, frame->Width) == GIF_ERROR)
                return gif_failure(reader->file->Error, error);
            gif_put_row(reader, palette, indices, row, image);
        }
    return MIEN_OK;
}

static mien_status gif_read(gif_reader *reader, const image_source *source, mien_image *image, mien_error *error)
{
    mien_status status = gif_find_picture(reader, error);
    if (status)
        return status;
    const GifImageDesc *frame = &reader->file->Image;
    status = image_check_size(source, "GIF", (uint64_t)frame->Width, (uint64_t)frame->Height, error);
    if (status)
        return status;
    bool canvas = reader->file->SWidth > 0 && reader->file->SHeight > 0; /* some writers leave it 0 */
    size_t width = (size_t)(canvas ? reader->file->SWidth : frame->Left + frame->Width);
    size_t height = (size_t)(canvas ? reader->file->SHeight : frame->Top + frame->Height);
    status = image_check_size(source, "GIF", width, height, error);
    if (!status)
        status = image_ask(source, width, height, MIEN_PIXEL_RGB8, false, 0, error);
    if (status)
        return status;

    uint8_t *indices = memory_array((size_t)frame->Width, 1);
    mien_image made = {0};
    status = indices ? mien_image_init(&made, width, height, MIEN_PIXEL_RGB8, error)
                     : error_no_memory(error, (size_t)frame->Width);
    if (!status) {
        memset(made.data, 255, made.stride * made.height);
        status = gif_read_rows(reader, indices, &made, error);
    }
    memory_free(indices);
    if (status)
        mien_image_done(&made);
    else
        *image = made;
    return status;
}

mien_status image_decode_gif(const image_source *source, mien_image *image, image_origin *origin, mien_error *error)
{
    int code = 0;
    gif_reader reader = {.bytes = source->bytes, .left = source->length, .transparent = NO_TRANSPARENT_COLOR};
    reader.file = DGifOpen(&reader, gif_feed, &code);
    if (!reader.file)
        return gif_failure(code, error);
    mien_status status = gif_read(&reader, source, image, error);
    DGifCloseFile(reader.file, &code);
    if (!status)
        origin->orientation = 1;
    return status;
}
