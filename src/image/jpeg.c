/* JPEG by libjpeg-turbo's own interface rather than the TurboJPEG one: it tells which warning came, and the difference
 * between a picture that is cut off (refused) and one whose file is untidy but whole (accepted) lies there. The
 * accurate integer transform and smooth chroma are asked for, which is what OpenCV and browsers show, bit for bit.
 * libjpeg reports errors by a callback that may not return, hence the jump; it goes back to the function that set it
 * and frees nothing on its way, so everything that was taken lies in one structure. */
#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/decode.h"

enum {
    JPEG_MARKER_EXIF = JPEG_APP0 + 1,
    JPEG_EXIF_LEAD = 6,   /* "Exif\0\0" before the TIFF structure */
    JPEG_MAX_SCANS = 100, /* honest progressive files have about ten; each scan costs a pass over the picture */
};

typedef struct jpeg_reader {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    const image_source *source;
    mien_image image;
    image_origin origin;
    mien_status status;
    mien_error *error;
} jpeg_reader;

static size_t jpeg_position(const jpeg_reader *reader)
{
    const struct jpeg_source_mgr *from = reader->info.src;
    return from && from->bytes_in_buffer <= reader->source->length ? reader->source->length - from->bytes_in_buffer : 0;
}

static _Noreturn void jpeg_cut_off(jpeg_reader *reader)
{
    reader->status =
        error_set_at(reader->error, MIEN_EFORMAT, reader->source->length,
                     "JPEG: the picture is cut off: its %zu bytes end in the middle", reader->source->length);
    longjmp(reader->jump, 1);
}

static mien_status jpeg_status_of(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return MIEN_ENOMEM;
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_NOTIMPL:
        return MIEN_EUNSUPPORTED;
    default:
        return MIEN_EFORMAT;
    }
}

static void jpeg_on_error(j_common_ptr common)
{
    jpeg_reader *reader = common->client_data;
    char message[JMSG_LENGTH_MAX];
    common->err->format_message(common, message);
    reader->status = error_set_at(reader->error, jpeg_status_of(common->err->msg_code), jpeg_position(reader),
                                  "JPEG: damaged or unusual: %s", message);
    longjmp(reader->jump, 1);
}

/* A simple file whose end mark alone is missing is whole: missing data would bring a second warning. Of a layered one
 * whole scans would be lost in silence. */
static bool jpeg_end_may_miss(jpeg_reader *reader)
{
    return reader->image.data && !reader->info.arith_code && !jpeg_has_multiple_scans(&reader->info);
}

/* Warnings have level -1. "Ran into a marker" means that picture data are missing. */
static void jpeg_on_message(j_common_ptr common, int level)
{
    jpeg_reader *reader = common->client_data;
    if (level >= 0)
        return;
    int code = common->err->msg_code;
    if (code == JWRN_HIT_MARKER || (code == JWRN_JPEG_EOF && !jpeg_end_may_miss(reader)))
        jpeg_cut_off(reader);
}

static void jpeg_on_progress(j_common_ptr common)
{
    jpeg_reader *reader = common->client_data;
    if (reader->info.input_scan_number <= JPEG_MAX_SCANS)
        return;
    reader->status = error_set_at(reader->error, MIEN_ELIMIT, jpeg_position(reader),
                                  "JPEG: the picture comes in more than %d scans", JPEG_MAX_SCANS);
    longjmp(reader->jump, 1);
}

static unsigned jpeg_orientation(const struct jpeg_decompress_struct *info)
{
    for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next)
        if (marker->marker == JPEG_MARKER_EXIF && marker->data_length > JPEG_EXIF_LEAD &&
            memcmp(marker->data, "Exif\0\0", JPEG_EXIF_LEAD) == 0)
            return exif_orientation(marker->data + JPEG_EXIF_LEAD, marker->data_length - JPEG_EXIF_LEAD);
    return 1;
}

/* Choose libjpeg's output. CMYK comes as four bytes a pixel and is converted here afterwards. */
static mien_pixel_format jpeg_choose_output(struct jpeg_decompress_struct *info, mien_pixel_format wanted)
{
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
    if (info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK) {
        info->out_color_space = JCS_CMYK;
        return MIEN_PIXEL_RGBA8;
    }
    if (info->jpeg_color_space == JCS_GRAYSCALE && wanted == MIEN_PIXEL_GREY8) {
        info->out_color_space = JCS_GRAYSCALE;
        return MIEN_PIXEL_GREY8;
    }
    info->out_color_space = wanted == MIEN_PIXEL_BGR8 ? JCS_EXT_BGR : JCS_EXT_RGB;
    return wanted == MIEN_PIXEL_BGR8 ? MIEN_PIXEL_BGR8 : MIEN_PIXEL_RGB8;
}

/* Four inks in place to RGB: each ink takes its share of the light, black takes all. The files hold the light that is
 * left instead of the ink: Adobe's always, and others are read so by browsers, OpenCV and Pillow. */
static void jpeg_inks_to_rgb(uint8_t *row, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        const uint8_t *light = row + 4 * x;
        unsigned left = light[3];
        for (int c = 0; c < 3; c++) {
            unsigned product = light[c] * left + 128;
            row[3 * x + (size_t)c] = (uint8_t)((product + (product >> 8)) >> 8);
        }
    }
}

static void jpeg_read_rows(jpeg_reader *reader)
{
    struct jpeg_decompress_struct *info = &reader->info;
    mien_image *image = &reader->image;
    while (info->output_scanline < info->output_height) {
        uint8_t *row = image->data + info->output_scanline * image->stride;
        jpeg_read_scanlines(info, &row, 1);
        if (info->out_color_space == JCS_CMYK)
            jpeg_inks_to_rgb(row, image->width);
    }
    if (info->out_color_space == JCS_CMYK)
        image->format = MIEN_PIXEL_RGB8;
}

/* How far the picture may be shrunk: by what libjpeg's transform does with less work, not by more. */
static unsigned jpeg_choose_shrink(const image_wish *wish, size_t longer)
{
    unsigned shrink = 1;
    if (!wish->least_side)
        return 1;
    while (shrink < 8 && longer / (2 * shrink) >= wish->least_side &&
           (!wish->least_detail || wish->least_detail / (2 * shrink) >= wish->least_detail_seen))
        shrink *= 2;
    return shrink;
}

/* Of a picture in several scans libjpeg holds all coefficients, two bytes each, however small the output. */
static uint64_t jpeg_coefficient_bytes(struct jpeg_decompress_struct *info)
{
    uint64_t bytes = 0;
    if (!jpeg_has_multiple_scans(info))
        return 0;
    for (int i = 0; i < info->num_components; i++) {
        const jpeg_component_info *c = &info->comp_info[i];
        uint64_t across = (uint64_t)c->width_in_blocks + (uint64_t)c->h_samp_factor;
        uint64_t down = (uint64_t)c->height_in_blocks + (uint64_t)c->v_samp_factor;
        bytes += across * down * sizeof(JBLOCK);
    }
    return bytes;
}

static mien_status jpeg_make_image(jpeg_reader *reader)
{
    struct jpeg_decompress_struct *info = &reader->info;
    const image_source *source = reader->source;
    mien_pixel_format format = jpeg_choose_output(info, source->format);
    info->scale_num = 1;
    info->scale_denom = jpeg_choose_shrink(&source->wish, info->image_width > info->image_height ? info->image_width
                                                                                                 : info->image_height);
    jpeg_calc_output_dimensions(info);
    if (info->scale_denom > 1) {
        reader->origin.width = info->image_width;
        reader->origin.height = info->image_height;
    }
    mien_status status = image_ask(source, info->output_width, info->output_height, format,
                                   reader->origin.orientation > 1, jpeg_coefficient_bytes(info), reader->error);
    if (status)
        return status;
    return mien_image_init(&reader->image, info->output_width, info->output_height, format, reader->error);
}

/* Everything that may jump. */
static mien_status jpeg_read(jpeg_reader *reader)
{
    struct jpeg_decompress_struct *info = &reader->info;
    if (setjmp(reader->jump))
        return reader->status;
    jpeg_create_decompress(info);
    jpeg_mem_src(info, reader->source->bytes, reader->source->length);
    info->progress = &reader->progress;
    jpeg_save_markers(info, JPEG_MARKER_EXIF, 0xffff);
    jpeg_read_header(info, TRUE);
    mien_status status = image_check_size(reader->source, "JPEG", info->image_width, info->image_height, reader->error);
    if (status)
        return status;
    reader->origin.orientation = jpeg_orientation(info);
    status = jpeg_make_image(reader);
    if (status)
        return status;
    jpeg_start_decompress(info);
    jpeg_read_rows(reader);
    jpeg_finish_decompress(info);
    return MIEN_OK;
}

mien_status image_decode_jpeg(const image_source *source, mien_image *image, image_origin *origin, mien_error *error)
{
    jpeg_reader *reader = memory_zeroed(1, sizeof *reader);
    if (!reader)
        return error_no_memory(error, sizeof *reader);
    reader->source = source;
    reader->error = error;
    reader->info.err = jpeg_std_error(&reader->errors);
    reader->info.client_data = reader;
    reader->errors.error_exit = jpeg_on_error;
    reader->errors.emit_message = jpeg_on_message;
    reader->progress.progress_monitor = jpeg_on_progress;

    mien_status status = jpeg_read(reader);
    jpeg_destroy_decompress(&reader->info);
    if (status) {
        mien_image_done(&reader->image);
    } else {
        *image = reader->image;
        *origin = reader->origin;
    }
    memory_free(reader);
    return status;
}
