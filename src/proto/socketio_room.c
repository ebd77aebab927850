/* Rooms: named sets of sockets within a namespace. A membership is a link in two lists, the room's and the socket's. A
 * room exists as long as somebody is in it. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "proto/socketio_internal.h"

enum { ROOM_NAME_MOST = 128 };

typedef struct room {
    table_node node;
    struct membership *members;
    size_t count;
    char name[]; /* the table's key */
} room;

typedef struct membership {
    room *room;
    socketio_socket *socket;
    struct membership *previous, *next; /* in the room */
    struct membership *next_of_socket;
} membership;

static room *room_find(const socketio_namespace *space, const char *name)
{
    return (room *)(void *)table_find(&space->rooms, name); /* its node comes first */
}

static room *room_create(socketio_namespace *space, const char *name)
{
    size_t length = strlen(name);
    room *made = memory_zeroed(sizeof *made + length + 1, 1);
    if (!made)
        return NULL;
    memcpy(made->name, name, length + 1);
    if (table_put(&space->rooms, &made->node, made->name)) {
        memory_free(made);
        return NULL;
    }
    return made;
}

static void room_release(socketio_namespace *space, room *r)
{
    if (r->count)
        return;
    table_remove(&space->rooms, &r->node);
    memory_free(r);
}

static membership **membership_find(socketio_socket *socket, const char *name)
{
    membership **at = &socket->rooms;
    while (*at && strcmp((*at)->room->name, name) != 0)
        at = &(*at)->next_of_socket;
    return at;
}

mien_status socketio_join(socketio_socket *socket, const char *name, mien_error *error)
{
    if (!socket->connection)
        return error_set(error, MIEN_ECANCELLED, "the socket has ended");
    if (!name[0] || strlen(name) > ROOM_NAME_MOST)
        return error_set(error, MIEN_EINVAL, "a room's name has 1 to %d bytes", ROOM_NAME_MOST);
    if (*membership_find(socket, name))
        return MIEN_OK;
    if (socket->room_count >= socket->connection->server->options.max_rooms)
        return error_set(error, MIEN_ELIMIT, "no more than %zu rooms", socket->connection->server->options.max_rooms);
    membership *m = memory_zeroed(1, sizeof *m);
    if (!m)
        return error_no_memory(error, sizeof *m);
    room *r = room_find(socket->space, name);
    if (!r)
        r = room_create(socket->space, name);
    if (!r) {
        memory_free(m);
        return error_no_memory(error, sizeof *r);
    }
    *m = (membership){.room = r, .socket = socket, .next = r->members, .next_of_socket = socket->rooms};
    if (r->members)
        r->members->previous = m;
    r->members = m;
    r->count++;
    socket->rooms = m;
    socket->room_count++;
    return MIEN_OK;
}

static void membership_end(membership **at)
{
    membership *m = *at;
    socketio_socket *socket = m->socket;
    *at = m->next_of_socket;
    socket->room_count--;
    *(m->previous ? &m->previous->next : &m->room->members) = m->next;
    if (m->next)
        m->next->previous = m->previous;
    m->room->count--;
    room_release(socket->space, m->room);
    memory_free(m);
}

void socketio_leave(socketio_socket *socket, const char *name)
{
    membership **at = membership_find(socket, name);
    if (*at)
        membership_end(at);
}

void rooms_leave_all(socketio_socket *socket)
{
    while (socket->rooms)
        membership_end(&socket->rooms);
}

size_t socketio_room_size(const socketio_namespace *space, const char *name)
{
    const room *r = room_find(space, name);
    return r ? r->count : 0;
}

size_t socketio_emit_room(socketio_namespace *space, const char *name, const socketio_socket *except, const char *event,
                          const socketio_args *args)
{
    const room *r = room_find(space, name);
    if (!r)
        return 0;
    /* A client found too slow leaves the room while we are sending, so the members are noted first. */
    socketio_socket **members = memory_array(r->count, sizeof(socketio_socket *));
    if (!members)
        return 0;
    size_t count = 0, sent = 0;
    for (const membership *m = r->members; m; m = m->next)
        members[count++] = m->socket;
    for (size_t i = 0; i < count; i++) {
        if (members[i] != except && !socketio_emit(members[i], event, args))
            sent++;
    }
    memory_free(members);
    return sent;
}
