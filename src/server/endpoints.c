/* The mounts of the server in one place. */
#include "server/endpoints.h"

#include "base/error.h"
#include "base/memory.h"
#include "server/detector_channel.h"
#include "server/echo_channel.h"
#include "server/realtime.h"
#include "server/token_check.h"

struct endpoints {
    server *server;
    token_check *tokens;
    realtime *realtime;
};

static mien_status authenticate(void *context, const char *token, mien_error *error)
{
    return token_check_verify(context, token, NULL, error);
}

static mien_status create_realtime(endpoints *created, mien_error *error)
{
    mien_status status = token_check_create(server_service(created->server)->settings, &created->tokens, error);
    realtime_options options = {.authenticate = authenticate, .context = created->tokens};
    return status ? status : realtime_create(created->server, &options, &created->realtime, error);
}

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
    if (!status)
        status = create_realtime(created, error);
    if (status)
        endpoints_destroy(&created);
    else
        *out = created;
    return status;
}

void endpoints_destroy(endpoints **endpoints)
{
    if (!*endpoints)
        return;
    realtime_destroy(&(*endpoints)->realtime);
    token_check_destroy(&(*endpoints)->tokens);
    memory_free(*endpoints);
    *endpoints = NULL;
}
