/* Guards src/proto/socketio*: namespaces, CONNECT and its refusals, events, acknowledgements both ways, binary
 * attachments, rooms, packets that must close the connection, limits, and what ends with what. */
#include "testing.h"

#include "base/memory.h"
#include "proto/socketio.h"
#include "proto/socketio_packet.h"

typedef struct fixture {
    socketio_server *server;
    socketio_namespace *main;
    uint64_t now;
    int connects, events, ends, acks, abandoned;
    socketio_socket *last;
    char log[512];
    bool decide_later;
} fixture;

static void no_poll(void *context, void *poll, const engineio_response *response)
{
    (void)context, (void)poll, (void)response;
    fail();
}

static void no_wake(void *context, void *connection)
{
    (void)context, (void)connection;
}

static void on_connect(void *context, socketio_socket *socket, json_t *auth, uint64_t now)
{
    fixture *f = context;
    (void)now;
    f->connects++;
    f->last = socket;
    if (json_is_true(json_object_get(auth, "bad"))) {
        socketio_refuse(socket, "go \"away\"");
        return;
    }
    if (f->decide_later)
        return;
    socketio_accept(socket);
    socketio_emit_json(socket, "auth", json_incref(auth));
}

static void on_event(void *context, socketio_socket *socket, const socketio_event *event, uint64_t now)
{
    fixture *f = context;
    (void)now;
    f->events++;
    snprintf(f->log, sizeof f->log, "%s", event->name);
    if (strcmp(event->name, "message") == 0)
        socketio_emit(socket, "message-back", &event->args);
    else if (strcmp(event->name, "leave") == 0)
        socketio_disconnect(socket);
    if (event->wants_ack)
        socketio_acknowledge(socket, event->ack, &event->args);
}

static void on_end(void *context, socketio_socket *socket)
{
    fixture *f = context;
    f->ends++;
    assert_int_equal(socketio_emit(socket, "late", NULL), MIEN_ECANCELLED);
    if (f->last == socket)
        f->last = NULL;
}

static void on_ack(void *context, socketio_socket *socket, const socketio_args *args)
{
    fixture *f = context;
    (void)socket;
    if (!args) {
        f->abandoned++;
        return;
    }
    f->acks++;
    char *text = json_dumps(args->values, JSON_COMPACT);
    snprintf(f->log, sizeof f->log, "%s+%zu", text, args->attachment_count);
    free(text);
}

static int set_up(void **state)
{
    fixture *f = memory_zeroed(1, sizeof *f);
    socketio_options options = {.engine = {.max_payload = 4096, .max_queue = 8192},
                                .connect_timeout = 400,
                                .max_packet = 6000,
                                .max_attachments = 3,
                                .max_depth = 6,
                                .max_namespaces = 2,
                                .max_rooms = 2,
                                .max_acks = 2};
    engineio_transport transport = {f, no_poll, no_wake};
    socketio_handlers handlers = {f, on_connect, on_event, on_end};
    f->now = 5000;
    assert_int_equal(socketio_create(&options, &transport, &f->server, NULL), MIEN_OK);
    assert_int_equal(socketio_serve(f->server, "/", &handlers, &f->main, NULL), MIEN_OK);
    assert_int_equal(socketio_serve(f->server, "/custom", &handlers, NULL, NULL), MIEN_OK);
    assert_int_equal(socketio_serve(f->server, "/third", &handlers, NULL, NULL), MIEN_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    socketio_destroy(&f->server);
    memory_free(f);
    return 0;
}

static const char *next(engineio_ws *ws)
{
    static char text[9000];
    engineio_frame frame;
    switch (engineio_ws_next(ws, &frame)) {
    case ENGINEIO_WS_SEND:
        snprintf(text, sizeof text, "%s%.*s", frame.binary ? "B:" : "", (int)frame.length, (char *)frame.bytes);
        engineio_ws_sent(ws);
        return text;
    case ENGINEIO_WS_CLOSE:
        return "close";
    default:
        return "idle";
    }
}

static void say(fixture *f, engineio_ws *ws, const char *text)
{
    engineio_ws_receive(ws, (const uint8_t *)text, strlen(text), false, true, f->now);
}

static void say_bytes(fixture *f, engineio_ws *ws, const char *bytes)
{
    engineio_ws_receive(ws, (const uint8_t *)bytes, strlen(bytes), true, true, f->now);
}

static engineio_ws *open_ws(fixture *f)
{
    engineio_ws *ws = NULL;
    assert_int_equal(
        engineio_ws_open(socketio_engine(f->server), "EIO=4&transport=websocket", NULL, f, f->now, &ws, NULL), MIEN_OK);
    assert_memory_equal(next(ws), "0{", 2);
    return ws;
}

/** A connection that is in the main namespace. */
static engineio_ws *open_main(fixture *f)
{
    engineio_ws *ws = open_ws(f);
    say(f, ws, "40");
    assert_memory_equal(next(ws), "40{\"sid\":\"", 10);
    assert_string_equal(next(ws), "42[\"auth\",{}]");
    return ws;
}

static void test_connect(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_ws(f);
    say(f, ws, "40{\"token\":\"123\"}");
    char expected[64];
    snprintf(expected, sizeof expected, "40{\"sid\":\"%s\"}", socketio_id(f->last));
    assert_string_equal(next(ws), expected);
    assert_string_equal(next(ws), "42[\"auth\",{\"token\":\"123\"}]");
    assert_ptr_equal(socketio_find(f->server, socketio_id(f->last)), f->last);
    say(f, ws, "40/custom,{\"token\":\"abc\"}");
    assert_memory_equal(next(ws), "40/custom,{\"sid\":", 16);
    assert_string_equal(next(ws), "42/custom,[\"auth\",{\"token\":\"abc\"}]");
    say(f, ws, "40/custom"); /* again: it is in already */
    assert_string_equal(next(ws), "idle");
    engineio_ws_closed(ws);
    assert_int_equal(f->ends, 2);
}

static void test_connect_refused(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_ws(f);
    say(f, ws, "40/random");
    assert_string_equal(next(ws), "44/random,{\"message\":\"Invalid namespace\"}");
    say(f, ws, "40{\"bad\":true}");
    assert_string_equal(next(ws), "44{\"message\":\"go \\\"away\\\"\"}");
    assert_int_equal(f->ends, 0);
    say(f, ws, "40/custom?token=1,{}");
    assert_memory_equal(next(ws), "40/custom,{", 11);
    assert_string_equal(next(ws), "42/custom,[\"auth\",{}]");
    say(f, ws, "40");
    next(ws), next(ws);
    say(f, ws, "40/third,");
    assert_string_equal(next(ws), "44/third,{\"message\":\"Too many namespaces\"}");
    engineio_ws_closed(ws);
}

static void test_decision_may_come_later(void **state)
{
    fixture *f = *state;
    f->decide_later = true;
    engineio_ws *ws = open_ws(f);
    say(f, ws, "40");
    say(f, ws, "42[\"message\",1]"); /* nobody is in yet */
    assert_string_equal(next(ws), "idle");
    assert_int_equal(f->events, 0);
    assert_int_equal(socketio_accept(f->last), MIEN_OK);
    assert_memory_equal(next(ws), "40{\"sid\"", 8);
    engineio_ws_closed(ws);

    ws = open_ws(f);
    say(f, ws, "40");
    char id[32];
    snprintf(id, sizeof id, "%s", socketio_id(f->last));
    engineio_ws_closed(ws); /* gone before the decision */
    assert_null(socketio_find(f->server, id));
    assert_int_equal(f->ends, 2);
}

static void test_events_and_acks(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_main(f);
    say(f, ws, "42[\"message\",1,\"2\",{\"3\":[true]}]");
    assert_string_equal(next(ws), "42[\"message-back\",1,\"2\",{\"3\":[true]}]");
    say(f, ws, "42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
    assert_string_equal(next(ws), "43456[1,\"2\",{\"3\":[false]}]");
    say(f, ws, "42[\"message\",\"a\\u0000b\",18446744073709551616]");
    assert_string_equal(next(ws), "42[\"message-back\",\"a\\u0000b\",1.8446744073709552e+19]");
    say(f, ws, "42[\"message\",0.7,0.1,-1.5e-9,3.0,0.30000000000000004,{\"a\\n\":{},\"b\":[]}]");
    assert_string_equal(next(ws),
                        "42[\"message-back\",0.7,0.1,-1.5e-09,3.0,0.30000000000000004,{\"a\\n\":{},\"b\":[]}]");
    say(f, ws, "40/custom");
    next(ws), next(ws);
    say(f, ws, "42/custom,7[\"ack\"]");
    assert_string_equal(next(ws), "43/custom,7[]");
    engineio_ws_closed(ws);
}

static void test_binary(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_main(f);
    say(f, ws, "452-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    say_bytes(f, ws, "abc");
    assert_string_equal(next(ws), "idle");
    say_bytes(f, ws, "");
    assert_string_equal(next(ws),
                        "452-[\"message-back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    assert_string_equal(next(ws), "B:abc");
    assert_string_equal(next(ws), "B:");
    say(f, ws, "451-789[\"message-with-ack\",{\"_placeholder\":true,\"num\":0}]");
    say_bytes(f, ws, "xyz");
    assert_string_equal(next(ws), "461-789[{\"_placeholder\":true,\"num\":0}]");
    assert_string_equal(next(ws), "B:xyz");
    say(f, ws, "450-[\"message\",1]");
    assert_string_equal(next(ws), "42[\"message-back\",1]");
    engineio_ws_closed(ws);
}

static void test_what_closes_the_connection(void **state)
{
    static const char *const bad[] = {
        "4abc",
        "4",
        "47",
        "42{}",
        "42",
        "42[]",
        "42[1]",
        "42[\"connect\"]",
        "42[\"disconnect\",1]",
        "42abc[\"message-with-ack\",1]",
        "42[\"message\"",
        "42[\"a\\u0000b\"]",
        "4299999999999999999999[\"x\"]",
        "43[]",
        "431{}",
        "41{}",
        "40[]",
        "40\"x\"",
        "44{\"message\":\"x\"}",
        "45[\"x\"]",
        "45-[\"x\"]",
        "454-[\"x\"]", /* one attachment more than allowed */
        "451-[\"x\",{\"_placeholder\":true,\"num\":1}]",
        "451-[\"x\",{\"_placeholder\":true,\"num\":-1}]",
        "451-[\"x\",{\"_placeholder\":true,\"num\":\"0\"}]",
        "42[\"deep\",[[[[[[1]]]]]]]",
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        engineio_ws *ws = open_main(f);
        say(f, ws, bad[i]);
        if (strcmp(next(ws), "close") != 0)
            fail_msg("%s did not close the connection", bad[i]);
        engineio_ws_closed(ws);
    }
    engineio_ws *ws = open_main(f);
    say_bytes(f, ws, "no packet asked for these");
    assert_string_equal(next(ws), "close");
    engineio_ws_closed(ws);
    ws = open_main(f);
    say(f, ws, "451-[\"x\",{\"_placeholder\":true,\"num\":0}]");
    say(f, ws, "42[\"message\"]"); /* instead of the attachment */
    assert_string_equal(next(ws), "close");
    engineio_ws_closed(ws);
    ws = open_ws(f);
    say(f, ws, "42[\"message\"]"); /* before CONNECT */
    assert_string_equal(next(ws), "close");
    engineio_ws_closed(ws);
    assert_int_equal(f->events, 0);
}

static void test_brackets_in_text_are_not_depth(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_main(f);
    say(f, ws, "42[\"message\",\"[[[[[[[[[[\\\"[[[[[[\"]");
    assert_string_equal(next(ws), "42[\"message-back\",\"[[[[[[[[[[\\\"[[[[[[\"]");
    engineio_ws_closed(ws);
}

static void test_attachments_over_max_packet(void **state)
{
    fixture *f = *state;
    char block[4001];
    memset(block, 'x', sizeof block - 1);
    block[4000] = 0;
    engineio_ws *ws = open_main(f);
    say(f, ws, "452-[\"x\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    say_bytes(f, ws, block);
    assert_string_equal(next(ws), "idle");
    say_bytes(f, ws, block);
    assert_string_equal(next(ws), "close");
    engineio_ws_closed(ws);
}

static void test_disconnect(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_main(f);
    say(f, ws, "40/custom");
    next(ws), next(ws);
    say(f, ws, "41/custom");
    assert_int_equal(f->ends, 1);
    say(f, ws, "42/custom,[\"message\",\"dropped\"]");
    say(f, ws, "42[\"message\",\"still here\"]");
    assert_string_equal(next(ws), "42[\"message-back\",\"still here\"]");
    say(f, ws, "42[\"leave\"]"); /* the server throws it out */
    assert_string_equal(next(ws), "41");
    assert_int_equal(f->ends, 2);
    f->now += 999;
    engineio_tick(socketio_engine(f->server), f->now);
    assert_string_equal(next(ws), "idle");
    f->now += 1; /* a connection that nobody uses any more goes soon */
    engineio_tick(socketio_engine(f->server), f->now);
    assert_string_equal(next(ws), "close");
    engineio_ws_closed(ws);
}

static void test_reconnect_in_time_keeps_the_connection(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_main(f);
    say(f, ws, "41");
    f->now += 500;
    say(f, ws, "40/custom");
    assert_memory_equal(next(ws), "40/custom,{", 11);
    next(ws);
    f->now += 5000;
    engineio_tick(socketio_engine(f->server), f->now);
    assert_string_equal(next(ws), "idle");
    engineio_ws_closed(ws);
}

static void test_connect_timeout(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_ws(f);
    assert_int_equal(engineio_deadline(socketio_engine(f->server)), f->now + 400);
    engineio_tick(socketio_engine(f->server), f->now + 399);
    assert_string_equal(next(ws), "idle");
    engineio_tick(socketio_engine(f->server), f->now + 400);
    assert_string_equal(next(ws), "close");
    engineio_ws_closed(ws);
}

static void test_client_acknowledges(void **state)
{
    fixture *f = *state;
    engineio_ws *ws = open_main(f);
    json_t *values = json_pack("[s]", "for you");
    socketio_args args = {.values = values};
    assert_int_equal(socketio_emit_with_ack(f->last, "q", &args, on_ack, f), MIEN_OK);
    assert_string_equal(next(ws), "420[\"q\",\"for you\"]");
    assert_int_equal(socketio_emit_with_ack(f->last, "q", NULL, on_ack, f), MIEN_OK);
    assert_string_equal(next(ws), "421[\"q\"]");
    assert_int_equal(socketio_emit_with_ack(f->last, "q", NULL, on_ack, f), MIEN_ELIMIT);
    say(f, ws, "430[\"thanks\",2]");
    assert_int_equal(f->acks, 1);
    assert_string_equal(f->log, "[\"thanks\",2]+0");
    say(f, ws, "430[]"); /* a second time: nobody waits */
    say(f, ws, "4399[]");
    assert_int_equal(f->acks, 1);
    assert_int_equal(socketio_emit_with_ack(f->last, "q", NULL, on_ack, f), MIEN_OK);
    assert_string_equal(next(ws), "422[\"q\"]");
    say(f, ws, "461-2[{\"_placeholder\":true,\"num\":0}]");
    say_bytes(f, ws, "bytes");
    assert_int_equal(f->acks, 2);
    assert_string_equal(f->log, "[{\"_placeholder\":true,\"num\":0}]+1");
    engineio_ws_closed(ws);
    assert_int_equal(f->abandoned, 1);
    json_decref(values);
}

static void test_rooms(void **state)
{
    fixture *f = *state;
    mien_error error = {0};
    engineio_ws *ws[3];
    socketio_socket *sockets[3];
    for (int i = 0; i < 3; i++) {
        ws[i] = open_main(f);
        sockets[i] = f->last;
    }
    assert_ok(socketio_join(sockets[0], "r1", &error), &error);
    assert_ok(socketio_join(sockets[0], "r1", &error), &error);
    assert_ok(socketio_join(sockets[1], "r1", &error), &error);
    assert_ok(socketio_join(sockets[1], "r2", &error), &error);
    assert_int_equal(socketio_join(sockets[1], "r3", &error), MIEN_ELIMIT);
    assert_int_equal(socketio_join(sockets[2], "", &error), MIEN_EINVAL);
    assert_int_equal(socketio_room_size(f->main, "r1"), 2);
    assert_int_equal(socketio_emit_room(f->main, "r1", NULL, "hi", NULL), 2);
    assert_string_equal(next(ws[0]), "42[\"hi\"]");
    assert_string_equal(next(ws[1]), "42[\"hi\"]");
    assert_string_equal(next(ws[2]), "idle");
    assert_int_equal(socketio_emit_room(f->main, "r1", sockets[0], "hi", NULL), 1);
    socketio_leave(sockets[0], "r1");
    socketio_leave(sockets[0], "r1");
    assert_int_equal(socketio_room_size(f->main, "r1"), 1);
    engineio_ws_closed(ws[1]); /* leaves both rooms by going */
    assert_int_equal(socketio_room_size(f->main, "r1"), 0);
    assert_int_equal(socketio_emit_room(f->main, "r2", NULL, "hi", NULL), 0);
    engineio_ws_closed(ws[0]);
    engineio_ws_closed(ws[2]);
}

static void test_slow_member_does_not_disturb_the_room(void **state)
{
    fixture *f = *state;
    static uint8_t block[5000];
    engineio_ws *slow = open_main(f), *quick;
    socketio_socket *first = f->last;
    quick = open_main(f);
    assert_int_equal(socketio_join(first, "r", NULL), MIEN_OK);
    assert_int_equal(socketio_join(f->last, "r", NULL), MIEN_OK);
    socketio_binary attachment = {block, sizeof block};
    json_t *values = json_pack("[o]", socketio_placeholder(0));
    socketio_args args = {.values = values, .attachments = &attachment, .attachment_count = 1};
    assert_int_equal(socketio_emit_room(f->main, "r", NULL, "big", &args), 2);
    assert_string_equal(next(quick), "451-[\"big\",{\"_placeholder\":true,\"num\":0}]");
    next(quick);
    assert_int_equal(socketio_emit_room(f->main, "r", NULL, "big", &args), 1);
    assert_int_equal(f->ends, 1);
    assert_int_equal(socketio_emit(first, "late", NULL), MIEN_ECANCELLED); /* the pointer lasts this turn */
    assert_int_equal(socketio_room_size(f->main, "r"), 1);
    engineio_ws_closed(slow);
    engineio_ws_closed(quick);
    json_decref(values);
}

static void test_attachment_lookup(void **state)
{
    (void)state;
    socketio_binary two[] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"bc", 2}};
    socketio_args args = {.attachments = two, .attachment_count = 2};
    json_t *place = socketio_placeholder(1), *beyond = socketio_placeholder(2), *other = json_string("x");
    assert_ptr_equal(socketio_attachment(&args, place), &two[1]);
    assert_null(socketio_attachment(&args, beyond));
    assert_null(socketio_attachment(&args, other));
    json_decref(place);
    json_decref(beyond);
    json_decref(other);
}

static void test_namespace_names(void **state)
{
    fixture *f = *state;
    socketio_handlers handlers = {f, on_connect, NULL, NULL};
    assert_int_equal(socketio_serve(f->server, "custom", &handlers, NULL, NULL), MIEN_EINVAL);
    assert_int_equal(socketio_serve(f->server, "/a,b", &handlers, NULL, NULL), MIEN_EINVAL);
    assert_int_equal(socketio_serve(f->server, "/custom", &handlers, NULL, NULL), MIEN_ECONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connect_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_decision_may_come_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events_and_acks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_binary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_closes_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_brackets_in_text_are_not_depth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_attachments_over_max_packet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disconnect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reconnect_in_time_keeps_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connect_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_acknowledges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rooms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_member_does_not_disturb_the_room, set_up, tear_down),
        cmocka_unit_test(test_attachment_lookup),
        cmocka_unit_test_setup_teardown(test_namespace_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
