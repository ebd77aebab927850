/* A WebSocket that sends back what it receives, for conformance suites and for measuring round trips. */
#ifndef SERVER_ECHO_CHANNEL_H
#define SERVER_ECHO_CHANNEL_H

#include "server/channel.h"

extern const channel_handlers echo_channel_handlers;

#endif
