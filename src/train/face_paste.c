/* Faces put where there are none, and things put before faces. FER-2013's crops are 48 × 48, grey, with the face
 * filling them; they go in with a soft edge and a tint, so that the edge is no sign of a face, at sizes that a crop of
 * 48 pixels can have without looking wooden. */
#include <math.h>

#include "train/face_sample.h"

enum { PASTE_MOST = 3, PASTE_TRIES = 10, PASTE_LEAST_SIDE = 14, PASTE_MOST_SIDE = FACE_AUGMENT_PATCH };

/* What WIDER's annotators would have marked of such a crop, as shares of its side. */
static const float PASTE_BOX_WIDTH = 0.75f, PASTE_BOX_HEIGHT = 0.95f;
static const float PASTE_EDGE = 0.25f; /* width of the soft edge, as a share of half the side */

/* How a pasted crop is blended: weights of red, green and blue, and the form of its edge. */
typedef struct paste_look {
    float gain[3];
    float offset;
    bool round; /* an ellipse, else a square with round corners */
} paste_look;

static bool paste_is_free(const face_sample *sample, float left, float top, float side)
{
    for (size_t i = 0; i < sample->count; i++) {
        const face_target *face = &sample->targets[i];
        if (face->right > left && face->left < left + side && face->bottom > top && face->top < top + side)
            return false;
    }
    return true;
}

/* Skin is redder than grey; a third stays grey. */
static paste_look paste_draw_look(random_state *stream)
{
    paste_look look = {{1, 1, 1}, random_range(stream, -25, 25), random_unit(stream) < 0.5f};
    float gain = random_range(stream, 0.7f, 1.15f), warmth = random_unit(stream) < 0.33f ? 0 : random_unit(stream);
    look.gain[0] = gain * (1 + 0.2f * warmth);
    look.gain[1] = gain;
    look.gain[2] = gain * (1 - 0.25f * warmth);
    return look;
}

/* How much of the crop is seen at a place -1..1 of it. */
static float paste_cover(bool is_round, float x, float y)
{
    float far = is_round ? sqrtf(x * x + y * y) : sqrtf(sqrtf(x * x * x * x + y * y * y * y));
    float share = (1 - far) / PASTE_EDGE;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static void paste_blend(mien_image *canvas, const uint8_t *patch, int left, int top, int side, const paste_look *look)
{
    float half = 0.5f * (float)side;
    for (int y = 0; y < side; y++) {
        uint8_t *to = canvas->data + (size_t)(top + y) * canvas->stride + (size_t)left * 3;
        for (int x = 0; x < side; x++, to += 3) {
            float share = paste_cover(look->round, ((float)x + 0.5f) / half - 1, ((float)y + 0.5f) / half - 1);
            for (int c = 0; c < 3 && share > 0; c++) {
                float value = (float)patch[y * side + x] * look->gain[c] + look->offset;
                value = value < 0 ? 0 : value > 255 ? 255 : value;
                to[c] = (uint8_t)((float)to[c] + share * (value - (float)to[c]) + 0.5f);
            }
        }
    }
}

/* A crop that shows a face, as far as its votes say. */
static const uint8_t *paste_draw_crop(const face_sample *sample)
{
    const dataset *crops = &sample->data->paste;
    for (int i = 0; i < PASTE_TRIES; i++) {
        size_t row = random_below(sample->stream, (uint32_t)crops->count);
        if (!crops->not_face || !crops->not_face[row])
            return crops->pixels + row * crops->height * crops->width;
    }
    return NULL;
}

static void paste_one(face_sample *sample)
{
    const dataset *crops = &sample->data->paste;
    random_state *stream = sample->stream;
    int canvas = (int)sample->canvas.width, most = canvas / 2 < PASTE_MOST_SIDE ? canvas / 2 : PASTE_MOST_SIDE;
    int side = (int)face_sample_factor(stream, PASTE_LEAST_SIDE, (float)most), left = 0, top = 0;
    bool found = false;
    for (int i = 0; i < PASTE_TRIES && !found; i++) {
        left = (int)random_below(stream, (uint32_t)(canvas - side));
        top = (int)random_below(stream, (uint32_t)(canvas - side));
        found = paste_is_free(sample, (float)left, (float)top, (float)side);
    }
    const uint8_t *pixels = paste_draw_crop(sample);
    if (!found || !pixels || sample->count == sample->capacity)
        return;
    face_map map = {.step_x = (float)crops->width / (float)side, .step_y = (float)crops->height / (float)side};
    map.flip = random_unit(stream) < 0.5f;
    mien_image_view source = {pixels, crops->width, crops->height, crops->width, MIEN_PIXEL_GREY8};
    mien_image patch = {sample->scratch->patch, (size_t)side, (size_t)side, (size_t)side, MIEN_PIXEL_GREY8};
    face_resample(&sample->scratch->resampler, &source, &map, 0, &patch);
    paste_look look = paste_draw_look(stream);
    paste_blend(&sample->canvas, patch.data, left, top, side, &look);
    float width = PASTE_BOX_WIDTH * (float)side, height = PASTE_BOX_HEIGHT * (float)side;
    face_target *face = &sample->targets[sample->count++];
    face->left = (float)left + ((float)side - width) / 2;
    face->right = face->left + width;
    face->top = (float)top + ((float)side - height) / 2;
    face->bottom = face->top + height;
    face->ignored = sqrtf(width * height) < sample->config->face_min;
}

void face_paste_faces(face_sample *sample)
{
    if (!sample->data->paste.count || !face_sample_chance(sample->stream, sample->config->paste))
        return;
    int count = 1 + (int)random_below(sample->stream, PASTE_MOST);
    for (int i = 0; i < count; i++)
        paste_one(sample);
}

/* A hand, a mask, a hat: one side of the face, up to two fifths of it, behind one colour of the picture. */
void face_paste_cover(face_sample *sample)
{
    random_state *stream = sample->stream;
    mien_image *canvas = &sample->canvas;
    if (!sample->count || !face_sample_chance(stream, sample->config->erasing))
        return;
    face_target face = sample->targets[random_below(stream, (uint32_t)sample->count)];
    float share = random_range(stream, 0.15f, 0.4f), x = random_range(stream, -0.1f, 0.1f) * (face.right - face.left);
    float width = face.right - face.left, height = face.bottom - face.top, y = x * height / width;
    switch (random_below(stream, 4)) {
    case 0:
        face.right = face.left + share * width;
        break;
    case 1:
        face.left = face.right - share * width;
        break;
    case 2:
        face.bottom = face.top + share * height;
        break;
    default:
        face.top = face.bottom - share * height;
    }
    uint32_t from = random_below(stream, (uint32_t)(canvas->width * canvas->height));
    const uint8_t *colour = canvas->data + (size_t)3 * from;
    uint8_t red = colour[0], green = colour[1], blue = colour[2];
    float most = (float)canvas->width;
    int left = (int)fmaxf(face.left + x, 0), right = (int)fminf(face.right + x, most);
    int top = (int)fmaxf(face.top + y, 0), bottom = (int)fminf(face.bottom + y, most);
    for (int row = top; row < bottom; row++) {
        uint8_t *to = canvas->data + (size_t)row * canvas->stride + (size_t)left * 3;
        for (int i = left; i < right; i++, to += 3) {
            to[0] = red;
            to[1] = green;
            to[2] = blue;
        }
    }
}
