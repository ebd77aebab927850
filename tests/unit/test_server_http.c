/* Guards the HTTP parser, the router and requests' accessors: framing that cannot be smuggled, limits, bytes one at a
 * time, decoding, methods and paths. */
#include "testing.h"

#include "server/http_parser.h"
#include "server/router.h"

static const http_limits limits = {.head = 2000, .uri = 100};

typedef struct parsed {
    char text[4096];
    buffer path;
    http_request request;
    http_head head;
    int status;
} parsed;

static http_progress parse(parsed *p, const char *text)
{
    memset(p, 0, sizeof *p);
    size_t scanned = 0, length = 0;
    http_progress progress =
        http_head_find((const uint8_t *)text, strlen(text), &limits, &scanned, &length, &p->status);
    if (progress != HTTP_READY)
        return progress;
    memcpy(p->text, text, length);
    return http_head_parse(p->text, length, &limits, &p->path, &p->request, &p->head, &p->status);
}

static void test_head_is_understood(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(
        parse(&p, "POST /a%20b?x=1&y=a+b%21 HTTP/1.1\r\nHost: h\r\nX-Two:  v v \r\n"
                  "Cookie: a=1; guest=two; c=3\r\nConnection: Keep-Alive, Upgrade\r\nContent-Length: 5\r\n\r\n"),
        HTTP_READY);
    assert_int_equal(p.request.method, HTTP_POST);
    assert_string_equal(p.request.path, "/a b");
    assert_string_equal(http_request_field(&p.request, "x-two"), "v v");
    assert_null(http_request_field(&p.request, "x-three"));
    assert_true(http_request_field_has(&p.request, "connection", "upgrade"));
    assert_false(http_request_field_has(&p.request, "connection", "grade"));
    assert_int_equal(p.head.framing, HTTP_LENGTH);
    assert_int_equal(p.head.content_length, 5);
    buffer value = {0};
    assert_true(http_request_query(&p.request, "y", &value));
    assert_string_equal(buffer_text(&value), "a b!");
    assert_false(http_request_query(&p.request, "z", &value));
    buffer_clear(&value);
    assert_true(http_request_cookie(&p.request, "guest", &value));
    assert_string_equal(buffer_text(&value), "two");
    buffer_done(&value);
    buffer_done(&p.path);
}

static void test_head_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501},
        {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400},
        {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /% HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/x.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: you@a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://you@a/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://a#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET ?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed p;
        assert_int_equal(parse(&p, cases[i].text), HTTP_REFUSED);
        assert_int_equal(p.status, cases[i].status);
        buffer_done(&p.path);
    }
}

static void test_what_a_target_and_version_mean(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path, *query, *host;
        int minor_version;
        bool keep_alive, upgrades;
    } cases[] = {
        {"GET http://real:80/a?b HTTP/1.1\r\nHost: said\r\n\r\n", "/a", "b", "real:80", 1, true, false},
        {"GET HTTP://[::1]?b HTTP/1.1\r\nHost: said\r\n\r\n", "/", "b", "[::1]", 1, true, false},
        {"GET / HTTP/1.7\r\nHost:\r\nConnection: upgrade\r\n\r\n", "/", "", "", 1, true, true},
        {"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\n\r\n", "/", "", "a", 0, false, false},
        {"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "/", "", "a", 0, true, false},
        {"GET / HTTP/1.0\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n", "/", "", "a", 0, false, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", "/", "", "a", 1, false,
         false},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "", "a", 1, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed p;
        assert_int_equal(parse(&p, cases[i].text), HTTP_READY);
        assert_string_equal(p.request.path, cases[i].path);
        assert_string_equal(p.request.query, cases[i].query);
        assert_string_equal(http_request_field(&p.request, "host"), cases[i].host);
        assert_int_equal(p.request.minor_version, cases[i].minor_version);
        assert_int_equal(p.head.keep_alive, cases[i].keep_alive);
        assert_int_equal(p.head.upgrades, cases[i].upgrades);
        buffer_done(&p.path);
    }
}

static http_request with_field(const char *name, const char *value)
{
    return (http_request){.fields = {{name, value}}, .field_count = 1};
}

static void test_weights_and_entity_tags(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool accepted;
    } codings[] = {{"gzip", true},
                   {"br, GZIP;q=0.1", true},
                   {"gzip;q=0", false},
                   {"gzip; q=0.000, br", false},
                   {"*", true},
                   {"gzip;q=0, *", false},
                   {"*;q=0", false},
                   {"br", false},
                   {"", false},
                   {"gzip;q=1.0", true},
                   {"gzip;level=0", true},
                   {"gzipped", false},
                   {"br;q=0, gzip", true},
                   {"gzip ; q=0", false},
                   {"gzip;x=1;q=0", false},
                   {"*;q=0, gzip", true}};
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        http_request request = with_field("accept-encoding", codings[i].value);
        assert_int_equal(http_request_accepts(&request, "accept-encoding", "gzip"), codings[i].accepted);
    }
    static const struct {
        const char *value;
        bool known;
    } tags[] = {{"\"abc\"", true},        {"W/\"abc\"", true}, {"*", true},  {"\"x\", W/\"abc\"", true},
                {"\"x,\\\"abc\"", false}, {"abc", false},      {"", false},  {"\"abcd\"", false},
                {"\"x \"abc\"\"", false}, {"\"abc", false},    {"W/", false}};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        http_request request = with_field("if-none-match", tags[i].value);
        assert_int_equal(http_request_knows(&request, "W/\"abc\""), tags[i].known);
    }
    http_request request = {0};
    assert_false(http_request_accepts(&request, "accept-encoding", "gzip"));
    assert_false(http_request_knows(&request, "W/\"abc\""));
}

static void test_head_end_is_found_from_any_split(void **state)
{
    (void)state;
    const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    size_t scanned = 0, length = 0, whole = strlen(text) - 4;
    int status = 0;
    for (size_t have = 0; have < whole; have++)
        assert_int_equal(http_head_find((const uint8_t *)text, have, &limits, &scanned, &length, &status), HTTP_MORE);
    assert_int_equal(http_head_find((const uint8_t *)text, strlen(text), &limits, &scanned, &length, &status),
                     HTTP_READY);
    assert_int_equal(length, whole);
    uint8_t many[3000];
    memset(many, 'a', sizeof many);
    scanned = 0;
    assert_int_equal(http_head_find(many, 200, &limits, &scanned, &length, &status), HTTP_REFUSED);
    assert_int_equal(status, 414);
    memcpy(many, "GET / HTTP/1.1\r\n", 16);
    scanned = 0;
    assert_int_equal(http_head_find(many, sizeof many, &limits, &scanned, &length, &status), HTTP_REFUSED);
    assert_int_equal(status, 431);
}

static void test_chunks_in_pieces_of_every_size(void **state)
{
    (void)state;
    const char *coded =
        "4\r\nWiki\r\n6 ;name=\"a b\";x\r\npedia \r\nA\r\nin chunks.\r\n0\r\nTrailer: x\r\nEmpty:\r\n\r\nnext";
    size_t whole = strlen(coded) - 4;
    for (size_t piece = 1; piece <= strlen(coded); piece++) {
        http_head head = {.framing = HTTP_CHUNKED};
        http_body body;
        buffer out;
        buffer_init(&out, 100);
        http_body_begin(&body, &head);
        size_t at = 0;
        http_progress progress = HTTP_MORE;
        while (progress == HTTP_MORE && at < strlen(coded)) {
            size_t part = strlen(coded) - at < piece ? strlen(coded) - at : piece, used = 0;
            int status = 0;
            progress = http_body_feed(&body, (const uint8_t *)coded + at, part, &out, &used, &status);
            at += used;
        }
        assert_int_equal(progress, HTTP_READY);
        assert_int_equal(at, whole);
        assert_string_equal(buffer_text(&out), "Wikipedia in chunks.");
        buffer_done(&out);
    }
}

/* The status with which a chunked body of at most `limit` bytes is refused. */
static int refused_as(size_t limit, const char *coded)
{
    http_head head = {.framing = HTTP_CHUNKED};
    http_body body;
    buffer out;
    buffer_init(&out, limit);
    http_body_begin(&body, &head);
    size_t used = 0;
    int status = 0;
    assert_int_equal(http_body_feed(&body, (const uint8_t *)coded, strlen(coded), &out, &used, &status), HTTP_REFUSED);
    buffer_done(&out);
    return status;
}

/* What two servers could read differently is refused: only CR LF ends a line, a size is digits alone. */
static void test_chunks_that_could_smuggle(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\r\n",
        "x\r\n",
        " 1\r\na\r\n",
        "0x1\r\na\r\n",
        "1x\r\na\r\n",
        "-1\r\na\r\n",
        "1\na\r\n",
        "1;x\na\r\n",
        "1;x\r\ra\r\n",
        "1\r\r\na\r\n",
        "1\r\na\n0\r\n",
        "1\r\na\r0\r\n",
        "1\r\nab\r\n",
        "1;a\001b\r\na\r\n",
        "0\r\n\n",
        "0\r\nName\r\n",
        "0\r\n x: y\r\n",
        "0\r\n: y\r\n",
        "0\r\nN ame: y\r\n",
        "0\r\nName: a\nb\r\n",
        "0\r\nName: a\rb",
        "0\r\n\rx",
        "0\r\nN: \001\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(refused_as(100, cases[i]), 400);
}

static void test_body_limit_holds(void **state)
{
    (void)state;
    assert_int_equal(refused_as(8, "9\r\n123456789\r\n"), 413);
    assert_int_equal(refused_as(8, "fffffffffffffffff\r\n"), 400);
}

static mien_status hello(const http_request *request, http_response *response)
{
    return http_response_text(response, 200, "text/plain", request->parameters[0]);
}

static mien_status broken(const http_request *request, http_response *response)
{
    (void)request;
    http_response_text(response, 200, "text/plain", "half");
    return MIEN_EINTERNAL;
}

static const route routes[] = {
    {HTTP_GET, "/items/{id}", hello, 0},
    {HTTP_DELETE, "/items/{id}", hello, 0},
    {HTTP_POST, "/broken", broken, 0},
};
static const router table = {routes, 3};

static void test_router_finds_and_refuses(void **state)
{
    (void)state;
    http_request request = {.method = HTTP_HEAD, .path = "/items/a.b", .query = ""};
    http_response response;
    unsigned allowed;
    const route *found = router_find(&table, &request, &allowed);
    assert_ptr_equal(found, &routes[0]);
    assert_string_equal(request.parameters[0], "a.b");
    request.path = "/items/";
    assert_null(router_find(&table, &request, &allowed));
    assert_int_equal(allowed, 0);
    request.path = "/items/a/b";
    assert_null(router_find(&table, &request, &allowed));
    request.path = "/items/a";
    request.method = HTTP_POST;
    assert_null(router_find(&table, &request, &allowed));
    http_response_init(&response);
    router_answer(NULL, allowed, &request, &response);
    assert_int_equal(response.status, 405);
    assert_string_equal(buffer_text(&response.fields), "Allow: GET, HEAD, DELETE, OPTIONS\r\n");
    http_response_done(&response);
    http_response_init(&response);
    router_answer(NULL, 0, &request, &response);
    assert_int_equal(response.status, 404);
    assert_string_equal(buffer_text(&response.body), "{\"detail\":\"Not Found\"}");
    http_response_done(&response);
    http_response_init(&response);
    router_answer(&routes[2], 0, &request, &response);
    assert_int_equal(response.status, 500);
    assert_int_equal(http_response_field(&response, "X", "a\r\nY: b"), MIEN_EINVAL);
    http_response_done(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_is_understood),
        cmocka_unit_test(test_head_is_refused),
        cmocka_unit_test(test_what_a_target_and_version_mean),
        cmocka_unit_test(test_weights_and_entity_tags),
        cmocka_unit_test(test_head_end_is_found_from_any_split),
        cmocka_unit_test(test_chunks_in_pieces_of_every_size),
        cmocka_unit_test(test_chunks_that_could_smuggle),
        cmocka_unit_test(test_body_limit_holds),
        cmocka_unit_test(test_router_finds_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
