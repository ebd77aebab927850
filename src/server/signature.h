/* Short texts that clients carry for the server and may not make up or change: signed by a key of their own purpose. */
#ifndef SERVER_SIGNATURE_H
#define SERVER_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

enum { SIGNATURE_TEXT = 33 }; /* 32 hexadecimal digits and the NUL */

typedef struct signature_key {
    unsigned char bytes[32];
} signature_key;

/** Derive the key of one purpose; what is signed for one never passes for another. */
void signature_make_key(const char *purpose, const void *secret, size_t length, signature_key *key);
void signature_make(const signature_key *key, const char *text, char signature[SIGNATURE_TEXT]);
bool signature_matches(const signature_key *key, const char *text, const char *signature);

#endif
