#include "clock.h"
#include "ok.h"
#include "suite.h"
#include "waiters.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLEEPERS = 8, ROUNDS = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mpx_waiters_t waiters;

static void wake_those_called(void)
{
    mpx_waiter_t *called = mpx_waiters_take(&waiters);
    pthread_mutex_unlock(&lock);
    mpx_waiters_wake(called);
}

START_TEST(who_is_called_is_taken_once)
{
    mpx_waiter_t one = {.over = true}, two = {.over = false}, away = {.over = true};
    ck_assert_ptr_null(mpx_waiters_last(&waiters));
    mpx_waiters_add(&waiters, &one);
    mpx_waiters_add(&waiters, &two);
    ck_assert_ptr_eq(mpx_waiters_last(&waiters), &two);
    mpx_waiters_call(&waiters, &away);
    ck_assert_ptr_null(mpx_waiters_take(&waiters));
    mpx_waiters_call(&waiters, &two);
    mpx_waiters_call(&waiters, &two);
    ck_assert_ptr_eq(mpx_waiters_last(&waiters), &one);
    mpx_waiters_call_all(&waiters);
    ck_assert_ptr_null(mpx_waiters_last(&waiters));
    mpx_waiter_t *called = mpx_waiters_take(&waiters);
    ck_assert_ptr_eq(called, &two);
    ck_assert_ptr_eq(called->next, &one);
    ck_assert_ptr_null(one.next);
    ck_assert_ptr_null(mpx_waiters_take(&waiters));
    mpx_waiters_wake(called);
    ck_assert(mpx_waiters_sleep(&one, MPX_NEVER));
    ck_assert(!mpx_waiters_sleep(&two, MPX_NEVER));
    ck_assert(mpx_waiters_remove(&waiters, &two));
}
END_TEST

START_TEST(who_is_not_called_is_late)
{
    mpx_waiter_t late = {.over = false}, next = {.over = true};
    mpx_waiters_add(&waiters, &late);
    mpx_waiters_add(&waiters, &next);
    ck_assert(!mpx_waiters_sleep(&late, mpx_now() + MPX_MS));
    ck_assert(!mpx_waiters_remove(&waiters, &late));
    mpx_waiters_call(&waiters, &late);
    mpx_waiters_call_all(&waiters);
    mpx_waiter_t *called = mpx_waiters_take(&waiters);
    ck_assert_ptr_eq(called, &next);
    ck_assert_ptr_null(called->next);
    mpx_waiters_wake(called);
    ck_assert(mpx_waiters_sleep(&next, MPX_NEVER));
}
END_TEST

/* ---- many threads ------------------------------------------------------------------------------
 */

static _Atomic int slept; /* to their end, one way or the other */
static int told;          /* those that were over, under the lock */

/* In memory that is somebody else's as soon as it has returned. */
static bool wait_a_little(unsigned *seed)
{
    mpx_waiter_t *self = calloc(1, sizeof *self);
    SURE(self);
    pthread_mutex_lock(&lock);
    mpx_waiters_add(&waiters, self);
    pthread_mutex_unlock(&lock);
    bool over = mpx_waiters_sleep(self, mpx_now() + rand_r(seed) % 200 * 1000);
    if (!over) {
        pthread_mutex_lock(&lock);
        bool called = mpx_waiters_remove(&waiters, self);
        over = self->over;
        SURE(called == over);
        pthread_mutex_unlock(&lock);
    }
    free(self);
    return over;
}

static void *sleep_often(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    int *count = calloc(1, sizeof *count);
    SURE(count);
    for (int i = 0; i < ROUNDS; i++)
        *count += wait_a_little(&seed);
    atomic_fetch_add(&slept, 1);
    return count;
}

/* As many as are told learn of it, however late they are. */
START_TEST(nobody_is_lost_who_is_called_when_it_is_late)
{
    pthread_t threads[SLEEPERS];
    int learnt = 0;
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_often, (void *)i), 0);
    while (atomic_load(&slept) < SLEEPERS) {
        pthread_mutex_lock(&lock);
        for (mpx_waiter_t *one; (one = mpx_waiters_last(&waiters)); told++) {
            one->over = true;
            mpx_waiters_call(&waiters, one);
        }
        wake_those_called();
    }
    for (int i = 0; i < SLEEPERS; i++) {
        void *count = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &count), 0);
        learnt += *(int *)count;
        free(count);
    }
    ck_assert_int_eq(learnt, told);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {who_is_called_is_taken_once, who_is_not_called_is_late,
                                  nobody_is_lost_who_is_called_when_it_is_late, NULL};
    return suite_run("waiters", tests, 60);
}
