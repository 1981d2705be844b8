/* Locks and their kin, between threads, processes, and with the dead. */
#include "child_kit.h"
#include "clock.h"

#include <mp/sync.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 10000, SOON_MS = 50 };

/* What processes of a test tell each other. */
typedef struct board {
    atomic_int steps;
    atomic_int count;
    int plain; /* guarded by what is tested */
    mp_ref_t ref;
} board_t;

static board_t *board;
static mp_lock_t *lock;
static mp_semaphore_t *semaphore;
static mp_condition_t *condition;
static mp_event_t *event;
static mp_barrier_t *barrier;

static void setup(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(board, MAP_FAILED);
}

static void until_steps(int steps)
{
    int64_t end = mpx_now() + LONG_MS * MPX_MS;
    while (atomic_load(&board->steps) < steps) {
        ck_assert_int_lt(mpx_now(), end);
        usleep(500);
    }
}

/* Whether a process sleeps in the kernel, as one does that waits. */
static void until_asleep(pid_t pid)
{
    char path[32], line[256];
    char state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    while (state != 'S') {
        FILE *file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        fclose(file);
        state = strrchr(line, ')')[2];
        usleep(500);
    }
}

static void step_and_stay(void)
{
    atomic_fetch_add(&board->steps, 1);
    for (;;)
        pause();
}

/* ---- Lock, RLock ---------------------------------------------------------------------------- */

static void adds(void)
{
    for (int i = 0; i < 20000; i++) {
        if (mp_lock_acquire(lock, -1) != MP_OK)
            _exit(1);
        board->plain++;
        if (mp_lock_release(lock) != MP_OK)
            _exit(2);
    }
}

static void *adds_in_thread(void *arg)
{
    adds();
    return arg;
}

START_TEST(lock_excludes_processes_and_threads)
{
    pid_t pids[3];
    pthread_t threads[2];
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    for (int i = 0; i < 3; i++)
        pids[i] = child(adds);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, adds_in_thread, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        join_child(pids[i]);
    ck_assert_int_eq(board->plain, 100000);
    ck_assert(!mp_lock_locked(lock));
    mp_lock_destroy(&lock);
    ck_assert_ptr_null(lock);
    mp_lock_destroy(&lock);
}
END_TEST

static void tries_another_s_lock(void)
{
    bool right = mp_lock_acquire(lock, 0) == MP_ETIMEDOUT &&
                 mp_lock_acquire(lock, 20) == MP_ETIMEDOUT &&
                 mp_lock_release(lock) == MP_ENOTOWNER && mp_lock_locked(lock);
    _exit(right ? 0 : 1);
}

START_TEST(lock_is_its_holder_s)
{
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    ck_assert_int_eq(mp_lock_release(lock), MP_ENOTOWNER);
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_OK);
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_EDEADLOCK);
    ck_assert_int_eq(mp_lock_acquire(lock, -1), MP_EDEADLOCK);
    join_child(child(tries_another_s_lock));
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    ck_assert_int_eq(mp_lock_release(lock), MP_ENOTOWNER);
    mp_lock_destroy(&lock);
}
END_TEST

START_TEST(rlock_counts)
{
    ck_assert_int_eq(mp_rlock_new(&lock), MP_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    join_child(child(tries_another_s_lock));
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    ck_assert_int_eq(mp_lock_release(lock), MP_ENOTOWNER);
    mp_lock_destroy(&lock);
}
END_TEST

static void holds_lock(void)
{
    if (mp_lock_acquire(lock, -1) != MP_OK || mp_lock_acquire(lock, 0) == MP_ETIMEDOUT)
        _exit(1);
    step_and_stay();
}

static void waits_for_lock(void)
{
    atomic_fetch_add(&board->steps, 1);
    (void)mp_lock_acquire(lock, -1);
}

static void a_dead_holder_s_lock(void)
{
    pid_t holder = child(holds_lock);
    until_steps(1);
    pid_t waiter = child(waits_for_lock);
    until_steps(2);
    until_asleep(waiter);
    kill_child(waiter);
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_ETIMEDOUT);
    kill_child(holder);
    ck_assert_int_eq(mp_lock_acquire(lock, LONG_MS), MP_EOWNERDEAD);
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_OK);
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    mp_lock_destroy(&lock);
}

START_TEST(dead_holders_lock)
{
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    a_dead_holder_s_lock();
}
END_TEST

START_TEST(dead_holders_rlock)
{
    ck_assert_int_eq(mp_rlock_new(&lock), MP_OK);
    a_dead_holder_s_lock();
}
END_TEST

static void *ends_with_lock(void *arg)
{
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_OK);
    return arg;
}

START_TEST(thread_that_ends_with_the_lock)
{
    pthread_t thread;
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    pthread_create(&thread, NULL, ends_with_lock, NULL);
    pthread_join(thread, NULL);
    ck_assert_int_eq(mp_lock_acquire(lock, LONG_MS), MP_EOWNERDEAD);
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    mp_lock_destroy(&lock);
}
END_TEST

/* ---- Semaphore ------------------------------------------------------------------------------ */

START_TEST(semaphore_counts)
{
    ck_assert_int_eq(mp_semaphore_new(-1, &semaphore), MP_EINVAL);
    ck_assert_int_eq(mp_semaphore_new(2, &semaphore), MP_OK);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_OK);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_OK);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_ETIMEDOUT);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 20), MP_ETIMEDOUT);
    ck_assert_int_eq(mp_semaphore_value(semaphore), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(mp_semaphore_release(semaphore), MP_OK);
    ck_assert_int_eq(mp_semaphore_value(semaphore), 3);
    mp_semaphore_destroy(&semaphore);
    ck_assert_int_eq(mp_bounded_semaphore_new(1, &semaphore), MP_OK);
    ck_assert_int_eq(mp_semaphore_release(semaphore), MP_ERANGE);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_OK);
    ck_assert_int_eq(mp_semaphore_release(semaphore), MP_OK);
    ck_assert_int_eq(mp_semaphore_release(semaphore), MP_ERANGE);
    mp_semaphore_destroy(&semaphore);
}
END_TEST

static void crowds(void)
{
    for (int i = 0; i < 2000; i++) {
        if (mp_semaphore_acquire(semaphore, -1) != MP_OK)
            _exit(1);
        if (atomic_fetch_add(&board->count, 1) >= 2)
            _exit(2);
        atomic_fetch_sub(&board->count, 1);
        if (mp_semaphore_release(semaphore) != MP_OK)
            _exit(3);
    }
}

START_TEST(semaphore_lets_in_as_many_as_it_has)
{
    pid_t pids[4];
    ck_assert_int_eq(mp_bounded_semaphore_new(2, &semaphore), MP_OK);
    for (int i = 0; i < 4; i++)
        pids[i] = child(crowds);
    for (int i = 0; i < 4; i++)
        join_child(pids[i]);
    ck_assert_int_eq(mp_semaphore_value(semaphore), 2);
    mp_semaphore_destroy(&semaphore);
}
END_TEST

static void produces(void)
{
    for (int i = 0; i < 2000; i++)
        if (mp_semaphore_release(semaphore) != MP_OK)
            _exit(1);
}

START_TEST(semaphore_as_a_signal)
{
    ck_assert_int_eq(mp_semaphore_new(0, &semaphore), MP_OK);
    pid_t pid = child(produces);
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(mp_semaphore_acquire(semaphore, LONG_MS), MP_OK);
    join_child(pid);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_ETIMEDOUT);
    mp_semaphore_destroy(&semaphore);
}
END_TEST

static void holds_two_units(void)
{
    if (mp_semaphore_acquire(semaphore, -1) != MP_OK ||
        mp_semaphore_acquire(semaphore, -1) != MP_OK)
        _exit(1);
    step_and_stay();
}

static void waits_for_unit(void)
{
    atomic_fetch_add(&board->steps, 1);
    (void)mp_semaphore_acquire(semaphore, -1);
}

static void *acquires(void *arg)
{
    *(mp_rc_t *)arg = mp_semaphore_acquire(semaphore, LONG_MS);
    return NULL;
}

START_TEST(dead_holder_s_units_return)
{
    pthread_t thread;
    mp_rc_t rc = MP_EINVAL;
    ck_assert_int_eq(mp_bounded_semaphore_new(2, &semaphore), MP_OK);
    pid_t holder = child(holds_two_units);
    until_steps(1);
    pid_t waiter = child(waits_for_unit);
    until_steps(2);
    until_asleep(waiter);
    kill_child(waiter);
    pthread_create(&thread, NULL, acquires, &rc);
    kill_child(holder);
    pthread_join(thread, NULL);
    ck_assert_int_eq(rc, MP_OK);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_OK);
    ck_assert_int_eq(mp_semaphore_acquire(semaphore, 0), MP_ETIMEDOUT);
    mp_semaphore_destroy(&semaphore);
}
END_TEST

/* ---- Condition ------------------------------------------------------------------------------ */

static bool is_done(void *arg)
{
    return *(int *)arg != 0;
}

static void waits_for_plain(void)
{
    if (mp_lock_acquire(mp_condition_lock(condition), -1) != MP_OK)
        _exit(1);
    atomic_fetch_add(&board->steps, 1);
    if (mp_condition_wait_for(condition, is_done, &board->plain, LONG_MS) != MP_OK)
        _exit(2);
    atomic_fetch_add(&board->count, 1);
    if (mp_lock_release(mp_condition_lock(condition)) != MP_OK)
        _exit(3);
}

static void waits_once(void)
{
    if (mp_lock_acquire(mp_condition_lock(condition), -1) != MP_OK)
        _exit(1);
    atomic_fetch_add(&board->steps, 1);
    if (mp_condition_wait(condition, LONG_MS) != MP_OK)
        _exit(2);
    atomic_fetch_add(&board->count, 1);
    if (mp_lock_release(mp_condition_lock(condition)) != MP_OK)
        _exit(3);
}

static void hold(void)
{
    ck_assert_int_eq(mp_lock_acquire(mp_condition_lock(condition), LONG_MS), MP_OK);
}

static void unhold(void)
{
    ck_assert_int_eq(mp_lock_release(mp_condition_lock(condition)), MP_OK);
}

static void until_count(int count)
{
    int64_t end = mpx_now() + LONG_MS * MPX_MS;
    while (atomic_load(&board->count) != count) {
        ck_assert_int_lt(mpx_now(), end);
        usleep(500);
    }
}

START_TEST(condition_wakes_as_many_as_asked)
{
    pid_t pids[5];
    ck_assert_int_eq(mp_condition_new(NULL, &condition), MP_OK);
    ck_assert_int_eq(mp_condition_notify(condition, 1), MP_ENOTOWNER);
    ck_assert_int_eq(mp_condition_wait(condition, 0), MP_ENOTOWNER);
    for (int i = 0; i < 5; i++)
        pids[i] = child(waits_once);
    until_steps(5);
    hold(); /* so all of them have let it go: they wait */
    ck_assert_int_eq(mp_condition_notify(condition, -1), MP_EINVAL);
    ck_assert_int_eq(mp_condition_notify(condition, 2), MP_OK);
    unhold();
    until_count(2);
    hold();
    ck_assert_int_eq(mp_condition_wait(condition, 20), MP_ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&board->count), 2);
    ck_assert_int_eq(mp_condition_notify_all(condition), MP_OK);
    unhold();
    for (int i = 0; i < 5; i++)
        join_child(pids[i]);
    mp_condition_destroy(&condition);
}
END_TEST

START_TEST(condition_with_a_given_lock_and_a_predicate)
{
    pid_t pids[3];
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    ck_assert_int_eq(mp_condition_new(lock, &condition), MP_OK);
    ck_assert_ptr_eq(mp_condition_lock(condition), lock);
    for (int i = 0; i < 3; i++)
        pids[i] = child(waits_for_plain);
    until_steps(3);
    hold();
    ck_assert_int_eq(mp_condition_notify_all(condition), MP_OK); /* for nothing yet */
    unhold();
    hold();
    board->plain = 1;
    ck_assert_int_eq(mp_condition_notify_all(condition), MP_OK);
    unhold();
    for (int i = 0; i < 3; i++)
        join_child(pids[i]);
    mp_condition_destroy(&condition);
    mp_lock_destroy(&lock);
}
END_TEST

START_TEST(condition_gives_an_rlock_back_as_deep_as_it_was)
{
    ck_assert_int_eq(mp_condition_new(NULL, &condition), MP_OK);
    hold();
    hold();
    pid_t pid = child(waits_once);
    while (atomic_load(&board->steps) == 0) /* it can come in while we wait */
        ck_assert_int_eq(mp_condition_wait(condition, 20), MP_ETIMEDOUT);
    ck_assert_int_eq(mp_condition_notify(condition, 1), MP_OK);
    unhold();
    unhold();
    ck_assert_int_eq(mp_lock_release(mp_condition_lock(condition)), MP_ENOTOWNER);
    join_child(pid);
    mp_condition_destroy(&condition);
}
END_TEST

/* 300 dead waiters, one after the other: more than there are places. */
START_TEST(dead_waiters_hold_up_nobody)
{
    ck_assert_int_eq(mp_condition_new(NULL, &condition), MP_OK);
    for (int i = 0; i < 300; i++) {
        pid_t pid = child(waits_once);
        until_steps(i + 1);
        hold();
        unhold();
        kill_child(pid);
    }
    pid_t pid = child(waits_once);
    until_steps(301);
    hold();
    ck_assert_int_eq(mp_condition_notify(condition, 1), MP_OK);
    unhold();
    join_child(pid);
    mp_condition_destroy(&condition);
}
END_TEST

static void dies_with_condition_s_lock(void)
{
    (void)mp_lock_acquire(mp_condition_lock(condition), -1);
    step_and_stay();
}

START_TEST(dead_holder_of_a_condition_s_lock)
{
    ck_assert_int_eq(mp_condition_new(NULL, &condition), MP_OK);
    pid_t pid = child(dies_with_condition_s_lock);
    until_steps(1);
    kill_child(pid);
    ck_assert_int_eq(mp_lock_acquire(mp_condition_lock(condition), LONG_MS), MP_EOWNERDEAD);
    ck_assert_int_eq(mp_condition_wait(condition, 1), MP_ETIMEDOUT);
    unhold();
    mp_condition_destroy(&condition);
}
END_TEST

/* ---- Event ---------------------------------------------------------------------------------- */

static void waits_for_event(void)
{
    atomic_fetch_add(&board->steps, 1);
    if (mp_event_wait(event, LONG_MS) != MP_OK)
        _exit(1);
}

START_TEST(event_wakes_all_even_when_cleared_at_once)
{
    pid_t pids[4];
    ck_assert_int_eq(mp_event_new(&event), MP_OK);
    ck_assert_int_eq(mp_event_wait(event, 0), MP_ETIMEDOUT);
    ck_assert_int_eq(mp_event_wait(event, 20), MP_ETIMEDOUT);
    for (int i = 0; i < 4; i++)
        pids[i] = child(waits_for_event);
    until_steps(4);
    for (int i = 0; i < 4; i++)
        until_asleep(pids[i]);
    kill_child(pids[0]);
    mp_event_set(event);
    mp_event_clear(event);
    for (int i = 1; i < 4; i++)
        join_child(pids[i]);
    ck_assert(!mp_event_is_set(event));
    mp_event_set(event);
    mp_event_set(event);
    ck_assert(mp_event_is_set(event));
    ck_assert_int_eq(mp_event_wait(event, 0), MP_OK);
    mp_event_destroy(&event);
}
END_TEST

static void set_event(int signal)
{
    (void)signal;
    mp_event_set(event);
}

START_TEST(event_set_in_a_signal_handler)
{
    ck_assert_int_eq(mp_event_new(&event), MP_OK);
    struct sigaction action = {.sa_handler = set_event};
    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < 50; i++) {
        mp_event_clear(event);
        ualarm(1000, 0);
        ck_assert_int_eq(mp_event_wait(event, LONG_MS), MP_OK);
    }
    mp_event_destroy(&event);
}
END_TEST

/* ---- Barrier -------------------------------------------------------------------------------- */

static int counts_rounds(void *arg)
{
    ((board_t *)arg)->plain++;
    return 0;
}

static void meets(void)
{
    for (int round = 1; round <= 200; round += 2) {
        int index = -1;
        if (mp_barrier_wait(barrier, LONG_MS, &index) != MP_OK || index < 0 || index > 2)
            _exit(1);
        if (board->plain != round) /* the action has run, once, before any went on */
            _exit(2);
        atomic_fetch_add(&board->count, index);
        if (mp_barrier_wait(barrier, LONG_MS, NULL) != MP_OK || board->plain != round + 1)
            _exit(3);
    }
}

START_TEST(barrier_meets_again_and_again)
{
    pid_t pids[3];
    mp_barrier_options_t options = {.parties = 3, .action = counts_rounds, .arg = board};
    ck_assert_int_eq(mp_barrier_new(&options, &barrier), MP_OK);
    ck_assert_int_eq(mp_barrier_parties(barrier), 3);
    for (int i = 0; i < 3; i++)
        pids[i] = child(meets);
    for (int i = 0; i < 3; i++)
        join_child(pids[i]);
    ck_assert_int_eq(board->plain, 200);
    ck_assert_int_eq(atomic_load(&board->count), 100 * (0 + 1 + 2)); /* each index once a round */
    ck_assert_int_eq(mp_barrier_n_waiting(barrier), 0);
    mp_barrier_destroy(&barrier);
}
END_TEST

static void expects_broken(void)
{
    atomic_fetch_add(&board->steps, 1);
    if (mp_barrier_wait(barrier, LONG_MS, NULL) != MP_EBROKEN)
        _exit(1);
}

static void until_waiting(int n)
{
    int64_t end = mpx_now() + LONG_MS * MPX_MS;
    while (mp_barrier_n_waiting(barrier) != n) {
        ck_assert_int_lt(mpx_now(), end);
        usleep(500);
    }
}

static void make_barrier(int parties, int (*action)(void *arg))
{
    mp_barrier_options_t options = {.parties = parties, .action = action};
    ck_assert_int_eq(mp_barrier_new(&options, &barrier), MP_OK);
}

START_TEST(barrier_breaks_by_time_abort_and_reset)
{
    make_barrier(3, NULL);
    pid_t pid = child(expects_broken);
    until_waiting(1);
    ck_assert_int_eq(mp_barrier_wait(barrier, SOON_MS, NULL), MP_ETIMEDOUT);
    join_child(pid);
    ck_assert(mp_barrier_broken(barrier));
    ck_assert_int_eq(mp_barrier_wait(barrier, LONG_MS, NULL), MP_EBROKEN);
    mp_barrier_reset(barrier);
    ck_assert(!mp_barrier_broken(barrier));

    pid = child(expects_broken);
    until_waiting(1);
    mp_barrier_reset(barrier);
    join_child(pid);
    ck_assert(!mp_barrier_broken(barrier));

    pid = child(expects_broken);
    until_waiting(1);
    mp_barrier_abort(barrier);
    join_child(pid);
    ck_assert(mp_barrier_broken(barrier));
    mp_barrier_destroy(&barrier);
    ck_assert_int_eq(mp_barrier_new(NULL, &barrier), MP_EINVAL);
    ck_assert_int_eq(mp_barrier_new(&(mp_barrier_options_t){.parties = 0}, &barrier), MP_EINVAL);
}
END_TEST

static void waits_at_barrier(void)
{
    (void)mp_barrier_wait(barrier, -1, NULL);
}

START_TEST(barrier_breaks_when_a_party_dies_in_it)
{
    make_barrier(3, NULL);
    pid_t dies = child(waits_at_barrier);
    until_waiting(1);
    pid_t lives = child(expects_broken);
    until_waiting(2);
    kill_child(dies);
    join_child(lives);
    mp_barrier_destroy(&barrier);
}
END_TEST

static int fails(void *arg)
{
    (void)arg;
    return 7;
}

static int dies(void *arg)
{
    (void)arg;
    return kill(getpid(), SIGKILL);
}

START_TEST(barrier_breaks_by_its_action)
{
    make_barrier(2, fails);
    pid_t pid = child(expects_broken);
    until_waiting(1);
    ck_assert_int_eq(mp_barrier_wait(barrier, LONG_MS, NULL), MP_EFAILED);
    join_child(pid);
    mp_barrier_destroy(&barrier);
    make_barrier(2, dies);
    pid = child(expects_broken);
    until_waiting(1);
    pid_t actor = child(waits_at_barrier);
    join_child(pid);
    ck_assert_int_eq(waitpid(actor, NULL, 0), actor);
    mp_barrier_destroy(&barrier);
}
END_TEST

/* ---- references ----------------------------------------------------------------------------- */

/* A process that never saw the handle: forked before it was made. */
static void opens_condition(void)
{
    mp_condition_t *opened = NULL;
    until_steps(1);
    if (mp_condition_open(&board->ref, &opened) != MP_OK)
        _exit(1);
    if (mp_lock_acquire(mp_condition_lock(opened), LONG_MS) != MP_OK)
        _exit(2);
    board->plain = 1;
    if (mp_condition_notify_all(opened) != MP_OK)
        _exit(3);
    if (mp_lock_release(mp_condition_lock(opened)) != MP_OK)
        _exit(4);
    mp_condition_destroy(&opened);
}

START_TEST(handles_travel_as_references)
{
    mp_event_t *wrong = NULL;
    pid_t pid = child(opens_condition);
    ck_assert_int_eq(mp_condition_new(NULL, &condition), MP_OK);
    mp_condition_ref(condition, &board->ref);
    ck_assert_int_eq(mp_event_open(&board->ref, &wrong), MP_EINVAL);
    hold();
    atomic_store(&board->steps, 1);
    ck_assert_int_eq(mp_condition_wait_for(condition, is_done, &board->plain, LONG_MS), MP_OK);
    unhold();
    join_child(pid);
    mp_condition_destroy(&condition);
    ck_assert_int_eq(mp_condition_open(&board->ref, &condition), MP_ENOTFOUND);
}
END_TEST

START_TEST(barrier_s_action_does_not_travel)
{
    mp_barrier_t *opened = NULL;
    mp_ref_t ref;
    make_barrier(1, fails);
    mp_barrier_ref(barrier, &ref);
    ck_assert_int_eq(mp_barrier_open(&ref, NULL, &opened), MP_EUNPASSABLE);
    mp_barrier_options_t options = {.action = counts_rounds, .arg = board};
    ck_assert_int_eq(mp_barrier_open(&ref, &options, &opened), MP_OK);
    ck_assert_int_eq(mp_barrier_wait(opened, 0, NULL), MP_OK);
    ck_assert_int_eq(board->plain, 1);
    mp_barrier_destroy(&opened);
    mp_barrier_destroy(&barrier);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {lock_excludes_processes_and_threads,
                                  lock_is_its_holder_s,
                                  rlock_counts,
                                  dead_holders_lock,
                                  dead_holders_rlock,
                                  thread_that_ends_with_the_lock,
                                  semaphore_counts,
                                  semaphore_lets_in_as_many_as_it_has,
                                  semaphore_as_a_signal,
                                  dead_holder_s_units_return,
                                  condition_wakes_as_many_as_asked,
                                  condition_with_a_given_lock_and_a_predicate,
                                  condition_gives_an_rlock_back_as_deep_as_it_was,
                                  dead_waiters_hold_up_nobody,
                                  dead_holder_of_a_condition_s_lock,
                                  event_wakes_all_even_when_cleared_at_once,
                                  event_set_in_a_signal_handler,
                                  barrier_meets_again_and_again,
                                  barrier_breaks_by_time_abort_and_reset,
                                  barrier_breaks_when_a_party_dies_in_it,
                                  barrier_breaks_by_its_action,
                                  handles_travel_as_references,
                                  barrier_s_action_does_not_travel,
                                  NULL};
    return suite_run_with(setup, "sync", tests, 60);
}
