/* Joins an Engine.IO server, which has no sockets, to the network side, which has nothing else: long-polling requests,
 * WebSockets and timers of one path. Everything happens on the loop's thread. */
#ifndef SERVER_SOCKETIO_GLUE_H
#define SERVER_SOCKETIO_GLUE_H

#include "proto/engineio.h"
#include "server/server.h"

typedef struct socketio_glue socketio_glue;

mien_status socketio_glue_create(server *server, socketio_glue **glue, mien_error *error);
/** What the Engine.IO server is to be created with. */
engineio_transport socketio_glue_transport(socketio_glue *glue);
/** Serve `engine` under `path` ("/socket.io/"; static text). Before server_run(). */
mien_status socketio_glue_start(socketio_glue *glue, engineio_server *engine, const char *path, mien_error *error);
/** Call after using the engine outside its own callbacks, for example when a job is done: keeps the timer right. */
void socketio_glue_kick(socketio_glue *glue);
/** After server_destroy() (which ends the connections), before the Engine.IO server is destroyed. Accepts a pointer to
 *  NULL. */
void socketio_glue_destroy(socketio_glue **glue);

#endif
