/* detector's WebSocket /ws: frames in, the emotion of the largest face out. */
#ifndef SERVER_DETECTOR_CHANNEL_H
#define SERVER_DETECTOR_CHANNEL_H

#include "server/channel.h"

/** The mount's context is the server. */
extern const channel_handlers detector_channel_handlers;

#endif
