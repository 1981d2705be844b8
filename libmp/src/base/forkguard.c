#include "forkguard.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOCKS_MAX = 16 };

/* The lock is held across every fork, so that the child finds the list whole. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int *fds;
static size_t count;
static size_t room;
static volatile uint64_t generation;
static pthread_mutex_t *held[LOCKS_MAX];
static size_t held_count;
static size_t taken; /* by the fork under way */
static pthread_mutex_t *renewed[LOCKS_MAX];
static size_t renewed_count;

/* Modules take ours while they hold theirs, so ours is last. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
    size_t known = held_count;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < known; i++)
        pthread_mutex_lock(held[i]);
    pthread_mutex_lock(&lock);
    taken = known;
}

static void in_parent(void)
{
    size_t until = taken;
    pthread_mutex_unlock(&lock);
    for (size_t i = until; i > 0; i--)
        pthread_mutex_unlock(held[i - 1]);
}

static void in_child(void)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    count = 0;
    for (size_t i = 0; i < renewed_count; i++)
        pthread_mutex_init(renewed[i], NULL);
    generation++;
    in_parent();
}

static void install(void)
{
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

static mp_rc_t add_locked(int fd)
{
    if (count == room) {
        size_t more = room ? room * 2 : 16;
        int *grown = realloc(fds, more * sizeof *grown);
        if (!grown)
            return MP_ENOMEM;
        fds = grown;
        room = more;
    }
    fds[count++] = fd;
    return MP_OK;
}

mp_rc_t mpx_forkguard_add(int fd)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    mp_rc_t rc = add_locked(fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

void mpx_forkguard_remove(int fd)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++)
        if (fds[i] == fd) {
            fds[i] = fds[--count];
            break;
        }
    pthread_mutex_unlock(&lock);
}

static void list_lock(pthread_mutex_t **list, size_t *list_count, pthread_mutex_t *module_lock)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (*list_count < LOCKS_MAX)
        list[(*list_count)++] = module_lock;
    pthread_mutex_unlock(&lock);
}

void mpx_forkguard_hold(pthread_mutex_t *module_lock)
{
    list_lock(held, &held_count, module_lock);
}

void mpx_forkguard_renew(pthread_mutex_t *module_lock)
{
    list_lock(renewed, &renewed_count, module_lock);
}

const volatile uint64_t *mpx_fork_counter(void)
{
    pthread_once(&once, install);
    return &generation;
}

uint64_t mpx_fork_generation(void)
{
    return *mpx_fork_counter();
}
