/* Encoded pictures that the image tests and fuzz corpora are made of: written by the libraries' own encoders, so that
 * no binary fixture needs to be kept. Every function appends to an empty buffer; pixels follow picture_colour(). */
#ifndef TESTS_PICTURES_H
#define TESTS_PICTURES_H

#include <setjmp.h>
#include <stdio.h>

#include <gif_lib.h>
#include <jpeglib.h>
#include <spng.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "base/buffer.h"

/** A picture without symmetry: no mirroring or turning maps it to itself. */
static inline void picture_colour(size_t x, size_t y, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(40 + 24 * (x % 8));
    rgb[1] = (uint8_t)(30 + 40 * (y % 5));
    rgb[2] = (uint8_t)((x / 8 + y / 5) % 2 ? 200 : 90);
}

static inline void picture_png(uint32_t width, uint32_t height, uint8_t colour_type, uint8_t depth, uint8_t interlace,
                               const void *rows, size_t length, struct spng_exif *exif, struct spng_plte *palette,
                               struct spng_trns *transparency, buffer *out)
{
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {
        .width = width, .height = height, .bit_depth = depth, .color_type = colour_type, .interlace_method = interlace};
    spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_ihdr(png, &header);
    if (palette)
        spng_set_plte(png, palette);
    if (transparency)
        spng_set_trns(png, transparency);
    if (exif)
        spng_set_exif(png, exif);
    spng_encode_image(png, rows, length, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    int code = 0;
    size_t made = 0;
    void *bytes = spng_get_png_buffer(png, &made, &code);
    if (bytes)
        buffer_append(out, bytes, made);
    free(bytes);
    spng_ctx_free(png);
}

/** JPEG of `channels` 1, 3 or 4 (inks) from packed samples, with an EXIF segment in front when `exif` is there. */
static inline void picture_jpeg(unsigned width, unsigned height, int channels, const uint8_t *samples, int progressive,
                                int adobe, const uint8_t *exif, unsigned exif_length, buffer *out)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    unsigned char *bytes = NULL;
    unsigned long length = 0;
    jpeg_mem_dest(&info, &bytes, &length);
    info.image_width = width;
    info.image_height = height;
    info.input_components = channels;
    info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 98, TRUE);
    info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
    if (progressive)
        jpeg_simple_progression(&info);
    if (channels == 4)
        info.write_Adobe_marker = adobe ? TRUE : FALSE;
    jpeg_start_compress(&info, TRUE);
    if (exif)
        jpeg_write_marker(&info, JPEG_APP0 + 1, exif, exif_length);
    for (unsigned y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)(samples + (size_t)y * width * (unsigned)channels);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    buffer_append(out, bytes, length);
    free(bytes);
}

/** A lossless WebP of packed RGBA. */
static inline void picture_webp(int width, int height, const uint8_t *rgba, buffer *out)
{
    uint8_t *bytes = NULL;
    size_t length = WebPEncodeLosslessRGBA(rgba, width, height, 4 * width, &bytes);
    buffer_append(out, bytes, length);
    WebPFree(bytes);
}

/** The same with an EXIF chunk. */
static inline void picture_webp_exif(const buffer *plain, const uint8_t *exif, size_t exif_length, buffer *out)
{
    WebPData data = {plain->data, plain->length}, chunk = {exif, exif_length}, whole = {0};
    WebPMux *mux = WebPMuxCreate(&data, 1);
    WebPMuxSetChunk(mux, "EXIF", &chunk, 1);
    WebPMuxAssemble(mux, &whole);
    buffer_append(out, whole.bytes, whole.size);
    WebPDataClear(&whole);
    WebPMuxDelete(mux);
}

/** Two frames of 8 × 5 on one canvas. */
static inline void picture_webp_animation(const buffer *first, const buffer *second, buffer *out)
{
    WebPMux *mux = WebPMuxNew();
    WebPMuxAnimParams parameters = {.bgcolor = 0xffffffff};
    WebPMuxSetAnimationParams(mux, &parameters);
    const buffer *frames[] = {first, second};
    for (int i = 0; i < 2; i++) {
        WebPMuxFrameInfo frame = {.bitstream = {frames[i]->data, frames[i]->length},
                                  .duration = 100,
                                  .id = WEBP_CHUNK_ANMF,
                                  .dispose_method = WEBP_MUX_DISPOSE_NONE,
                                  .blend_method = WEBP_MUX_BLEND};
        WebPMuxPushFrame(mux, &frame, 1);
    }
    WebPData whole = {0};
    WebPMuxAssemble(mux, &whole);
    buffer_append(out, whole.bytes, whole.size);
    WebPDataClear(&whole);
    WebPMuxDelete(mux);
}

static inline int picture_gif_write(GifFileType *file, const GifByteType *bytes, int length)
{
    buffer_append(file->UserData, bytes, (size_t)length);
    return length;
}

/** A GIF of `frames` pictures of width × height palette indices (0..3) at (left, top) of a canvas; index 3 is
 *  transparent. Palette: black, red, green, blue. Frames after the first are all 1. */
static inline void picture_gif(int canvas_width, int canvas_height, int left, int top, int width, int height,
                               const uint8_t *indices, bool interlaced, int frames, buffer *out)
{
    static const GifColorType colours[4] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
    static const int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    int code = 0;
    GifFileType *file = EGifOpen(out, picture_gif_write, &code);
    ColorMapObject *map = GifMakeMapObject(4, colours);
    EGifSetGifVersion(file, true);
    EGifPutScreenDesc(file, canvas_width, canvas_height, 2, 0, map);
    for (int frame = 0; frame < frames; frame++) {
        GifByteType control[4];
        GraphicsControlBlock block = {.TransparentColor = 3, .DelayTime = 10};
        EGifGCBToExtension(&block, control);
        EGifPutExtension(file, GRAPHICS_EXT_FUNC_CODE, 4, control);
        EGifPutImageDesc(file, left, top, width, height, interlaced, NULL);
        for (int pass = 0; pass < (interlaced ? 4 : 1); pass++)
            for (int y = interlaced ? starts[pass] : 0; y < height; y += interlaced ? steps[pass] : 1) {
                GifByteType row[256];
                for (int x = 0; x < width; x++)
                    row[x] = frame ? 1 : indices[y * width + x];
                EGifPutLine(file, row, width);
            }
    }
    EGifCloseFile(file, &code);
    GifFreeMapObject(map);
}

/** A TIFF structure that says nothing but the orientation. Returns its length (26). */
static inline size_t picture_exif(unsigned orientation, bool big_endian, uint8_t tiff[26])
{
    static const uint8_t little[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1};
    static const uint8_t big[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1};
    for (int i = 0; i < 26; i++)
        tiff[i] = big_endian ? big[i] : little[i];
    tiff[big_endian ? 19 : 18] = (uint8_t)orientation;
    return 26;
}

#endif
