/* The bulk of base64: whole groups of four characters without white space, padding or faults. A table of plain C,
 * overridden by what the processor can do; every version does the same. */
#ifndef BASE_BASE64_KERNELS_H
#define BASE_BASE64_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BASE64_NONE = 0x80 };
/** Six-bit value of each character of both alphabets, else BASE64_NONE. */
extern const uint8_t base64_values[128];

typedef struct base64_kernels {
    /** Decode groups from the front of `text` and stop at the first group that holds anything but
     *  characters of the alphabet: of either one, or with `strict` of the URL-safe one. Writes 3 bytes a group to `to`.
     *  @return characters taken, a multiple of 4. */
    size_t (*decode)(const char *text, size_t length, uint8_t *to, bool strict);
    /** Encode whole groups of 3 bytes. @return bytes taken, a multiple of 3. */
    size_t (*encode)(const uint8_t *bytes, size_t length, char *to, bool url_safe);
} base64_kernels;

/** The table for this machine. */
const base64_kernels *base64_kernels_get(void);
/** Fill a table for the given cpu_flags(): 0 gives plain C only. */
void base64_kernels_fill(base64_kernels *table, unsigned flags);

#endif
