/* The web page and the API documents, compiled into the program: no file is opened while serving. */
#ifndef SERVER_STATIC_FILES_H
#define SERVER_STATIC_FILES_H

#include <stddef.h>
#include <stdint.h>

typedef struct static_file {
    const char *path; /* "/app.js" */
    const char *content_type;
    const uint8_t *bytes; /* NULL: only the compressed form is kept */
    size_t length;
    const uint8_t *gzip; /* the same compressed, or NULL where that does not pay */
    size_t gzip_length;
    const char *etag; /* quoted hash of the content, weak: of both forms */
} static_file;

/** Sorted by path; generated at build time. */
extern const static_file static_files[];
extern const size_t static_files_count;

const static_file *static_files_find(const char *path);

#endif
