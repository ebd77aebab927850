/* history-api's realtime service: Socket.IO under /socket.io/, namespace /emotion-detection. */
#ifndef SERVER_REALTIME_H
#define SERVER_REALTIME_H

#include "server/server.h"

/** Who may come in. Runs on a worker, so it may fetch keys. @return MIEN_OK, or MIEN_EDENIED and others with a message
 *  that the client is shown. */
typedef mien_status (*realtime_authenticate)(void *context, const char *token, mien_error *error);

typedef struct realtime_options {
    realtime_authenticate authenticate; /* NULL = everybody */
    void *context;
    uint32_t ping_interval, ping_timeout; /* ms; 0 = Engine.IO's defaults */
} realtime_options;

typedef struct realtime realtime;

/** Add the mount to a server before it runs. */
mien_status realtime_create(server *server, const realtime_options *options, realtime **out, mien_error *error);
/** After server_destroy(). Accepts a pointer to NULL. */
void realtime_destroy(realtime **realtime);

#endif
