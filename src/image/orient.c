/* Turning a picture upright by its EXIF orientation. Each of the eight is "mirror x", "mirror y" and "swap x and y" on
 * or off, so one loop walks the source with two signed steps. Swapped pictures are worked in squares: walking down a
 * column of a large picture would miss the cache at every pixel. */
#include "image/decode.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

enum { ORIENT_SQUARE = 32 };

/* What each orientation does to the source's axes before they become the target's. */
static const struct {
    bool mirror_x, mirror_y, swap;
} orient_table[9] = {
    [2] = {true, false, false}, [3] = {true, true, false}, [4] = {false, true, false}, [5] = {false, false, true},
    [6] = {false, true, true},  [7] = {true, true, true},  [8] = {true, false, true},
};

typedef struct orient_walk {
    const uint8_t *origin;    /* source pixel of target (0, 0) */
    ptrdiff_t step_x, step_y; /* in the source, per target pixel */
    size_t pixel;
} orient_walk;

static void orient_square(const orient_walk *walk, mien_image *target, size_t x0, size_t y0)
{
    size_t x1 = x0 + ORIENT_SQUARE < target->width ? x0 + ORIENT_SQUARE : target->width;
    size_t y1 = y0 + ORIENT_SQUARE < target->height ? y0 + ORIENT_SQUARE : target->height;
    for (size_t y = y0; y < y1; y++) {
        const uint8_t *from = walk->origin + (ptrdiff_t)y * walk->step_y + (ptrdiff_t)x0 * walk->step_x;
        uint8_t *to = target->data + y * target->stride + x0 * walk->pixel;
        for (size_t x = x0; x < x1; x++, from += walk->step_x)
            for (size_t c = 0; c < walk->pixel; c++)
                *to++ = from[c];
    }
}

mien_status image_orient(mien_image *image, unsigned orientation, mien_error *error)
{
    if (orientation < 2 || orientation > 8)
        return MIEN_OK;
    bool swap = orient_table[orientation].swap;
    mien_image target = {0};
    mien_status status = mien_image_init(&target, swap ? image->height : image->width,
                                         swap ? image->width : image->height, image->format, error);
    if (status)
        return status;

    orient_walk walk = {.origin = image->data, .pixel = mien_pixel_bytes(image->format)};
    ptrdiff_t along_x = (ptrdiff_t)walk.pixel, along_y = (ptrdiff_t)image->stride;
    if (orient_table[orientation].mirror_x) {
        walk.origin += (ptrdiff_t)(image->width - 1) * along_x;
        along_x = -along_x;
    }
    if (orient_table[orientation].mirror_y) {
        walk.origin += (ptrdiff_t)(image->height - 1) * along_y;
        along_y = -along_y;
    }
    walk.step_x = swap ? along_y : along_x;
    walk.step_y = swap ? along_x : along_y;
    for (size_t y = 0; y < target.height; y += ORIENT_SQUARE)
        for (size_t x = 0; x < target.width; x += ORIENT_SQUARE)
            orient_square(&walk, &target, x, y);
    mien_image_done(image);
    *image = target;
    return MIEN_OK;
}
