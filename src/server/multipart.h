/* multipart/form-data (RFC 7578), read in place: the parts point into the body, so a picture is never copied. */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H

#include "server/http_message.h"

typedef struct multipart_reader {
    const uint8_t *at;
    const uint8_t *end;
    char delimiter[80]; /* CR LF "--" boundary */
    size_t delimiter_length;
    size_t parts; /* read so far */
} multipart_reader;

typedef struct multipart_part {
    char name[64];
    char filename[256]; /* UTF-8, the last component; "" when the field has none or an empty one */
    bool has_filename;  /* a filename was given, perhaps an empty one */
    char content_type[64];
    const uint8_t *data;
    size_t length;
} multipart_part;

enum { MULTIPART_MAX_PARTS = 256, MULTIPART_MAX_HEAD = 4096, MULTIPART_MAX_NAME = 1024 };

/** Begin on the request's body. MIEN_EFORMAT when it is not multipart/form-data with a boundary of 1..70 characters. */
mien_status multipart_begin(multipart_reader *reader, const http_request *request, mien_error *error);
/** The next part. @return MIEN_OK, MIEN_ENOTFOUND after the last, MIEN_EFORMAT, MIEN_ELIMIT. */
mien_status multipart_next(multipart_reader *reader, multipart_part *part, mien_error *error);
/** The first part with that name. @return MIEN_OK, MIEN_ENOTFOUND, MIEN_EFORMAT, MIEN_ELIMIT. */
mien_status multipart_find(const http_request *request, const char *name, multipart_part *part, mien_error *error);

#endif
