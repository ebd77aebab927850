/* The vector versions of base/base64_kernels.h. They take whole blocks (32 or 64 characters) and
 * leave the rest to the next smaller version, in the end to plain C. */
#ifndef BASE_X86_BASE64_X86_H
#define BASE_X86_BASE64_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t base64_decode_avx2(const char *text, size_t length, uint8_t *to, bool strict);
size_t base64_encode_avx2(const uint8_t *bytes, size_t length, char *to, bool url_safe);
size_t base64_decode_vbmi_avx512(const char *text, size_t length, uint8_t *to, bool strict);
size_t base64_encode_vbmi_avx512(const uint8_t *bytes, size_t length, char *to, bool url_safe);

size_t base64_decode_c(const char *text, size_t length, uint8_t *to, bool strict);
size_t base64_encode_c(const uint8_t *bytes, size_t length, char *to, bool url_safe);

#endif
