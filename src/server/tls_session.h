/* TLS as bytes in and bytes out: OpenSSL between two memory buffers, so that sockets stay with the event loop and the
 * protocol that was negotiated is ours to speak. */
#ifndef SERVER_TLS_SESSION_H
#define SERVER_TLS_SESSION_H

#include "base/buffer.h"

typedef struct tls_context tls_context; /* certificate and key; shared by all connections */
typedef struct tls_session tls_session; /* one connection */

/** PEM files. @return MIEN_OK; MIEN_EINVAL names the setting whose file cannot be used. */
mien_status tls_context_create(const char *certificate, const char *key, tls_context **context, mien_error *error);
void tls_context_destroy(tls_context **context);

/** NULL when memory is short. */
tls_session *tls_session_create(tls_context *context);
void tls_session_destroy(tls_session **session);
/** Take what the socket received; append what the client said to `plain` and what must be sent back to `wire`.
 *  @return false when the session is broken or over: send `wire` and close. */
bool tls_session_receive(tls_session *session, const uint8_t *bytes, size_t length, buffer *plain, buffer *wire);
/** Append the encrypted form of `bytes` to `wire`. @return false when that cannot be. */
bool tls_session_send(tls_session *session, const uint8_t *bytes, size_t length, buffer *wire);
/** Say that no more will be sent. */
void tls_session_finish(tls_session *session, buffer *wire);
bool tls_session_established(const tls_session *session);
/** True when HTTP/2 was negotiated (ALPN "h2"). */
bool tls_session_is_h2(const tls_session *session);

#endif
