/* test_manager_pipeline: many calls at once: pipelines, threads, floods; and calls that are wrong.
 * Usage: test_manager_pipeline lane|ipc|tcp|broker */
#include "far_manager.h"

static mp_pipeline_t *new_pipeline(mp_manager_t *manager, bool atomic)
{
    mp_pipeline_t *pipeline = NULL;
    OK(mp_pipeline_new(manager, &(mp_pipeline_options_t){.atomic = atomic}, &pipeline));
    return pipeline;
}

/* ---- pipelines ---------------------------------------------------------------------------------
 */

static void run_many(void *arg)
{
    mp_pipeline_t *pipeline = new_pipeline(((void **)arg)[0], false);
    mp_object_t *fast = mp_pipeline_object(pipeline, ((void **)arg)[1]);
    int64_t hits = 0, first = 0;
    enum { CALLS = 10000 };
    ck_assert_ptr_nonnull(fast);
    ck_assert_ptr_eq(fast, mp_pipeline_object(pipeline, ((void **)arg)[1]));
    OK(mp_pipeline_run(pipeline, LONG_MS));
    ck_assert_uint_eq(mp_pipeline_len(pipeline), 0);
    OK(mp_dict_add(fast, MP_K("hits"), 1, &first, 0));
    for (int i = 1; i < CALLS - 1; i++)
        OK(mp_dict_set(fast, MP_K(i), MP_V(i * i), 0));
    OK(mp_dict_add(fast, MP_K("hits"), 1, &hits, 0));
    ck_assert_int_eq(hits, 0);
    OK(mp_pipeline_run(pipeline, LONG_MS));
    ck_assert(first == 1 && hits == 2);
    ck_assert_uint_eq(mp_pipeline_len(pipeline), CALLS);
    for (size_t i = 0; i < CALLS; i++)
        OK(mp_pipeline_outcome(pipeline, i));
    IS(mp_pipeline_outcome(pipeline, CALLS), MP_ERANGE);
    OK(mp_dict_set(fast, MP_K("forgotten"), MP_V(1), 0));
    mp_pipeline_destroy(&pipeline);
    mp_pipeline_destroy(&pipeline);
}

START_TEST(ten_thousand_calls_go_together)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    size_t len = 0;
    far_one_t other;
    far_start(&other, run_many, (void *[]){manager, dict});
    far_join(&other);
    OK(mp_dict_len(dict, &len, LONG_MS));
    ck_assert_uint_eq(len, 9999);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

START_TEST(outputs_are_filled_by_the_run)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_object_t *lock = new_object(manager, MP_OBJECT_LOCK);
    mp_pipeline_t *pipeline = new_pipeline(manager, false);
    mp_object_t *fast = mp_pipeline_object(pipeline, dict);
    mp_object_t *fast_lock = mp_pipeline_object(pipeline, lock);
    mp_tree_t *one = NULL, *none = NULL, *all = NULL;
    size_t len = 0, size = 0;
    bool is = false;
    uint64_t token = 0;
    char buffer[4];
    mp_item_t item = {0};
    OK(mp_dict_set_bytes(fast, MP_K("a"), "abc", 3, 0));
    OK(mp_dict_set(fast, MP_K("b"), MP_V(2), 0));
    OK(mp_dict_get(fast, MP_K("b"), &one, 0));
    OK(mp_dict_get(fast, MP_K("nothing"), &none, 0));
    OK(mp_dict_get_bytes(fast, MP_K("a"), buffer, sizeof buffer, &size, 0));
    OK(mp_dict_get_item(fast, MP_K("a"), &item, 0));
    OK(mp_dict_contains(fast, MP_K("a"), &is, 0));
    OK(mp_dict_len(fast, &len, 0));
    OK(mp_dict_keys(fast, &all, 0));
    OK(mp_managed_lock_acquire(fast_lock, &token, 0));
    OK(mp_managed_lock_acquire(fast_lock, NULL, -1)); /* tries once: it doesn't wait for itself */
    OK(mp_managed_lock_release(fast_lock, 0));
    IS(mp_pipeline_run(pipeline, LONG_MS), MP_ENOTFOUND);
    ck_assert_ptr_null(none);
    IS(mp_pipeline_outcome(pipeline, 3), MP_ENOTFOUND);
    OK(mp_pipeline_outcome(pipeline, 9));
    IS(mp_pipeline_outcome(pipeline, 10), MP_EDEADLOCK);
    OK(mp_pipeline_outcome(pipeline, 11));
    is_json(one, "2");
    is_json(all, "[\"a\", \"b\"]");
    ck_assert(is && len == 2 && size == 3 && token && memcmp(buffer, "abc", 3) == 0);
    ck_assert(item.kind == MP_ITEM_BYTES && item.size == 3);
    mp_item_clear(&item);
    OK(mp_managed_lock_acquire(lock, NULL, 0));
    mp_pipeline_destroy(&pipeline);
    mp_object_destroy(&lock);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

START_TEST(an_atomic_is_all_or_nothing)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_object_t *list = new_object(manager, MP_OBJECT_LIST);
    mp_object_t *queue = new_object(manager, MP_OBJECT_QUEUE);
    mp_pipeline_t *pipeline = new_pipeline(manager, true);
    mp_object_t *fast = mp_pipeline_object(pipeline, dict);
    mp_object_t *fast_list = mp_pipeline_object(pipeline, list);
    int64_t sum = 0;
    mp_tree_t *out = NULL;
    OK(mp_dict_set(dict, MP_K("x"), MP_V(1), LONG_MS));
    OK(mp_list_extend(list, MP_LIST(MP_V(1), MP_V(2)), LONG_MS));
    OK(mp_dict_add(fast, MP_K("x"), 10, &sum, 0));
    OK(mp_list_pop(fast_list, 0, &out, 0));
    OK(mp_list_set(fast_list, 7, MP_V(1), 0));
    OK(mp_dict_clear(fast, 0));
    IS(mp_pipeline_run(pipeline, LONG_MS), MP_ERANGE);
    ck_assert(sum == 0 && !out);
    IS(mp_pipeline_outcome(pipeline, 0), MP_ECANCELLED);
    IS(mp_pipeline_outcome(pipeline, 1), MP_ECANCELLED);
    IS(mp_pipeline_outcome(pipeline, 2), MP_ERANGE);
    IS(mp_pipeline_outcome(pipeline, 3), MP_ECANCELLED);
    ck_assert_int_eq(number_at(dict, "x"), 1);
    OK(mp_list_copy(list, &out, LONG_MS));
    is_json(out, "[1, 2]");
    OK(mp_dict_add(fast, MP_K("x"), 10, &sum, 0));
    OK(mp_list_pop(fast_list, 0, &out, 0));
    OK(mp_pipeline_run(pipeline, LONG_MS));
    ck_assert(sum == 11 && is_int(out) == 1);
    OK(mp_dict_add(fast, MP_K("x"), 1, &sum, 0));
    OK(mp_managed_queue_put(mp_pipeline_object(pipeline, queue), MP_V(1), 0));
    IS(mp_pipeline_run(pipeline, LONG_MS), MP_EINVAL);
    ck_assert_int_eq(number_at(dict, "x"), 11);
    mp_pipeline_destroy(&pipeline);
    mp_object_destroy(&queue);
    mp_object_destroy(&list);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

/* The copies of one run are of one moment; a failure in it undoes what fromkeys did. */
START_TEST(copies_are_taken_in_a_pipeline)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_object_t *list = new_object(manager, MP_OBJECT_LIST);
    mp_pipeline_t *pipeline = new_pipeline(manager, true);
    mp_object_t *fast = mp_pipeline_object(pipeline, dict);
    mp_object_t *fast_list = mp_pipeline_object(pipeline, list);
    mp_tree_t *both = NULL, *keys = NULL, *more = NULL, *twice = NULL, *back = NULL;
    size_t index = 0, len = 9;
    OK(mp_list_extend(list, MP_LIST(MP_V(1), MP_V(2)), LONG_MS));
    OK(mp_dict_fromkeys(fast, MP_LIST(MP_V("a"), MP_V("b")), MP_V(0), 0));
    OK(mp_dict_union(fast, MP_DICT({"a", MP_V(1)}), &both, 0));
    OK(mp_dict_reversed(fast, &keys, 0));
    OK(mp_list_concat(fast_list, MP_LIST(MP_V(3)), &more, 0));
    OK(mp_list_repeated(fast_list, 2, &twice, 0));
    OK(mp_list_reversed(fast_list, &back, 0));
    OK(mp_list_index_in(fast_list, MP_V(2), -1, MP_SLICE_OPEN, &index, 0));
    OK(mp_pipeline_run(pipeline, LONG_MS));
    ck_assert_uint_eq(index, 1);
    is_json(both, "{\"a\": 1, \"b\": 0}");
    is_json(keys, "[\"b\", \"a\"]");
    is_json(more, "[1, 2, 3]");
    is_json(twice, "[1, 2, 1, 2]");
    is_json(back, "[2, 1]");
    OK(mp_dict_fromkeys(fast, MP_LIST(MP_V("c")), MP_V(0), 0));
    OK(mp_list_repeated(fast_list, INT64_MAX, &more, 0));
    IS(mp_pipeline_run(pipeline, LONG_MS), MP_ETOOLARGE);
    OK(mp_dict_len(dict, &len, LONG_MS));
    ck_assert_uint_eq(len, 2);
    mp_pipeline_destroy(&pipeline);
    mp_object_destroy(&list);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

START_TEST(a_pipeline_is_guarded_as_its_object_was)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_object_t *lock = new_object(manager, MP_OBJECT_LOCK);
    OK(mp_managed_lock_acquire(lock, NULL, LONG_MS));
    OK(mp_object_guard(dict, lock));
    for (int atomic = 0; atomic < 2; atomic++) {
        mp_pipeline_t *pipeline = new_pipeline(manager, atomic);
        mp_object_t *fast = mp_pipeline_object(pipeline, dict);
        OK(mp_dict_set(fast, MP_K("x"), MP_V(1), 0));
        if (atomic) {
            IS(mp_pipeline_run(pipeline, LONG_MS), MP_ESTALE);
        } else {
            OK(mp_pipeline_run(pipeline, LONG_MS));
            OK(mp_managed_lock_release(lock, LONG_MS));
            OK(mp_dict_set(fast, MP_K("x"), MP_V(2), 0));
            IS(mp_pipeline_run(pipeline, LONG_MS), MP_ESTALE);
        }
        mp_pipeline_destroy(&pipeline);
    }
    ck_assert_int_eq(number_at(dict, "x"), 1);
    mp_object_destroy(&lock);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- threads, floods ---------------------------------------------------------------------------
 */

enum { THREADS = 8, TIMES = 200 };

static void *count(void *arg)
{
    mp_object_t **both = arg;
    int64_t last = 0, now = 0;
    for (int i = 0; i < TIMES; i++) {
        OK(mp_dict_add(both[0], MP_K("x"), 1, &now, LONG_MS));
        ck_assert_int_gt(now, last);
        last = now;
        if (i % 20)
            continue;
        OK(mp_managed_lock_acquire(both[1], NULL, LONG_MS));
        OK(mp_managed_lock_release(both[1], LONG_MS));
    }
    return NULL;
}

static void count_in_threads(void *arg)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count, arg), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(any_thread_may_use_a_handle)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *both[2] = {new_object(manager, MP_OBJECT_DICT),
                            new_object(manager, MP_OBJECT_LOCK)};
    far_one_t other;
    far_start(&other, count_in_threads, both);
    count_in_threads(both);
    far_join(&other);
    ck_assert_int_eq(number_at(both[0], "x"), (int64_t)THREADS * TIMES * 2);
    mp_object_destroy(&both[0]);
    mp_object_destroy(&both[1]);
    mp_manager_destroy(&manager);
}
END_TEST

static long resident_kb(int pid)
{
    char path[64], line[128];
    long kb = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) // NOLINT(cert-err34-c)
            break;
    fclose(file);
    return kb;
}

#ifdef MP_SANITIZED
enum { GETS = 400, LARGEST = 4 << 20 };
#else
enum { GETS = 5000, LARGEST = 64 << 20 };
#endif

/* 500 MB in gets of 100 KiB, of which nothing is read at first. */
static void ask_for_much(void *arg)
{
    enum { SIZE = 100 << 10 };
    mp_pipeline_t *pipeline = new_pipeline(((void **)arg)[0], false);
    mp_object_t *fast = mp_pipeline_object(pipeline, ((void **)arg)[1]);
    static char buffer[SIZE];
    size_t size = 0;
    for (int i = 0; i < GETS; i++)
        OK(mp_dict_get_bytes(fast, MP_K("big"), buffer, sizeof buffer, &size, 0));
    OK(mp_pipeline_run(pipeline, 60000));
    ck_assert_uint_eq(size, SIZE);
    mp_pipeline_destroy(&pipeline);
}

START_TEST(a_flood_of_gets_does_not_fill_the_server)
{
    if (!is_ours())
        return;
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    char *big = calloc(1, 100 << 10);
    far_one_t others[2];
    OK(mp_dict_set_bytes(dict, MP_K("big"), big, 100 << 10, LONG_MS));
    free(big);
    for (int i = 0; i < 2; i++)
        far_start(&others[i], ask_for_much, (void *[]){manager, dict});
    for (int i = 0; i < 2; i++)
        far_join(&others[i]);
    ck_assert_int_lt(resident_kb(mp_manager_pid(manager)), 400 * 1024);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

START_TEST(items_of_every_size)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    char *big = malloc(MP_VALUE_BYTES_MAX + 1);
    mp_item_t item = {0};
    ck_assert_ptr_nonnull(big);
    memset(big, 'x', LARGEST + 1);
    for (size_t size = 0; size <= LARGEST; size = size ? size * 16 : 1) {
        OK(mp_dict_set_bytes(dict, MP_K("big"), big, size, LONG_MS));
        OK(mp_dict_get_item(dict, MP_K("big"), &item, LONG_MS));
        ck_assert(item.size == size && memcmp(item.data, big, size) == 0);
        mp_item_clear(&item);
    }
    OK(mp_dict_set_bytes(dict, MP_K("big"), big, LARGEST, LONG_MS));
    IS(mp_dict_set_bytes(dict, MP_K("big"), big, MP_VALUE_BYTES_MAX + 1, LONG_MS), MP_ETOOLARGE);
    free(big);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- what is wrong -----------------------------------------------------------------------------
 */

static void wrong_arguments(mp_object_t *dict, mp_object_t *list, mp_object_t *set)
{
    mp_tree_t *out = NULL, *tree = MP_LIST(MP_V(1));
    size_t size = 0;
    IS(mp_dict_set(dict, MP_K("x"), NULL, 0), MP_ENOMEM);
    IS(mp_dict_update(dict, NULL, 0), MP_ENOMEM);
    IS(mp_dict_update(dict, MP_V(1), LONG_MS), MP_EINVAL);
    IS(mp_dict_set(dict, mp_key_str(NULL), MP_V(1), 0), MP_EINVAL);
    IS(mp_dict_set(dict, mp_key_bytes(NULL, 3), MP_V(1), 0), MP_EINVAL);
    IS(mp_dict_set(dict, mp_key_of(tree), MP_V(1), 0), MP_EINVAL);
    IS(mp_dict_set(dict, mp_key_of(NULL), MP_V(1), 0), MP_EINVAL);
    IS(mp_dict_get_bytes(dict, MP_K("x"), NULL, 3, &size, 0), MP_EINVAL);
    IS(mp_dict_set_bytes(dict, MP_K("x"), NULL, 3, 0), MP_EINVAL);
    IS(mp_dict_set_item(dict, MP_K("x"), (mp_item_kind_t)9, "x", 1, 0), MP_EINVAL);
    IS(mp_dict_set_item(dict, MP_K("x"), MP_ITEM_TREE, "\xc1", 1, LONG_MS), MP_EPROTO);
    IS(mp_dict_expire(dict, MP_K("x"), -1, 0), MP_EINVAL);
    IS(mp_object_expire(dict, -1, 0), MP_EINVAL);
    IS(mp_list_append(list, NULL, 0), MP_ENOMEM);
    IS(mp_list_extend(list, MP_V(1), LONG_MS), MP_EINVAL);
    IS(mp_list_get_slice(list, 0, 1, 0, &out, LONG_MS), MP_EINVAL);
    IS(mp_set_update(set, MP_LIST(MP_LIST(MP_V(1))), LONG_MS), MP_EINVAL);
    IS(mp_set_union_update(set, dict, LONG_MS), MP_EINVAL);
    IS(mp_object_guard(dict, dict), MP_EINVAL);
    IS(mp_object_guard_token(dict, list, 1), MP_EINVAL);
    IS(mp_object_open(&(mp_ref_t){{0}}, &dict), MP_EINVAL);
    ck_assert_ptr_null(out);
    mp_tree_destroy(&tree);
}

static void wrong_types(mp_object_t *dict, mp_object_t *list)
{
    mp_tree_t *out = NULL;
    bool is;
    int64_t number;
    size_t size;
    mp_managed_barrier_stat_t stat;
    IS(mp_dict_set(list, MP_K("x"), MP_V(1), LONG_MS), MP_EINVAL);
    IS(mp_list_append(dict, MP_V(1), LONG_MS), MP_EINVAL);
    IS(mp_set_add(dict, MP_K(1), NULL, LONG_MS), MP_EINVAL);
    IS(mp_dict_len(list, &size, LONG_MS), MP_EINVAL);
    IS(mp_list_len(dict, &size, LONG_MS), MP_EINVAL);
    IS(mp_set_clear(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_value_set(dict, MP_V(1), LONG_MS), MP_EINVAL);
    IS(mp_managed_queue_put(dict, MP_V(1), LONG_MS), MP_EINVAL);
    IS(mp_managed_queue_get(dict, &out, LONG_MS), MP_EINVAL);
    IS(mp_managed_queue_task_done(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_queue_full(dict, &is, LONG_MS), MP_EINVAL);
    IS(mp_managed_queue_qsize(dict, &size, LONG_MS), MP_EINVAL);
    IS(mp_managed_lock_acquire(dict, NULL, LONG_MS), MP_EINVAL);
    IS(mp_managed_lock_release(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_semaphore_acquire(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_semaphore_value(dict, &number, LONG_MS), MP_EINVAL);
    IS(mp_managed_event_set(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_event_wait(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_condition_wait(dict, LONG_MS), MP_EINVAL);
    IS(mp_managed_condition_notify(dict, -1, LONG_MS), MP_EINVAL);
    IS(mp_managed_barrier_wait(dict, NULL, LONG_MS), MP_EINVAL);
    IS(mp_managed_barrier_stat(dict, &stat, LONG_MS), MP_EINVAL);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "dict"));
}

static void wrong_objects(mp_manager_t *manager, mp_object_t *dict)
{
    static char name[300];
    mp_object_t *out = NULL;
    memset(name, 'n', sizeof name - 1);
    IS(mp_manager_object(manager, (mp_object_type_t)99, NULL, &out), MP_EINVAL);
    IS(mp_manager_object(manager, (mp_object_type_t)0, NULL, &out), MP_EINVAL);
    IS(mp_manager_dict(manager, "", &out), MP_EINVAL);
    IS(mp_manager_dict(manager, name, &out), MP_EINVAL);
    IS(mp_manager_object(manager, MP_OBJECT_DICT, &(mp_object_options_t){.only_open = true}, &out),
       MP_EINVAL);
    IS(mp_manager_object(manager, MP_OBJECT_DICT, &(mp_object_options_t){.ttl_ms = -1}, &out),
       MP_EINVAL);
    IS(mp_manager_object(manager, MP_OBJECT_DICT, &(mp_object_options_t){.initial = MP_V(1)}, &out),
       MP_EINVAL);
    IS(mp_manager_value(manager, NULL, NULL, &out), MP_ENOMEM);
    IS(mp_manager_array(manager, NULL, 'i', NULL, &out), MP_ENOMEM);
    IS(mp_manager_array(manager, NULL, '?', MP_LIST(MP_V(1)), &out), MP_EINVAL);
    IS(mp_manager_array(manager, NULL, 'i', MP_LIST(MP_V("x")), &out), MP_EINVAL);
    IS(mp_manager_condition(manager, NULL, dict, &out), MP_EINVAL);
    IS(mp_manager_barrier(manager, NULL, -1, &out), MP_EINVAL);
    ck_assert_ptr_null(out);
}

static void not_in_a_pipeline(mp_manager_t *manager, mp_object_t *dict)
{
    mp_pipeline_t *pipeline = new_pipeline(manager, false);
    mp_object_t *fast = mp_pipeline_object(pipeline, dict);
    mp_object_stat_t stat;
    mp_cursor_t *cursor = NULL;
    mp_tree_t *out = NULL;
    mp_managed_barrier_stat_t barrier;
    bool is;
    ck_assert_ptr_null(mp_pipeline_object(pipeline, NULL));
    ck_assert_ptr_null(mp_pipeline_object(pipeline, fast));
    IS(mp_object_stat(fast, &stat, 0), MP_EINVAL);
    IS(mp_dict_next(fast, &cursor, NULL, NULL, 0), MP_EINVAL);
    IS(mp_managed_queue_empty(fast, &is, 0), MP_EINVAL);
    IS(mp_managed_condition_wait(fast, 0), MP_EINVAL);
    IS(mp_managed_barrier_wait(fast, NULL, 0), MP_EINVAL);
    IS(mp_managed_barrier_stat(fast, &barrier, 0), MP_EINVAL);
    IS(mp_object_call(fast, "x", MP_V(1), &out, 0), MP_EINVAL);
    IS(mp_dict_set(fast, MP_K("x"), NULL, 0), MP_ENOMEM);
    IS(mp_dict_set(fast, mp_key_of(NULL), MP_V(1), 0), MP_EINVAL);
    OK(mp_dict_set(fast, MP_K("x"), MP_V(1), 0));
    OK(mp_pipeline_run(pipeline, LONG_MS));
    ck_assert_uint_eq(mp_pipeline_len(pipeline), 1);
    mp_pipeline_destroy(&pipeline);
}

START_TEST(mistakes_have_codes)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_object_t *list = new_object(manager, MP_OBJECT_LIST);
    mp_object_t *set = new_object(manager, MP_OBJECT_SET);
    wrong_arguments(dict, list, set);
    wrong_types(dict, list);
    wrong_objects(manager, dict);
    not_in_a_pipeline(manager, dict);
    ck_assert_str_eq(mp_object_type_name(MP_OBJECT_BOUNDED_SEMAPHORE), "bounded semaphore");
    ck_assert_str_eq(mp_object_type_name((mp_object_type_t)99), "?");
    /* None of it has cost the connection, or changed anything. */
    ck_assert_uint_eq(stat_of(dict).items, 1);
    ck_assert_uint_eq(stat_of(list).items, 0);
    ck_assert_uint_eq(stat_of(set).items, 0);
    mp_object_destroy(&set);
    mp_object_destroy(&list);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {ten_thousand_calls_go_together,
                                  outputs_are_filled_by_the_run,
                                  an_atomic_is_all_or_nothing,
                                  copies_are_taken_in_a_pipeline,
                                  a_pipeline_is_guarded_as_its_object_was,
                                  any_thread_may_use_a_handle,
                                  a_flood_of_gets_does_not_fill_the_server,
                                  items_of_every_size,
                                  mistakes_have_codes,
                                  NULL};
    return far_main(argc, argv, NULL, tests, 60);
}
