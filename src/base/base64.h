/* Base64 (RFC 4648), standard and URL-safe. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buffer.h"

/** Decode text that may hold white space, may lack its padding, and may use either alphabet (not both kinds at once is
 *  not checked: JSON clients mix them). Appends to `out`, whose limit holds. MIEN_EFORMAT names the offset of the first
 *  character that does not belong; nothing is appended then. */
mien_status base64_decode(const char *text, size_t length, buffer *out, mien_error *error);
/** Strict base64url without padding or white space, as JOSE has it. */
mien_status base64_decode_url(const char *text, size_t length, buffer *out, mien_error *error);
mien_status base64_encode(const void *bytes, size_t length, buffer *out);
/** URL-safe alphabet, no padding. */
mien_status base64_encode_url(const void *bytes, size_t length, buffer *out);

#endif
