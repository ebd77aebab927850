/* Boxes by exact coverage: a pixel's share of an upright rectangle is the product of its shares along x and y, and a
 * frame is an outer rectangle less an inner one. No path renderer is needed for that, and edges at fractions of a pixel
 * come out smooth. */
#include "image/draw.h"

#include <math.h>

#include "base/error.h"

static const float draw_line_share = 1.0f / 320.0f; /* of the mean side */
static const image_colour draw_rim = {0, 0, 0};
static const float draw_rim_opacity = 0.45f;

image_colour image_emotion_colour(mien_emotion emotion)
{
    static const image_colour colours[MIEN_EMOTION_COUNT] = {
        [MIEN_EMOTION_ANGRY] = {213, 94, 0},     [MIEN_EMOTION_DISGUST] = {0, 158, 115},
        [MIEN_EMOTION_FEAR] = {204, 121, 167},   [MIEN_EMOTION_HAPPY] = {240, 228, 66},
        [MIEN_EMOTION_SAD] = {0, 114, 178},      [MIEN_EMOTION_SURPRISE] = {230, 159, 0},
        [MIEN_EMOTION_NEUTRAL] = {86, 180, 233},
    };
    static const image_colour other = {160, 160, 160};
    return (unsigned)emotion < MIEN_EMOTION_COUNT ? colours[emotion] : other;
}

float image_line_width(const mien_image *image)
{
    return fmaxf(2.0f, roundf((float)(image->width + image->height) / 2 * draw_line_share));
}

static uint8_t draw_mix(uint8_t below, uint8_t above, float coverage)
{
    return (uint8_t)lrintf((float)below + ((float)above - (float)below) * coverage);
}

void image_blend_pixel(mien_image *image, size_t x, size_t y, image_colour colour, float coverage)
{
    size_t channels = mien_pixel_bytes(image->format);
    uint8_t *pixel = image->data + y * image->stride + x * channels;
    if (channels == 1) {
        float luma = 0.299f * colour.red + 0.587f * colour.green + 0.114f * colour.blue;
        pixel[0] = draw_mix(pixel[0], (uint8_t)lrintf(luma), coverage);
        return;
    }
    size_t red = image->format == MIEN_PIXEL_BGR8 || image->format == MIEN_PIXEL_BGRA8 ? 2 : 0;
    pixel[red] = draw_mix(pixel[red], colour.red, coverage);
    pixel[1] = draw_mix(pixel[1], colour.green, coverage);
    pixel[2 - red] = draw_mix(pixel[2 - red], colour.blue, coverage);
    if (channels == 4)
        pixel[3] = draw_mix(pixel[3], 255, coverage);
}

typedef struct draw_span {
    float low, high;
} draw_span;

/* How much of the pixel [at, at + 1] lies in the span. */
static float draw_share(draw_span span, size_t at)
{
    float low = fmaxf(span.low, (float)at), high = fminf(span.high, (float)at + 1);
    return fmaxf(0, high - low);
}

/* First and one-past-last pixel that a span touches, clipped to `size`. */
static void draw_clip(draw_span span, size_t size, size_t *from, size_t *to)
{
    float low = fminf(fmaxf(floorf(span.low), 0), (float)size), high = fminf(fmaxf(ceilf(span.high), 0), (float)size);
    *from = (size_t)low;
    *to = (size_t)high;
}

/* Outer rectangle less inner one, row by row; where a row crosses the hollow only its two ends are visited. */
static void draw_frame(mien_image *image, const draw_span outer[2], const draw_span inner[2], image_colour colour,
                       float opacity)
{
    size_t x0, x1, y0, y1;
    draw_clip(outer[0], image->width, &x0, &x1);
    draw_clip(outer[1], image->height, &y0, &y1);
    for (size_t y = y0; y < y1; y++) {
        float rows = draw_share(outer[1], y), hollow = draw_share(inner[1], y);
        for (size_t x = x0; x < x1; x++) {
            float coverage = draw_share(outer[0], x) * rows - draw_share(inner[0], x) * hollow;
            if (coverage > 0)
                image_blend_pixel(image, x, y, colour, fminf(coverage, 1) * opacity);
            if (hollow >= 1 && inner[0].high > (float)x + 2 && (float)x >= inner[0].low)
                x = (size_t)fminf(inner[0].high, (float)x1) - 1;
        }
    }
}

static mien_status draw_check(const mien_image *image, const image_box *box, mien_error *error)
{
    if (!image || !image->data || !mien_pixel_bytes(image->format) || !box)
        return error_set(error, MIEN_EINVAL, "draw: no picture or no box");
    if (!isfinite(box->x) || !isfinite(box->y) || !(box->width >= 0 && box->height >= 0) || !isfinite(box->width) ||
        !isfinite(box->height))
        return error_set(error, MIEN_EINVAL, "draw: the box %g, %g, %g × %g cannot be drawn", (double)box->x,
                         (double)box->y, (double)box->width, (double)box->height);
    return MIEN_OK;
}

static void draw_spans(const image_box *box, float grown, draw_span spans[2])
{
    spans[0] = (draw_span){box->x - grown, box->x + box->width + grown};
    spans[1] = (draw_span){box->y - grown, box->y + box->height + grown};
}

mien_status image_draw_box(mien_image *image, const image_box *box, image_colour colour, float line, mien_error *error)
{
    mien_status status = draw_check(image, box, error);
    if (status)
        return status;
    if (!(line > 0))
        line = image_line_width(image);
    draw_span outer[2], inner[2], rim[2];
    draw_spans(box, line / 2, outer);
    draw_spans(box, -line / 2, inner);
    draw_spans(box, line / 2 + 1, rim);
    draw_frame(image, rim, outer, draw_rim, draw_rim_opacity);
    draw_frame(image, outer, inner, colour, 1);
    return MIEN_OK;
}

mien_status image_draw_plate(mien_image *image, const image_box *box, image_colour colour, float opacity,
                             mien_error *error)
{
    mien_status status = draw_check(image, box, error);
    if (status)
        return status;
    if (!(opacity >= 0 && opacity <= 1))
        return error_set(error, MIEN_EINVAL, "draw: opacity %g is outside 0..1", (double)opacity);
    const draw_span nothing[2] = {{0, 0}, {0, 0}};
    draw_span spans[2];
    draw_spans(box, 0, spans);
    draw_frame(image, spans, nothing, colour, opacity);
    return MIEN_OK;
}
