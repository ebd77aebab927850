/* Guards src/proto/engineio*: handshake errors, payload framing, the upgrade, heartbeat, overlap, limits and the end of
 * sessions, byte by byte and with a clock of the test's own. */
#include "testing.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "proto/engineio.h"
#include "proto/engineio_packet.h"
#include "proto/timer_queue.h"

/* A poll that waits, and what it was answered. */
typedef struct waiting {
    int status;
    char body[512];
} waiting;

typedef struct fixture {
    engineio_server *server;
    engineio_session *last;
    uint64_t now;
    int opened, closed, wakes;
    engineio_reason reason;
    bool close_on_message, silent;
} fixture;

static void on_poll_answer(void *context, void *poll, const engineio_response *response)
{
    (void)context;
    waiting *w = poll;
    w->status = response->status;
    assert_true(response->length < sizeof w->body);
    memcpy(w->body, response->body, response->length);
    w->body[response->length] = 0;
}

static void on_wake(void *context, void *connection)
{
    (void)connection;
    ((fixture *)context)->wakes++;
}

static void on_opened(void *context, engineio_session *session, uint64_t now)
{
    fixture *f = context;
    (void)now;
    f->opened++;
    f->last = session;
}

static void on_message(void *context, engineio_session *session, const uint8_t *bytes, size_t length, bool binary,
                       uint64_t now)
{
    fixture *f = context;
    (void)now;
    if (!f->silent)
        engineio_send(session, bytes, length, binary);
    if (f->close_on_message)
        engineio_close(session);
}

static void on_closed(void *context, engineio_session *session, engineio_reason reason)
{
    fixture *f = context;
    f->closed++;
    f->reason = reason;
    if (f->last == session)
        f->last = NULL;
}

static int set_up(void **state)
{
    fixture *f = memory_zeroed(1, sizeof *f);
    engineio_options options = {
        .ping_interval = 300, .ping_timeout = 200, .max_payload = 1000, .max_queue = 4096, .max_sessions = 8};
    engineio_transport transport = {f, on_poll_answer, on_wake};
    engineio_handlers handlers = {.context = f, .opened = on_opened, .message = on_message, .closed = on_closed};
    f->now = 1000;
    *state = f;
    return engineio_create(&options, &transport, &handlers, &f->server, NULL);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    engineio_destroy(&f->server);
    assert_int_equal(f->opened, f->closed);
    memory_free(f);
    return 0;
}

/** An HTTP request; the body of its answer in a static buffer, or NULL when it waits. */
static const char *http(fixture *f, const char *method, const char *query, const char *body, waiting *poll, int *status)
{
    static char text[2048];
    engineio_request request = {.method = method,
                                .query = query,
                                .peer = "192.0.2.1",
                                .body = (const uint8_t *)body,
                                .length = body ? strlen(body) : 0,
                                .poll = poll};
    engineio_session *session;
    engineio_response response;
    engineio_http(f->server, &request, f->now, &session, &response);
    if (session)
        return NULL;
    assert_true(response.length < sizeof text);
    memcpy(text, response.body, response.length);
    text[response.length] = 0;
    if (status)
        *status = response.status;
    return text;
}

/** Open a polling session; its query in `query`. */
static void open_polling(fixture *f, char query[128])
{
    int status;
    const char *body = http(f, "GET", "EIO=4&transport=polling", NULL, NULL, &status);
    assert_int_equal(status, 200);
    const char *sid = strstr(body, "\"sid\":\"");
    assert_non_null(sid);
    snprintf(query, 128, "EIO=4&transport=polling&sid=%.20s", sid + 7);
}

static engineio_ws *open_ws(fixture *f, const char *polling_query)
{
    char query[160] = "EIO=4&transport=websocket";
    engineio_response refusal;
    engineio_ws *ws = NULL;
    if (polling_query)
        snprintf(query, sizeof query, "EIO=4&transport=websocket&%s", strstr(polling_query, "sid="));
    if (!engineio_ws_check(f->server, query, f->now, &refusal))
        return NULL;
    assert_int_equal(engineio_ws_open(f->server, query, "192.0.2.1", f, f->now, &ws, NULL), MIEN_OK);
    return ws;
}

/** The next thing that the WebSocket does: "T:text", "B:bytes", "close 1000" or "idle". */
static const char *next(engineio_ws *ws)
{
    static char text[5000];
    engineio_frame frame;
    switch (engineio_ws_next(ws, &frame)) {
    case ENGINEIO_WS_SEND:
        memset(frame.bytes - ENGINEIO_HEADROOM, 0xee, ENGINEIO_HEADROOM);
        snprintf(text, sizeof text, "%c:%.*s", frame.binary ? 'B' : 'T', (int)frame.length, (char *)frame.bytes);
        engineio_ws_sent(ws);
        return text;
    case ENGINEIO_WS_CLOSE:
        snprintf(text, sizeof text, "close %d", frame.code);
        return text;
    default:
        return "idle";
    }
}

static void say(fixture *f, engineio_ws *ws, const char *text)
{
    engineio_ws_receive(ws, (const uint8_t *)text, strlen(text), false, true, f->now);
}

static void test_polling_handshake(void **state)
{
    fixture *f = *state;
    int status;
    const char *body = http(f, "GET", "EIO=4&transport=polling&t=x", NULL, NULL, &status);
    assert_int_equal(status, 200);
    assert_memory_equal(body, "0{\"sid\":\"", 9);
    assert_string_equal(
        body + 29, "\",\"upgrades\":[\"websocket\"],\"pingInterval\":300,\"pingTimeout\":200,\"maxPayload\":1000}");
    assert_string_equal(engineio_session_peer(f->last), "192.0.2.1");
    assert_memory_equal(engineio_session_id(f->last), body + 9, 20);
    assert_true(engineio_session_polling(f->last));
}

static void test_refusals_have_the_reference_numbers(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *method, *query, *body;
    } cases[] = {
        {"GET", "EIO=4", "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", NULL, "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", "EIO=4&transport=abc", "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", "EIO=4&transport=pollingpollingpolling", "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", "EIO=4&transport=polling&sid=nope", "{\"code\":1,\"message\":\"Session ID unknown\"}"},
        {"GET", "EIO=4&transport=polling&sid=", "{\"code\":1,\"message\":\"Session ID unknown\"}"},
        {"POST", "EIO=4&transport=polling", "{\"code\":2,\"message\":\"Bad handshake method\"}"},
        {"PUT", "EIO=4&transport=polling", "{\"code\":2,\"message\":\"Bad handshake method\"}"},
        {"GET", "EIO=4&transport=websocket", "{\"code\":3,\"message\":\"Bad request\"}"},
        {"GET", "EIO=3&transport=polling", "{\"code\":5,\"message\":\"Unsupported protocol version\"}"},
        {"GET", "transport=polling", "{\"code\":5,\"message\":\"Unsupported protocol version\"}"},
        {"GET", "EIO=abc&transport=polling", "{\"code\":5,\"message\":\"Unsupported protocol version\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = 0;
        assert_string_equal(http(f, cases[i].method, cases[i].query, NULL, NULL, &status), cases[i].body);
        assert_int_equal(status, 400);
    }
    engineio_response refusal;
    assert_false(engineio_ws_check(f->server, "transport=websocket", f->now, &refusal));
    assert_int_equal(refusal.status, 400);
    assert_false(engineio_ws_check(f->server, "EIO=4&transport=abc", f->now, &refusal));
    assert_false(engineio_ws_check(f->server, "EIO=4&transport=polling", f->now, &refusal));
    assert_false(engineio_ws_check(f->server, "EIO=4&transport=websocket&sid=nope", f->now, &refusal));
    assert_int_equal(f->opened, 0);
}

static void test_payload_round_trip(void **state)
{
    fixture *f = *state;
    char query[128];
    int status;
    open_polling(f, query);
    assert_string_equal(http(f, "POST", query, "4test1\0364test2\036bAQIDBA==\0364\xc3\xa9", NULL, &status), "ok");
    assert_int_equal(status, 200);
    assert_string_equal(http(f, "GET", query, NULL, NULL, &status), "4test1\0364test2\036bAQIDBA==\0364\xc3\xa9");
    assert_int_equal(status, 200);
}

static void test_waiting_poll_is_answered(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0};
    open_polling(f, query);
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    assert_int_equal(w.status, 0);
    assert_string_equal(http(f, "POST", query, "4one\0364two", NULL, NULL), "ok");
    assert_int_equal(w.status, 200);
    assert_string_equal(w.body, "4one\0364two"); /* gathered, not one each */
    engineio_send(f->last, "late", 4, false);
    assert_string_equal(http(f, "GET", query, NULL, NULL, NULL), "4late");
}

static void test_bad_payload_closes(void **state)
{
    static const char *const bodies[] = {"abc", "", "4ok\036", "7", "2", "0", "4\xff", "b*", "4a\036\0364b"};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char query[128];
        int status;
        open_polling(f, query);
        http(f, "POST", query, bodies[i], NULL, &status);
        assert_int_equal(status, 400);
        http(f, "GET", query, NULL, NULL, &status);
        assert_int_equal(status, 400);
        assert_int_equal(f->reason, ENGINEIO_BAD_PACKET);
    }
    assert_int_equal(engineio_session_count(f->server), 0);
}

static void test_payload_over_limit_is_413(void **state)
{
    fixture *f = *state;
    char query[128], body[1002];
    int status;
    memset(body, 'x', sizeof body);
    body[0] = '4';
    body[1001] = 0;
    open_polling(f, query);
    http(f, "POST", query, body, NULL, &status);
    assert_int_equal(status, 413);
    body[1000] = 0;
    http(f, "POST", query, body, NULL, &status);
    assert_int_equal(status, 200);
}

static void test_overlapping_polls_close(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0}, other = {0};
    int status;
    open_polling(f, query);
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    http(f, "GET", query, NULL, &other, &status);
    assert_int_equal(status, 400);
    assert_string_equal(w.body, "1");
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
}

static void test_client_closes_polling(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0};
    int status;
    open_polling(f, query);
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    assert_string_equal(http(f, "POST", query, "1", NULL, &status), "ok");
    assert_string_equal(w.body, "6");
    assert_int_equal(f->reason, ENGINEIO_CLOSED_BY_CLIENT);
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
}

static void test_server_closes_polling_with_words_left(void **state)
{
    fixture *f = *state;
    char query[128];
    int status;
    open_polling(f, query);
    f->close_on_message = true;
    http(f, "POST", query, "4bye\0364ignored", NULL, &status);
    assert_int_equal(status, 200);
    assert_int_equal(f->closed, 1);
    assert_string_equal(http(f, "GET", query, NULL, NULL, &status), "4bye\0361");
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
    assert_int_equal(f->closed, 1);
}

static void test_lost_poll_ends_the_session(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0};
    open_polling(f, query);
    engineio_session *session = f->last;
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    engineio_poll_lost(session);
    assert_int_equal(f->reason, ENGINEIO_TRANSPORT_LOST);
    assert_int_equal(w.status, 0);
}

static void test_polling_heartbeat(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0};
    open_polling(f, query);
    for (int i = 0; i < 3; i++) {
        assert_null(http(f, "GET", query, NULL, &w, NULL));
        assert_int_equal(engineio_deadline(f->server), f->now + 300);
        assert_int_equal(engineio_tick(f->server, f->now + 299), f->now + 300);
        f->now += 300;
        assert_int_equal(engineio_tick(f->server, f->now), f->now + 200);
        assert_string_equal(w.body, "2");
        assert_string_equal(http(f, "POST", query, "3", NULL, NULL), "ok");
    }
    f->now += 300;
    engineio_tick(f->server, f->now);
    f->now += 200; /* the request itself comes when the time is up: no session any more */
    int status;
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
    assert_int_equal(f->reason, ENGINEIO_PING_TIMEOUT);
    assert_true(engineio_deadline(f->server) == UINT64_MAX);
}

static void test_late_tick_grants_no_time(void **state)
{
    fixture *f = *state;
    char query[128];
    int status;
    open_polling(f, query);
    f->now += 500;
    http(f, "POST", query, "3", NULL, &status);
    assert_int_equal(status, 400);
}

static void test_ws_session(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_ws(f, NULL);
    const char *open = next(ws);
    assert_non_null(strstr(open, "\"upgrades\":[],\"pingInterval\":300,"));
    say(f, ws, "4hello");
    assert_string_equal(next(ws), "T:4hello");
    engineio_ws_receive(ws, (const uint8_t *)"\1\2\3", 3, true, true, f->now);
    assert_string_equal(next(ws), "B:\1\2\3");
    say(f, ws, "bAQID"); /* base64 is accepted on a WebSocket too */
    assert_string_equal(next(ws), "B:\1\2\3");
    f->now += 300;
    engineio_tick(f->server, f->now);
    assert_string_equal(next(ws), "T:2");
    say(f, ws, "3");
    assert_string_equal(next(ws), "idle");
    say(f, ws, "1");
    assert_string_equal(next(ws), "close 1000");
    assert_int_equal(f->reason, ENGINEIO_CLOSED_BY_CLIENT);
    engineio_ws_closed(ws);
}

static void test_ws_ping_timeout(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_ws(f, NULL);
    next(ws);
    engineio_tick(f->server, f->now + 300);
    engineio_tick(f->server, f->now + 499);
    assert_int_equal(f->closed, 0);
    engineio_tick(f->server, f->now + 500);
    assert_string_equal(next(ws), "T:2");
    assert_string_equal(next(ws), "close 1000");
    engineio_ws_closed(ws);
}

static void test_ws_bad_packets_close(void **state)
{
    static const char *const bad[] = {"abc", "", "2", "0", "4\xed\xa0\x80", "b!"};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        engineio_ws *ws = open_ws(f, NULL);
        next(ws);
        say(f, ws, bad[i]);
        assert_string_equal(next(ws), "close 1002");
        say(f, ws, "4ignored");
        assert_string_equal(next(ws), "close 1002");
        engineio_ws_closed(ws);
    }
}

static void test_ws_pieces_and_size(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_ws(f, NULL);
    uint8_t kilobyte[600] = {'4'};
    memset(kilobyte + 1, 'x', sizeof kilobyte - 1);
    next(ws);
    engineio_ws_receive(ws, (const uint8_t *)"4\xc3", 2, false, false, f->now);
    engineio_ws_receive(ws, (const uint8_t *)"", 0, false, false, f->now);
    engineio_ws_receive(ws, (const uint8_t *)"\xa9", 1, false, true, f->now);
    assert_string_equal(next(ws), "T:4\xc3\xa9");
    engineio_ws_receive(ws, kilobyte, sizeof kilobyte, false, false, f->now);
    assert_string_equal(next(ws), "idle");
    engineio_ws_receive(ws, kilobyte, sizeof kilobyte, false, true, f->now);
    assert_string_equal(next(ws), "close 1009");
    engineio_ws_closed(ws);
}

static void test_base64_only_client(void **state)
{
    fixture *f = *state;
    engineio_ws *ws;
    assert_int_equal(engineio_ws_open(f->server, "EIO=4&transport=websocket&b64=1", NULL, f, f->now, &ws, NULL), 0);
    next(ws);
    engineio_ws_receive(ws, (const uint8_t *)"\1\2\3", 3, true, true, f->now);
    assert_string_equal(next(ws), "T:bAQID");
    engineio_ws_closed(ws);
}

static void test_upgrade(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0};
    int status;
    open_polling(f, query);
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    engineio_ws *ws = open_ws(f, query);
    say(f, ws, "2probe");
    assert_string_equal(next(ws), "T:3probe");
    assert_int_equal(w.status, 0);
    assert_int_equal(engineio_deadline(f->server), f->now + 10);
    f->now += 10;
    engineio_tick(f->server, f->now);
    assert_string_equal(w.body, "6"); /* the waiting poll comes to rest */
    w = (waiting){0};
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    f->now += 10;
    engineio_tick(f->server, f->now);
    assert_string_equal(w.body, "6");
    assert_string_equal(http(f, "POST", query, "4early", NULL, NULL), "ok");
    say(f, ws, "5");
    assert_string_equal(next(ws), "T:4early"); /* what polling did not fetch moves over */
    assert_false(engineio_session_polling(f->last));
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
    engineio_ws *second = open_ws(f, query);
    assert_string_equal(next(second), "close 1000");
    engineio_ws_closed(second);
    say(f, ws, "4hello");
    assert_string_equal(next(ws), "T:4hello");
    engineio_ws_closed(ws);
    assert_int_equal(f->reason, ENGINEIO_TRANSPORT_LOST);
}

/** Whichever of the two the event loop reads first, a poll sent after the upgrade is refused. */
static void test_poll_that_overtakes_the_upgrade(void **state)
{
    fixture *f = *state;
    for (int first = 0; first < 2; first++) {
        char query[128];
        waiting w = {0};
        open_polling(f, query);
        engineio_ws *ws = open_ws(f, query);
        if (first == 0)
            say(f, ws, "2probe");
        assert_null(http(f, "GET", query, NULL, &w, NULL));
        if (first == 1)
            say(f, ws, "2probe");
        say(f, ws, "5");
        assert_int_equal(w.status, 400);
        say(f, ws, "4hello");
        assert_string_equal(next(ws), "T:3probe");
        assert_string_equal(next(ws), "T:4hello");
        engineio_ws_closed(ws);
    }
}

/** A poll that was there before the WebSocket is let go in peace, even by a client that does not wait for it. */
static void test_upgrade_over_a_waiting_poll(void **state)
{
    fixture *f = *state;
    char query[128];
    waiting w = {0};
    open_polling(f, query);
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    engineio_ws *ws = open_ws(f, query);
    say(f, ws, "2probe");
    say(f, ws, "5");
    assert_int_equal(w.status, 200);
    assert_string_equal(w.body, "6");
    engineio_ws_closed(ws);
}

static void test_close_that_overtakes_the_poll(void **state)
{
    fixture *f = *state;
    char query[128];
    int status;
    open_polling(f, query);
    assert_string_equal(http(f, "POST", query, "1", NULL, &status), "ok");
    assert_int_equal(f->closed, 1);
    assert_string_equal(http(f, "GET", query, NULL, NULL, &status), "6");
    assert_int_equal(status, 200);
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
    open_polling(f, query);
    http(f, "POST", query, "1\0363\0364late", NULL, &status);
    f->now += 1000;
    http(f, "GET", query, NULL, NULL, &status);
    assert_int_equal(status, 400);
    assert_int_equal(f->closed, 2);
}

static void test_upgrade_with_poll_between_probe_and_end(void **state)
{
    fixture *f = *state;
    char query[128];
    open_polling(f, query);
    engineio_ws *ws = open_ws(f, query);
    say(f, ws, "5"); /* before any probe */
    assert_string_equal(next(ws), "close 1002");
    engineio_ws_closed(ws);
    assert_int_equal(f->closed, 0);

    ws = open_ws(f, query);
    f->now += 100;
    say(f, ws, "4not yet");
    assert_string_equal(next(ws), "close 1002");
    engineio_ws_closed(ws);
    assert_int_equal(f->closed, 0); /* polling goes on */
}

static void test_upgrade_times_out(void **state)
{
    fixture *f = *state;
    char query[128];
    engineio_destroy(&f->server);
    engineio_options options = {.upgrade_timeout = 50};
    engineio_transport transport = {f, on_poll_answer, on_wake};
    engineio_handlers handlers = {.context = f, .opened = on_opened, .closed = on_closed};
    assert_int_equal(engineio_create(&options, &transport, &handlers, &f->server, NULL), MIEN_OK);
    open_polling(f, query);
    engineio_ws *ws = open_ws(f, query);
    say(f, ws, "2probe");
    next(ws);
    assert_int_equal(engineio_deadline(f->server), f->now + 50);
    engineio_tick(f->server, f->now + 50);
    assert_string_equal(next(ws), "close 1000");
    say(f, ws, "5");
    assert_true(engineio_session_polling(f->last));
    engineio_ws_closed(ws);
}

static void test_slow_client_is_dropped(void **state)
{
    fixture *f = *state;
    char block[1000] = {0};
    engineio_ws *ws = open_ws(f, NULL);
    mien_status status = MIEN_OK;
    engineio_cork(f->server);
    engineio_session *session = f->last;
    for (int i = 0; i < 5 && !status; i++)
        status = engineio_send(session, block, sizeof block, true);
    assert_int_equal(status, MIEN_ELIMIT);
    assert_int_equal(f->reason, ENGINEIO_TOO_SLOW);
    assert_int_equal(engineio_send(session, "x", 1, false), MIEN_ECANCELLED);
    engineio_uncork(f->server);
    engineio_ws_closed(ws);
}

static void test_session_limit_and_stop(void **state)
{
    fixture *f = *state;
    char query[128];
    int status;
    for (int i = 0; i < 8; i++)
        open_polling(f, query);
    http(f, "GET", "EIO=4&transport=polling", NULL, NULL, &status);
    assert_int_equal(status, 503);
    engineio_ws *ws = NULL;
    assert_int_equal(engineio_ws_open(f->server, "EIO=4&transport=websocket", NULL, f, f->now, &ws, NULL), MIEN_ELIMIT);
    assert_null(ws);
    waiting w = {0};
    assert_null(http(f, "GET", query, NULL, &w, NULL));
    engineio_close_all(f->server);
    assert_string_equal(w.body, "1");
    assert_int_equal(engineio_session_count(f->server), 0);
    assert_int_equal(f->closed, 8);
}

static void test_sessions_of_one_address(void **state)
{
    fixture *f = *state;
    engineio_destroy(&f->server);
    engineio_options options = {.max_peer_sessions = 2};
    engineio_transport transport = {f, on_poll_answer, on_wake};
    engineio_handlers handlers = {.context = f, .opened = on_opened, .closed = on_closed};
    assert_int_equal(engineio_create(&options, &transport, &handlers, &f->server, NULL), MIEN_OK);
    char query[128];
    int status;
    open_polling(f, query);
    open_polling(f, query);
    http(f, "GET", "EIO=4&transport=polling", NULL, NULL, &status);
    assert_int_equal(status, 503);
    engineio_ws *ws = NULL;
    assert_int_equal(engineio_ws_open(f->server, "EIO=4&transport=websocket", "192.0.2.1", f, f->now, &ws, NULL),
                     MIEN_ELIMIT);
    assert_int_equal(engineio_ws_open(f->server, "EIO=4&transport=websocket", "192.0.2.2", f, f->now, &ws, NULL),
                     MIEN_OK); /* somebody else */
    engineio_ws_closed(ws);
    http(f, "POST", query, "1", NULL, NULL);
    http(f, "GET", query, NULL, NULL, NULL);
    open_polling(f, query); /* room again */
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain text of some length",
                                       "\xc2\x80",
                                       "\xef\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "abcdefgh\xc3\xa9"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc3",
                                      "abcdefgh\xe2\x82",
                                      "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(engineio_is_utf8((const uint8_t *)good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(engineio_is_utf8((const uint8_t *)bad[i], strlen(bad[i])));
}

static void test_timers_keep_order(void **state)
{
    (void)state;
    timer_queue queue = {.delay = 10}, other = {.delay = 3};
    timer_node a = {0}, b = {0}, c = {0};
    timer_start(&queue, &a, 100);
    timer_start(&queue, &b, 105);
    timer_start(&queue, &c, 90); /* time ran back: behind the others all the same */
    assert_int_equal(timer_deadline(&queue), 110);
    assert_null(timer_expired(&queue, 109));
    assert_ptr_equal(timer_expired(&queue, 110), &a);
    timer_start(&other, &b, 110);
    assert_ptr_equal(timer_expired(&queue, 115), &c);
    assert_true(timer_deadline(&queue) == UINT64_MAX);
    timer_stop(&b);
    timer_stop(&b);
    assert_true(timer_deadline(&other) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_polling_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals_have_the_reference_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_payload_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_poll_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_payload_closes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_payload_over_limit_is_413, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overlapping_polls_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_closes_polling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_closes_polling_with_words_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_poll_ends_the_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_polling_heartbeat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_tick_grants_no_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws_ping_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws_bad_packets_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws_pieces_and_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_base64_only_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_poll_that_overtakes_the_upgrade, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade_over_a_waiting_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_that_overtakes_the_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade_with_poll_between_probe_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade_times_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_client_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_session_limit_and_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sessions_of_one_address, set_up, tear_down),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_timers_keep_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
