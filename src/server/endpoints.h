/* What is served beside the router: the WebSockets /ws and /echo. */
#ifndef SERVER_ENDPOINTS_H
#define SERVER_ENDPOINTS_H

#include "server/server.h"

typedef struct endpoints endpoints;

/** Add them to a server before it runs. Destroy after the server. */
mien_status endpoints_create(server *server, endpoints **endpoints, mien_error *error);
void endpoints_destroy(endpoints **endpoints);

#endif
