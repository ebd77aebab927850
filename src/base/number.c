/* strtod and printf under a locale of our own. The C locale is a constant of the C library, so making it cannot fail
 * and it is never freed. */
#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t number_locale;
static pthread_once_t number_once = PTHREAD_ONCE_INIT;

static void number_make_locale(void)
{
    number_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t number_plain(void)
{
    pthread_once(&number_once, number_make_locale);
    return number_locale;
}

double number_read(const char *text, char **end)
{
    return strtod_l(text, end, number_plain());
}

bool number_parse(const char *text, double low, double high, double *value)
{
    char *end;
    double found = number_read(text, &end);
    if (end == text || *end || !isfinite(found) || found < low || found > high)
        return false;
    *value = found;
    return true;
}

void number_write(double value, int digits, char *text, size_t capacity)
{
    locale_t before = uselocale(number_plain()); /* of this thread alone */
    snprintf(text, capacity, "%.*g", digits, value);
    uselocale(before);
}
