/* The mounts of the server in one place. */
#include "server/endpoints.h"

#include "base/error.h"
#include "base/memory.h"
#include "server/detector_channel.h"
#include "server/echo_channel.h"
#include "server/housekeeping.h"
#include "server/realtime.h"

struct endpoints {
    server *server;
    realtime *realtime;
    housekeeping *housekeeping;
};

/** Whoever has an access token or API key of ours, or an ID token of the provider. On a worker. */
static mien_status authenticate(void *context, const char *token, mien_error *error)
{
    person who = {0};
    mien_error unsaid = {0};
    mien_status status = people_authenticate(context, token, &who, &unsaid);
    if (status == MIEN_EDENIED)
        status = people_sign_in_with(context, token, &who, &unsaid);
    if (!status)
        person_done(&who);
    else if (status == MIEN_EDENIED)
        error_set(error, status, "Invalid or expired token");
    return status;
}

static mien_status create_realtime(endpoints *created, mien_error *error)
{
    people *people = server_service(created->server)->people;
    realtime_options options = {.authenticate = authenticate, .context = people};
    return realtime_create(created->server, &options, &created->realtime, error);
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
    if (!status)
        status = housekeeping_create(server, &created->housekeeping, error);
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
    housekeeping_destroy(&(*endpoints)->housekeeping);
    memory_free(*endpoints);
    *endpoints = NULL;
}
