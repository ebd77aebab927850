/* Guards the reading of tokens, which anybody may send in a header: whatever the text, it is refused, and nothing ends
 * the process. Nobody who does not know the secret can make one that passes. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/session_token.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static jwt_key *key;
    char *token = memory_text_span((const char *)data, size), *user = NULL;
    json_t *claims = NULL;
    if (!token || (!key && jwt_key_from_secret("0a9d8f7b6c5e4d3c2b1a0f9e8d7c6b5a", &key, NULL)))
        abort();
    for (int type = SESSION_TOKEN_ACCESS; type <= SESSION_TOKEN_REFRESH; type++)
        if (!session_token_verify(key, (session_token_type)type, token, 5, &user, NULL))
            abort();
    if (!jwt_read_unsigned(token, &claims, NULL))
        json_decref(claims);
    memory_free(token);
    return 0;
}
