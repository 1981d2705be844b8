#include "service.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "thread.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint wanting; /* threads of the program that want the lock */
static uint64_t generation;
static mpx_served_t *all;
static int epoll = -1;
static int poke = -1;
static bool running;

static void install(void)
{
    mpx_forkguard_renew(&lock);
}

/* In a forked child: nothing is served here, and the parent's descriptors are only closed. */
static void forget(void)
{
    if (epoll >= 0)
        close(epoll);
    if (poke >= 0)
        close(poke);
    epoll = -1;
    poke = -1;
    all = NULL;
    running = false;
    atomic_store(&wanting, 0);
    generation = mpx_fork_generation();
}

pthread_mutex_t *mpx_service_lock(void)
{
    return &lock;
}

void mpx_service_enter(void)
{
    pthread_once(&once, install);
    bool counted = generation == mpx_fork_generation();
    if (counted)
        atomic_fetch_add(&wanting, 1);
    pthread_mutex_lock(&lock);
    if (generation != mpx_fork_generation())
        forget();
    else if (counted)
        atomic_fetch_sub(&wanting, 1);
}

static bool anything_ready(void)
{
    const mpx_served_t *served;
    DL_FOREACH (all, served)
        if (served->ready(served->arg))
            return true;
    return false;
}

static void poke_if_ready(void)
{
    if (running && anything_ready())
        (void)!write(poke, &(uint64_t){1}, sizeof(uint64_t));
}

void mpx_service_leave(void)
{
    poke_if_ready();
    pthread_mutex_unlock(&lock);
}

void mpx_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

mp_rc_t mpx_condition_wait(pthread_cond_t *condition, pthread_mutex_t *held, int64_t deadline)
{
    if (deadline == MPX_NEVER) {
        pthread_cond_wait(condition, held);
        return MP_OK;
    }
    struct timespec until = {deadline / MPX_S, deadline % MPX_S};
    return pthread_cond_timedwait(condition, held, &until) == ETIMEDOUT ? MP_ETIMEDOUT : MP_OK;
}

mp_rc_t mpx_service_wait(pthread_cond_t *condition, int64_t deadline)
{
    poke_if_ready();
    return mpx_condition_wait(condition, &lock, deadline);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool serve_all(void)
{
    bool more = false;
    mpx_served_t *served, *next;
    DL_FOREACH_SAFE (all, served, next)
        more = served->serve(served->arg) || more;
    return more;
}

/* A mutex goes to whoever is quickest, and the thread that has it is: it steps aside. */
static void let_others_in(void)
{
    enum { TRIES = 100 };
    for (int i = 0; i < TRIES && atomic_load(&wanting) > 0; i++)
        (void)sched_yield();
}

static int64_t tick_all(void)
{
    int64_t now = mpx_now();
    int64_t due = MPX_NEVER;
    mpx_served_t *served;
    DL_FOREACH (all, served)
        due = mpx_earlier(due, served->tick(served->arg, now));
    return due;
}

static void *run(void *arg)
{
    struct epoll_event events[8];
    int waiting = (int)(intptr_t)arg;
    uint64_t count;
    for (;;) {
        pthread_mutex_lock(&lock);
        bool more = serve_all();
        int64_t due = tick_all(); /* which may send */
        more = more || anything_ready();
        int own_poke = poke;
        pthread_mutex_unlock(&lock);
        let_others_in();
        int n = epoll_wait(waiting, events, 8, more ? 0 : mpx_poll_ms(mpx_now(), due));
        for (int i = 0; i < n; i++)
            if (!events[i].data.ptr)
                (void)!read(own_poke, &count, sizeof count);
    }
    return NULL;
}

static mp_rc_t open_descriptors(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll < 0 || poke < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, poke, &event) != 0)
        return mpx_fault_errno("the service's descriptors");
    return MP_OK;
}

static mp_rc_t start(void)
{
    pthread_t thread;
    mp_rc_t rc = epoll < 0 ? open_descriptors() : MP_OK;
    if (rc == MP_OK)
        rc = mpx_thread_start(run, (void *)(intptr_t)epoll, "the service's thread", &thread);
    if (rc != MP_OK)
        return rc;
    running = true;
    return MP_OK;
}

mp_rc_t mpx_service_add(mpx_served_t *served)
{
    mp_rc_t rc = running ? MP_OK : start();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = served};
    if (rc == MP_OK && epoll_ctl(epoll, EPOLL_CTL_ADD, served->fd, &event) != 0)
        rc = mpx_fault_errno("serving a descriptor");
    if (rc == MP_OK)
        DL_APPEND(all, served);
    return rc;
}

void mpx_service_remove(mpx_served_t *served)
{
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, served->fd, NULL);
    DL_DELETE(all, served);
}
