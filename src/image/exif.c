/* EXIF orientation. EXIF is a TIFF file in small: "II" (little-endian) or "MM" (big-endian), 42, the offset of the
 * first directory; a directory is a 16-bit count and that many entries of 12 bytes: tag, type, count, value. Only tag
 * 0x0112 of the first directory matters here. The bytes come from strangers: every offset is held against the length,
 * and whatever is wrong with them only means "upright". (CIPA DC-008, TIFF 6.0.) */
#include <stdbool.h>

#include "image/decode.h"

enum {
    EXIF_HEADER_BYTES = 8,
    EXIF_ENTRY_BYTES = 12,
    EXIF_TAG_ORIENTATION = 0x0112,
    EXIF_TYPE_SHORT = 3,
    EXIF_TYPE_LONG = 4,
};

static unsigned exif_u16(const uint8_t *at, bool big)
{
    return big ? (unsigned)at[0] << 8 | at[1] : (unsigned)at[1] << 8 | at[0];
}

static uint32_t exif_u32(const uint8_t *at, bool big)
{
    unsigned first = exif_u16(at, big), second = exif_u16(at + 2, big);
    return big ? (uint32_t)first << 16 | second : (uint32_t)second << 16 | first;
}

unsigned exif_orientation(const uint8_t *tiff, size_t length)
{
    if (!tiff || length < EXIF_HEADER_BYTES || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M'))
        return 1;
    bool big = tiff[0] == 'M';
    uint32_t directory = exif_u32(tiff + 4, big);
    if (exif_u16(tiff + 2, big) != 42 || directory > length - 2)
        return 1;

    size_t count = exif_u16(tiff + directory, big);
    size_t room = (length - directory - 2) / EXIF_ENTRY_BYTES;
    const uint8_t *entry = tiff + directory + 2;
    for (size_t i = 0; i < count && i < room; i++, entry += EXIF_ENTRY_BYTES) {
        if (exif_u16(entry, big) != EXIF_TAG_ORIENTATION)
            continue;
        unsigned type = exif_u16(entry + 2, big);
        uint32_t value = type == EXIF_TYPE_SHORT  ? exif_u16(entry + 8, big)
                         : type == EXIF_TYPE_LONG ? exif_u32(entry + 8, big)
                                                  : 1;
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}
