/* The content policies. The page itself runs no code but its own and speaks to nobody but its server. MediaPipe
 * compiles WebAssembly, which needs an exception ('wasm-unsafe-eval', not 'unsafe-eval'): a worker has the policy of
 * its own script, so the exception holds there and nowhere else. Firebase has other hosts, which are named only where
 * it is configured. */
#include "server/content_policy.h"

#include "base/error.h"

#include <string.h>

#define OWN                                                                                                            \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "    \
    "font-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; "             \
    "frame-ancestors 'none'; connect-src 'self'"

const char content_policy_strict[] = OWN;

/* The documents' viewers write style attributes themselves; scripts stay the server's own. */
const char content_policy_document[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const char content_policy_faces[] =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

bool content_policy_signs_in(const settings *settings)
{
    return *settings->firebase_project && (*settings->firebase_api_key || *settings->firebase_emulator);
}

/* host:port, and nothing that would end the directive. */
static bool is_address(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    return *text && strlen(text) < 256 && !text[strspn(text, allowed)];
}

mien_status content_policy_page(const settings *settings, buffer *out, mien_error *error)
{
    buffer_append_text(out, OWN);
    if (!content_policy_signs_in(settings))
        return buffer_status(out, error);
    if (!*settings->firebase_emulator)
        buffer_append_text(out, " https://identitytoolkit.googleapis.com https://securetoken.googleapis.com");
    else if (is_address(settings->firebase_emulator))
        buffer_append_format(out, " http://%s", settings->firebase_emulator);
    else
        return error_set(error, MIEN_EINVAL, "FIREBASE_AUTH_EMULATOR_HOST must be host:port");
    return buffer_status(out, error);
}
