/* Text of a greatest length. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <mien/base.h>

#include <stdarg.h>

/** As vsnprintf, but what does not fit is cut off between two characters of UTF-8: half of one would make the whole
 *  text invalid, and JSON refuses such. */
void text_format(char *text, size_t capacity, const char *format, va_list arguments) MIEN_PRINTF(3, 0);

#endif
