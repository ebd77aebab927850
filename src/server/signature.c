/* Keyed BLAKE2b of 128 bits, by libsodium: the message authentication code that it recommends for short texts. The keys
 * of all purposes come from the one secret, so an operator keeps one. */
#include "server/signature.h"

#include "auth/secret.h"

#include <sodium.h>
#include <string.h>

enum { SIGNATURE_BYTES = (SIGNATURE_TEXT - 1) / 2 };

void signature_make_key(const char *purpose, const void *secret, size_t length, signature_key *key)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, (const unsigned char *)purpose, strlen(purpose), sizeof key->bytes);
    crypto_generichash_update(&state, secret, length);
    crypto_generichash_final(&state, key->bytes, sizeof key->bytes);
}

void signature_make(const signature_key *key, const char *text, char signature[SIGNATURE_TEXT])
{
    unsigned char bytes[SIGNATURE_BYTES];
    crypto_generichash(bytes, sizeof bytes, (const unsigned char *)text, strlen(text), key->bytes, sizeof key->bytes);
    sodium_bin2hex(signature, SIGNATURE_TEXT, bytes, sizeof bytes);
}

bool signature_matches(const signature_key *key, const char *text, const char *signature)
{
    char wanted[SIGNATURE_TEXT];
    signature_make(key, text, wanted);
    return strlen(signature) == sizeof wanted - 1 && secret_equal(wanted, signature, sizeof wanted - 1);
}
