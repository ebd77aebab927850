/* The event loop. libwebsockets gives the loop and its timers; sockets are accepted here, so that limits hold before
 * anything is allocated for a client, and are adopted as raw connections whose bytes connection.c understands. One
 * thread runs the loop. */
#include "server/server_state.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/channel.h"
#include "server/listener.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVICE_BYTES = 65536, SPARE_DESCRIPTORS = 64 };
static const uint64_t least_sweep_ns = 5000000u, most_sweep_ns = 5000000000u;

const router *server_router(const server *server)
{
    return server->router;
}

service *server_service(const server *server)
{
    return server->service;
}

random_state *server_random(server *server)
{
    return &server->random;
}

int server_port(const server *server)
{
    return server->port;
}

bool server_count_body(server *server, long bytes)
{
    long most = server->service->settings->max_bodies; /* 0: no limit */
    if (bytes > 0 && most && server->bodies + bytes > most)
        return false;
    server->bodies += bytes;
    return true;
}

/* "/ws" matches itself; a mount that ends in "/" also matches what is below it, and itself without the slash. */
const server_mount *server_find_mount(const server *server, const char *path)
{
    for (size_t i = 0; i < server->mount_count; i++) {
        const char *mount = server->mounts[i].path;
        size_t length = strlen(mount);
        bool folder = mount[length - 1] == '/';
        if (!strcmp(path, mount) || (folder && !strncmp(path, mount, length)) ||
            (folder && strlen(path) == length - 1 && !strncmp(path, mount, length - 1)))
            return &server->mounts[i];
    }
    return NULL;
}

mien_status server_add_mount(server *server, const server_mount *mount)
{
    if (server->mount_count == SERVER_MOST_MOUNTS)
        return MIEN_ELIMIT;
    server->mounts[server->mount_count++] = *mount;
    return MIEN_OK;
}

static void kill_connection(connection *c)
{
    c->deadline_ns = 0;
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

static void schedule_sweep(server *server, uint64_t when_ns, uint64_t now_ns);

static void sweep(lws_sorted_usec_list_t *sul)
{
    server *server = lws_container_of(sul, struct server, sweep);
    uint64_t now = clock_monotonic_ns(), next = now + most_sweep_ns;
    server->next_sweep_ns = UINT64_MAX; /* deadlines set meanwhile are seen below or by the following look */
    for (connection *c = server->connections; c; c = c->next) {
        if (c->deadline_ns && c->deadline_ns <= now && !connection_expired(c, now))
            kill_connection(c);
        if (c->deadline_ns && c->deadline_ns < next)
            next = c->deadline_ns;
    }
    if (server->stopping && server->stop_by_ns < next)
        next = server->stop_by_ns;
    if (server->connections || server->stopping)
        schedule_sweep(server, next, now);
}

static void schedule_sweep(server *server, uint64_t when_ns, uint64_t now_ns)
{
    uint64_t wait = when_ns > now_ns ? when_ns - now_ns : 0;
    wait = wait < least_sweep_ns ? least_sweep_ns : wait > most_sweep_ns ? most_sweep_ns : wait;
    server->next_sweep_ns = now_ns + wait;
    lws_sul_schedule(server->context, 0, &server->sweep, sweep, (lws_usec_t)(wait / 1000));
}

void server_sweep_by(server *server, uint64_t when_ns)
{
    if (when_ns + 1000000 < server->next_sweep_ns)
        schedule_sweep(server, when_ns, clock_monotonic_ns());
}

static void forget_connection(connection *c)
{
    server *server = c->server;
    if (server->adopting == c)
        server->adopting = NULL;
    connection_done(c);
    *(c->previous ? &c->previous->next : &server->connections) = c->next;
    if (c->next)
        c->next->previous = c->previous;
    server->connection_count--;
    atomic_fetch_sub(&server->service->connections, 1);
    memory_free(c);
    if (server->stopping && server->serving && !server->connections)
        lws_cancel_service(server->context); /* server_run() looks whether that was all */
}

static size_t connections_from(const server *server, const uint8_t address[16])
{
    size_t count = 0;
    for (const connection *c = server->connections; c; c = c->next)
        count += !memcmp(c->address, address, 16);
    return count;
}

/* Make a connection of an accepted socket, or turn it away. Takes the socket. */
static void adopt(server *server, int socket, const listener_peer *peer)
{
    const settings *settings = server->service->settings;
    bool full = server->connection_count >= (size_t)settings->max_connections ||
                connections_from(server, peer->address) >= (size_t)settings->max_connections_per_address;
    connection *c = full || server->stopping ? NULL : memory_zeroed(1, sizeof *c);
    if (c && server->tls && !(c->tls = tls_session_create(server->tls))) {
        memory_free(c);
        c = NULL;
    }
    if (!c) {
        close(socket);
        return;
    }
    c->server = server;
    c->secure = server->tls != NULL;
    memcpy(c->address, peer->address, sizeof c->address);
    memcpy(c->peer, peer->text, sizeof peer->text);
    c->next = server->connections;
    if (c->next)
        c->next->previous = c;
    server->connections = c;
    server->connection_count++;
    atomic_fetch_add(&server->service->connections, 1);
    lws_adopt_desc_t description = {
        .vh = server->vhost,
        .type = LWS_ADOPT_SOCKET,
        .fd.sockfd = socket,
        .vh_prot_name = "connection",
        .opaque = c,
    };
    server->adopting = c;
    c->deadline_ns = clock_monotonic_ns() + (uint64_t)(settings->keep_alive * 1e9);
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&description);
    if (wsi) {
        c->wsi = wsi;
        server_sweep_by(server, c->deadline_ns);
    } else if (server->adopting) { /* else its end has been heard of, and the connection forgotten */
        close(socket);
        forget_connection(c);
    }
}

static void accept_all(server *server, int socket)
{
    listener_peer peer;
    for (int accepted; (accepted = listener_accept(socket, &peer)) >= 0;)
        adopt(server, accepted, &peer);
}

static void begin_stop(server *server)
{
    const settings *settings = server->service->settings;
    server->stopping = true;
    server->stop_by_ns = clock_monotonic_ns() + (uint64_t)(settings->stop_timeout * 1e9);
    atomic_store(&server->service->stopping, true);
    if (server->listener)
        lws_set_timeout(server->listener, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    for (size_t i = 0; i < server->mount_count; i++)
        if (server->mounts[i].stopping)
            server->mounts[i].stopping(server->mounts[i].context);
    for (connection *c = server->connections; c; c = c->next)
        if (!connection_stopping(c))
            kill_connection(c);
    server_sweep_by(server, server->stop_by_ns);
}

static int on_connection(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    connection *c = lws_get_opaque_user_data(wsi);
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        if (c)
            c->wsi = wsi;
        return 0;
    case LWS_CALLBACK_RAW_RX:
        if (!c)
            return -1;
        c->wsi = wsi;
        return connection_receive(c, in, length) ? 0 : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        return c && connection_writable(c) ? 0 : -1;
    case LWS_CALLBACK_WSI_DESTROY:
        if (c) {
            lws_set_opaque_user_data(wsi, NULL);
            forget_connection(c);
        }
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED: {
        server *server = lws_context_user(lws_get_context(wsi));
        server_take_news(server);
        if (atomic_load(&server->stop_asked) && !server->stopping)
            begin_stop(server);
        return 0;
    }
    default:
        return 0;
    }
}

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    server *server = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_RAW_RX_FILE && !server->stopping)
        accept_all(server, lws_get_socket_fd(wsi));
    if (reason == LWS_CALLBACK_RAW_CLOSE_FILE)
        server->listener = NULL;
    return 0;
}

static const struct lws_protocols protocols[] = {
    {"connection", on_connection, 0, 0, 0, NULL, 0},
    {"listener", on_listener, 0, 0, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

static void log_lws(int level, const char *line)
{
    size_t length = strcspn(line, "\n");
    log_write(level & LLL_ERR ? LOG_ERROR : LOG_WARNING, "libwebsockets: %.*s", (int)length, line);
}

static void raise_descriptor_limit(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static mien_status create_context(server *server, mien_error *error)
{
    const settings *settings = server->service->settings;
    struct lws_context_creation_info info = {0};
    lws_set_log_level(LLL_ERR | LLL_WARN, log_lws);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.user = server;
    info.protocols = protocols;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.fd_limit_per_thread = (unsigned)settings->max_connections + SPARE_DESCRIPTORS;
    info.pt_serv_buf_size = SERVICE_BYTES;
    info.vhost_name = "mien";
    info.timeout_secs = (unsigned)settings->header_timeout + 1;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME;
    raise_descriptor_limit(info.fd_limit_per_thread);
    server->context = lws_create_context(&info);
    if (!server->context)
        return error_set(error, MIEN_ENOMEM, "the event loop does not start");
    server->vhost = lws_create_vhost(server->context, &info);
    if (!server->vhost)
        return error_set(error, MIEN_ENOMEM, "the event loop does not start");
    return MIEN_OK;
}

static mien_status listen_on(server *server, mien_error *error)
{
    const settings *settings = server->service->settings;
    int socket;
    mien_status status = listener_open(settings->host, (int)settings->port, &socket, &server->port, error);
    if (status)
        return status;
    lws_sock_file_fd_type descriptor = {.filefd = socket};
    server->listener = lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor, "listener", NULL);
    return server->listener ? MIEN_OK : error_set(error, MIEN_ENOMEM, "the listening socket cannot be watched");
}

mien_status server_create(service *service, const router *router, server **out, mien_error *error)
{
    server *created = memory_zeroed(1, sizeof *created);
    if (!created)
        return error_no_memory(error, sizeof *created);
    created->service = service;
    created->router = router;
    created->next_sweep_ns = UINT64_MAX;
    pthread_mutex_init(&created->news_lock, NULL);
    uint64_t seed;
    mien_status status = random_secret(&seed, sizeof seed, error);
    random_seed(&created->random, seed, 0);
    if (!status && *service->settings->tls_certificate)
        status =
            tls_context_create(service->settings->tls_certificate, service->settings->tls_key, &created->tls, error);
    if (!status)
        status = create_context(created, error);
    if (!status)
        status = job_queue_create(service->workers, (size_t)service->settings->queue, server_run_job, &created->queue,
                                  error);
    service->queue = created->queue;
    if (!status)
        status = listen_on(created, error);
    if (status)
        server_destroy(&created);
    else
        *out = created;
    return status;
}

void server_destroy(server **pointer)
{
    server *server = *pointer;
    if (!server)
        return;
    job_queue_destroy(&server->queue);
    server->service->queue = NULL;
    if (server->context) {
        server_take_news(server);
        lws_context_destroy(server->context);
    }
    server_free_timers(server);
    tls_context_destroy(&server->tls);
    pthread_mutex_destroy(&server->news_lock);
    memory_free(server);
    *pointer = NULL;
}

static bool at_rest(const server *server)
{
    return !server->connections && !server->jobs;
}

mien_status server_run(server *server)
{
    mien_status status = MIEN_EBUSY;
    server->serving = true;
    while (status == MIEN_EBUSY) {
        if (lws_service(server->context, 0) < 0)
            status = MIEN_EINTERNAL;
        else if (server->stopping && at_rest(server))
            status = MIEN_OK;
        else if (server->stopping && clock_monotonic_ns() > server->stop_by_ns)
            status = MIEN_ETIMEOUT;
    }
    server->serving = false;
    return status;
}

void server_stop(server *server)
{
    atomic_store(&server->stop_asked, true);
    lws_cancel_service(server->context);
}
