/* HTTP/1.1 on a connection: requests out of its input, answers into its output. On the loop's thread only. */
#ifndef SERVER_HTTP1_H
#define SERVER_HTTP1_H

#include "server/connection.h"

/** Between requests: take a head from `c->in`. @return false when there is not yet a whole one, or when the connection
 *  must close: then its state says so. */
bool http1_take_head(connection *c);
/** Feed the body. @return how many bytes were taken. */
size_t http1_take_body(connection *c, const uint8_t *bytes, size_t length);
/** The deadline passed between requests, in a body or while an answer is awaited. @return false to close at once. */
bool http1_expired(connection *c, uint64_t now_ns);

#endif
