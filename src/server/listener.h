/* Sockets: one that listens, and those it accepts. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <mien/base.h>

typedef struct listener_peer {
    uint8_t address[16]; /* IPv6, or IPv4 mapped into it */
    char text[48];
} listener_peer;

/** Listen on `host` (a name or an address) and `port` (0 = any; *bound tells which). Non-blocking.
 *  @return MIEN_OK, MIEN_EIO with the system's reason. */
mien_status listener_open(const char *host, int port, int *socket, int *bound, mien_error *error);
/** The next waiting connection, non-blocking and without Nagle's delay; -1 when there is none. */
int listener_accept(int socket, listener_peer *peer);

#endif
