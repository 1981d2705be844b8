#include "children.h"

#include "child.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "leave.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

enum { DAEMON_GRACE_MS = 1000, AFTER_KILL_MS = 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static mp_process_t *children;
static mp_process_t *inherited; /* the parent's, in a forked child: handles may still be used */
static uint64_t generation;
static unsigned last_number;
static int exit_join_ms = -1;

static void install(void)
{
    mpx_forkguard_hold(&lock);
}

static void enter(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (generation == mpx_fork_generation())
        return;
    inherited = children;
    children = NULL;
    last_number = 0;
    generation = mpx_fork_generation();
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

mp_rc_t mpx_children_add(mp_process_t *child)
{
    mp_rc_t rc = mpx_leave_add(MPX_STAGE_CHILDREN, mpx_children_finish);
    enter();
    if (rc == MP_OK) {
        DL_APPEND(children, child);
        atomic_fetch_add(&child->users, 1);
    }
    leave();
    return rc;
}

void mpx_children_remove(mp_process_t *child)
{
    bool listed = false;
    const mp_process_t *other;
    enter();
    DL_FOREACH (children, other)
        if (other == child) {
            listed = true;
            break;
        }
    if (listed)
        DL_DELETE(children, child);
    leave();
    if (listed)
        mpx_child_unref(child);
}

unsigned mpx_children_number(void)
{
    enter();
    unsigned number = ++last_number;
    leave();
    return number;
}

/* Hold all of them, so that the list isn't locked while something is done with one. *out is to
 * be given to let_go. Without memory for that: none. */
static size_t hold_all(mp_process_t ***out)
{
    mp_process_t *child;
    size_t count = 0;
    size_t room = 0;
    enter();
    DL_COUNT(children, child, room);
    *out = malloc((room + 1) * sizeof **out);
    if (*out)
        DL_FOREACH (children, child) {
            atomic_fetch_add(&child->users, 1);
            (*out)[count++] = child;
        }
    leave();
    return count;
}

static void let_go(mp_process_t **all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mpx_child_unref(all[i]);
    free(all);
}

bool mpx_children_reap(mp_process_t *child)
{
    bool ended = mpx_child_reap(child);
    if (ended)
        mpx_children_remove(child);
    return ended;
}

size_t mp_active_children(mp_process_t **out, size_t room)
{
    mp_process_t **all = NULL;
    size_t count = hold_all(&all);
    size_t alive = 0;
    for (size_t i = 0; i < count; i++) {
        if (mpx_children_reap(all[i]) || atomic_load(&all[i]->phase) != MPX_RUNNING)
            continue;
        if (alive < room) {
            atomic_fetch_add(&all[i]->users, 1);
            out[alive] = all[i];
        }
        alive++;
    }
    let_go(all, count);
    return alive;
}

/* ---- exit ----------------------------------------------------------------------------------- */

static void signal_all(mp_process_t **all, size_t count, bool daemons, int signal)
{
    for (size_t i = 0; i < count; i++)
        if (all[i]->identity.daemon == daemons)
            (void)mpx_child_signal(all[i], signal);
}

/* False: the deadline passed. */
static bool join_all(mp_process_t **all, size_t count, bool daemons, int64_t deadline)
{
    bool joined = true;
    for (size_t i = 0; i < count; i++)
        if (all[i]->identity.daemon == daemons && atomic_load(&all[i]->phase) == MPX_RUNNING &&
            !mpx_child_wait(all[i]->pidfd, deadline))
            joined = false;
        else
            (void)mpx_children_reap(all[i]);
    return joined;
}

static void end_all(mp_process_t **all, size_t count, bool daemons, int timeout_ms)
{
    if (join_all(all, count, daemons, mpx_deadline(mpx_now(), timeout_ms)))
        return;
    signal_all(all, count, daemons, SIGKILL);
    (void)join_all(all, count, daemons, mpx_deadline(mpx_now(), AFTER_KILL_MS));
}

void mpx_children_finish(void)
{
    mp_process_t **all = NULL;
    size_t count = hold_all(&all);
    signal_all(all, count, true, SIGTERM);
    end_all(all, count, true, DAEMON_GRACE_MS);
    end_all(all, count, false, exit_join_ms);
    let_go(all, count);
}

void mp_set_exit_join_ms(int timeout_ms)
{
    exit_join_ms = timeout_ms;
}

int mpx_children_exit_join_ms(void)
{
    return exit_join_ms;
}
