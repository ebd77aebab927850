/* Text in double quotes, as CSV files (RFC 4180) and settings hold it: a quote inside is doubled. */
#ifndef TRAIN_QUOTED_H
#define TRAIN_QUOTED_H

#include <stdbool.h>

/** Unquote in place what begins with the quote at `text`. Returns where to read on: behind the closing quote, or at the
 *  end of the text where there is none.
 *  @param closed  [out] whether there was one; NULL = of no interest. */
char *quoted_read(char *text, bool *closed);

#endif
