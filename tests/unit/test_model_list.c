/* Guards the list of models: who is meant by a name, names that stay unique, and models that are exchanged while others
 * use them: each lives until its last user has given it back, and is destroyed once. */
#include "server/model_list.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "testing.h"

enum { THREADS = 4, EXCHANGES = 300, TURNS = 2000 };

typedef struct counted {
    vision base;
    atomic_int *alive;
} counted;

static mien_status sees_itself(vision *vision, size_t worker, const void *bytes, size_t length,
                               const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    (void)worker, (void)bytes, (void)length, (void)options, (void)error;
    result->width = vision->workers;
    return MIEN_OK;
}

static void destroy(vision *vision)
{
    counted *made = (counted *)vision;
    atomic_fetch_sub(made->alive, 1);
    vision->workers = 0;
    memory_free(made);
}

static const vision_functions functions = {.analyze = sees_itself, .destroy = destroy};

static vision *make(atomic_int *alive, const char *name, const char *file)
{
    counted *made = memory_zeroed(1, sizeof *made);
    assert_non_null(made);
    made->base.functions = &functions;
    made->base.workers = 7;
    made->alive = alive;
    snprintf(made->base.model_name, sizeof made->base.model_name, "mien/%s", name);
    snprintf(made->base.file_name, sizeof made->base.file_name, "%s", file);
    atomic_fetch_add(alive, 1);
    return &made->base;
}

/* Offer it and keep nothing. */
static void offer(model_list *models, atomic_int *alive, const char *name, const char *file)
{
    mien_error error = {0};
    vision *made = make(alive, name, file);
    assert_ok(model_list_add(models, made, &error), &error);
    vision_unref(&made);
}

static void begin(model_list *models, settings *settings, const char *key)
{
    mien_error error = {0};
    assert_ok(settings_init(settings, &error), &error);
    memory_free(settings->hf_api_key);
    settings->hf_api_key = memory_text(key);
    model_list_init(models, settings);
}

static void assert_picks(model_list *models, const char *asked, model_scope scope, const char *expected)
{
    model_pick pick;
    mien_error error = {0};
    assert_ok(model_list_pick(models, asked, scope, &pick, &error), &error);
    assert_string_equal(pick.name, expected);
    model_pick_done(&pick);
}

static void test_names(void **state)
{
    (void)state;
    settings settings;
    model_list models;
    model_pick pick = {.index = 99};
    mien_error error = {0};
    atomic_int alive = 0;
    begin(&models, &settings, "hf_key");
    offer(&models, &alive, "one", "first");
    offer(&models, &alive, "two", "one"); /* a file called like the other's model */
    offer(&models, &alive, "one", "third");
    const char *remote = models.entries[0].name;
    assert_picks(&models, NULL, MODEL_OWN, "mien/one");
    assert_picks(&models, "", MODEL_OWN, "mien/one");
    assert_picks(&models, "", MODEL_DETECTOR, remote);
    assert_picks(&models, "one", MODEL_OWN, "mien/one");
    assert_picks(&models, "mien/one-2", MODEL_OWN, "mien/one-2");
    assert_picks(&models, "third", MODEL_OWN, "mien/one-2");
    assert_picks(&models, remote, MODEL_DETECTOR, remote);
    static const char *const bad[] = {"three", "mien/", "/one", "mien", "one.onnx", "../one"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(model_list_pick(&models, bad[i], MODEL_OWN, &pick, &error), MIEN_ENOTFOUND);
    assert_int_equal(model_list_pick(&models, remote, MODEL_OWN, &pick, &error), MIEN_ENOTFOUND);
    assert_int_equal(pick.index, 99);
    assert_true(model_list_select(&models, "mien/two"));
    assert_false(model_list_select(&models, "nobody"));
    assert_picks(&models, NULL, MODEL_DETECTOR, "mien/two");
    assert_picks(&models, NULL, MODEL_OWN, "mien/one");
    model_list_done(&models);
    settings_done(&settings);
    assert_int_equal(alive, 0);
}

static void test_former_names_still_find(void **state)
{
    (void)state;
    settings settings;
    model_list models;
    atomic_int alive = 0;
    begin(&models, &settings, "");
    offer(&models, &alive, "a", "file");
    static const char *const names[] = {"b", "c", "c", "a", "d"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        vision *next = make(&alive, names[i], "file");
        model_list_exchange(&models, 0, next);
        vision_unref(&next);
        assert_int_equal(alive, 1);
    }
    static const char *const asked[] = {"d", "a", "b", "c", "mien/b", "file"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_picks(&models, asked[i], MODEL_OWN, "mien/d");
    model_list_done(&models);
    settings_done(&settings);
    assert_int_equal(alive, 0);
}

static void test_too_many(void **state)
{
    (void)state;
    settings settings;
    model_list models;
    mien_error error = {0};
    atomic_int alive = 0;
    begin(&models, &settings, "");
    for (int i = 0; i < MODEL_LIST_MOST; i++)
        offer(&models, &alive, "same", "file");
    vision *more = make(&alive, "more", "file");
    assert_int_equal(model_list_add(&models, more, &error), MIEN_ELIMIT);
    vision_unref(&more);
    model_list_done(&models);
    settings_done(&settings);
    assert_int_equal(alive, 0);
}

static void *use(void *context)
{
    model_list *models = context;
    size_t wrong = 0;
    for (int i = 0; i < TURNS; i++) {
        model_pick pick;
        mien_error error;
        mien_result result = {0};
        if (model_list_pick(models, i % 2 ? "v0" : "", MODEL_OWN, &pick, &error)) {
            wrong++;
            continue;
        }
        pick.vision->functions->analyze(pick.vision, 0, "", 0, NULL, &result, &error);
        wrong += result.width != 7;
        model_pick_done(&pick);
    }
    return (void *)wrong;
}

static void test_exchange_under_load(void **state)
{
    (void)state;
    settings settings;
    model_list models;
    pthread_t threads[THREADS];
    atomic_int alive = 0;
    begin(&models, &settings, "");
    offer(&models, &alive, "v0", "v0");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, &models), 0);
    for (int i = 0; i < EXCHANGES; i++) {
        vision *next = make(&alive, i % 2 ? "v0" : "v1", "v0");
        model_list_exchange(&models, 0, next);
        vision_unref(&next);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(alive, 1);
    assert_int_equal(models.loads, EXCHANGES + 1);
    model_list_done(&models);
    settings_done(&settings);
    assert_int_equal(alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_former_names_still_find),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_exchange_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
