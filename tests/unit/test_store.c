/* Guards src/store: what is added is found again, for every backend; quotas are exact under concurrency; a picture
 * lives as long as a record needs it; records survive SIGKILL and a full disk; foreign, read-only and taken folders are
 * refused with their reason. */
#include "folder.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store/pictures.h"
#include "store/store.h"

static mien_error error;

static store *open_store(bool on_disk)
{
    store_options options;
    store_default_options(&options);
    options.folder = on_disk ? testing_folder : NULL;
    store *s = NULL;
    assert_ok(store_open(&options, &s, &error), &error);
    return s;
}

static void check_users(store *s)
{
    store_user user = {.id = "u1", .email = "ann@example.org", .password_hash = "hash", .created_us = 5}, found = {0};
    assert_ok(store_user_add(s, &user, &error), &error);
    assert_int_equal(store_user_add(s, &user, &error), MIEN_ECONFLICT);
    store_user other = {.id = "u2", .email = "ann@example.org"};
    assert_int_equal(store_user_add(s, &other, &error), MIEN_ECONFLICT);
    other.email = NULL;
    assert_ok(store_user_add(s, &other, &error), &error);
    other.id = "";
    assert_int_equal(store_user_add(s, &other, &error), MIEN_EINVAL);
    assert_ok(store_user_by_email(s, "ann@example.org", &found, &error), &error);
    assert_string_equal(found.id, "u1");
    assert_null(found.display_name);
    found.display_name = strdup("Ann");
    assert_ok(store_user_update(s, &found, &error), &error);
    store_user_done(&found);
    assert_ok(store_user_touch(s, "u1", 77, &error), &error);
    assert_ok(store_user_by_id(s, "u1", &found, &error), &error);
    assert_string_equal(found.display_name, "Ann");
    assert_int_equal(found.usage_count, 1);
    assert_int_equal(found.last_used_us, 77);
    assert_int_equal(found.created_us, 5);
    store_user_done(&found);
    assert_int_equal(store_user_by_id(s, "u1' OR '1'='1", &found, &error), MIEN_ENOTFOUND);
    assert_int_equal(store_user_touch(s, "nobody", 1, &error), MIEN_ENOTFOUND);
}

static void check_tokens(store *s)
{
    store_token token = {.kind = STORE_TOKEN_REFRESH, .user_id = "u1", .created_us = 1, .expires_us = 100}, found = {0};
    memset(token.hash, 7, sizeof token.hash);
    assert_ok(store_token_add(s, &token, &error), &error);
    assert_ok(store_token_find(s, token.hash, STORE_TOKEN_REFRESH, 99, &found, &error), &error);
    assert_string_equal(found.user_id, "u1");
    store_token_done(&found);
    assert_int_equal(store_token_find(s, token.hash, STORE_TOKEN_REFRESH, 100, &found, &error), MIEN_ENOTFOUND);
    assert_int_equal(store_token_find(s, token.hash, STORE_TOKEN_API_KEY, 1, &found, &error), MIEN_ENOTFOUND);
    assert_ok(store_token_revoke(s, token.hash, STORE_TOKEN_REFRESH, &error), &error);
    assert_int_equal(store_token_revoke(s, token.hash, STORE_TOKEN_REFRESH, &error), MIEN_ENOTFOUND);
    token.expires_us = 0;
    assert_ok(store_token_add(s, &token, &error), &error);
    assert_ok(store_token_find(s, token.hash, STORE_TOKEN_REFRESH, INT64_MAX, &found, &error), &error);
    store_token_done(&found);
    size_t removed = 0;
    assert_ok(store_token_revoke_all(s, "u1", STORE_TOKEN_REFRESH, &removed, &error), &error);
    assert_int_equal(removed, 1);
    assert_int_equal(store_token_find(s, token.hash, STORE_TOKEN_REFRESH, 1, &found, &error), MIEN_ENOTFOUND);
}

static void check_quota(store *s)
{
    int64_t used = 0, resets = 0;
    for (int i = 1; i <= 3; i++) {
        assert_ok(store_quota_take(s, "guest", 1000 + i, 500, 3, &used, &resets, &error), &error);
        assert_int_equal(used, i);
        assert_int_equal(resets, 1501);
    }
    assert_int_equal(store_quota_take(s, "guest", 1400, 500, 3, &used, &resets, &error), MIEN_ELIMIT);
    assert_int_equal(used, 3);
    assert_int_equal(resets, 1501);
    assert_ok(store_quota_look(s, "guest", 1400, 500, &used, &resets, &error), &error);
    assert_int_equal(used, 3);
    assert_ok(store_quota_take(s, "guest", 1501, 500, 3, &used, &resets, &error), &error);
    assert_int_equal(used, 1);
    /* a clock that was set back must not lock the guest out until it has caught up */
    assert_ok(store_quota_take(s, "guest", 10, 500, 3, &used, &resets, &error), &error);
    assert_int_equal(used, 1);
    assert_int_equal(resets, 510);
}

static void add_record(store *s, const char *id, const char *user, int64_t when, const char *emotion,
                       const char *picture)
{
    store_record record = {.id = (char *)id,
                           .user_id = (char *)user,
                           .created_us = when,
                           .emotion = (char *)emotion,
                           .result = "{\"faces\":[]}"};
    assert_ok(store_history_add(s, &record, picture, picture ? strlen(picture) : 0, &error), &error);
}

static void check_history(store *s)
{
    store_page page = {0};
    char id[16];
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "r%d", i);
        add_record(s, id, "u1", 100 + i / 2, i % 2 ? "happy" : NULL, NULL);
    }
    add_record(s, "other", "u2", 104, "happy", NULL);
    store_query query = {.user_id = "u1", .skip = 1, .limit = 3};
    assert_ok(store_history_list(s, &query, &page, &error), &error);
    assert_int_equal(page.total, 10);
    assert_int_equal(page.count, 3);
    assert_string_equal(page.records[0].id, "r8"); /* newest first, r9 skipped */
    assert_string_equal(page.records[0].result, "{\"faces\":[]}");
    store_page_done(&page);
    query = (store_query){.user_id = "u1", .emotion = "happy", .from_us = 101, .until_us = 104, .limit = 100};
    assert_ok(store_history_list(s, &query, &page, &error), &error);
    assert_int_equal(page.total, 3);
    assert_string_equal(page.records[2].id, "r3");
    store_page_done(&page);
    query = (store_query){.user_id = "nobody", .limit = 5};
    assert_ok(store_history_list(s, &query, &page, &error), &error);
    assert_int_equal(page.count, 0);
    store_page_done(&page);
    query.limit = 0;
    assert_int_equal(store_history_list(s, &query, &page, &error), MIEN_EINVAL);
    store_record record = {0};
    assert_ok(store_history_get(s, "other", &record, &error), &error);
    assert_string_equal(record.user_id, "u2");
    store_record_done(&record);
    assert_ok(store_history_delete(s, "other", &error), &error);
    assert_int_equal(store_history_delete(s, "other", &error), MIEN_ENOTFOUND);
    /* a clock that was set back does not bury what comes in now */
    add_record(s, "late", "u1", 50, "happy", NULL);
    query = (store_query){.user_id = "u1", .limit = 2};
    assert_ok(store_history_list(s, &query, &page, &error), &error);
    assert_string_equal(page.records[0].id, "late");
    assert_string_equal(page.records[1].id, "r9");
    store_page_done(&page);
    size_t removed = 0;
    assert_ok(store_prune(s, 102, 1000, &removed, &error), &error);
    assert_int_equal(removed, 5);
    store_token token = {.kind = STORE_TOKEN_API_KEY, .user_id = "u1", .created_us = 1};
    store_user user = {0};
    int64_t used, resets;
    assert_ok(store_token_add(s, &token, &error), &error);
    assert_ok(store_quota_take(s, "u1", 1, 1000, 3, &used, &resets, &error), &error);
    assert_ok(store_user_erase(s, "u1", &error), &error);
    assert_int_equal(store_user_by_id(s, "u1", &user, &error), MIEN_ENOTFOUND);
    assert_int_equal(store_token_find(s, token.hash, STORE_TOKEN_API_KEY, 2, &token, &error), MIEN_ENOTFOUND);
    assert_ok(store_quota_look(s, "u1", 2, 1000, &used, &resets, &error), &error);
    assert_int_equal(used, 0);
    query = (store_query){.user_id = "u1", .limit = 5};
    assert_ok(store_history_list(s, &query, &page, &error), &error);
    assert_int_equal(page.total, 0);
    store_page_done(&page);
    assert_int_equal(store_user_erase(s, "u1", &error), MIEN_ENOTFOUND);
}

static void test_conformance(void **state)
{
    (void)state;
    for (int on_disk = 0; on_disk <= 1; on_disk++) {
        store *s = open_store(on_disk);
        assert_ok(store_check(s, &error), &error);
        check_users(s);
        check_tokens(s);
        check_quota(s);
        check_history(s);
        store_close(&s);
        assert_null(s);
    }
}

static void test_a_picture_lives_as_long_as_it_is_needed(void **state)
{
    (void)state;
    store *s = open_store(true);
    add_record(s, "a", "u1", 1, NULL, "the same picture");
    add_record(s, "b", "u2", 2, NULL, "the same picture");
    store_record record = {0};
    assert_ok(store_history_get(s, "a", &record, &error), &error);
    assert_true(pictures_is_name(record.picture));
    buffer bytes = {0};
    assert_ok(store_picture_read(s, record.picture, &bytes, &error), &error);
    assert_string_equal(buffer_text(&bytes), "the same picture");
    assert_ok(store_history_delete(s, "a", &error), &error);
    buffer_clear(&bytes);
    assert_ok(store_picture_read(s, record.picture, &bytes, &error), &error);
    assert_ok(store_history_delete_all(s, "u2", &error), &error);
    assert_int_equal(store_picture_read(s, record.picture, &bytes, &error), MIEN_ENOTFOUND);
    const char *const tricks[] = {"../mien.db",
                                  "",
                                  "..",
                                  "/etc/passwd",
                                  "ab/../../mien.db",
                                  "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"};
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++)
        assert_int_equal(store_picture_read(s, tricks[i], &bytes, &error), MIEN_ENOTFOUND);
    store_record_done(&record);
    buffer_done(&bytes);
    store_close(&s);
}

struct takers {
    store *store;
    int taken[4];
    pthread_barrier_t start;
};

static void *take_quota(void *argument)
{
    struct takers *t = argument;
    int64_t used, resets;
    int taken = 0;
    pthread_barrier_wait(&t->start);
    for (int i = 0; i < 50; i++)
        taken += store_quota_take(t->store, "crowd", 10, 1000, 60, &used, &resets, NULL) == MIEN_OK;
    return (void *)(intptr_t)taken;
}

static void test_quota_is_exact_under_concurrency(void **state)
{
    (void)state;
    struct takers t = {.store = open_store(true)};
    pthread_t threads[4];
    intptr_t total = 0;
    pthread_barrier_init(&t.start, NULL, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_quota, &t), 0);
    for (int i = 0; i < 4; i++) {
        void *taken;
        pthread_join(threads[i], &taken);
        total += (intptr_t)taken;
    }
    assert_int_equal(total, 60);
    pthread_barrier_destroy(&t.start);
    store_close(&t.store);
}

/* The child acknowledges each record through the pipe after store_history_add has returned, until it is killed. */
static void test_sigkill_loses_no_acknowledged_record(void **state)
{
    (void)state;
    int channel[2];
    assert_int_equal(pipe(channel), 0);
    pid_t child = fork();
    if (child == 0) {
        close(channel[0]);
        store *s = open_store(true);
        for (int i = 0;; i++) {
            char id[16];
            snprintf(id, sizeof id, "k%d", i);
            add_record(s, id, "u1", i + 1, NULL, id);
            if (write(channel[1], &i, sizeof i) != sizeof i)
                _exit(1);
        }
    }
    close(channel[1]);
    int last = -1, got;
    while (last < 40 && read(channel[0], &got, sizeof got) == sizeof got)
        last = got;
    kill(child, SIGKILL);
    while (read(channel[0], &got, sizeof got) == sizeof got)
        last = got;
    close(channel[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(last >= 40);
    store *s = open_store(true);
    for (int i = 0; i <= last; i++) {
        char id[16];
        store_record record = {0};
        buffer bytes = {0};
        snprintf(id, sizeof id, "k%d", i);
        assert_ok(store_history_get(s, id, &record, &error), &error);
        assert_ok(store_picture_read(s, record.picture, &bytes, &error), &error);
        assert_string_equal(buffer_text(&bytes), id);
        buffer_done(&bytes);
        store_record_done(&record);
    }
    store_close(&s);
}

/* Run `part` in a process of its own, so that what it gives up (rights, file sizes) is given up there alone. */
static void in_child(void (*part)(void))
{
    pid_t child = fork();
    int end = 0;
    if (child == 0) {
        part();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFEXITED(end));
    assert_int_equal(WEXITSTATUS(end), 0);
}

static void expect(bool holds, int line)
{
    if (!holds) {
        fprintf(stderr, "line %d: %s\n", line, error.message);
        _exit(1);
    }
}
#define EXPECT(condition) expect(condition, __LINE__)

static mien_status try_open(store **s)
{
    store_options options;
    store_default_options(&options);
    options.folder = testing_folder;
    return store_open(&options, s, &error);
}

static void open_beside(void)
{
    store *second = NULL;
    EXPECT(try_open(&second) == MIEN_EBUSY);
    EXPECT(second == NULL && strstr(error.message, testing_folder) != NULL);
}

static void hold_until_killed(void)
{
    store *s = NULL;
    if (!try_open(&s))
        raise(SIGKILL);
}

static void test_a_folder_belongs_to_one_process(void **state)
{
    (void)state;
    store *s = open_store(true);
    in_child(open_beside);
    assert_ok(store_check(s, &error), &error);
    store_close(&s);
    pid_t child = fork();
    if (child == 0) {
        hold_until_killed();
        _exit(1);
    }
    int end = 0;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFSIGNALED(end)); /* it had the folder, and its death gave it back */
    s = open_store(true);
    store_close(&s);
}

static void open_read_only(void)
{
    store *s = NULL;
    if (!geteuid())
        EXPECT(!setgid(65534) && !setuid(65534)); /* root may write anywhere */
    EXPECT(try_open(&s) == MIEN_EDENIED);
    EXPECT(s == NULL && strstr(error.message, testing_folder) != NULL);
}

static void test_a_read_only_folder_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(testing_folder, 0555), 0);
    in_child(open_read_only);
    store *s = open_store(false); /* memory needs no folder */
    store_close(&s);
}

/* Files may not grow beyond 300 KiB here: to the store that is a disk that fills up. */
static void fill_up(void)
{
    static char picture[200000];
    struct rlimit most = {300 << 10, 300 << 10};
    int added = 0;
    store *s = NULL;
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(!setrlimit(RLIMIT_FSIZE, &most));
    EXPECT(!try_open(&s));
    for (mien_status status = MIEN_OK; !status; added += !status) {
        char id[16];
        memset(picture, 'a' + added % 26, sizeof picture);
        snprintf(id, sizeof id, "f%d", added);
        store_record record = {.id = id, .user_id = "u1", .created_us = added + 1, .result = picture};
        picture[40000] = '\0'; /* the record grows the database, the picture stands in a file of its own */
        status = store_history_add(s, &record, picture, sizeof picture, &error);
        EXPECT(added < 1000 && (!status || status == MIEN_EIO));
    }
    EXPECT(added > 0);
    for (int i = 0; i <= added; i++) { /* what was acknowledged is there, what was refused is not */
        char id[16];
        store_record record = {0};
        buffer bytes = {0};
        snprintf(id, sizeof id, "f%d", i);
        mien_status status = store_history_get(s, id, &record, &error);
        EXPECT(status == (i < added ? MIEN_OK : MIEN_ENOTFOUND));
        EXPECT(status || !store_picture_read(s, record.picture, &bytes, &error));
        buffer_done(&bytes);
        store_record_done(&record);
    }
    store_close(&s);
}

static void test_a_full_disk_loses_nothing(void **state)
{
    (void)state;
    in_child(fill_up);
    store *s = open_store(true); /* there is room again */
    add_record(s, "after", "u1", 1, NULL, "picture");
    store_close(&s);
}

static void test_pictures_are_kept_only_when_wanted(void **state)
{
    (void)state;
    store_options options;
    store_default_options(&options);
    options.folder = testing_folder;
    options.keep_pictures = false;
    store *s = NULL;
    assert_ok(store_open(&options, &s, &error), &error);
    add_record(s, "a", "u1", 1, NULL, "a picture");
    store_record record = {0};
    assert_ok(store_history_get(s, "a", &record, &error), &error);
    assert_null(record.picture);
    store_record_done(&record);
    store_close(&s);
    assert_int_equal(access(testing_path("pictures"), F_OK), -1);
}

static void test_foreign_files_are_refused(void **state)
{
    (void)state;
    const char text[] = "this is not a database, and it is long enough to be looked at: "
                        "0123456789012345678901234567890123456789012345678901234567890123456789";
    testing_put("mien.db", text, sizeof text);
    store_options options;
    store_default_options(&options);
    options.folder = testing_folder;
    store *s = NULL;
    assert_int_equal(store_open(&options, &s, &error), MIEN_EFORMAT);
    assert_null(s);
    buffer bytes = {0};
    assert_ok(file_read(testing_path("mien.db"), 1000, &bytes, &error), &error);
    assert_memory_equal(bytes.data, text, sizeof text);
    buffer_done(&bytes);
}

static mode_t mode_of(const char *path)
{
    struct stat about;
    return stat(path, &about) ? 0 : about.st_mode & 0777;
}

static store *open_at(const char *folder)
{
    store_options options;
    store *s = NULL;
    store_default_options(&options);
    options.folder = folder;
    assert_ok(store_open(&options, &s, &error), &error);
    return s;
}

/* A folder that the store makes is closed; one that was there (somebody may have named /tmp) is left as it is, and what
 * is put into it is nobody else's all the same. */
static void test_what_is_kept_is_private(void **state)
{
    (void)state;
    store *s = open_at(testing_path("new"));
    store_close(&s);
    assert_int_equal(mode_of(testing_path("new")), 0700);
    assert_int_equal(chmod(testing_folder, 0755), 0);
    s = open_store(true);
    add_record(s, "a", "u1", 1, NULL, "a picture");
    store_record record = {0};
    assert_ok(store_history_get(s, "a", &record, &error), &error);
    char picture[128];
    snprintf(picture, sizeof picture, "pictures/%.2s/%s", record.picture, record.picture);
    assert_int_equal(mode_of(testing_folder), 0755);
    assert_int_equal(mode_of(testing_path("mien.db")), 0600);
    assert_int_equal(mode_of(testing_path("mien.db-wal")), 0600);
    assert_int_equal(mode_of(testing_path(picture)), 0600);
    store_record_done(&record);
    store_close(&s);
}

static void test_pruning_drops_what_a_death_left_half_written(void **state)
{
    (void)state;
    static const char half[] = "pictures/ab/ab00000000000000000000000000000000000000000000000000000000000000.0badcafe";
    store *s = open_store(true);
    testing_put_folder("pictures/ab");
    testing_put_text(half, "half a pict");
    testing_put_text("pictures/ab/note", "somebody's own");
    assert_ok(store_prune(s, 0, 1, NULL, &error), &error);
    assert_int_equal(access(testing_path(half), F_OK), -1);
    assert_int_equal(access(testing_path("pictures/ab/note"), F_OK), 0);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_test_in_folder(test_conformance),
        unit_test_in_folder(test_a_picture_lives_as_long_as_it_is_needed),
        unit_test_in_folder(test_quota_is_exact_under_concurrency),
        unit_test_in_folder(test_sigkill_loses_no_acknowledged_record),
        unit_test_in_folder(test_a_folder_belongs_to_one_process),
        unit_test_in_folder(test_a_read_only_folder_is_refused),
        unit_test_in_folder(test_a_full_disk_loses_nothing),
        unit_test_in_folder(test_pictures_are_kept_only_when_wanted),
        unit_test_in_folder(test_what_is_kept_is_private),
        unit_test_in_folder(test_pruning_drops_what_a_death_left_half_written),
        unit_test_in_folder(test_foreign_files_are_refused),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
