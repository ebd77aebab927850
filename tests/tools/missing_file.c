/* A file that is not there: loaded into a program with LD_PRELOAD, it lets nobody open paths that hold the text in
 * MISSING_FILE. The program under test is the one that ships; nothing in it knows of this. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(default)

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    const char *missing = getenv("MISSING_FILE");
    if (missing && strstr(path, missing)) {
        errno = ENOENT;
        return -1;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return real(path, flags, mode);
}
