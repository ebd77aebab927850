/* Pictures as files: <folder>/<first two characters>/<SHA-256 of the content in hex>. The same picture is kept once. */
#ifndef STORE_PICTURES_H
#define STORE_PICTURES_H

#include "base/buffer.h"

#include <stdbool.h>

enum { PICTURES_NAME_BYTES = 65 };

/** Write (unless it is there) and give its name. */
mien_status pictures_put(const char *folder, const void *bytes, size_t length, char name[PICTURES_NAME_BYTES],
                         mien_error *error);
/** MIEN_ENOTFOUND for anything that is not the name of a kept picture. */
mien_status pictures_read(const char *folder, const char *name, size_t limit, buffer *bytes, mien_error *error);
/** Absent is fine. */
mien_status pictures_remove(const char *folder, const char *name, mien_error *error);
/** Calls visit for each kept picture; stops at the first failure. What a death left half written is removed on the way:
 *  nobody may be adding a picture meanwhile. */
mien_status pictures_each(const char *folder, mien_status (*visit)(void *context, const char *name, mien_error *error),
                          void *context, mien_error *error);
/** 64 lower-case hex digits and nothing else: no path can hide in a name. */
bool pictures_is_name(const char *name);

#endif
