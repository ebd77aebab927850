/* What a browser may do with what the server sent (Content Security Policy Level 3). */
#ifndef SERVER_CONTENT_POLICY_H
#define SERVER_CONTENT_POLICY_H

#include "base/buffer.h"
#include "server/settings.h"

extern const char content_policy_strict[];   /* everything that asks for no other */
extern const char content_policy_document[]; /* the API documents */
extern const char content_policy_faces[];    /* the worker that finds faces in the browser */

/** The page's: strict, and where people sign in with Firebase, open to that and nothing else. MIEN_EINVAL when the
 * emulator's address is none. */
mien_status content_policy_page(const settings *settings, buffer *out, mien_error *error);
/** Whether the page signs people in with Firebase. */
bool content_policy_signs_in(const settings *settings);

#endif
