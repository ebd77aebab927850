/* Guards the reading of a provider's keys, as a JWKS and as certificates: any answer gives keys or an error, and none
 * makes a token pass that nobody signed. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/key_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct answer {
    const uint8_t *data;
    size_t size;
} answer;

static mien_status give(void *context, const char *url, buffer *body, int64_t *max_age, mien_error *error)
{
    const answer *a = context;
    (void)url;
    *max_age = 0;
    return buffer_append(body, a->data, a->size) ? buffer_status(body, error) : MIEN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* {"alg":"RS256","kid":"first"}.{"sub":"u1"}.rubbish */
    static const char token[] = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImZpcnN0In0.eyJzdWIiOiJ1MSJ9.cnViYmlzaA";
    answer a = {data, size};
    key_set *keys = NULL;
    json_t *claims = NULL;
    if (key_set_create("https://keys.example/", give, &a, &keys, NULL))
        return 0;
    for (int second = 0; second < 3; second++)
        if (!key_set_verify(keys, token, 1000 + 10 * second, &claims, NULL))
            abort();
    key_set_destroy(&keys);
    return 0;
}
