/* The mounts of the server in one place. */
#include "server/endpoints.h"

#include "base/error.h"
#include "base/memory.h"
#include "server/detector_channel.h"
#include "server/echo_channel.h"

struct endpoints {
    server *server;
};

mien_status endpoints_create(server *server, endpoints **out, mien_error *error)
{
    endpoints *created = memory_zeroed(1, sizeof *created);
    if (!created)
        return error_no_memory(error, sizeof *created);
    created->server = server;
    mien_status status = server_add_mount(server, &(server_mount){.path = "/echo", .channel = &echo_channel_handlers});
    if (!status)
        status = server_add_mount(
            server, &(server_mount){.path = "/ws", .context = server, .channel = &detector_channel_handlers});
    if (status)
        endpoints_destroy(&created);
    else
        *out = created;
    return status;
}

void endpoints_destroy(endpoints **endpoints)
{
    memory_free(*endpoints);
    *endpoints = NULL;
}
