#include "forkguard.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* The lock is held across every fork, so that the child finds the list whole. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int *fds;
static size_t count;
static size_t room;
static uint64_t generation;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    count = 0;
    generation++;
    pthread_mutex_unlock(&lock);
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

uint64_t mpx_fork_generation(void)
{
    pthread_once(&once, install);
    return generation;
}
