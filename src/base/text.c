/* Formatting into a fixed array: messages of errors and lines of the log, which may hold names in any script. */
#include "base/text.h"

#include <stdio.h>

/* Bytes of the character that begins with `lead` (RFC 3629); what begins none counts as one. */
static size_t text_character_bytes(unsigned char lead)
{
    return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

void text_format(char *text, size_t capacity, const char *format, va_list arguments)
{
    int wanted = vsnprintf(text, capacity, format, arguments);
    if (wanted < 0 || (size_t)wanted < capacity || capacity < 2)
        return;
    size_t length = capacity - 1, last = length - 1;
    while (last && ((unsigned char)text[last] & 0xc0) == 0x80)
        last--;
    if (last + text_character_bytes((unsigned char)text[last]) > length)
        text[last] = '\0';
}
