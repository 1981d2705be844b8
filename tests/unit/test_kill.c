/* kill -9 of whoever holds or waits for something, started in each way: what the others get,
 * and how soon. The time is printed, not judged: only that an answer comes. */
#include "clock.h"
#include "suite.h"

#include <mp/mp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 20000, METHODS = 3 };

static const mp_method_t methods[METHODS] = {MP_FORK, MP_SPAWN, MP_FORKSERVER};

/* All that the victim may want; it opens what its role needs. */
typedef struct scene {
    mp_ref_t ready; /* event: set when the victim is where it is to be killed */
    mp_ref_t lock;
    mp_ref_t semaphore;
    mp_ref_t condition;
    mp_ref_t event;
    mp_ref_t barrier;
    mp_ref_t array;
    char block[MP_SHARED_MEMORY_NAME_MAX + 1];
} scene_t;

static void is_ready(const scene_t *scene)
{
    mp_event_t *ready = NULL;
    if (mp_event_open(&scene->ready, &ready) != MP_OK)
        _exit(90);
    mp_event_set(ready);
}

static void stay(void)
{
    for (;;)
        pause();
}

static void require(bool fine)
{
    if (!fine)
        _exit(91);
}

MP_TARGET(holds_lock, scene_t)
{
    mp_lock_t *lock = NULL;
    require(mp_lock_open(&self->lock, &lock) == MP_OK && mp_lock_acquire(lock, -1) == MP_OK);
    is_ready(self);
    stay();
    return 0;
}

MP_TARGET(waits_for_lock, scene_t)
{
    mp_lock_t *lock = NULL;
    require(mp_lock_open(&self->lock, &lock) == MP_OK);
    is_ready(self);
    (void)mp_lock_acquire(lock, -1);
    return 0;
}

MP_TARGET(holds_unit, scene_t)
{
    mp_semaphore_t *semaphore = NULL;
    require(mp_semaphore_open(&self->semaphore, &semaphore) == MP_OK &&
            mp_semaphore_acquire(semaphore, -1) == MP_OK);
    is_ready(self);
    stay();
    return 0;
}

MP_TARGET(waits_for_unit, scene_t)
{
    mp_semaphore_t *semaphore = NULL;
    require(mp_semaphore_open(&self->semaphore, &semaphore) == MP_OK);
    is_ready(self);
    (void)mp_semaphore_acquire(semaphore, -1);
    return 0;
}

MP_TARGET(holds_condition, scene_t)
{
    mp_condition_t *condition = NULL;
    require(mp_condition_open(&self->condition, &condition) == MP_OK &&
            mp_lock_acquire(mp_condition_lock(condition), -1) == MP_OK);
    is_ready(self);
    stay();
    return 0;
}

MP_TARGET(waits_for_condition, scene_t)
{
    mp_condition_t *condition = NULL;
    require(mp_condition_open(&self->condition, &condition) == MP_OK &&
            mp_lock_acquire(mp_condition_lock(condition), -1) == MP_OK);
    is_ready(self); /* and not before it waits does the lock come free */
    (void)mp_condition_wait(condition, -1);
    return 0;
}

MP_TARGET(waits_for_event, scene_t)
{
    mp_event_t *event = NULL;
    require(mp_event_open(&self->event, &event) == MP_OK);
    is_ready(self);
    (void)mp_event_wait(event, -1);
    return 0;
}

MP_TARGET(waits_at_barrier, scene_t)
{
    mp_barrier_t *barrier = NULL;
    require(mp_barrier_open(&self->barrier, NULL, &barrier) == MP_OK);
    is_ready(self);
    (void)mp_barrier_wait(barrier, -1, NULL);
    return 0;
}

MP_TARGET(writes_array, scene_t)
{
    mp_array_t *array = NULL;
    require(mp_array_open(&self->array, &array) == MP_OK &&
            mp_lock_acquire(mp_array_get_lock(array), -1) == MP_OK);
    memset(mp_array_get_obj(array), 'x', mp_array_len(array) / 2); /* half of it */
    is_ready(self);
    stay();
    return 0;
}

/* It allocates and frees as fast as it can: in its own segments, whatever happens to it. */
MP_TARGET(churns_heap, scene_t)
{
    mp_value_t *values[16] = {NULL};
    is_ready(self);
    for (unsigned i = 0;; i++) {
        mp_value_destroy(&values[i % 16]);
        require(mp_value_new_struct(1 + i % 5000, NULL, NULL, &values[i % 16]) == MP_OK);
    }
    return 0;
}

MP_TARGET(idles, scene_t)
{
    is_ready(self);
    stay();
    return 0;
}

MP_TARGET(owns_block, scene_t)
{
    mp_shared_memory_t *block = NULL;
    require(mp_shared_memory_create(self->block, 4000, &block) == MP_OK);
    is_ready(self);
    stay();
    return 0;
}

/* ---- the stage ------------------------------------------------------------------------------ */

static scene_t scene;
static mp_event_t *ready, *event;
static mp_lock_t *lock;
static mp_semaphore_t *semaphore;
static mp_condition_t *condition;
static mp_barrier_t *barrier;
static mp_array_t *array;
static int64_t killed_at;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    mp_barrier_options_t parties = {.parties = 2};
    ck_assert_int_eq(mp_event_new(&ready), MP_OK);
    ck_assert_int_eq(mp_event_new(&event), MP_OK);
    ck_assert_int_eq(mp_semaphore_new(1, &semaphore), MP_OK);
    ck_assert_int_eq(mp_condition_new(NULL, &condition), MP_OK);
    ck_assert_int_eq(mp_barrier_new(&parties, &barrier), MP_OK);
    ck_assert_int_eq(mp_array_new('c', 1000, NULL, NULL, &array), MP_OK);
    mp_event_ref(ready, &scene.ready);
    mp_event_ref(event, &scene.event);
    mp_semaphore_ref(semaphore, &scene.semaphore);
    mp_condition_ref(condition, &scene.condition);
    mp_barrier_ref(barrier, &scene.barrier);
    mp_array_ref(array, &scene.array);
    snprintf(scene.block, sizeof scene.block, "kill-%d", (int)getpid());
}

static mp_process_t *start(const mp_target_t *target, mp_method_t method)
{
    mp_process_t *process = NULL;
    mp_process_options_t options = {.registered = target, .item = &scene, .method = method};
    mp_event_clear(ready);
    ck_assert_msg(mp_process_new(&options, &process) == MP_OK, "%s", mp_errmsg());
    ck_assert_msg(mp_process_start(process) == MP_OK, "%s", mp_errmsg());
    ck_assert_int_eq(mp_event_wait(ready, LONG_MS), MP_OK);
    return process;
}

/* In the state that its role leads to: asleep. */
static void until_asleep(const mp_process_t *process)
{
    char path[32], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)mp_process_pid(process));
    do {
        FILE *file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        fclose(file);
        usleep(500);
    } while (strrchr(line, ')')[2] != 'S');
}

static void end(mp_process_t **process)
{
    int code = 0;
    killed_at = mpx_now();
    ck_assert_int_eq(mp_process_kill(*process), MP_OK);
    ck_assert_int_eq(mp_process_join(*process, LONG_MS), MP_OK);
    ck_assert_int_eq(mp_process_exitcode(*process, &code), MP_OK);
    ck_assert_int_eq(code, -SIGKILL);
    mp_process_destroy(process);
}

static void tell(const char *victim, const char *answer, int method)
{
    printf("  %-28s %-11s %-42s %7.2f ms\n", victim, mp_method_name(methods[method]), answer,
           (double)(mpx_now() - killed_at) / 1e6);
    fflush(stdout);
}

/* ---- the acts ------------------------------------------------------------------------------- */

static void lock_act(const char *name, int method)
{
    char victim[64];
    mp_lock_ref(lock, &scene.lock);
    mp_process_t *holder = start(&holds_lock, methods[method]);
    mp_process_t *waiter = start(&waits_for_lock, methods[method]);
    until_asleep(waiter);
    end(&waiter);
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_ETIMEDOUT);
    end(&holder);
    ck_assert_int_eq(mp_lock_acquire(lock, LONG_MS), MP_EOWNERDEAD);
    snprintf(victim, sizeof victim, "holder of a %s", name);
    tell(victim, "next acquire: MP_EOWNERDEAD, it has it", method);
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    waiter = start(&waits_for_lock, methods[method]); /* gets it, and ends with it */
    ck_assert_int_eq(mp_process_join(waiter, LONG_MS), MP_OK);
    mp_process_destroy(&waiter);
    ck_assert_int_eq(mp_lock_acquire(lock, LONG_MS), MP_EOWNERDEAD);
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    mp_lock_destroy(&lock);
}

START_TEST(locks)
{
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    lock_act("Lock", _i);
    ck_assert_int_eq(mp_rlock_new(&lock), MP_OK);
    lock_act("RLock", _i);
}
END_TEST

START_TEST(semaphores)
{
    mp_process_t *holder = start(&holds_unit, methods[_i]);
    mp_process_t *waiter = start(&waits_for_unit, methods[_i]);
    until_asleep(waiter);
    end(&waiter);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_ETIMEDOUT);
    end(&holder);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, LONG_MS), MP_OK);
    tell("holder of a Semaphore's unit", "next acquire: MP_OK, the unit is back", _i);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_ETIMEDOUT);
}
END_TEST

START_TEST(conditions)
{
    mp_lock_t *its = mp_condition_lock(condition);
    mp_process_t *dead = start(&waits_for_condition, methods[_i]);
    ck_assert_int_eq(mp_lock_acquire(its, LONG_MS), MP_OK); /* it waits */
    ck_assert_int_eq(mp_lock_release(its), MP_OK);
    mp_process_t *lives = start(&waits_for_condition, methods[_i]);
    end(&dead);
    ck_assert_int_eq(mp_lock_acquire(its, LONG_MS), MP_OK);
    ck_assert_int_eq(mp_condition_notify(condition, 1), MP_OK);
    tell("waiter of a Condition", "notify(1) goes to the next one", _i);
    ck_assert_int_eq(mp_lock_release(its), MP_OK);
    ck_assert_int_eq(mp_process_join(lives, LONG_MS), MP_OK);
    mp_process_destroy(&lives); /* it ended with the lock, as it woke up */
    ck_assert_int_eq(mp_lock_acquire(its, LONG_MS), MP_EOWNERDEAD);
    ck_assert_int_eq(mp_lock_release(its), MP_OK);
    mp_process_t *holder = start(&holds_condition, methods[_i]);
    end(&holder);
    ck_assert_int_eq(mp_lock_acquire(its, LONG_MS), MP_EOWNERDEAD);
    tell("holder of a Condition's lock", "next acquire: MP_EOWNERDEAD, it has it", _i);
    ck_assert_int_eq(mp_lock_release(its), MP_OK);
}
END_TEST

START_TEST(events)
{
    mp_process_t *dead = start(&waits_for_event, methods[_i]);
    mp_process_t *lives = start(&waits_for_event, methods[_i]);
    until_asleep(dead);
    until_asleep(lives);
    end(&dead);
    mp_event_set(event);
    ck_assert_int_eq(mp_process_join(lives, LONG_MS), MP_OK);
    tell("waiter of an Event", "set wakes the others", _i);
    mp_process_destroy(&lives);
}
END_TEST

START_TEST(barriers)
{
    mp_barrier_t *three = NULL;
    mp_barrier_options_t parties = {.parties = 3};
    mp_process_t *party = start(&waits_at_barrier, methods[_i]);
    while (mp_barrier_n_waiting(barrier) == 0)
        usleep(500);
    end(&party);
    /* We are the last of two: full, were the first one not dead. */
    ck_assert_int_eq(mp_barrier_wait(barrier, LONG_MS, NULL), MP_EBROKEN);
    tell("party in a full Barrier", "the last one: MP_EBROKEN", _i);
    ck_assert_int_eq(mp_barrier_new(&parties, &three), MP_OK);
    mp_barrier_ref(three, &scene.barrier);
    party = start(&waits_at_barrier, methods[_i]);
    while (mp_barrier_n_waiting(three) == 0)
        usleep(500);
    end(&party);
    ck_assert_int_eq(mp_barrier_wait(three, LONG_MS, NULL), MP_EBROKEN);
    tell("party in a Barrier", "those who wait: MP_EBROKEN", _i);
    mp_barrier_destroy(&three);
}
END_TEST

START_TEST(memory)
{
    char item = 0;
    mp_process_t *writer = start(&writes_array, methods[_i]);
    end(&writer);
    ck_assert_int_eq(mp_array_get(array, 0, &item), MP_EOWNERDEAD);
    tell("writer of an Array", "next get: MP_EOWNERDEAD, half is written", _i);
    ck_assert_int_eq(item, 'x');
    ck_assert_int_eq(mp_array_get(array, -1, &item), MP_OK);
    ck_assert_int_eq(item, 0);

    mp_process_t *churner = start(&churns_heap, methods[_i]);
    end(&churner);
    mp_value_t *value = NULL;
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(mp_value_new('i', NULL, NULL, &value), MP_OK);
        mp_value_destroy(&value);
    }
    tell("one busy in the heap", "1000 allocations here go on", _i);

    mp_shared_memory_t *block = NULL;
    mp_process_t *owner = start(&owns_block, methods[_i]);
    ck_assert_int_eq(mp_shared_memory_attach(scene.block, &block), MP_OK);
    end(&owner);
    ck_assert_int_eq(mp_shared_memory_reap(NULL, NULL), MP_OK);
    mp_shared_memory_destroy(&block);
    ck_assert_int_eq(mp_shared_memory_attach(scene.block, &block), MP_OK); /* we had it */
    mp_shared_memory_destroy(&block);
    owner = start(&idles, MP_FORK);
    end(&owner); /* seeing this, its parent clears up */
    ck_assert_int_eq(mp_shared_memory_attach(scene.block, &block), MP_ENOTFOUND);
    tell("owner of a named block", "gone once nobody maps it", _i);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const tests[] = {locks, semaphores, conditions, events, barriers, memory, NULL};
    const TTest *const none[] = {NULL};
    return suite_run_each(setup, "kill", tests, METHODS, none, 60);
}
