/* test_manager_holds: what processes hold and wait for, and what becomes of it when they die, are
 * stopped, or what they wait for is deleted. Usage: test_manager_holds lane|ipc|tcp|broker */
#include "far_manager.h"

enum { LEASE_MS = 300 };

/* What both sides see without the manager. */
static struct board {
    _Atomic int step;
    _Atomic int count;
    _Atomic uint64_t token;
} * board;

static void set_up(void)
{
    board = shared(sizeof *board);
}

static void stay(void)
{
    for (;;)
        pause();
}

static void stop(pid_t pid)
{
    int status = 0;
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
}

/* ---- names -------------------------------------------------------------------------------------
 */

static void open_by_name(void *arg)
{
    mp_manager_t *manager = arg;
    mp_object_t *dict = NULL, *other = NULL;
    OK(mp_manager_dict(manager, "test_holds.names", &dict));
    OK(mp_dict_set(dict, MP_K("x"), MP_V(1), LONG_MS));
    IS(mp_manager_list(manager, "test_holds.names", &other), MP_EINVAL);
    IS(mp_manager_object(manager, MP_OBJECT_DICT,
                         &(mp_object_options_t){.name = "test_holds.names", .only_new = true},
                         &other),
       MP_EEXIST);
    IS(mp_manager_object(manager, MP_OBJECT_DICT,
                         &(mp_object_options_t){.name = "test_holds.none", .only_open = true},
                         &other),
       MP_ENOTFOUND);
    ck_assert_ptr_null(other);
}

START_TEST(names_last_until_they_are_deleted)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = NULL, *again = NULL;
    far_one_t other;
    far_start(&other, open_by_name, manager);
    far_join(&other);
    OK(mp_manager_dict(manager, "test_holds.names", &dict));
    ck_assert_int_eq(number_at(dict, "x"), 1);
    OK(mp_object_delete(dict, LONG_MS));
    IS(mp_dict_set(dict, MP_K("x"), MP_V(2), LONG_MS), MP_ENOTFOUND);
    OK(mp_manager_dict(manager, "test_holds.names", &again));
    ck_assert_uint_ne(mp_object_id(again), mp_object_id(dict));
    IS(mp_dict_set(dict, MP_K("x"), MP_V(2), LONG_MS), MP_ENOTFOUND);
    size_t len = 1;
    OK(mp_dict_len(again, &len, LONG_MS));
    ck_assert_uint_eq(len, 0);
    OK(mp_object_expire(again, 1, LONG_MS));
    UNTIL(!is_seen(manager, mp_object_id(again)));
    mp_object_destroy(&dict);
    mp_object_destroy(&again);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- waits that end ----------------------------------------------------------------------------
 */

enum { WAITS = 8 };

typedef struct scene {
    mp_object_t *lock, *semaphore, *event, *condition, *barrier, *queue, *full, *dict;
} scene_t;

static void make_scene(mp_manager_t *manager, scene_t *self)
{
    mp_object_options_t none = {.value = -1};
    OK(mp_manager_lock(manager, NULL, &self->lock));
    OK(mp_manager_object(manager, MP_OBJECT_SEMAPHORE, &none, &self->semaphore));
    OK(mp_manager_event(manager, NULL, &self->event));
    OK(mp_manager_condition(manager, NULL, NULL, &self->condition));
    OK(mp_manager_barrier(manager, NULL, 2, &self->barrier));
    OK(mp_manager_joinable_queue(manager, NULL, 0, &self->queue));
    OK(mp_manager_joinable_queue(manager, NULL, 1, &self->full));
    OK(mp_manager_dict(manager, NULL, &self->dict));
    OK(mp_managed_lock_acquire(self->lock, NULL, LONG_MS));
    OK(mp_managed_queue_put(self->full, MP_V(1), LONG_MS));
}

static mp_object_t *object_of(const scene_t *self, int i)
{
    mp_object_t *all[WAITS] = {self->lock,    self->semaphore, self->event, self->condition,
                               self->barrier, self->queue,     self->full,  self->dict};
    return all[i];
}

static void end_scene(scene_t *self)
{
    mp_object_t **all[WAITS] = {&self->lock,    &self->semaphore, &self->event, &self->condition,
                                &self->barrier, &self->queue,     &self->full,  &self->dict};
    for (int i = 0; i < WAITS; i++)
        mp_object_destroy(all[i]);
}

static mp_rc_t wait_for(const scene_t *self, int i)
{
    mp_tree_t *out = NULL;
    uint64_t version = stat_of(self->dict).version;
    mp_object_t *object = object_of(self, i);
    switch (i) {
    case 0:
        return mp_managed_lock_acquire(object, NULL, -1);
    case 1:
        return mp_managed_semaphore_acquire(object, -1);
    case 2:
        return mp_managed_event_wait(object, -1);
    case 3:
        OK(mp_managed_condition_acquire(object, NULL, LONG_MS));
        return mp_managed_condition_wait(object, -1);
    case 4:
        return mp_managed_barrier_wait(object, NULL, -1);
    case 5:
        return mp_managed_queue_get(object, &out, -1);
    case 6:
        return mp_managed_queue_put(object, MP_V(2), -1);
    default:
        return mp_object_watch(object, &version, -1);
    }
}

typedef struct waiter {
    const scene_t *scene;
    int which;
} waiter_t;

static void wait_until_deleted(void *arg)
{
    const waiter_t *self = arg;
    IS(wait_for(self->scene, self->which), MP_ENOTFOUND);
}

START_TEST(deleting_ends_every_wait)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    scene_t scene;
    far_one_t others[WAITS];
    waiter_t waiters[WAITS];
    make_scene(manager, &scene);
    for (int i = 0; i < WAITS; i++) {
        waiters[i] = (waiter_t){&scene, i};
        far_start(&others[i], wait_until_deleted, &waiters[i]);
    }
    for (int i = 0; i < WAITS; i++) {
        UNTIL(stat_of(object_of(&scene, i)).waiters == 1);
        OK(mp_object_delete(object_of(&scene, i), LONG_MS));
        far_join(&others[i]);
    }
    end_scene(&scene);
    mp_manager_destroy(&manager);
}
END_TEST

static void change_three_times(void *arg)
{
    mp_object_t *dict = arg;
    for (int i = 1; i <= 3; i++) {
        UNTIL(atomic_load(&board->step) == i);
        OK(mp_dict_set(dict, MP_K("x"), MP_V(i), LONG_MS));
    }
    OK(mp_dict_set(dict, MP_K("y"), MP_V("late"), LONG_MS));
}

START_TEST(changes_of_others_are_seen)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    uint64_t version = stat_of(dict).version, last = version, of_key = 0;
    mp_tree_t *out = NULL;
    far_one_t other;
    IS(mp_object_watch(dict, &version, 0), MP_ETIMEDOUT);
    IS(mp_dict_watch(dict, MP_K("x"), &of_key, 10), MP_ETIMEDOUT);
    IS(mp_dict_wait(dict, MP_K("y"), &out, 10), MP_ETIMEDOUT);
    far_start(&other, change_three_times, dict);
    for (int i = 1; i <= 3; i++) {
        atomic_store(&board->step, i);
        if (i % 2)
            OK(mp_object_watch(dict, &version, LONG_MS));
        OK(mp_dict_watch(dict, MP_K("x"), &of_key, LONG_MS));
        ck_assert(i % 2 == 0 || version > last);
        last = version = of_key;
        ck_assert_int_eq(number_at(dict, "x"), i);
    }
    OK(mp_dict_wait(dict, MP_K("y"), &out, LONG_MS));
    ck_assert_str_eq(mp_tree_str_or(out, ""), "late");
    mp_tree_destroy(&out);
    far_join(&other);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- locks and their kin -----------------------------------------------------------------------
 */

static void count_with_a_lock(void *arg)
{
    scene_t *scene = arg;
    uint64_t last = 0, token = 0;
    for (int i = 0; i < 100; i++) {
        OK(mp_managed_lock_acquire(scene->lock, &token, LONG_MS));
        ck_assert_uint_gt(token, last);
        last = token;
        int count = atomic_load(&board->count);
        sched_yield();
        atomic_store(&board->count, count + 1);
        OK(mp_managed_lock_release(scene->lock, LONG_MS));
    }
}

START_TEST(a_lock_is_one_process_at_a_time)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    scene_t scene = {.lock = NULL};
    far_one_t others[3];
    bool is = true;
    OK(mp_manager_lock(manager, NULL, &scene.lock));
    for (int i = 0; i < 3; i++)
        far_start(&others[i], count_with_a_lock, &scene);
    for (int i = 0; i < 3; i++)
        far_join(&others[i]);
    ck_assert_int_eq(atomic_load(&board->count), 300);
    IS(mp_managed_lock_release(scene.lock, LONG_MS), MP_ENOTOWNER);
    OK(mp_managed_lock_locked(scene.lock, &is, LONG_MS));
    ck_assert(!is);
    OK(mp_managed_lock_acquire(scene.lock, NULL, 0));
    IS(mp_managed_lock_acquire(scene.lock, NULL, LONG_MS), MP_EDEADLOCK);
    OK(mp_managed_lock_locked(scene.lock, &is, LONG_MS));
    ck_assert(is);
    mp_object_destroy(&scene.lock);
    mp_manager_destroy(&manager);
}
END_TEST

static void try_in_vain(void *arg)
{
    IS(mp_managed_lock_acquire(arg, NULL, 0), MP_ETIMEDOUT);
    IS(mp_managed_lock_acquire(arg, NULL, 20), MP_ETIMEDOUT);
    IS(mp_managed_lock_release(arg, LONG_MS), MP_ENOTOWNER);
}

START_TEST(an_rlock_counts)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *lock = NULL;
    uint64_t tokens[2] = {0};
    far_one_t other;
    OK(mp_manager_rlock(manager, NULL, &lock));
    OK(mp_managed_lock_acquire(lock, &tokens[0], LONG_MS));
    OK(mp_managed_lock_acquire(lock, &tokens[1], LONG_MS));
    ck_assert_uint_eq(tokens[0], tokens[1]);
    OK(mp_managed_lock_release(lock, LONG_MS));
    far_start(&other, try_in_vain, lock);
    far_join(&other);
    OK(mp_managed_lock_release(lock, LONG_MS));
    IS(mp_managed_lock_release(lock, LONG_MS), MP_ENOTOWNER);
    mp_object_destroy(&lock);
    mp_manager_destroy(&manager);
}
END_TEST

static void take_units(void *arg)
{
    mp_object_t **both = arg;
    IS(mp_managed_semaphore_acquire(both[0], 20), MP_ETIMEDOUT);
    atomic_store(&board->step, 1);
    OK(mp_managed_semaphore_acquire(both[0], LONG_MS));
    OK(mp_managed_event_wait(both[1], LONG_MS));
    OK(mp_managed_semaphore_release(both[0], LONG_MS));
}

START_TEST(semaphores_and_events)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *both[2] = {NULL}, *bounded = NULL;
    int64_t value = 0;
    bool is = true;
    far_one_t other;
    OK(mp_manager_semaphore(manager, NULL, 2, &both[0]));
    OK(mp_manager_event(manager, NULL, &both[1]));
    OK(mp_manager_bounded_semaphore(manager, NULL, 1, &bounded));
    OK(mp_managed_semaphore_acquire(both[0], LONG_MS));
    OK(mp_managed_semaphore_acquire(both[0], LONG_MS));
    far_start(&other, take_units, both);
    UNTIL(atomic_load(&board->step) == 1);
    OK(mp_managed_semaphore_release(both[0], LONG_MS));
    UNTIL(stat_of(both[1]).waiters == 1);
    IS(mp_managed_event_wait(both[1], 20), MP_ETIMEDOUT);
    OK(mp_managed_event_set(both[1], LONG_MS));
    OK(mp_managed_event_clear(both[1], LONG_MS));
    far_join(&other);
    OK(mp_managed_event_is_set(both[1], &is, LONG_MS));
    ck_assert(!is);
    OK(mp_managed_semaphore_value(both[0], &value, LONG_MS));
    ck_assert_int_eq(value, 1);
    IS(mp_managed_semaphore_release(bounded, LONG_MS), MP_ERANGE);
    mp_object_destroy(&both[0]);
    mp_object_destroy(&both[1]);
    mp_object_destroy(&bounded);
    mp_manager_destroy(&manager);
}
END_TEST

static bool step_is_two(void *arg)
{
    (void)arg;
    return atomic_load(&board->step) == 2;
}

static void wait_for_two(void *arg)
{
    OK(mp_managed_condition_acquire(arg, NULL, LONG_MS));
    OK(mp_managed_condition_wait_for(arg, step_is_two, NULL, LONG_MS));
    atomic_fetch_add(&board->count, 1);
    OK(mp_managed_condition_release(arg, LONG_MS));
}

static void sleep_once(void *arg)
{
    OK(mp_managed_condition_acquire(arg, NULL, LONG_MS));
    OK(mp_managed_condition_wait(arg, -1));
    OK(mp_managed_condition_release(arg, LONG_MS));
}

START_TEST(conditions_wake_who_waits)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *condition = NULL, *lock = NULL;
    far_one_t others[2];
    OK(mp_manager_lock(manager, NULL, &lock));
    OK(mp_manager_condition(manager, NULL, lock, &condition));
    for (int i = 0; i < 2; i++)
        far_start(&others[i], wait_for_two, condition);
    for (int i = 1; i <= 2; i++) {
        UNTIL(stat_of(condition).waiters == 2);
        OK(mp_managed_condition_acquire(condition, NULL, LONG_MS));
        atomic_store(&board->step, i);
        OK(mp_managed_condition_notify_all(condition, LONG_MS));
        OK(mp_managed_condition_release(condition, LONG_MS));
    }
    for (int i = 0; i < 2; i++)
        far_join(&others[i]);
    IS(mp_managed_condition_notify(condition, 1, LONG_MS), MP_ENOTOWNER);
    IS(mp_managed_condition_wait(condition, LONG_MS), MP_ENOTOWNER);
    OK(mp_managed_lock_acquire(lock, NULL, LONG_MS));
    IS(mp_managed_condition_wait(condition, 20), MP_ETIMEDOUT);
    OK(mp_managed_condition_release(condition, LONG_MS));
    mp_object_destroy(&condition);
    mp_object_destroy(&lock);
    mp_manager_destroy(&manager);
}
END_TEST

START_TEST(a_killed_waiter_takes_no_notification)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *condition = NULL;
    far_one_t first, second;
    OK(mp_manager_condition(manager, NULL, NULL, &condition));
    far_start(&first, sleep_once, condition);
    UNTIL(stat_of(condition).waiters == 1);
    far_start(&second, sleep_once, condition);
    UNTIL(stat_of(condition).waiters == 2);
    far_kill(&first);
    UNTIL(stat_of(condition).waiters == 1);
    OK(mp_managed_condition_acquire(condition, NULL, LONG_MS));
    OK(mp_managed_condition_notify(condition, 1, LONG_MS));
    OK(mp_managed_condition_release(condition, LONG_MS));
    far_join(&second);
    mp_object_destroy(&condition);
    mp_manager_destroy(&manager);
}
END_TEST

static void meet(void *arg)
{
    int index = -1;
    OK(mp_managed_barrier_wait(arg, &index, LONG_MS));
    ck_assert_int_ge(index, 0);
    atomic_fetch_or(&board->count, 1 << index);
}

static void find_it_broken(void *arg)
{
    IS(mp_managed_barrier_wait(arg, NULL, -1), MP_EBROKEN);
}

static void wait_there(void *arg)
{
    (void)mp_managed_barrier_wait(arg, NULL, -1);
}

START_TEST(barriers_are_met_and_broken)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *barrier = NULL;
    mp_managed_barrier_stat_t stat;
    far_one_t others[2];
    OK(mp_manager_barrier(manager, NULL, 3, &barrier));
    for (int i = 0; i < 2; i++)
        far_start(&others[i], meet, barrier);
    meet(barrier);
    for (int i = 0; i < 2; i++)
        far_join(&others[i]);
    ck_assert_int_eq(atomic_load(&board->count), 7);
    far_start(&others[0], find_it_broken, barrier);
    far_start(&others[1], wait_there, barrier);
    UNTIL(stat_of(barrier).waiters == 2);
    OK(mp_managed_barrier_stat(barrier, &stat, LONG_MS));
    ck_assert(stat.parties == 3 && stat.n_waiting == 2 && !stat.broken);
    far_kill(&others[1]);
    far_join(&others[0]);
    IS(mp_managed_barrier_wait(barrier, NULL, LONG_MS), MP_EBROKEN);
    OK(mp_managed_barrier_reset(barrier, LONG_MS));
    IS(mp_managed_barrier_wait(barrier, NULL, 20), MP_ETIMEDOUT);
    IS(mp_managed_barrier_wait(barrier, NULL, LONG_MS), MP_EBROKEN);
    OK(mp_managed_barrier_reset(barrier, LONG_MS));
    OK(mp_managed_barrier_abort(barrier, LONG_MS));
    OK(mp_managed_barrier_stat(barrier, &stat, LONG_MS));
    ck_assert(stat.broken);
    mp_object_destroy(&barrier);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- death -------------------------------------------------------------------------------------
 */

static void hold_all(void *arg)
{
    scene_t *scene = arg;
    mp_tree_t *out = NULL;
    uint64_t token = 0;
    OK(mp_managed_lock_acquire(scene->lock, &token, LONG_MS));
    OK(mp_managed_condition_acquire(scene->condition, NULL, LONG_MS));
    OK(mp_managed_semaphore_acquire(scene->semaphore, LONG_MS));
    OK(mp_managed_queue_get(scene->queue, &out, LONG_MS));
    atomic_store(&board->token, token);
    atomic_store(&board->step, 1);
    stay();
}

static void is_free_again(scene_t *scene)
{
    uint64_t token = 0;
    mp_item_t item = {0};
    IS(mp_managed_lock_acquire(scene->lock, &token, LONG_MS), MP_EOWNERDEAD);
    ck_assert_uint_gt(token, atomic_load(&board->token));
    OK(mp_managed_lock_release(scene->lock, LONG_MS));
    OK(mp_managed_lock_acquire(scene->lock, NULL, LONG_MS));
    IS(mp_managed_condition_acquire(scene->condition, NULL, LONG_MS), MP_EOWNERDEAD);
    OK(mp_managed_condition_release(scene->condition, LONG_MS));
    OK(mp_managed_semaphore_acquire(scene->semaphore, LONG_MS));
    IS(mp_managed_semaphore_acquire(scene->semaphore, 0), MP_ETIMEDOUT);
    for (int i = 1; i <= 2; i++) {
        OK(mp_managed_queue_get_item(scene->queue, &item, LONG_MS));
        ck_assert(item.redelivered == (i == 1) && item.kind == MP_ITEM_TREE);
        mp_item_clear(&item);
        OK(mp_managed_queue_task_done(scene->queue, LONG_MS));
    }
    OK(mp_managed_queue_join(scene->queue, 0));
}

START_TEST(what_the_killed_held_is_free)
{
    /* On one host that is seen at once, not after a lease. */
    mp_manager_t *manager =
        new_manager((mp_manager_options_t){.lease_ms = far_is("tcp") ? 0 : 10 * LONG_MS});
    scene_t scene = {.lock = NULL};
    far_one_t other;
    OK(mp_manager_lock(manager, NULL, &scene.lock));
    OK(mp_manager_condition(manager, NULL, NULL, &scene.condition));
    OK(mp_manager_semaphore(manager, NULL, 1, &scene.semaphore));
    OK(mp_manager_joinable_queue(manager, NULL, 0, &scene.queue));
    OK(mp_managed_queue_put(scene.queue, MP_V(1), LONG_MS));
    OK(mp_managed_queue_put(scene.queue, MP_V(2), LONG_MS));
    far_start(&other, hold_all, &scene);
    UNTIL(atomic_load(&board->step) == 1);
    far_kill(&other);
    is_free_again(&scene);
    mp_object_destroy(&scene.lock);
    mp_object_destroy(&scene.condition);
    mp_object_destroy(&scene.semaphore);
    mp_object_destroy(&scene.queue);
    mp_manager_destroy(&manager);
}
END_TEST

static void get_one_and_exit(void *arg)
{
    mp_tree_t *out = NULL;
    OK(mp_managed_queue_get(arg, &out, LONG_MS));
    mp_tree_destroy(&out);
}

START_TEST(who_ends_normally_has_finished_its_item)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *queue = new_object(manager, MP_OBJECT_QUEUE);
    mp_tree_t *out = NULL;
    far_one_t other;
    OK(mp_managed_queue_put(queue, MP_V(1), LONG_MS));
    far_start(&other, get_one_and_exit, queue);
    far_join(&other);
    UNTIL(stat_of(queue).handles == 1);
    IS(mp_managed_queue_get(queue, &out, 0), MP_EEMPTY);
    mp_object_destroy(&queue);
    mp_manager_destroy(&manager);
}
END_TEST

static void make_one_and_stay(void *arg)
{
    mp_object_t *dict = new_object(arg, MP_OBJECT_DICT);
    atomic_store(&board->token, mp_object_id(dict));
    atomic_store(&board->step, 1);
    stay();
}

START_TEST(objects_end_with_their_last_handle)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT), *copy = NULL;
    mp_object_t *kept = new_object(manager, MP_OBJECT_LIST);
    uint64_t id = mp_object_id(dict);
    far_one_t other;
    OK(mp_object_copy(dict, &copy));
    far_start(&other, make_one_and_stay, manager);
    UNTIL(atomic_load(&board->step) == 1);
    ck_assert(is_seen(manager, atomic_load(&board->token)));
    far_kill(&other);
    mp_object_destroy(&dict);
    OK(mp_dict_set(copy, MP_K("x"), MP_V(1), LONG_MS));
    mp_object_destroy(&copy);
    UNTIL(!is_seen(manager, id));
    UNTIL(!is_seen(manager, atomic_load(&board->token)));
    ck_assert(is_seen(manager, mp_object_id(kept)));
    mp_object_destroy(&kept);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- leases ------------------------------------------------------------------------------------
 */

typedef struct leader {
    mp_object_t *lock, *dict, *log;
} leader_t;

static void lead(void *arg)
{
    leader_t *self = arg;
    uint64_t token = 0;
    OK(mp_managed_lock_acquire(self->lock, &token, LONG_MS));
    OK(mp_object_guard(self->dict, self->lock));
    OK(mp_dict_set(self->dict, MP_K("leader"), MP_V(1), LONG_MS));
    OK(mp_list_append(self->log, MP_V(1), LONG_MS));
    atomic_store(&board->token, token);
    atomic_store(&board->step, 1);
    UNTIL(atomic_load(&board->step) == 2);
    IS(mp_dict_set(self->dict, MP_K("leader"), MP_V(9), LONG_MS), MP_ELEASE);
    IS(mp_dict_set(self->dict, MP_K("leader"), MP_V(9), LONG_MS), MP_ESTALE);
    ck_assert_int_eq(number_at(self->dict, "leader"), 2);
    IS(mp_list_append(self->log, MP_V(9), LONG_MS), MP_ELEASE);
    OK(mp_list_append(self->log, MP_V(3), LONG_MS));
    IS(mp_managed_lock_release(self->lock, LONG_MS), MP_ELEASE);
    IS(mp_managed_lock_release(self->lock, LONG_MS), MP_ENOTOWNER);
    IS(mp_object_guard(self->dict, self->lock), MP_ENOTOWNER);
    OK(mp_object_guard(self->dict, NULL));
    OK(mp_dict_set(self->dict, MP_K("late"), MP_V(1), LONG_MS));
}

START_TEST(who_was_stopped_too_long_can_do_no_harm)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){.lease_ms = LEASE_MS});
    leader_t self = {.lock = NULL};
    uint64_t token = 0;
    mp_tree_t *out = NULL;
    far_one_t other;
    OK(mp_manager_lock(manager, NULL, &self.lock));
    self.dict = new_object(manager, MP_OBJECT_DICT);
    self.log = new_object(manager, MP_OBJECT_LIST);
    far_start(&other, lead, &self);
    UNTIL(atomic_load(&board->step) == 1);
    stop(other.pid);
    IS(mp_managed_lock_acquire(self.lock, &token, LONG_MS), MP_EOWNERDEAD);
    ck_assert_uint_gt(token, atomic_load(&board->token));
    OK(mp_object_guard_token(self.dict, self.lock, token));
    OK(mp_dict_set(self.dict, MP_K("leader"), MP_V(2), LONG_MS));
    atomic_store(&board->step, 2);
    ck_assert_int_eq(kill(other.pid, SIGCONT), 0);
    far_join(&other);
    OK(mp_list_copy(self.log, &out, LONG_MS));
    is_json(out, "[1, 3]");
    OK(mp_managed_lock_release(self.lock, LONG_MS));
    IS(mp_dict_set(self.dict, MP_K("leader"), MP_V(2), LONG_MS), MP_ESTALE);
    mp_object_destroy(&self.lock);
    mp_object_destroy(&self.dict);
    mp_object_destroy(&self.log);
    mp_manager_destroy(&manager);
}
END_TEST

static void sleep_with_a_lock(void *arg)
{
    OK(mp_managed_lock_acquire(arg, NULL, LONG_MS));
    atomic_store(&board->step, 1);
    UNTIL(atomic_load(&board->step) == 2);
    OK(mp_managed_lock_release(arg, LONG_MS));
}

/* Its threads may do what they like: the library shows that it lives. */
START_TEST(who_is_only_busy_keeps_its_lock)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){.lease_ms = LEASE_MS});
    mp_object_t *lock = new_object(manager, MP_OBJECT_LOCK);
    far_one_t other;
    far_start(&other, sleep_with_a_lock, lock);
    UNTIL(atomic_load(&board->step) == 1);
    IS(mp_managed_lock_acquire(lock, NULL, 5 * LEASE_MS), MP_ETIMEDOUT);
    atomic_store(&board->step, 2);
    OK(mp_managed_lock_acquire(lock, NULL, LONG_MS));
    far_join(&other);
    mp_object_destroy(&lock);
    mp_manager_destroy(&manager);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {names_last_until_they_are_deleted,
                                  deleting_ends_every_wait,
                                  changes_of_others_are_seen,
                                  a_lock_is_one_process_at_a_time,
                                  an_rlock_counts,
                                  semaphores_and_events,
                                  conditions_wake_who_waits,
                                  a_killed_waiter_takes_no_notification,
                                  barriers_are_met_and_broken,
                                  what_the_killed_held_is_free,
                                  who_ends_normally_has_finished_its_item,
                                  objects_end_with_their_last_handle,
                                  who_was_stopped_too_long_can_do_no_harm,
                                  who_is_only_busy_keeps_its_lock,
                                  NULL};
    return far_main(argc, argv, set_up, tests, 60);
}
