/* Where a sample is cut out of its pictures. First a size is drawn that a face of the picture is to have, then a face
 * that can have it without being enlarged too far or the picture shrunk below the sample, then where it lies: so small
 * and large faces are seen in the shares that are wanted here, not in those of the pictures. */
#include <math.h>

#include "train/face_sample.h"

enum { CUT_MOST_TILES = 4, CUT_TRIES = 12, CUT_SMALL_MOST = 32 };

static const float CUT_RANDOM_PLACE = 0.12f; /* share of the cuts that are about no face */
static const float CUT_COARSE = 0.3f;        /* share of pictures resized as quick programs do */
static const float CUT_STRETCH = 0.08f;      /* logarithm of width over height, either way, halved */
static const float CUT_VISIBLE = 0.5f;       /* share of a face that must be seen for it to count */
static const float CUT_PLAIN_MOST = 1.5f;    /* largest scale of a cut about no face */

/* A part of a picture and where it goes on the canvas. */
typedef struct cut_tile {
    const face_dataset_picture *picture;
    int x, y, width, height;           /* on the canvas */
    float left, top, scale_x, scale_y; /* canvas pixels per pixel of levels[0] */
    bool flip;
} cut_tile;

static float cut_size(const face_target *face)
{
    return sqrtf((face->right - face->left) * (face->bottom - face->top));
}

static float cut_draw_size(const face_sample *sample, float side)
{
    float least = sample->config->face_min, most = fmaxf(sample->config->face_most * side, least);
    float middle = fminf(fmaxf(CUT_SMALL_MOST, least), most);
    bool small = random_unit(sample->stream) < sample->config->face_small;
    return small ? face_sample_factor(sample->stream, least, middle) : face_sample_factor(sample->stream, middle, most);
}

/* A face that counts and may have that size, else any that counts, else NULL. */
static const face_target *cut_draw_face(const face_sample *sample, const face_dataset_picture *picture, float size,
                                        float least, float most)
{
    const face_target *faces = sample->data->faces + picture->first, *any = NULL;
    if (!picture->count)
        return NULL;
    size_t start = random_below(sample->stream, (uint32_t)picture->count);
    for (size_t i = 0; i < picture->count; i++) {
        const face_target *face = &faces[(start + i) % picture->count];
        float scale = size / fmaxf(cut_size(face), 1e-3f);
        if (face->ignored)
            continue;
        if (scale >= least && scale <= most)
            return face;
        any = any ? any : face;
    }
    return any;
}

/* Where the cut begins along one side so that it lies in the picture, or the picture in it. */
static float cut_begin(random_state *stream, float wanted, float span, float length)
{
    if (span > length)
        return random_range(stream, length - span, 0);
    return fminf(fmaxf(wanted, 0), length - span);
}

static void cut_draw_place(const face_sample *sample, const face_target *face, float scale, cut_tile *tile)
{
    random_state *stream = sample->stream;
    float stretch = expf(face_sample_either_way(stream, CUT_STRETCH));
    tile->scale_x = scale * stretch;
    tile->scale_y = scale / stretch;
    tile->flip = face_sample_chance(stream, sample->config->flip);
    float across = (float)tile->picture->levels[0].width, down = (float)tile->picture->levels[0].height;
    float span_x = (float)tile->width / tile->scale_x, span_y = (float)tile->height / tile->scale_y;
    float x = random_unit(stream), y = random_unit(stream), left = x * (across - span_x), top = y * (down - span_y);
    if (face) {
        float width = fminf(face->right - face->left, span_x), height = fminf(face->bottom - face->top, span_y);
        left = (face->left + face->right - width) / 2 - x * (span_x - width);
        top = (face->top + face->bottom - height) / 2 - y * (span_y - height);
    }
    tile->left = cut_begin(stream, left, span_x, across);
    tile->top = cut_begin(stream, top, span_y, down);
}

/* The smallest scale: between that at which the picture fills the tile and that at which it fits into it whole. */
static float cut_draw_least(const face_sample *sample, const cut_tile *tile, float most)
{
    const mien_image *whole = &tile->picture->levels[0];
    float across = (float)tile->width / (float)whole->width, down = (float)tile->height / (float)whole->height;
    return fminf(face_sample_factor(sample->stream, fminf(across, down), fmaxf(across, down)), most);
}

static void cut_draw_tile(const face_sample *sample, cut_tile *tile)
{
    float most = sample->config->enlarge, least = cut_draw_least(sample, tile, most);
    float size = cut_draw_size(sample, (float)(tile->width < tile->height ? tile->width : tile->height));
    const face_target *face = NULL;
    if (random_unit(sample->stream) >= CUT_RANDOM_PLACE)
        face = cut_draw_face(sample, tile->picture, size, least, most);
    float scale = face ? fminf(fmaxf(size / fmaxf(cut_size(face), 1e-3f), least), most)
                       : face_sample_factor(sample->stream, least, fmaxf(least, fminf(CUT_PLAIN_MOST, most)));
    cut_draw_place(sample, face, scale, tile);
}

/* A face of the tile's picture on the canvas, not cut yet. */
static face_target cut_map_face(const cut_tile *tile, const face_target *face)
{
    face_target on = {(face->left - tile->left) * tile->scale_x, (face->top - tile->top) * tile->scale_y,
                      (face->right - tile->left) * tile->scale_x, (face->bottom - tile->top) * tile->scale_y,
                      face->ignored};
    if (tile->flip) {
        float left = (float)tile->width - on.right;
        on.right = (float)tile->width - on.left;
        on.left = left;
    }
    on.left += (float)tile->x;
    on.right += (float)tile->x;
    on.top += (float)tile->y;
    on.bottom += (float)tile->y;
    return on;
}

/* Cut a face at the tile's border; false where nothing of it is left. */
static bool cut_clip_face(const cut_tile *tile, float face_min, face_target *face)
{
    face_target cut = {fmaxf(face->left, (float)tile->x), fmaxf(face->top, (float)tile->y),
                       fminf(face->right, (float)(tile->x + tile->width)),
                       fminf(face->bottom, (float)(tile->y + tile->height)), face->ignored};
    if (cut.right - cut.left < 1 || cut.bottom - cut.top < 1)
        return false;
    float size = cut_size(face), seen = cut_size(&cut);
    cut.ignored = cut.ignored || size < face_min || seen * seen < CUT_VISIBLE * size * size;
    *face = cut;
    return true;
}

static void cut_take_faces(face_sample *sample, const cut_tile *tile)
{
    const face_target *faces = sample->data->faces + tile->picture->first;
    for (size_t i = 0; i < tile->picture->count && sample->count < sample->capacity; i++) {
        face_target face = cut_map_face(tile, &faces[i]);
        if (cut_clip_face(tile, sample->config->face_min, &face))
            sample->targets[sample->count++] = face;
    }
}

static bool cut_shows_face(const face_sample *sample, const cut_tile *tile)
{
    const face_target *faces = sample->data->faces + tile->picture->first;
    for (size_t i = 0; i < tile->picture->count; i++) {
        face_target face = cut_map_face(tile, &faces[i]);
        if (face.right > (float)tile->x && face.left < (float)(tile->x + tile->width) && face.bottom > (float)tile->y &&
            face.top < (float)(tile->y + tile->height))
            return true;
    }
    return false;
}

/* From the copy of the picture that is just larger than what is wanted. */
static void cut_render(face_sample *sample, const cut_tile *tile)
{
    float step = 1 / sqrtf(tile->scale_x * tile->scale_y), factor = 1;
    face_map map = {.flip = tile->flip, .coarse = face_sample_chance(sample->stream, CUT_COARSE)};
    int level = 0;
    for (float most = map.coarse ? 4 : 2; step >= most && level + 1 < tile->picture->level_count; level++) {
        step /= 2;
        factor /= 2;
    }
    map.x = tile->left * factor;
    map.y = tile->top * factor;
    map.step_x = factor / tile->scale_x;
    map.step_y = factor / tile->scale_y;
    mien_image_view source = mien_image_as_view(&tile->picture->levels[level]);
    mien_image target = sample->canvas;
    target.data += (size_t)tile->y * target.stride + (size_t)tile->x * 3;
    target.width = (size_t)tile->width;
    target.height = (size_t)tile->height;
    face_resample(&sample->scratch->resampler, &source, &map, FACE_AUGMENT_FILL, &target);
}

/* A place without any face: in a picture without any, or between those of `picture`. */
static bool cut_draw_negative(const face_sample *sample, const face_dataset_picture *picture, cut_tile *tile)
{
    const face_dataset *data = sample->data;
    tile->picture = picture;
    if (data->negative_count && random_unit(sample->stream) < 0.5f)
        tile->picture = &data->negatives[random_below(sample->stream, (uint32_t)data->negative_count)];
    float most = fminf(CUT_PLAIN_MOST, sample->config->enlarge), least = cut_draw_least(sample, tile, most);
    for (int i = 0; i < CUT_TRIES; i++) {
        cut_draw_place(sample, NULL, face_sample_factor(sample->stream, least, most), tile);
        if (!cut_shows_face(sample, tile))
            return true;
    }
    return false;
}

/* Another picture of the same side of the split. */
static const face_dataset_picture *cut_draw_other(const face_sample *sample, const face_dataset_picture *first)
{
    const face_dataset *data = sample->data;
    for (int i = 0; i < 4 * CUT_TRIES; i++) {
        const face_dataset_picture *other = &data->pictures[random_below(sample->stream, (uint32_t)data->count)];
        if (other->holdout == first->holdout)
            return other;
    }
    return first;
}

static int cut_draw_tiles(const face_sample *sample, const face_dataset_picture *first, cut_tile tiles[CUT_MOST_TILES])
{
    const train_config *config = sample->config;
    int side = (int)sample->canvas.width;
    float kind = random_unit(sample->stream);
    tiles[0] = (cut_tile){.picture = first, .width = side, .height = side};
    if (kind < config->negatives && cut_draw_negative(sample, first, &tiles[0]))
        return 1;
    if (kind < config->negatives || kind >= config->negatives + config->mosaic) {
        tiles[0].picture = first;
        cut_draw_tile(sample, &tiles[0]);
        return 1;
    }
    int x = (int)random_range(sample->stream, 0.3f * (float)side, 0.7f * (float)side);
    int y = (int)random_range(sample->stream, 0.3f * (float)side, 0.7f * (float)side);
    for (int i = 0; i < CUT_MOST_TILES; i++) {
        tiles[i] = (cut_tile){.x = i & 1 ? x : 0, .y = i & 2 ? y : 0};
        tiles[i].width = i & 1 ? side - x : x;
        tiles[i].height = i & 2 ? side - y : y;
        tiles[i].picture = i ? cut_draw_other(sample, first) : first;
        cut_draw_tile(sample, &tiles[i]);
    }
    return CUT_MOST_TILES;
}

void face_cut_compose(face_sample *sample, size_t index)
{
    cut_tile tiles[CUT_MOST_TILES];
    int count = cut_draw_tiles(sample, &sample->data->pictures[index], tiles);
    for (int i = 0; i < count; i++) {
        cut_render(sample, &tiles[i]);
        cut_take_faces(sample, &tiles[i]);
    }
}
