/* Unquoting in place: what is read is never longer than what stands there. One reader for tables and settings, since
 * both write a quote inside quotes in the same way (RFC 4180). */
#include "train/quoted.h"

#include <stddef.h>

char *quoted_read(char *text, bool *closed)
{
    char *to = text, *at = text + 1;
    for (; *at && (*at != '"' || at[1] == '"'); at++) {
        at += *at == '"';
        *to++ = *at;
    }
    char *end = *at ? at + 1 : at;
    if (closed)
        *closed = *at;
    *to = '\0';
    return end;
}
