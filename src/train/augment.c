/* Flip, rotation, shift and zoom are one affine map sampled once (bilinear, border pixels repeated), brightness,
 * contrast and gamma are one table of 256 values applied before it: a picture costs one pass whatever the recipe asks
 * for, a few per cent of the network's own time. Random erasing: Zhong et al. 2017; mixup: Zhang et al. 2018; CutMix:
 * Yun et al. 2019. */
#include "train/augment.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { AUGMENT_PIXELS = AUGMENT_MOST_SIDE * AUGMENT_MOST_SIDE };

/* Source position of the target's pixel (x, y): (xx·x + xy·y + x0, yx·x + yy·y + y0). */
typedef struct augment_map {
    float xx, xy, x0, yx, yy, y0;
} augment_map;

mien_status augment_scratch_init(augment_scratch *scratch, mien_error *error)
{
    *scratch = (augment_scratch){0};
    scratch->source = memory_aligned(AUGMENT_PIXELS, sizeof(float));
    scratch->mixed = memory_aligned((size_t)AUGMENT_MOST_CHANNELS * AUGMENT_PIXELS, sizeof(float));
    if (scratch->source && scratch->mixed)
        return MIEN_OK;
    augment_scratch_done(scratch);
    return error_no_memory(error, (1 + AUGMENT_MOST_CHANNELS) * AUGMENT_PIXELS * sizeof(float));
}

void augment_scratch_done(augment_scratch *scratch)
{
    memory_free(scratch->source);
    memory_free(scratch->mixed);
    *scratch = (augment_scratch){0};
}

void augment_stream(random_state *stream, uint64_t seed, uint32_t epoch, uint32_t row)
{
    random_seed(stream, seed, (uint64_t)epoch << 32 | row);
}

static float augment_either_way(random_state *stream, float most)
{
    return most > 0 ? random_range(stream, -most, most) : 0;
}

/* Light: gamma on 0..1, contrast about the middle, brightness, then the network's scale. */
static void augment_light(const train_config *config, const augment_target *target, random_state *stream,
                          float table[256])
{
    float exponent = config->gamma > 0 ? expf(augment_either_way(stream, config->gamma)) : 1;
    float gain = 1 + augment_either_way(stream, config->contrast);
    float offset = augment_either_way(stream, config->brightness);
    for (int i = 0; i < 256; i++) {
        float value = (float)i / 255;
        if (config->gamma > 0)
            value = powf(value, exponent);
        value = (value - 0.5f) * gain + 0.5f + offset;
        table[i] = fminf(fmaxf(value, 0), 1) * 255 * target->scale + target->shift;
    }
}

static augment_map augment_map_of_crop(float top, float left, float height, float width, bool flip,
                                       const augment_target *target)
{
    float sx = width / (float)target->width, sy = height / (float)target->height;
    augment_map map = {.xx = sx, .x0 = left + 0.5f * sx - 0.5f, .yy = sy, .y0 = top + 0.5f * sy - 0.5f};
    if (flip) {
        map.x0 += sx * (float)(target->width - 1);
        map.xx = -sx;
    }
    return map;
}

static augment_map augment_draw_map(const train_config *config, const augment_target *target, int height, int width,
                                    random_state *stream)
{
    float crop_h = config->crop ? (float)config->crop : (float)height;
    float crop_w = config->crop ? (float)config->crop : (float)width;
    float top = ((float)height - crop_h) * (config->crop ? random_unit(stream) : 0);
    float left = ((float)width - crop_w) * (config->crop ? random_unit(stream) : 0);
    bool flip = config->flip > 0 && random_unit(stream) < config->flip;
    augment_map map = augment_map_of_crop(top, left, crop_h, crop_w, flip, target);
    float angle = augment_either_way(stream, config->rotation) * (float)(3.14159265358979 / 180);
    float zoom = 1 + augment_either_way(stream, config->zoom);
    float dx = augment_either_way(stream, config->shift) * crop_w;
    float dy = augment_either_way(stream, config->shift) * crop_h;
    float c = cosf(angle) * zoom, s = sinf(angle) * zoom;
    float cx = left + 0.5f * crop_w - 0.5f, cy = top + 0.5f * crop_h - 0.5f;
    /* turn and scale about the crop's centre, then move */
    augment_map turned = {.xx = c * map.xx, .xy = -s * map.yy, .yx = s * map.xx, .yy = c * map.yy};
    turned.x0 = c * (map.x0 - cx) - s * (map.y0 - cy) + cx + dx;
    turned.y0 = s * (map.x0 - cx) + c * (map.y0 - cy) + cy + dy;
    return turned;
}

static bool augment_map_is_exact(const augment_map *map)
{
    return map->xx == 1 && map->xy == 0 && map->yx == 0 && map->yy == 1 && map->x0 == 0 && map->y0 == 0;
}

static void augment_sample_row(const augment_map *map, const float *source, int height, int width, int y, int columns,
                               float *row)
{
    float most_x = (float)(width - 1), most_y = (float)(height - 1);
    for (int x = 0; x < columns; x++) {
        float u = map->xx * (float)x + map->xy * (float)y + map->x0;
        float v = map->yx * (float)x + map->yy * (float)y + map->y0;
        u = u < 0 ? 0 : u > most_x ? most_x : u;
        v = v < 0 ? 0 : v > most_y ? most_y : v;
        int left = (int)u, top = (int)v;
        int right = left + (left < width - 1), below = top + (top < height - 1);
        float a = u - (float)left, b = v - (float)top;
        const float *upper = source + top * width, *lower = source + below * width;
        float p = upper[left] + a * (upper[right] - upper[left]);
        float q = lower[left] + a * (lower[right] - lower[left]);
        row[x] = p + b * (q - p);
    }
}

static void augment_sample(const augment_map *map, const augment_target *target, const float *source, int height,
                           int width, float *out)
{
    if (augment_map_is_exact(map) && height == target->height && width == target->width) {
        memcpy(out, source, (size_t)height * (size_t)width * sizeof(float));
        return;
    }
    for (int y = 0; y < target->height; y++)
        augment_sample_row(map, source, height, width, y, target->width, out + y * target->width);
}

/* Weights 1-2-1 both ways, border pixels repeated. */
static void augment_blur(const augment_target *target, float *scratch, float *out)
{
    int height = target->height, width = target->width;
    for (int y = 0; y < height; y++) {
        const float *row = out + y * width;
        for (int x = 0; x < width; x++) {
            float left = row[x > 0 ? x - 1 : 0], right = row[x < width - 1 ? x + 1 : x];
            scratch[y * width + x] = 0.25f * (left + right) + 0.5f * row[x];
        }
    }
    for (int y = 0; y < height; y++) {
        const float *above = scratch + (y > 0 ? y - 1 : 0) * width,
                    *below = scratch + (y < height - 1 ? y + 1 : y) * width;
        for (int x = 0; x < width; x++)
            out[y * width + x] = 0.25f * (above[x] + below[x]) + 0.5f * scratch[y * width + x];
    }
}

/* The sum of four uniform numbers from one draw: close enough to normal, and a tenth of its cost. */
static void augment_noise(const augment_target *target, float deviation, random_state *stream, float *out)
{
    float unit = deviation * 255 * fabsf(target->scale) * 1.7320508f / 65536;
    int count = target->height * target->width;
    for (int i = 0; i < count; i++) {
        uint64_t bits = random_next(stream);
        int32_t sum = (int32_t)(bits & 0xffff) + (int32_t)(bits >> 16 & 0xffff) + (int32_t)(bits >> 32 & 0xffff) +
                      (int32_t)(bits >> 48) - 2 * 65535;
        out[i] += (float)sum * unit;
    }
}

/* A rectangle of 2 to 25 % of the area, sides 1:3 to 3:1, filled with one grey. */
static void augment_erase(const augment_target *target, random_state *stream, float *out)
{
    float area = random_range(stream, 0.02f, 0.25f) * (float)(target->height * target->width);
    float aspect = expf(random_range(stream, -1.0986f, 1.0986f));
    int height = (int)sqrtf(area * aspect), width = (int)sqrtf(area / aspect);
    float grey = (float)random_below(stream, 256) * target->scale + target->shift;
    if (height < 1 || width < 1 || height >= target->height || width >= target->width)
        return;
    int top = (int)random_below(stream, (uint32_t)(target->height - height));
    int left = (int)random_below(stream, (uint32_t)(target->width - width));
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++)
            out[y * target->width + x] = grey;
}

static void augment_repeat_channels(const augment_target *target, float *out)
{
    size_t plane = (size_t)target->height * (size_t)target->width;
    for (int c = 1; c < target->channels; c++)
        memcpy(out + (size_t)c * plane, out, plane * sizeof(float));
}

void augment_picture(const train_config *config, const augment_target *target, const uint8_t *pixels, int height,
                     int width, random_state *stream, augment_scratch *scratch, float *out)
{
    float table[256];
    augment_light(config, target, stream, table);
    for (int i = 0; i < height * width; i++)
        scratch->source[i] = table[pixels[i]];
    augment_map map = augment_draw_map(config, target, height, width, stream);
    augment_sample(&map, target, scratch->source, height, width, out);
    if (config->blur > 0 && random_unit(stream) < config->blur)
        augment_blur(target, scratch->source, out);
    if (config->noise > 0)
        augment_noise(target, config->noise * random_unit(stream), stream, out);
    if (config->erasing > 0 && random_unit(stream) < config->erasing)
        augment_erase(target, stream, out);
    augment_repeat_channels(target, out);
}

void augment_crop(const augment_target *target, float top, float left, float crop_height, float crop_width, bool flip,
                  const uint8_t *pixels, int height, int width, float *out)
{
    augment_map map = augment_map_of_crop(top, left, crop_height, crop_width, flip, target);
    float source[AUGMENT_MOST_SIDE];
    /* row by row through a small table, so that no scratch memory is needed: two source rows make one of the target */
    float most_x = (float)(width - 1), most_y = (float)(height - 1);
    for (int y = 0; y < target->height; y++) {
        float v = fminf(fmaxf(map.yy * (float)y + map.y0, 0), most_y);
        int above = (int)v, below = above + (above < height - 1);
        float b = v - (float)above;
        for (int x = 0; x < width; x++) {
            float p = pixels[above * width + x], q = pixels[below * width + x];
            source[x] = (p + b * (q - p)) * target->scale + target->shift;
        }
        for (int x = 0; x < target->width; x++) {
            float u = fminf(fmaxf(map.xx * (float)x + map.x0, 0), most_x);
            int l = (int)u, r = l + (l < width - 1);
            out[y * target->width + x] = source[l] + (u - (float)l) * (source[r] - source[l]);
        }
    }
    augment_repeat_channels(target, out);
}

void augment_plain(const augment_target *target, int crop, bool flip, const uint8_t *pixels, int height, int width,
                   float *out)
{
    float crop_h = crop ? (float)crop : (float)height, crop_w = crop ? (float)crop : (float)width;
    float top = floorf(0.5f * ((float)height - crop_h)), left = floorf(0.5f * ((float)width - crop_w));
    augment_crop(target, top, left, crop_h, crop_w, flip, pixels, height, width, out);
}

augment_mix augment_draw_mix(const train_config *config, bool allowed, random_state *stream, float *share)
{
    *share = 1;
    if (!allowed || (config->mixup <= 0 && config->cutmix <= 0) || random_unit(stream) >= config->mix_probability)
        return AUGMENT_ALONE;
    bool paste = config->cutmix > 0 && (config->mixup <= 0 || random_unit(stream) < 0.5f);
    float alpha = paste ? config->cutmix : config->mixup;
    float a = random_gamma(stream, alpha), b = random_gamma(stream, alpha);
    *share = a + b > 0 ? a / (a + b) : 0.5f;
    return paste ? AUGMENT_CUTMIX : AUGMENT_MIXUP;
}

static void augment_paste(const augment_target *target, random_state *stream, const float *second, float *first,
                          float *share)
{
    float side = sqrtf(1 - *share);
    int half_h = (int)(0.5f * side * (float)target->height), half_w = (int)(0.5f * side * (float)target->width);
    int y = (int)random_below(stream, (uint32_t)target->height), x = (int)random_below(stream, (uint32_t)target->width);
    int top = y - half_h > 0 ? y - half_h : 0, bottom = y + half_h < target->height ? y + half_h : target->height;
    int left = x - half_w > 0 ? x - half_w : 0, right = x + half_w < target->width ? x + half_w : target->width;
    for (int c = 0; c < target->channels; c++)
        for (int row = top; row < bottom; row++) {
            size_t at = ((size_t)c * (size_t)target->height + (size_t)row) * (size_t)target->width + (size_t)left;
            memcpy(first + at, second + at, (size_t)(right - left) * sizeof(float));
        }
    *share = 1 - (float)((bottom - top) * (right - left)) / (float)(target->height * target->width);
}

void augment_apply_mix(augment_mix mix, const augment_target *target, random_state *stream, const float *second,
                       float *first, float *share)
{
    if (mix == AUGMENT_CUTMIX)
        augment_paste(target, stream, second, first, share);
    size_t count = (size_t)target->channels * (size_t)target->height * (size_t)target->width;
    if (mix == AUGMENT_MIXUP)
        for (size_t i = 0; i < count; i++)
            first[i] = second[i] + *share * (first[i] - second[i]);
}
