/* What happens to the light between a face and the network. Gamma, contrast, brightness and tint are one table per
 * channel; colour is then drawn towards or away from grey, noise added, and the values scaled, all while a row is in
 * the cache. Blur and JPEG work on the eight bits before. */
#include <math.h>
#include <string.h>

#include "prep/prep.h"
#include "train/face_sample.h"

enum { LIGHT_LEAST_QUALITY = 15, LIGHT_MOST_QUALITY = 80 };

typedef struct light_look {
    float table[3][256]; /* 0..255, not held to it yet */
    float colour;        /* 1 = as it is, 0 = grey */
    float noise;         /* deviation; 0 = none */
    bool colour_noise;   /* each channel by itself */
} light_look;

static void light_blur(face_sample *sample)
{
    unsigned size = 3 + 2 * random_below(sample->stream, 3);
    double sigma = (double)random_range(sample->stream, 0.5f, 0.3f * (float)size);
    mien_image_view view = mien_image_as_view(&sample->canvas);
    prep_gaussian(&view, &sample->canvas, size, sigma, NULL); /* without memory for it the sample stays sharp */
}

static void light_compress(face_sample *sample)
{
    int quality = LIGHT_LEAST_QUALITY + (int)random_below(sample->stream, LIGHT_MOST_QUALITY - LIGHT_LEAST_QUALITY);
    uint8_t *bytes = NULL;
    size_t length = 0;
    mien_image decoded = {0}, *canvas = &sample->canvas;
    mien_image_view view = mien_image_as_view(canvas);
    if (!mien_image_encode_jpeg(&view, quality, &bytes, &length, NULL) &&
        !mien_image_decode(bytes, length, NULL, &decoded, NULL) && decoded.width == canvas->width &&
        decoded.height == canvas->height)
        for (size_t y = 0; y < canvas->height; y++)
            memcpy(canvas->data + y * canvas->stride, decoded.data + y * decoded.stride, canvas->width * 3);
    mien_image_done(&decoded);
    mien_free(bytes);
}

void face_light_spoil(face_sample *sample)
{
    if (face_sample_chance(sample->stream, sample->config->blur))
        light_blur(sample);
    if (face_sample_chance(sample->stream, sample->config->jpeg))
        light_compress(sample);
}

static void light_draw_look(const train_config *config, random_state *stream, light_look *look)
{
    float exponent = expf(face_sample_either_way(stream, config->gamma));
    float gain = 1 + face_sample_either_way(stream, config->contrast);
    float offset = face_sample_either_way(stream, config->brightness);
    float values[256];
    for (int i = 0; i < 256; i++) {
        float value = (float)i / 255;
        value = config->gamma > 0 ? powf(value, exponent) : value;
        values[i] = ((value - 0.5f) * gain + 0.5f + offset) * 255;
    }
    for (int c = 0; c < 3; c++) {
        float tint = 1 + face_sample_either_way(stream, config->tint);
        for (int i = 0; i < 256; i++)
            look->table[c][i] = values[i] * tint;
    }
    look->colour = 1 + face_sample_either_way(stream, config->saturation);
    if (face_sample_chance(stream, config->grey))
        look->colour = 0;
    look->noise = config->noise > 0 ? 255 * random_range(stream, 0, config->noise) : 0;
    look->colour_noise = config->noise > 0 && random_unit(stream) < 0.5f;
}

static void light_mix_colour(float share, int count, float *restrict red, float *restrict green, float *restrict blue)
{
    for (int i = 0; i < count; i++) {
        float luma = 0.299f * red[i] + 0.587f * green[i] + 0.114f * blue[i];
        red[i] = luma + share * (red[i] - luma);
        green[i] = luma + share * (green[i] - luma);
        blue[i] = luma + share * (blue[i] - luma);
    }
}

/* Four numbers from one draw, each the sum of two uniform ones: a triangle is normal enough. */
static void light_draw_noise(random_state *stream, float deviation, int count, float *noise)
{
    float unit = deviation / 104.5f;
    for (int i = 0; i < count; i += 4) {
        uint64_t bits = random_next(stream);
        for (int k = 0; k < 4; k++, bits >>= 16)
            noise[i + k] = (float)((int)(bits & 255) + (int)(bits >> 8 & 255) - 255) * unit;
    }
}

static void light_scale(int count, const float *restrict noise, float *restrict row)
{
    for (int i = 0; i < count; i++) {
        float value = row[i] + noise[i];
        value = value < 0 ? 0 : value;
        value = value > 255 ? 255 : value;
        row[i] = (value - 127.5f) * (1 / 127.5f);
    }
}

void face_light_finish(const face_sample *sample, float *input)
{
    light_look look;
    float noise[FACE_AUGMENT_MOST_SIDE + 3] = {0};
    int side = (int)sample->canvas.width;
    size_t area = (size_t)side * (size_t)side;
    light_draw_look(sample->config, sample->stream, &look);
    for (int y = 0; y < side; y++) {
        const uint8_t *from = sample->canvas.data + (size_t)y * sample->canvas.stride;
        float *rows[3];
        for (size_t c = 0; c < 3; c++)
            rows[c] = input + c * area + (size_t)y * (size_t)side;
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++)
                rows[c][x] = look.table[c][from[3 * x + c]];
        if (look.colour != 1)
            light_mix_colour(look.colour, side, rows[0], rows[1], rows[2]);
        for (int c = 0; c < 3; c++) {
            if (look.noise > 0 && (look.colour_noise || !c))
                light_draw_noise(sample->stream, look.noise, side, noise);
            light_scale(side, noise, rows[c]);
        }
    }
}
