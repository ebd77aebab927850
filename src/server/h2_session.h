/* HTTP/2 on a connection: streams to exchanges and back. On the loop's thread only. */
#ifndef SERVER_H2_SESSION_H
#define SERVER_H2_SESSION_H

#include "server/exchange.h"

typedef struct h2_session h2_session;

/** NULL when memory is short. */
h2_session *h2_session_create(connection *c);
void h2_session_destroy(h2_session **session);
/** Take what the client said. @return false when the connection must end. */
bool h2_session_receive(h2_session *session, const uint8_t *bytes, size_t length);
/** Append what is to be sent to `out`, up to about `most` bytes. @return false when the connection must end. */
bool h2_session_output(h2_session *session, buffer *out, size_t most);
/** Answer streams that take too long. */
void h2_session_expire(h2_session *session, uint64_t now_ns);
/** Announce that no new streams are taken. */
void h2_session_stop(h2_session *session);
size_t h2_session_streams(const h2_session *session);

#endif
