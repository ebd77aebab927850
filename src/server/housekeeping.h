/* What the server does now and then by itself: delete what has outlived HISTORY_TTL, and expired tokens. */
#ifndef SERVER_HOUSEKEEPING_H
#define SERVER_HOUSEKEEPING_H

#include "server/server.h"

typedef struct housekeeping housekeeping;

/** Starts with the server; the first round comes at once. Destroy after the server. */
mien_status housekeeping_create(server *server, housekeeping **out, mien_error *error);
void housekeeping_destroy(housekeeping **housekeeping);

#endif
