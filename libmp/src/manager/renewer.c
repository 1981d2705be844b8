#include "renewer.h"

#include "clock.h"
#include "forkguard.h"
#include "service.h"
#include "thread.h"

#include <pthread.h>
#include <utlist.h>

/* Renewals are called a few times in a lease; before it is known, as for a short one. */
enum { PARTS = 4, FIRST_MS = 50 };

/* Held while renewals are called, so that none is called that was forgotten. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t changed;
static mpx_renewal_t *all;
static uint64_t generation;
static bool running;

static void install(void)
{
    mpx_condition_init(&changed);
    mpx_forkguard_renew(&lock);
    generation = mpx_fork_generation();
}

/* In a forked child the parent's lines are nobody's, and its thread isn't here. */
static void look_where_we_are(void)
{
    if (generation == mpx_fork_generation())
        return;
    generation = mpx_fork_generation();
    all = NULL;
    running = false;
    mpx_condition_init(&changed);
}

static int64_t shortest(void)
{
    int64_t every = MPX_NEVER;
    const mpx_renewal_t *renewal;
    DL_FOREACH (all, renewal)
        every = mpx_earlier(every, atomic_load(&renewal->every_ns));
    return every == MPX_NEVER ? MPX_NEVER : mpx_now() + every;
}

static void *run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        mpx_renewal_t *renewal;
        (void)mpx_condition_wait(&changed, &lock, shortest());
        DL_FOREACH (all, renewal)
            renewal->renew(renewal->arg);
    }
    return NULL;
}

mp_rc_t mpx_renewer_watch(mpx_renewal_t *renewal)
{
    pthread_t thread;
    mp_rc_t rc = MP_OK;
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    look_where_we_are();
    if (!running)
        rc = mpx_thread_start(run, NULL, "the renewer's thread", &thread);
    if (rc == MP_OK) {
        running = true;
        renewal->listed = true;
        atomic_store(&renewal->every_ns, FIRST_MS * MPX_MS);
        DL_APPEND(all, renewal);
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void mpx_renewer_hurry(mpx_renewal_t *renewal, uint32_t lease_ms)
{
    atomic_store(&renewal->every_ns, lease_ms * MPX_MS / PARTS);
}

void mpx_renewer_forget(mpx_renewal_t *renewal)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    look_where_we_are();
    if (renewal->listed)
        DL_DELETE(all, renewal);
    renewal->listed = false;
    pthread_mutex_unlock(&lock);
}
