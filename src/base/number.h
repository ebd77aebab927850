/* Numbers as text, with a decimal point whatever the locale. The library lives in programs that may have called
 * setlocale(): where a comma is the decimal sign, strtod and printf would misread and miswrite every file of ours. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/** As strtod(3) in the C locale: the number that `text` begins with; *end (never NULL) is `text` where it begins with
 *  none. Thread-safe. */
double number_read(const char *text, char **end);
/** Whether the whole of `text` is a number within low..high (infinities and NaN are not); *value is untouched
 *  otherwise. */
bool number_parse(const char *text, double low, double high, double *value);
/** As snprintf("%.<digits>g") in the C locale; 9 digits give a float back exactly. */
void number_write(double value, int digits, char *text, size_t capacity);

#endif
