/* Drawing what was found onto a picture: boxes and labels, anti-aliased, clipped at the picture's edges. */
#ifndef IMAGE_DRAW_H
#define IMAGE_DRAW_H

#include <mien/analyzer.h>

#include <stdbool.h>

typedef struct image_colour {
    uint8_t red, green, blue;
} image_colour;

/** In pixels; (0, 0) is the outer corner of the upper left pixel. May lie partly or wholly outside. */
typedef struct image_box {
    float x, y, width, height;
} image_box;

/** The colour of an emotion, from Okabe & Ito's palette, which people with any kind of colour blindness can tell apart;
 *  grey outside the range. */
image_colour image_emotion_colour(mien_emotion emotion);

/** Line width that suits a picture of this size, in pixels, at least 2. */
float image_line_width(const mien_image *image);

/** A frame whose line lies half inside and half outside `box`, with a faint dark rim so that it shows on any ground.
 *  line ≤ 0: image_line_width(). Any pixel format. @return MIEN_OK or MIEN_EINVAL. */
mien_status image_draw_box(mien_image *image, const image_box *box, image_colour colour, float line, mien_error *error);
/** A filled rectangle; opacity 0..1. @return MIEN_OK or MIEN_EINVAL. */
mien_status image_draw_plate(mien_image *image, const image_box *box, image_colour colour, float opacity,
                             mien_error *error);

/** A font to write with; one per thread. */
typedef struct image_pen image_pen;

/** Look up the system's sans-serif font (fontconfig) and open it.
 *  @return MIEN_OK, MIEN_ENOTFOUND (no font is installed: draw boxes only), MIEN_ENOMEM. */
mien_status image_pen_create(image_pen **pen, mien_error *error);
/** Accepts NULL and a pointer to NULL. */
void image_pen_destroy(image_pen **pen);

/** Write `text` (UTF-8; what is not valid becomes U+FFFD) in black or white on a plate of `colour`, above `box` or,
 * where there is no room, inside its top. The size follows picture and box.
 *  @param pen  NULL gives MIEN_ENOTFOUND and draws nothing, so a caller without a font may go on with boxes alone.
 *  @return MIEN_OK, MIEN_EINVAL, MIEN_ENOTFOUND, MIEN_EINTERNAL (the font is damaged). */
mien_status image_draw_label(image_pen *pen, mien_image *image, const image_box *box, const char *text,
                             image_colour colour, mien_error *error);

/** Blend `colour` into the pixel at (x, y), which must lie inside, by coverage 0..1. */
void image_blend_pixel(mien_image *image, size_t x, size_t y, image_colour colour, float coverage);

#endif
