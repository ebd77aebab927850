/* Listening and accepting with plain sockets. */
#include "server/listener.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

typedef union socket_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct sockaddr_storage room;
} socket_address;

static int bound_port(int socket)
{
    socket_address address = {.room = {0}};
    socklen_t length = sizeof address;
    if (getsockname(socket, &address.any, &length))
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
}

mien_status listener_open(const char *host, int port, int *out, int *bound, mien_error *error)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    int problem = getaddrinfo(*host ? host : NULL, service, &hints, &found);
    if (problem)
        return error_set(error, MIEN_EIO, "cannot listen on HOST %.100s: %s", host, gai_strerror(problem));
    int saved = EADDRNOTAVAIL, listening = -1, on = 1;
    for (struct addrinfo *at = found; at && listening < 0; at = at->ai_next) {
        listening = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
        if (listening < 0) {
            saved = errno;
            continue;
        }
        setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(listening, at->ai_addr, at->ai_addrlen) || listen(listening, BACKLOG)) {
            saved = errno;
            close(listening);
            listening = -1;
        }
    }
    freeaddrinfo(found);
    if (listening < 0)
        return error_set(error, MIEN_EIO, "cannot listen on %.100s port %d: %s", host, port, strerror(saved));
    *out = listening;
    *bound = bound_port(listening);
    return MIEN_OK;
}

static void describe(const socket_address *from, listener_peer *peer)
{
    memset(peer, 0, sizeof *peer);
    if (from->any.sa_family == AF_INET6) {
        memcpy(peer->address, &from->six.sin6_addr, 16);
    } else {
        memset(peer->address + 10, 0xff, 2);
        memcpy(peer->address + 12, &from->four.sin_addr, 4);
    }
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool four = !memcmp(peer->address, mapped, sizeof mapped);
    inet_ntop(four ? AF_INET : AF_INET6, peer->address + (four ? 12 : 0), peer->text, sizeof peer->text);
}

int listener_accept(int socket, listener_peer *peer)
{
    socket_address from = {.room = {0}};
    socklen_t length = sizeof from;
    int on = 1, accepted = accept4(socket, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0)
        return -1;
    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    describe(&from, peer);
    return accepted;
}
