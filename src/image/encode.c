/* Encoding: JPEG by libjpeg-turbo (4:2:0 below quality 90, full chroma above, as cameras do it), PNG by libspng. Both
 * grow their output by malloc, which is what mien_free frees. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
#include <spng.h>

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "image/convert.h"

enum {
    ENCODE_FULL_CHROMA_QUALITY = 90,
    ENCODE_MAX_SIDE_JPEG = 65500,
    ENCODE_MAX_SIDE_PNG = 1 << 24,
    ENCODE_CHUNK_BYTES = 1 << 16
};

typedef struct encode_jpeg {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    uint8_t *row; /* a converted row, where the view's format is none of JPEG's */
    struct jpeg_destination_mgr target;
    buffer bytes;
    mien_status status;
    mien_error *error;
} encode_jpeg;

static mien_status encode_check(const mien_image_view *view, uint8_t **bytes, size_t *length, size_t max_side,
                                mien_error *error)
{
    size_t all;
    if (!view || !bytes || !length || !view->data || !view->width || !view->height || !mien_pixel_bytes(view->format) ||
        view->stride / mien_pixel_bytes(view->format) < view->width ||
        !memory_multiply(view->stride, view->height, &all))
        return error_set(error, MIEN_EINVAL, "encode: the image is empty, or its format or stride is none");
    if (view->width > max_side || view->height > max_side)
        return error_set(error, MIEN_EINVAL, "encode: %zu × %zu pixels are too large for this format", view->width,
                         view->height);
    return MIEN_OK;
}

static void encode_on_error(j_common_ptr common)
{
    encode_jpeg *writer = common->client_data;
    char message[JMSG_LENGTH_MAX];
    common->err->format_message(common, message);
    writer->status = error_set(writer->error, MIEN_ENOMEM, "JPEG: cannot be written: %s", message);
    longjmp(writer->jump, 1);
}

static void encode_on_message(j_common_ptr common, int level)
{
    (void)common;
    (void)level;
}

/* libjpeg's own destination in memory leaves its caller with a freed pointer when memory runs out, so this is one of
 * ours: libjpeg writes into the room behind what the buffer holds. */
static void encode_take_room(j_compress_ptr info)
{
    encode_jpeg *writer = info->client_data;
    mien_status status = buffer_reserve(&writer->bytes, ENCODE_CHUNK_BYTES);
    if (status) {
        writer->status = buffer_status(&writer->bytes, writer->error);
        longjmp(writer->jump, 1);
    }
    writer->target.next_output_byte = writer->bytes.data + writer->bytes.length;
    writer->target.free_in_buffer = ENCODE_CHUNK_BYTES;
}

/* Called when all room is full, whatever the counters say. */
static boolean encode_on_full(j_compress_ptr info)
{
    encode_jpeg *writer = info->client_data;
    writer->bytes.length += ENCODE_CHUNK_BYTES;
    encode_take_room(info);
    return TRUE;
}

static void encode_on_end(j_compress_ptr info)
{
    encode_jpeg *writer = info->client_data;
    writer->bytes.length += ENCODE_CHUNK_BYTES - writer->target.free_in_buffer;
}

static void encode_jpeg_setup(struct jpeg_compress_struct *info, const mien_image_view *view, int quality)
{
    info->image_width = (JDIMENSION)view->width;
    info->image_height = (JDIMENSION)view->height;
    info->input_components = view->format == MIEN_PIXEL_GREY8 ? 1 : 3;
    info->in_color_space = view->format == MIEN_PIXEL_GREY8  ? JCS_GRAYSCALE
                           : view->format == MIEN_PIXEL_BGR8 ? JCS_EXT_BGR
                                                             : JCS_EXT_RGB;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    info->dct_method = JDCT_ISLOW;
    if (quality >= ENCODE_FULL_CHROMA_QUALITY && info->num_components == 3)
        info->comp_info[0].h_samp_factor = info->comp_info[0].v_samp_factor = 1;
}

static mien_status encode_jpeg_run(encode_jpeg *writer, const mien_image_view *view, int quality)
{
    if (setjmp(writer->jump))
        return writer->status;
    jpeg_create_compress(&writer->info);
    writer->info.dest = &writer->target;
    encode_jpeg_setup(&writer->info, view, quality);
    jpeg_start_compress(&writer->info, TRUE);
    for (size_t y = 0; y < view->height; y++) {
        JSAMPROW row = (JSAMPROW)(view->data + y * view->stride);
        if (writer->row) {
            mien_image_view line = image_crop(view, 0, (int64_t)y, (int64_t)view->width, 1);
            mien_image over = {writer->row, view->width, 1, 3 * view->width, MIEN_PIXEL_RGB8};
            image_convert(&line, &over, NULL);
            row = writer->row;
        }
        jpeg_write_scanlines(&writer->info, &row, 1);
    }
    jpeg_finish_compress(&writer->info);
    return MIEN_OK;
}

mien_status mien_image_encode_jpeg(const mien_image_view *view, int quality, uint8_t **bytes, size_t *length,
                                   mien_error *error)
{
    mien_status status = encode_check(view, bytes, length, ENCODE_MAX_SIDE_JPEG, error);
    if (status)
        return status;
    if (quality < 1 || quality > 100)
        return error_set(error, MIEN_EINVAL, "JPEG: quality %d is outside 1..100", quality);
    encode_jpeg *writer = memory_zeroed(1, sizeof *writer);
    if (!writer)
        return error_no_memory(error, sizeof *writer);
    writer->error = error;
    writer->info.err = jpeg_std_error(&writer->errors);
    writer->info.client_data = writer;
    writer->errors.error_exit = encode_on_error;
    writer->errors.emit_message = encode_on_message;
    writer->target = (struct jpeg_destination_mgr){
        .init_destination = encode_take_room, .empty_output_buffer = encode_on_full, .term_destination = encode_on_end};
    if (mien_pixel_bytes(view->format) == 4)
        writer->row = memory_array(view->width, 3);

    if (mien_pixel_bytes(view->format) == 4 && !writer->row)
        status = error_no_memory(error, 3 * view->width);
    else
        status = encode_jpeg_run(writer, view, quality);
    jpeg_destroy_compress(&writer->info);
    if (!status)
        *bytes = buffer_take(&writer->bytes, length);
    buffer_done(&writer->bytes);
    memory_free(writer->row);
    memory_free(writer);
    return status;
}

static mien_pixel_format encode_png_format(mien_pixel_format format)
{
    return format == MIEN_PIXEL_GREY8      ? MIEN_PIXEL_GREY8
           : mien_pixel_bytes(format) == 4 ? MIEN_PIXEL_RGBA8
                                           : MIEN_PIXEL_RGB8;
}

static int encode_png_rows(spng_ctx *png, const mien_image_view *view, uint8_t *row)
{
    mien_pixel_format format = encode_png_format(view->format);
    struct spng_ihdr header = {.width = (uint32_t)view->width, .height = (uint32_t)view->height, .bit_depth = 8};
    header.color_type = format == MIEN_PIXEL_GREY8   ? SPNG_COLOR_TYPE_GRAYSCALE
                        : format == MIEN_PIXEL_RGBA8 ? SPNG_COLOR_TYPE_TRUECOLOR_ALPHA
                                                     : SPNG_COLOR_TYPE_TRUECOLOR;
    size_t row_bytes = view->width * mien_pixel_bytes(format);
    int code = spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code)
        code = spng_set_ihdr(png, &header);
    if (!code)
        code = spng_encode_image(png, NULL, 0, SPNG_FMT_PNG, SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE);
    for (size_t y = 0; !code && y < view->height; y++) {
        mien_image_view line = image_crop(view, 0, (int64_t)y, (int64_t)view->width, 1);
        mien_image over = {row, view->width, 1, row_bytes, format};
        image_convert(&line, &over, NULL);
        code = spng_encode_row(png, row, row_bytes);
    }
    return code == SPNG_EOI ? 0 : code;
}

mien_status mien_image_encode_png(const mien_image_view *view, uint8_t **bytes, size_t *length, mien_error *error)
{
    mien_status status = encode_check(view, bytes, length, ENCODE_MAX_SIDE_PNG, error);
    if (status)
        return status;
    uint8_t *row = memory_array(view->width, 4), *made = NULL;
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    size_t made_length = 0;
    if (!row || !png) {
        status = error_no_memory(error, 4 * view->width);
        goto out;
    }
    int code = encode_png_rows(png, view, row);
    if (!code)
        made = spng_get_png_buffer(png, &made_length, &code);
    if (!made) {
        status = error_set(error, code == SPNG_EMEM || code == SPNG_EZLIB_INIT ? MIEN_ENOMEM : MIEN_EINTERNAL,
                           "PNG: cannot be written: %s", spng_strerror(code));
        goto out;
    }
    *bytes = made;
    *length = made_length;
out:
    spng_ctx_free(png);
    memory_free(row);
    return status;
}
