/* Guards plans and sessions as objects: threads, memory that is shared and not allocated while running, errors that
 * name the node. */
#include "plan_testing.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>

#include "nn/workspace.h"

/* The allocator as mien sees it: calls from the test's own executable, into which libmien is linked, are counted while
 * `counting` and the one numbered `failing` gets nothing. The C++ library's, whose small maps oneDNN makes for each
 * call, pass unseen. */
static bool counting;
static int counted, failing = -1;

#if !HAS_SANITIZER
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

static bool refused(const void *caller)
{
    Dl_info from;
    if (!counting || !dladdr(caller, &from) || strstr(from.dli_fname, ".so"))
        return false;
    return counted++ == failing;
}

void *malloc(size_t bytes)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t bytes)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_realloc(block, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
}
#endif

/* Make a plan and a session with allocation `number` failing; false when there were not that many. */
static bool survives(const nn_graph *graph, const nn_plan_options *options, int number)
{
    mien_error error = {0};
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    counted = 0;
    counting = true;
    failing = number;
    mien_status status = nn_plan_create(graph, options, &plan, &error);
    if (!status)
        status = nn_session_create(plan, &session, &error);
    counting = false;
    failing = -1;
    bool reached = counted > number;
    if (reached ? status != MIEN_ENOMEM || session : status != MIEN_OK)
        fail_msg("allocation %d: %s, %s", number, mien_status_name(status), error.message);
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
    return reached;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    if (HAS_SANITIZER) {
        print_message("skipped: the sanitizer has malloc\n");
        skip();
    }
    nn_graph graph = {0};
    build_net(&graph, 8, 8);
    randomise(&graph, 4);
    nn_plan_options options = options_of(1);
    float *data = calibration_of(&graph);
    int most = 0;
    for (int precision = NN_F32; precision <= NN_INT8; precision++) {
        options.precision = (nn_precision)precision;
        options.calibration = precision == NN_INT8 ? data : NULL;
        options.calibration_count = precision == NN_INT8 ? 1 : 0;
        int number = 0;
        while (survives(&graph, &options, number))
            number++;
        most = number > most ? number : most;
    }
    assert_true(most > 50);
    size_t before = mallinfo2().uordblks; /* once more: what failed half-way gave everything back */
    for (int number = 0; survives(&graph, &options, number);)
        number++;
    size_t after = mallinfo2().uordblks;
    assert_true(after <= before + 16384); /* oneDNN's own caches still move a little */
    options.reference = true;
    options.precision = NN_F32;
    for (int number = 0; survives(&graph, &options, number);)
        number++;
    free(data);
    nn_graph_done(&graph);
}

static void test_threads_within_a_run(void **state)
{
    (void)state;
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    nn_plan_options options = options_of(2);
    options.threads = 2;
    assert_true(compare(&graph, options, 5).worst < 2e-5);
    options.precision = NN_BF16;
    assert_true(compare(&graph, options, 5).worst < 0.04);
    nn_graph_done(&graph);
}

static void *run_often(void *argument)
{
    nn_session *session = argument;
    for (int i = 0; i < 50; i++)
        if (nn_session_run(session, NULL))
            return NULL;
    return session;
}

static void test_two_threads_share_a_plan(void **state)
{
    (void)state;
    nn_graph graph = {0};
    mien_error error = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    nn_plan_options options = options_of(1);
    nn_plan *plan = NULL;
    nn_session *session[3], *alone = session_of(&graph, &options, &plan);
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        assert_ok(nn_session_create(plan, &session[i], &error), &error);
        fill_inputs(plan, session[i], (uint64_t)i);
        assert_int_equal(pthread_create(&thread[i], NULL, run_often, session[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *ended = NULL;
        pthread_join(thread[i], &ended);
        assert_ptr_equal(ended, session[i]);
        fill_inputs(plan, alone, (uint64_t)i);
        assert_ok(nn_session_run(alone, &error), &error);
        assert_memory_equal(nn_session_output(alone, 1), nn_session_output(session[i], 1), 7 * sizeof(float));
        nn_session_destroy(&session[i]);
    }
    nn_session_destroy(&alone);
    nn_plan_destroy(&plan);
    nn_graph_done(&graph);
}

/* Two networks in turns in one workspace: what one leaves there, be it no number at all, is nothing to the other. */
static void share_a_workspace(nn_precision precision)
{
    enum { ROOM = 8 << 20 };
    mien_error error = {0};
    nn_workspace *workspace = NULL;
    nn_graph graphs[2] = {0};
    nn_plan *plans[2] = {0};
    nn_session *own[2], *shared[2] = {0};
    assert_ok(nn_workspace_create(&workspace, &error), &error);
    for (int i = 0; i < 2; i++) {
        build_net(&graphs[i], i ? 40 : 24, i ? 32 : 24);
        randomise(&graphs[i], 4);
        nn_plan_options options = options_of(2);
        float *inputs = calibration_of(&graphs[i]);
        options.precision = precision;
        options.calibration = inputs;
        options.calibration_count = CALIBRATION;
        own[i] = session_of(&graphs[i], &options, &plans[i]);
        memory_free(inputs);
        assert_ok(nn_session_create_in(plans[i], workspace, &shared[i], &error), &error);
    }
    for (uint64_t round = 0; round < 6; round++) {
        int i = round & 1;
        size_t count = 2 * 7 * sizeof(float);
        if (round & 2)
            memset(nn_workspace_take(workspace, ROOM), 0xff, ROOM);
        else
            nn_workspace_trim(workspace, 0);
        fill_inputs(plans[i], own[i], round);
        fill_inputs(plans[i], shared[i], round);
        assert_ok(nn_session_run(own[i], &error), &error);
        assert_ok(nn_session_run(shared[i], &error), &error);
        assert_memory_equal(nn_session_output(own[i], 1), nn_session_output(shared[i], 1), count);
    }
    nn_workspace_destroy(&workspace); /* before those who ran in it */
    for (int i = 0; i < 2; i++) {
        nn_session_destroy(&own[i]);
        nn_session_destroy(&shared[i]);
        nn_plan_destroy(&plans[i]);
        nn_graph_done(&graphs[i]);
    }
}

static void test_sessions_share_a_workspace(void **state)
{
    (void)state;
    for (nn_precision precision = NN_F32; nn_precision_name(precision); precision++)
        share_a_workspace(precision);
}

static void test_running_allocates_nothing(void **state)
{
    (void)state;
    if (HAS_SANITIZER) {
        print_message("skipped: the sanitizer has malloc\n");
        skip();
    }
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    nn_plan_options options = options_of(3);
    nn_plan *plan = NULL;
    nn_session *session = session_of(&graph, &options, &plan);
    fill_inputs(plan, session, 1);
    assert_non_null(run_often(session));
    counted = 0;
    counting = true;
    free(memory_array(1, 1)); /* the count works */
    int base = counted;
    size_t before = mallinfo2().uordblks;
    void *ended = run_often(session);
    size_t after = mallinfo2().uordblks;
    counting = false;
    assert_int_equal(base, 1);
    assert_non_null(ended);
    assert_int_equal(counted, base);
    assert_int_equal(after, before);
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
    nn_graph_done(&graph);
}

static void test_bad_plans_say_why(void **state)
{
    (void)state;
    mien_error error = {0};
    nn_plan *plan = NULL;
    nn_plan_options options = options_of(1);
    nn_graph graph = {0};
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    int x = nn_input(&graph, "x", 1 << 10, NN_DYNAMIC, NN_DYNAMIC);
    nn_graph_set_output(&graph, nn_conv(&graph, "wide", x, 1 << 10, 3, 1, 1, 1, true));
    options.batch = 0;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    options = options_of(1);
    options.height = options.width = 1 << 20;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_ELIMIT);
    assert_non_null(strstr(error.message, "x"));
    options.height = options.width = 2;
    options.threads = -1;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    assert_null(plan);
    nn_graph_done(&graph);
}

static void test_too_large_sessions_are_errors(void **state)
{
    (void)state;
    if (HAS_SANITIZER) {
        print_message("skipped: the sanitizer aborts at such sizes\n");
        skip();
    }
    nn_graph graph = {0};
    mien_error error = {0};
    nn_graph_set_output(&graph, nn_unary(&graph, NN_RELU, "relu", nn_input(&graph, "x", 1 << 10, 1 << 10, 1 << 9)));
    nn_plan_options options = options_of(4096); /* 8 TiB */
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    assert_ok(nn_plan_create(&graph, &options, &plan, &error), &error);
    assert_int_equal(nn_session_create(plan, &session, &error), MIEN_ENOMEM);
    assert_null(session);
    nn_plan_destroy(&plan);
    nn_graph_done(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_within_a_run),          cmocka_unit_test(test_two_threads_share_a_plan),
        cmocka_unit_test(test_sessions_share_a_workspace),    cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_running_allocates_nothing),     cmocka_unit_test(test_bad_plans_say_why),
        cmocka_unit_test(test_too_large_sessions_are_errors),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
