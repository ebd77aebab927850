/* What the parts of the network side share. */
#ifndef SERVER_SERVER_INTERNAL_H
#define SERVER_SERVER_INTERNAL_H

#include "base/random.h"
#include "server/connection.h"

const router *server_router(const server *server);
const server_mount *server_find_mount(const server *server, const char *path);
random_state *server_random(server *server);
/** Add to (or, negative, take from) the bytes of bodies under way; false when that would be too many. */
bool server_count_body(server *server, long bytes);
/** A connection's deadline has moved forward: look again by then. */
void server_sweep_by(server *server, uint64_t when_ns);

#endif
