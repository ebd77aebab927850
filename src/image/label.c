/* Text on a plate: fontconfig names the system's sans-serif font, FreeType turns its outlines into coverage, which is
 * blended over the plate. Light or dark letters by the plate's luminance (W3C's contrast rule of thumb). The text of a
 * label is short, so glyphs are rendered as they come and not kept. */
#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include FT_FREETYPE_H

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/draw.h"

enum { LABEL_MAX_CHARACTERS = 256, LABEL_REPLACEMENT = 0xfffd };
static const float label_least = 11, label_most = 96; /* pixels */
static const float label_picture_share = 1.0f / 42, label_box_share = 1.0f / 6;
static const float label_padding = 0.3f, label_opacity = 0.88f; /* padding in text heights */

struct image_pen {
    FT_Library library;
    FT_Face face;
};

/* Path and index of the font inside its file; `path` holds `capacity` bytes. */
static bool label_find_font(char *path, size_t capacity, int *index)
{
    bool found = false;
    FcConfig *config = FcInitLoadConfigAndFonts();
    FcPattern *wanted = FcNameParse((const FcChar8 *)"sans-serif:scalable=true");
    FcPattern *match = NULL;
    if (!config || !wanted)
        goto out;
    FcResult result;
    FcConfigSubstitute(config, wanted, FcMatchPattern);
    FcDefaultSubstitute(wanted);
    match = FcFontMatch(config, wanted, &result);
    FcChar8 *file = NULL;
    if (!match || FcPatternGetString(match, FC_FILE, 0, &file) != FcResultMatch ||
        strlen((const char *)file) >= capacity)
        goto out;
    memcpy(path, file, strlen((const char *)file) + 1);
    if (FcPatternGetInteger(match, FC_INDEX, 0, index) != FcResultMatch)
        *index = 0;
    found = true;
out:
    if (match)
        FcPatternDestroy(match);
    if (wanted)
        FcPatternDestroy(wanted);
    if (config)
        FcConfigDestroy(config);
    return found;
}

mien_status image_pen_create(image_pen **pen, mien_error *error)
{
    char path[4096];
    int index = 0;
    if (!label_find_font(path, sizeof path, &index))
        return error_set(error, MIEN_ENOTFOUND, "no font is installed, so labels are left out (try fonts-dejavu-core)");
    image_pen *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    FT_Error code = FT_Init_FreeType(&made->library);
    if (!code)
        code = FT_New_Face(made->library, path, index, &made->face);
    if (code) {
        image_pen_destroy(&made);
        return error_set(error, MIEN_ENOTFOUND, "the font %s cannot be opened, so labels are left out", path);
    }
    *pen = made;
    return MIEN_OK;
}

void image_pen_destroy(image_pen **pen)
{
    if (!pen || !*pen)
        return;
    if ((*pen)->face)
        FT_Done_Face((*pen)->face);
    if ((*pen)->library)
        FT_Done_FreeType((*pen)->library);
    memory_free(*pen);
    *pen = NULL;
}

/* The next character; *text moves on at least one byte unless it is at its end, which gives 0. */
static uint32_t label_next(const char **text)
{
    const uint8_t *at = (const uint8_t *)*text;
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    unsigned more = at[0] < 0x80 ? 0 : at[0] >> 5 == 6 ? 1 : at[0] >> 4 == 14 ? 2 : at[0] >> 3 == 30 ? 3 : 4;
    if (!at[0])
        return 0;
    *text += 1;
    if (more == 4)
        return LABEL_REPLACEMENT;
    uint32_t character = more ? at[0] & (0x3fu >> more) : at[0];
    for (unsigned i = 1; i <= more; i++) {
        if (at[i] >> 6 != 2)
            return LABEL_REPLACEMENT;
        character = character << 6 | (at[i] & 0x3f);
    }
    *text += more;
    bool valid = character >= least[more] && character <= 0x10ffff && (character < 0xd800 || character > 0xdfff);
    if (!valid)
        return LABEL_REPLACEMENT;
    return character < 0x20 || character == 0x7f ? ' ' : character;
}

/* What glyphs are put on, from where on its base line. */
typedef struct label_ink {
    mien_image *image;
    image_colour colour;
    float x, baseline;
} label_ink;

static void label_put_glyph(const label_ink *ink, const FT_GlyphSlot glyph, float pen_x)
{
    const FT_Bitmap *bitmap = &glyph->bitmap;
    ptrdiff_t left = (ptrdiff_t)lrintf(ink->x + pen_x) + glyph->bitmap_left;
    ptrdiff_t top = (ptrdiff_t)lrintf(ink->baseline) - glyph->bitmap_top;
    if (bitmap->pixel_mode != FT_PIXEL_MODE_GRAY)
        return;
    for (unsigned row = 0; row < bitmap->rows; row++)
        for (unsigned column = 0; column < bitmap->width; column++) {
            ptrdiff_t x = left + (ptrdiff_t)column, y = top + (ptrdiff_t)row;
            uint8_t coverage = bitmap->buffer[(ptrdiff_t)row * bitmap->pitch + (ptrdiff_t)column];
            if (coverage && x >= 0 && y >= 0 && x < (ptrdiff_t)ink->image->width && y < (ptrdiff_t)ink->image->height)
                image_blend_pixel(ink->image, (size_t)x, (size_t)y, ink->colour, (float)coverage / 255);
        }
}

/* Walk the text, putting its glyphs on `ink` (NULL only measures); returns its width in pixels, or a negative number
 * when the font fails. */
static float label_walk(image_pen *pen, const char *text, const label_ink *ink)
{
    float x = 0;
    FT_UInt before = 0;
    for (size_t i = 0; i < LABEL_MAX_CHARACTERS; i++) {
        uint32_t character = label_next(&text);
        if (!character)
            break;
        FT_UInt glyph = FT_Get_Char_Index(pen->face, character);
        FT_Vector kerning;
        if (before && FT_Get_Kerning(pen->face, before, glyph, FT_KERNING_DEFAULT, &kerning) == 0)
            x += (float)kerning.x / 64;
        if (FT_Load_Glyph(pen->face, glyph, ink ? FT_LOAD_RENDER : FT_LOAD_DEFAULT))
            return -1;
        if (ink)
            label_put_glyph(ink, pen->face->glyph, x);
        x += (float)pen->face->glyph->advance.x / 64;
        before = glyph;
    }
    return x;
}

static float label_size(const mien_image *image, const image_box *box)
{
    float by_picture = (float)(image->width > image->height ? image->width : image->height) * label_picture_share;
    float size = fminf(by_picture, fmaxf(box->width * label_box_share, label_least));
    return fminf(fmaxf(roundf(size), label_least), label_most);
}

/* Above the box, or inside its top; moved to be seen whole where the picture is wide enough. */
static image_box label_place(const mien_image *image, const image_box *box, float width, float height)
{
    float line = image_line_width(image), rim = line / 2;
    image_box plate = {box->x - rim, box->y - rim - height, width, height};
    if (plate.y < 0)
        plate.y = fmaxf(box->y + rim, 0);
    if (plate.y + height > (float)image->height)
        plate.y = fmaxf((float)image->height - height, 0);
    if (plate.x + width > (float)image->width)
        plate.x = (float)image->width - width;
    plate.x = fmaxf(plate.x, 0);
    return plate;
}

static image_colour label_contrast(image_colour plate)
{
    static const image_colour black = {0, 0, 0}, white = {255, 255, 255};
    float luminance = 0.2126f * powf(plate.red / 255.0f, 2.2f) + 0.7152f * powf(plate.green / 255.0f, 2.2f) +
                      0.0722f * powf(plate.blue / 255.0f, 2.2f);
    return luminance > 0.179f ? black : white;
}

mien_status image_draw_label(image_pen *pen, mien_image *image, const image_box *box, const char *text,
                             image_colour colour, mien_error *error)
{
    if (!image || !image->data || !box || !text || !isfinite(box->x) || !isfinite(box->y) || !isfinite(box->width))
        return error_set(error, MIEN_EINVAL, "label: no picture, no box or no text");
    if (!pen)
        return error_set(error, MIEN_ENOTFOUND, "no font is installed, so labels are left out");
    float size = label_size(image, box);
    if (FT_Set_Pixel_Sizes(pen->face, 0, (FT_UInt)size))
        return error_set(error, MIEN_EINTERNAL, "label: the font has no size of %g pixels", (double)size);
    float text_width = label_walk(pen, text, NULL);
    if (text_width < 0)
        return error_set(error, MIEN_EINTERNAL, "label: the font is damaged");

    float padding = roundf(size * label_padding);
    float ascent = (float)pen->face->size->metrics.ascender / 64,
          descent = -(float)pen->face->size->metrics.descender / 64;
    image_box plate = label_place(image, box, text_width + 2 * padding, ascent + descent + padding);
    mien_status status = image_draw_plate(image, &plate, colour, label_opacity, error);
    if (status)
        return status;
    label_ink ink = {image, label_contrast(colour), plate.x + padding, plate.y + padding / 2 + ascent};
    label_walk(pen, text, &ink);
    return MIEN_OK;
}
