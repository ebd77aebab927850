/* Look-up in the table that cmake/embed.cmake writes at build time of the built page. */
#include "server/static_files.h"

#include <string.h>

const static_file *static_files_find(const char *path)
{
    size_t low = 0, high = static_files_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(path, static_files[middle].path);
        if (!order)
            return &static_files[middle];
        *(order < 0 ? &high : &low) = order < 0 ? middle : middle + 1;
    }
    return NULL;
}
