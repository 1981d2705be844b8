#include "helpers.h"

#include "clock.h"
#include "results.h"
#include "thread.h"

#include <errno.h>
#include <time.h>

enum { LAST_CALLS_MS = 5000 };

/* ---- threads -----------------------------------------------------------------------------------
 */

/* Calls that are begun one after the other are looked after by those who begin them; to wake us for
 * each would cost more than the call. */
static void let_pass(mp_pool_t *pool)
{
    pthread_mutex_unlock(&pool->lock);
    do
        (void)nanosleep(&(struct timespec){.tv_nsec = MPX_BURST_NS}, NULL);
    while (mpx_now() - atomic_load_explicit(&pool->burst_at, memory_order_relaxed) < MPX_BURST_NS);
    pthread_mutex_lock(&pool->lock);
    pool->unsettled = false;
    if (pool->backend && !pool->stopping)
        (void)mpx_pool_settle(pool);
}

static void wait_for_seat(mp_pool_t *pool)
{
    pool->rung = false;
    pthread_cond_wait(&pool->seat, &pool->lock);
}

static void *move(void *arg)
{
    mp_pool_t *pool = arg;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping && pool->backend)
        if (pool->unsettled)
            let_pass(pool);
        else if (!pool->open_results || pool->driven)
            wait_for_seat(pool);
        else
            (void)mpx_pool_drive(pool);
    pool->mover = false;
    pthread_cond_broadcast(&pool->moved);
    mpx_pool_leave(pool);
    return NULL;
}

/* Until something is due. */
static void wait_for_due(mp_pool_t *pool)
{
    int64_t next = mpx_results_tell(pool, mpx_now());
    struct timespec at = {.tv_sec = next / MPX_S, .tv_nsec = next % MPX_S};
    if (pool->due_results || pool->stopping)
        return;
    if (next == MPX_NEVER)
        pthread_cond_wait(&pool->due, &pool->lock);
    else
        pthread_cond_timedwait(&pool->due, &pool->lock, &at);
}

static void call_all(mp_pool_t *pool)
{
    for (;;) {
        mp_result_t *due = mpx_results_due(pool);
        if (due)
            mpx_results_call(pool, due);
        else if (pool->stopping)
            break;
        else
            wait_for_due(pool);
    }
}

/* Without the lock: a function of the program's has ended the thread that called it. What is due
 * besides is another thread's to call. */
static void on_ended(void *arg)
{
    mp_pool_t *pool = arg;
    pthread_mutex_lock(&pool->lock);
    mpx_results_abandon(pool);
    pool->caller = false;
    mpx_helpers_wake(pool);
    pthread_cond_broadcast(&pool->moved);
    mpx_pool_leave(pool);
}

static void *call(void *arg)
{
    mp_pool_t *pool = arg;
    pthread_mutex_lock(&pool->lock);
    pthread_cleanup_push(on_ended, pool);
    call_all(pool);
    pthread_cleanup_pop(0);
    pool->caller = false;
    pthread_cond_broadcast(&pool->moved);
    mpx_pool_leave(pool);
    return NULL;
}

/* Each has a share in the pool's memory, and says when it is over. */
static mp_rc_t start(mp_pool_t *pool, void *(*run)(void *), pthread_t *thread)
{
    mp_rc_t rc = mpx_thread_start(run, pool, "a thread for results", thread);
    if (rc == MP_OK)
        pool->users++;
    return rc;
}

mp_rc_t mpx_helpers_start(mp_pool_t *pool, bool with_callbacks)
{
    pthread_t ignored;
    mp_rc_t rc = MP_OK;
    if (!pool->mover) {
        rc = start(pool, move, &ignored);
        pool->mover = rc == MP_OK;
    }
    if (rc == MP_OK && with_callbacks && !pool->caller) {
        rc = start(pool, call, &pool->caller_thread);
        pool->caller = rc == MP_OK;
    }
    return rc;
}

void mpx_helpers_wake(mp_pool_t *pool)
{
    if (pool->mover && (pool->open_results || pool->unsettled) && !pool->driven && !pool->rung) {
        pool->rung = true;
        pthread_cond_signal(&pool->seat);
    }
    if (!pool->due_results && !pool->told_results)
        return;
    if (pool->caller)
        pthread_cond_signal(&pool->due);
    else if (!pool->stopping) /* a function of the program's has ended it */
        (void)mpx_helpers_start(pool, true);
}

static bool is_caller(const mp_pool_t *pool)
{
    return pool->caller && pthread_equal(pool->caller_thread, pthread_self());
}

void mpx_helpers_stop(mp_pool_t *pool)
{
    int64_t deadline = mpx_deadline(mpx_now(), LAST_CALLS_MS);
    struct timespec until = {deadline / MPX_S, deadline % MPX_S};
    pool->stopping = true;
    pthread_cond_broadcast(&pool->seat);
    pthread_cond_broadcast(&pool->due);
    mpx_pool_kick(pool);
    while (pool->mover)
        pthread_cond_wait(&pool->moved, &pool->lock);
    while (pool->caller && !is_caller(pool))
        if (pthread_cond_timedwait(&pool->moved, &pool->lock, &until) == ETIMEDOUT)
            break;
}
