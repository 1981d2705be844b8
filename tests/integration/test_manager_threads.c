/* test_manager_threads: many threads of one process at one manager. One of them looks out for the
 * others, and each ends with what is its own, when that comes.
 * Usage: test_manager_threads lane|ipc|tcp|broker */
#include "far_manager.h"

enum { EACH = 8, CROWD = 32, ROUNDS = 100, HASTY_MS = 50 };

static struct board {
    _Atomic int step;
    _Atomic int ended; /* of those who wait for an item */
    _Atomic int hasty_ended;
    _Atomic int asked;
} * board;

static void set_up(void)
{
    board = shared(sizeof *board);
}

static void run_all(pthread_t *threads, int count, void *(*run)(void *), void *arg)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, arg), 0);
}

static void join_all(const pthread_t *threads, int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

/* ---- who looks out goes ------------------------------------------------------------------------
 */

typedef struct scene {
    mp_object_t *nothing, *items; /* queues */
    int hasty_ms;
    mp_rc_t hasty_rc;
} scene_t;

static void *be_hasty(void *arg)
{
    const scene_t *self = arg;
    mp_tree_t *out = NULL;
    IS(mp_managed_queue_get(self->nothing, &out, self->hasty_ms), self->hasty_rc);
    mp_tree_destroy(&out);
    atomic_fetch_add(&board->hasty_ended, 1);
    return NULL;
}

static void *be_patient(void *arg)
{
    const scene_t *self = arg;
    mp_tree_t *out = NULL;
    OK(mp_managed_queue_get(self->items, &out, -1));
    mp_tree_destroy(&out);
    atomic_fetch_add(&board->ended, 1);
    return NULL;
}

/* The hasty come first, so that one of them looks out. */
static void wait_in_two_ways(void *arg)
{
    pthread_t hasty[EACH], patient[EACH];
    run_all(hasty, EACH, be_hasty, arg);
    UNTIL(atomic_load(&board->step) == 1);
    run_all(patient, EACH, be_patient, arg);
    join_all(hasty, EACH);
    join_all(patient, EACH);
}

/* One at a time, as whoever gets it may be who looks out. */
static void serve_the_patient(const scene_t *scene)
{
    for (int i = 0; i < EACH; i++) {
        OK(mp_managed_queue_put(scene->items, MP_V(i), LONG_MS));
        UNTIL(atomic_load(&board->ended) == i + 1);
    }
    ck_assert_int_eq((int)stat_of(scene->items).items, 0);
}

static scene_t new_scene(mp_manager_t *manager, int hasty_ms, mp_rc_t hasty_rc)
{
    return (scene_t){.nothing = new_object(manager, MP_OBJECT_QUEUE),
                     .items = new_object(manager, MP_OBJECT_QUEUE),
                     .hasty_ms = hasty_ms,
                     .hasty_rc = hasty_rc};
}

static void end_scene(scene_t *scene, mp_manager_t *manager)
{
    mp_object_destroy(&scene->nothing);
    mp_object_destroy(&scene->items);
    mp_manager_destroy(&manager);
}

START_TEST(who_is_answered_leaves_the_wheel_to_another)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    scene_t scene = new_scene(manager, -1, MP_OK);
    far_one_t other;
    far_start(&other, wait_in_two_ways, &scene);
    UNTIL(stat_of(scene.nothing).waiters == EACH);
    atomic_store(&board->step, 1);
    UNTIL(stat_of(scene.items).waiters == EACH);
    for (int i = 0; i < EACH; i++) {
        OK(mp_managed_queue_put(scene.nothing, MP_V(i), LONG_MS));
        UNTIL(atomic_load(&board->hasty_ended) == i + 1);
        ck_assert_int_eq(atomic_load(&board->ended), 0);
    }
    serve_the_patient(&scene);
    far_join(&other);
    end_scene(&scene, manager);
}
END_TEST

START_TEST(who_gets_nothing_leaves_the_wheel_to_another)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    scene_t scene = new_scene(manager, HASTY_MS, MP_EEMPTY);
    far_one_t other;
    far_start(&other, wait_in_two_ways, &scene);
    atomic_store(&board->step, 1);
    UNTIL(stat_of(scene.items).waiters == EACH && atomic_load(&board->hasty_ended) == EACH);
    serve_the_patient(&scene);
    far_join(&other);
    end_scene(&scene, manager);
}
END_TEST

/* Where it would be lost before long, on tcp, they aren't asked. */
START_TEST(who_gives_up_leaves_the_wheel_to_another)
{
    if (!is_ours() || far_is("tcp"))
        return;
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    scene_t scene = new_scene(manager, 0, MP_ETIMEDOUT);
    far_one_t other;
    int status;
    pid_t pid = mp_manager_pid(manager);
    OK(mp_managed_queue_put(scene.items, MP_V(0), LONG_MS)); /* connected */
    mp_tree_t *out = NULL;
    OK(mp_managed_queue_get(scene.items, &out, LONG_MS));
    mp_tree_destroy(&out);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    far_start(&other, wait_in_two_ways, &scene);
    atomic_store(&board->step, 1);
    UNTIL(atomic_load(&board->hasty_ended) == EACH);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    UNTIL(stat_of(scene.items).waiters == EACH);
    serve_the_patient(&scene);
    far_join(&other);
    end_scene(&scene, manager);
}
END_TEST

/* ---- all at once -------------------------------------------------------------------------------
 */

typedef struct crowd {
    mp_object_t *dict, *queue, *lock;
    _Atomic int next, got, held;
} crowd_t;

static void set_and_get(const crowd_t *self, int who, int round)
{
    char key[16];
    mp_tree_t *out = NULL;
    snprintf(key, sizeof key, "%d", who);
    OK(mp_dict_set(self->dict, MP_K(key), MP_V(round), LONG_MS));
    OK(mp_dict_get(self->dict, MP_K(key), &out, LONG_MS));
    ck_assert_int_eq(is_int(out), round);
}

static void get_if_any(crowd_t *self, int timeout_ms)
{
    mp_tree_t *out = NULL;
    mp_rc_t rc = mp_managed_queue_get(self->queue, &out, timeout_ms);
    ck_assert_msg(rc == MP_OK || rc == MP_EEMPTY, "%s (%s)", mp_errname(rc), mp_errmsg());
    if (rc == MP_OK)
        atomic_fetch_add(&self->got, 1);
    mp_tree_destroy(&out);
}

static void hold_if_free(crowd_t *self, int timeout_ms)
{
    mp_rc_t rc = mp_managed_lock_acquire(self->lock, NULL, timeout_ms);
    ck_assert_msg(rc == MP_OK || rc == MP_ETIMEDOUT, "%s (%s)", mp_errname(rc), mp_errmsg());
    if (rc != MP_OK)
        return;
    ck_assert_int_eq(atomic_fetch_add(&self->held, 1), 0);
    atomic_fetch_sub(&self->held, 1);
    OK(mp_managed_lock_release(self->lock, LONG_MS));
}

/* Every fourth puts an item in each of its rounds, for all others. */
static void *be_one_of_many(void *arg)
{
    crowd_t *self = arg;
    int who = atomic_fetch_add(&self->next, 1);
    for (int i = 0; i < ROUNDS; i++) {
        set_and_get(self, who, i);
        if (who % 4 == 0)
            OK(mp_managed_queue_put(self->queue, MP_V(i), LONG_MS));
        else if (who % 4 == 1)
            get_if_any(self, i % 4);
        else if (who % 4 == 2)
            hold_if_free(self, i % 3);
    }
    return NULL;
}

static void crowd(void *arg)
{
    crowd_t *self = arg;
    pthread_t threads[CROWD];
    run_all(threads, CROWD, be_one_of_many, self);
    join_all(threads, CROWD);
    mp_object_stat_t stat = stat_of(self->queue);
    ck_assert_int_eq((int)stat.items + atomic_load(&self->got), CROWD / 4 * ROUNDS);
    ck_assert_int_eq((int)stat.waiters, 0);
}

START_TEST(each_call_has_its_own_answer)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    crowd_t self = {.dict = new_object(manager, MP_OBJECT_DICT),
                    .queue = new_object(manager, MP_OBJECT_QUEUE),
                    .lock = new_object(manager, MP_OBJECT_LOCK)};
    far_one_t other;
    far_start(&other, crowd, &self);
    far_join(&other);
    mp_object_destroy(&self.dict);
    mp_object_destroy(&self.queue);
    mp_object_destroy(&self.lock);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- a manager that dies -----------------------------------------------------------------------
 */

static void is_told(mp_rc_t rc)
{
    ck_assert_msg(rc == MP_EPEERLOST || rc == MP_ECONNECT, "%s", mp_errname(rc));
}

static void *wait_until_it_dies(void *arg)
{
    const crowd_t *self = arg;
    mp_tree_t *out = NULL;
    is_told(mp_managed_queue_get(self->queue, &out, -1));
    return NULL;
}

static void *ask_until_it_dies(void *arg)
{
    const crowd_t *self = arg;
    mp_rc_t rc;
    do {
        rc = mp_dict_set(self->dict, MP_K("x"), MP_V(1), LONG_MS);
        atomic_fetch_add(&board->asked, rc == MP_OK);
    } while (rc == MP_OK);
    is_told(rc);
    return NULL;
}

static void lose_it(void *arg)
{
    pthread_t waiting[CROWD], asking[EACH];
    run_all(waiting, CROWD, wait_until_it_dies, arg);
    run_all(asking, EACH, ask_until_it_dies, arg);
    join_all(waiting, CROWD);
    join_all(asking, EACH);
}

START_TEST(all_are_told_that_it_died)
{
    if (!is_ours())
        return;
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    crowd_t self = {.dict = new_object(manager, MP_OBJECT_DICT),
                    .queue = new_object(manager, MP_OBJECT_QUEUE)};
    far_one_t other;
    far_start(&other, lose_it, &self);
    UNTIL(stat_of(self.queue).waiters == CROWD && atomic_load(&board->asked) > ROUNDS);
    ck_assert_int_eq(kill(mp_manager_pid(manager), SIGKILL), 0);
    far_join(&other);
    mp_object_destroy(&self.dict);
    mp_object_destroy(&self.queue);
    mp_manager_destroy(&manager);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {who_is_answered_leaves_the_wheel_to_another,
                                  who_gets_nothing_leaves_the_wheel_to_another,
                                  who_gives_up_leaves_the_wheel_to_another,
                                  each_call_has_its_own_answer,
                                  all_are_told_that_it_died,
                                  NULL};
    return far_main(argc, argv, set_up, tests, 60);
}
