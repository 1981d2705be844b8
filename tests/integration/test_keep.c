/* test_keep: what a broker with a data directory keeps over a restart, and what becomes of those
 * who were there. MP_BROKER_BIN says where it is. */
#include "keep_suite.h"

#include <pthread.h>
#include <stdatomic.h>

static int64_t int_of(mp_tree_t *tree)
{
    int64_t number = 0;
    OK(mp_tree_as_int(tree, &number));
    mp_tree_destroy(&tree);
    return number;
}

/* As JSON without spaces; it is destroyed. */
static void is_json(mp_tree_t *tree, const char *json)
{
    char *text = NULL;
    OK(mp_tree_to_json(tree, 0, &text));
    char *to = text;
    for (const char *from = text; (*to = *from); from++)
        to += *from != ' ';
    ck_assert_str_eq(text, json);
    free(text);
    mp_tree_destroy(&tree);
}

/* ---- over a restart ----------------------------------------------------------------------- */

static void fill_rows(mp_object_t *dict, mp_object_t *list, mp_object_t *set)
{
    for (int i = 0; i < 5; i++)
        OK(mp_dict_set(dict, MP_K(i), MP_V(i * i), LONG_MS));
    OK(mp_dict_del(dict, MP_K(1), LONG_MS));
    OK(mp_dict_set(dict, MP_K(1), MP_V("again"), LONG_MS));
    OK(mp_dict_set(dict, MP_K(0), MP_V("first"), LONG_MS));
    OK(mp_list_extend(list, MP_LIST(MP_V(3), MP_V(1), MP_V(2)), LONG_MS));
    OK(mp_list_sort(list, true, LONG_MS));
    OK(mp_list_insert(list, 1, MP_V("between"), LONG_MS));
    OK(mp_list_append(list, MP_V("last"), LONG_MS));
    OK(mp_list_del(list, 0, LONG_MS));
    OK(mp_list_insert(list, 0, MP_V("head"), LONG_MS));
    OK(mp_set_add(set, MP_K("b"), NULL, LONG_MS));
    OK(mp_set_add(set, MP_K("a"), NULL, LONG_MS));
}

static void rows_are_there(mp_object_t *dict, mp_object_t *list, mp_object_t *set)
{
    mp_tree_t *out = NULL;
    OK(mp_dict_items(dict, &out, LONG_MS));
    is_json(out, "[[0,\"first\"],[2,4],[3,9],[4,16],[1,\"again\"]]");
    OK(mp_list_copy(list, &out, LONG_MS));
    is_json(out, "[\"head\",\"between\",2,1,\"last\"]");
    bool is = false;
    OK(mp_set_contains(set, MP_K("a"), &is, LONG_MS));
    ck_assert(is);
}

/* By SIGKILL and by SIGTERM; by old handles and by new ones. */
START_TEST(rows_keep_their_order)
{
    mp_manager_t *manager = begin();
    mp_object_t *dict = named(manager, MP_OBJECT_DICT, "dict");
    mp_object_t *list = named(manager, MP_OBJECT_LIST, "list");
    mp_object_t *set = named(manager, MP_OBJECT_SET, "set");
    fill_rows(dict, list, set);
    for (int i = 0; i < 4; i++) {
        restart(manager, i % 2 ? SIGTERM : SIGKILL);
        rows_are_there(dict, list, set);
    }
    mp_object_destroy(&dict);
    mp_object_destroy(&list);
    mp_object_destroy(&set);
    mp_manager_destroy(&manager);
    manager = manager_of();
    dict = named(manager, MP_OBJECT_DICT, "dict");
    list = named(manager, MP_OBJECT_LIST, "list");
    set = named(manager, MP_OBJECT_SET, "set");
    rows_are_there(dict, list, set);
    mp_object_destroy(&dict);
    mp_object_destroy(&list);
    mp_object_destroy(&set);
    finish(&manager);
}
END_TEST

/* Handles of clients, and those inside objects, keep them. */
START_TEST(anonymous_objects_are_there_again)
{
    mp_manager_t *manager = begin();
    mp_object_t *outer = named(manager, MP_OBJECT_DICT, "outer"), *list = NULL, *own = NULL;
    mp_tree_t *out = NULL;
    mp_ref_t ref;
    OK(mp_manager_list(manager, NULL, &list));
    OK(mp_manager_dict(manager, NULL, &own));
    OK(mp_list_append(list, MP_V("inside"), LONG_MS));
    OK(mp_dict_set(own, MP_K("a"), MP_V(1), LONG_MS));
    OK(mp_dict_set(outer, MP_K("list"), mp_object_node(list), LONG_MS));
    mp_object_destroy(&list);
    for (int i = 1; i <= 3; i++) {
        restart(manager, SIGKILL);
        OK(mp_dict_get(outer, MP_K("list"), &out, LONG_MS));
        OK(mp_tree_as_ref(out, &ref));
        mp_tree_destroy(&out);
        OK(mp_object_open(&ref, &list));
        OK(mp_list_get(list, 0, &out, LONG_MS));
        is_json(out, "\"inside\"");
        mp_object_destroy(&list);
        OK(mp_dict_add(own, MP_K("a"), 1, NULL, LONG_MS));
        OK(mp_dict_get(own, MP_K("a"), &out, LONG_MS));
        ck_assert_int_eq(int_of(out), i + 1);
    }
    mp_object_destroy(&own);
    mp_object_destroy(&outer);
    finish(&manager);
}
END_TEST

START_TEST(versions_rise)
{
    mp_manager_t *manager = begin();
    mp_object_t *dict = named(manager, MP_OBJECT_DICT, "dict");
    mp_object_t *value = named(manager, MP_OBJECT_VALUE, "value");
    mp_object_t *lock = named(manager, MP_OBJECT_LOCK, "lock");
    uint64_t version = 0, now = 0, of_value = 0, token = 0, last = 0;
    mp_object_stat_t stat;
    OK(mp_dict_compare_and_set(dict, MP_K("x"), 0, MP_V(0), &version, LONG_MS));
    for (int i = 1; i < 4; i++) {
        OK(mp_managed_lock_acquire(lock, &token, LONG_MS));
        ck_assert_uint_gt(token, last);
        last = token;
        OK(mp_object_stat(dict, &stat, LONG_MS));
        restart(manager, SIGKILL);
        held_something(lock);
        held_something(dict);
        held_something(value);
        IS(mp_managed_lock_release(lock, LONG_MS), MP_ENOTOWNER);
        OK(mp_dict_compare_and_set(dict, MP_K("x"), version, MP_V(i), &now, LONG_MS));
        ck_assert_uint_gt(now, version);
        ck_assert_uint_gt(now, stat.version);
        IS(mp_dict_compare_and_set(dict, MP_K("x"), version, MP_V(9), NULL, LONG_MS), MP_ECHANGED);
        version = now;
        OK(mp_managed_value_set(value, MP_V(i), LONG_MS));
        OK(mp_managed_value_get(value, NULL, &now, LONG_MS));
        ck_assert_uint_gt(now, of_value);
        of_value = now;
    }
    mp_object_destroy(&lock);
    mp_object_destroy(&value);
    mp_object_destroy(&dict);
    finish(&manager);
}
END_TEST

static bool is_there(mp_manager_t *manager, const char *name)
{
    mp_object_t *object = NULL;
    mp_object_options_t options = {.name = name, .only_open = true};
    mp_rc_t rc = mp_manager_object(manager, MP_OBJECT_DICT, &options, &object);
    ck_assert_msg(rc == MP_OK || rc == MP_ENOTFOUND, "%s", mp_errname(rc));
    mp_object_destroy(&object);
    return rc == MP_OK;
}

START_TEST(time_goes_on_while_it_is_away)
{
    enum { TTL_MS = 4000, SOON_MS = 100 };
    mp_manager_t *manager = begin();
    mp_object_t *dict = named(manager, MP_OBJECT_DICT, "dict");
    mp_object_t *mortal = named(manager, MP_OBJECT_DICT, "mortal");
    mp_object_t *soon = named(manager, MP_OBJECT_DICT, "soon");
    const char *const keys[] = {"mortal", "soon", "stays"};
    for (int i = 0; i < 3; i++)
        OK(mp_dict_set(dict, MP_K(keys[i]), MP_V(1), LONG_MS));
    int64_t start = keep_now_ms();
    OK(mp_dict_expire(dict, MP_K("mortal"), TTL_MS, LONG_MS));
    OK(mp_object_expire(mortal, TTL_MS, LONG_MS));
    OK(mp_dict_expire(dict, MP_K("soon"), SOON_MS, LONG_MS));
    OK(mp_object_expire(soon, SOON_MS, LONG_MS));
    keep_end(&keep, SIGKILL);
    UNTIL(keep_now_ms() > start + TTL_MS / 2);
    keep_start(&keep);
    reach(manager);
    ck_assert(!is_there(manager, "soon") && !has(dict, "soon") && has(dict, "stays"));
    if (keep_now_ms() < start + TTL_MS - 500) {
        bool key = has(dict, "mortal"), object = is_there(manager, "mortal");
        ck_assert((key && object) || keep_now_ms() >= start + TTL_MS);
    }
    UNTIL(!has(dict, "mortal") && !is_there(manager, "mortal"));
    int64_t took = keep_now_ms() - start;
    ck_assert_msg(took >= TTL_MS && took < TTL_MS * 3 / 2 - 100, "it took %d ms", (int)took);
    restart(manager, SIGKILL);
    ck_assert(!has(dict, "mortal") && !is_there(manager, "mortal"));
    IS(mp_dict_len(mortal, &(size_t){0}, LONG_MS), MP_ENOTFOUND);
    mp_object_destroy(&dict);
    mp_object_destroy(&mortal);
    mp_object_destroy(&soon);
    finish(&manager);
}
END_TEST

/* ---- holds, and those who wait ------------------------------------------------------------- */

START_TEST(units_and_items_that_were_held_are_back)
{
    mp_manager_t *manager = begin();
    mp_object_t *units = NULL, *queue = NULL;
    mp_object_t *event = named(manager, MP_OBJECT_EVENT, "event");
    mp_tree_t *out = NULL;
    int64_t value = 0;
    bool is = false;
    OK(mp_manager_bounded_semaphore(manager, "units", 3, &units));
    OK(mp_manager_joinable_queue(manager, "queue", 5, &queue));
    OK(mp_managed_semaphore_acquire(units, LONG_MS));
    OK(mp_managed_semaphore_acquire(units, LONG_MS));
    OK(mp_managed_event_set(event, LONG_MS));
    for (int i = 0; i < 5; i++)
        OK(mp_managed_queue_put(queue, MP_V(i), LONG_MS));
    for (int i = 0; i < 2; i++) {
        OK(mp_managed_queue_get(queue, &out, LONG_MS));
        ck_assert_int_eq(int_of(out), i);
        if (i == 0)
            OK(mp_managed_queue_task_done(queue, LONG_MS));
    }
    restart(manager, SIGKILL);
    held_something(queue);
    held_something(units);
    held_something(event);
    IS(mp_managed_queue_task_done(queue, LONG_MS), MP_ESTATE);
    OK(mp_managed_semaphore_value(units, &value, LONG_MS));
    ck_assert_int_eq(value, 3);
    IS(mp_managed_semaphore_release(units, LONG_MS), MP_ERANGE);
    OK(mp_managed_event_is_set(event, &is, LONG_MS));
    ck_assert(is);
    for (int i = 1; i < 5; i++) {
        OK(mp_managed_queue_get(queue, &out, LONG_MS));
        ck_assert_int_eq(int_of(out), i);
        OK(mp_managed_queue_task_done(queue, LONG_MS));
    }
    OK(mp_managed_queue_join(queue, LONG_MS));
    mp_object_destroy(&units);
    mp_object_destroy(&queue);
    mp_object_destroy(&event);
    finish(&manager);
}
END_TEST

static atomic_int stage;

static void *wait_and_answer(void *arg)
{
    mp_object_t *condition = arg;
    OK(mp_managed_condition_acquire(condition, NULL, LONG_MS));
    atomic_store(&stage, 1);
    OK(mp_managed_condition_wait(condition, LONG_MS));
    OK(mp_managed_condition_release(condition, LONG_MS));
    return NULL;
}

START_TEST(conditions_and_barriers_work_again)
{
    mp_manager_t *manager = begin();
    mp_object_t *lock = named(manager, MP_OBJECT_LOCK, "lock"), *condition = NULL, *barrier = NULL;
    pthread_t thread;
    OK(mp_manager_condition(manager, "condition", lock, &condition));
    OK(mp_manager_barrier(manager, "barrier", 1, &barrier));
    for (int i = 0; i < 3; i++) {
        atomic_store(&stage, 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_and_answer, condition), 0);
        UNTIL(atomic_load(&stage) == 1);
        OK(mp_managed_lock_acquire(lock, NULL, LONG_MS)); /* so the other one waits */
        OK(mp_managed_condition_notify(condition, 1, LONG_MS));
        OK(mp_managed_lock_release(lock, LONG_MS));
        pthread_join(thread, NULL);
        OK(mp_managed_barrier_wait(barrier, NULL, LONG_MS));
        restart(manager, SIGKILL);
        held_something(lock);
        held_something(condition);
        held_something(barrier);
    }
    mp_object_destroy(&barrier);
    mp_object_destroy(&condition);
    mp_object_destroy(&lock);
    finish(&manager);
}
END_TEST

typedef mp_rc_t wait_t(mp_manager_t *manager, mp_object_t **out);

static mp_rc_t for_a_lock(mp_manager_t *manager, mp_object_t **out)
{
    *out = named(manager, MP_OBJECT_LOCK, "lock");
    return mp_managed_lock_acquire(*out, NULL, -1);
}

static mp_rc_t for_an_item(mp_manager_t *manager, mp_object_t **out)
{
    mp_tree_t *item = NULL;
    *out = named(manager, MP_OBJECT_QUEUE, "empty");
    return mp_managed_queue_get(*out, &item, -1);
}

static mp_rc_t for_the_end(mp_manager_t *manager, mp_object_t **out)
{
    *out = named(manager, MP_OBJECT_JOINABLE_QUEUE, "work");
    return mp_managed_queue_join(*out, -1);
}

static mp_rc_t for_an_event(mp_manager_t *manager, mp_object_t **out)
{
    *out = named(manager, MP_OBJECT_EVENT, "event");
    return mp_managed_event_wait(*out, -1);
}

static mp_rc_t for_a_key(mp_manager_t *manager, mp_object_t **out)
{
    mp_tree_t *value = NULL;
    *out = named(manager, MP_OBJECT_DICT, "dict");
    return mp_dict_wait(*out, MP_K("never"), &value, -1);
}

static mp_rc_t for_a_change(mp_manager_t *manager, mp_object_t **out)
{
    mp_object_stat_t stat;
    *out = named(manager, MP_OBJECT_LIST, "list");
    mp_rc_t rc = mp_object_stat(*out, &stat, LONG_MS);
    return rc == MP_OK ? mp_object_watch(*out, &stat.version, -1) : rc;
}

static mp_rc_t for_others(mp_manager_t *manager, mp_object_t **out)
{
    mp_object_options_t options = {.name = "barrier", .value = 2};
    mp_rc_t rc = mp_manager_object(manager, MP_OBJECT_BARRIER, &options, out);
    return rc == MP_OK ? mp_managed_barrier_wait(*out, NULL, -1) : rc;
}

static mp_rc_t for_a_notice(mp_manager_t *manager, mp_object_t **out)
{
    *out = named(manager, MP_OBJECT_CONDITION, "condition");
    mp_rc_t rc = mp_managed_condition_acquire(*out, NULL, LONG_MS);
    return rc == MP_OK ? mp_managed_condition_wait(*out, -1) : rc;
}

static mp_rc_t for_a_unit(mp_manager_t *manager, mp_object_t **out)
{
    *out = named(manager, MP_OBJECT_SEMAPHORE, "unit");
    return mp_managed_semaphore_acquire(*out, -1);
}

static wait_t *const waits[] = {for_a_lock,   for_an_item, for_the_end,  for_an_event, for_a_key,
                                for_a_change, for_others,  for_a_notice, for_a_unit};
enum { WAITS = sizeof waits / sizeof *waits };

/* How many wait for something, by what the manager tells of its objects. */
static size_t waiting(mp_manager_t *manager)
{
    mp_tree_t *all = NULL;
    size_t sum = 0;
    OK(mp_manager_objects(manager, &all, LONG_MS));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(all); i++)
        sum += mp_tree_len(mp_tree_get(mp_tree_at(all, i), "waiting"));
    mp_tree_destroy(&all);
    return sum;
}

/* What they wait for isn't lost without a word: not even if the wait was for ever. */
START_TEST(waits_end_with_the_broker)
{
    mp_manager_t *manager = begin();
    mp_object_t *lock = named(manager, MP_OBJECT_LOCK, "lock");
    mp_object_t *unit = named(manager, MP_OBJECT_SEMAPHORE, "unit");
    mp_object_t *work = named(manager, MP_OBJECT_JOINABLE_QUEUE, "work");
    mp_object_t *object = NULL;
    pid_t pids[WAITS];
    int status = 0;
    for (int i = 0; i < WAITS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) { /* only returns what it was told */
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            keep_sleep_us(200000);
            _exit(-waits[i](manager_of(), &object));
        }
    }
    OK(mp_managed_lock_acquire(lock, NULL, LONG_MS));
    OK(mp_managed_semaphore_acquire(unit, LONG_MS));
    OK(mp_managed_queue_put(work, MP_V(1), LONG_MS));
    UNTIL(waiting(manager) == WAITS);
    restart(manager, SIGKILL);
    for (int i = 0; i < WAITS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == -MP_EPEERLOST,
                      "wait %d ended with %x", i, (unsigned)status);
    }
    held_something(work);
    ck_assert_uint_eq(waiting(manager), 0);
    mp_object_destroy(&lock);
    mp_object_destroy(&unit);
    mp_object_destroy(&work);
    finish(&manager);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {rows_keep_their_order,
                                  anonymous_objects_are_there_again,
                                  versions_rise,
                                  time_goes_on_while_it_is_away,
                                  units_and_items_that_were_held_are_back,
                                  conditions_and_barriers_work_again,
                                  waits_end_with_the_broker,
                                  NULL};
    return suite_run("keep", tests, 120);
}
