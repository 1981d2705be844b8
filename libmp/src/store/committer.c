#include "committer.h"

#include "fault.h"
#include "forkguard.h"
#include "thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { IDLE, WORKING, OVER, LEAVING };

struct mpx_committer {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    atomic_int state; /* changed under the mutex */
    int fd;
    void (*work)(void *arg);
    void *arg;
};

static void set_state(mpx_committer_t *self, int state)
{
    pthread_mutex_lock(&self->mutex);
    atomic_store(&self->state, state);
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

static void free_committer(mpx_committer_t *self)
{
    if (self->fd >= 0) {
        mpx_forkguard_remove(self->fd);
        close(self->fd);
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

/* The descriptor is readable before the state says so: who waits takes it back. */
static void *run(void *arg)
{
    mpx_committer_t *self = arg;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        while (self->state != WORKING && self->state != LEAVING)
            pthread_cond_wait(&self->changed, &self->mutex);
        pthread_mutex_unlock(&self->mutex);
        if (self->state == LEAVING)
            break;
        self->work(self->arg);
        (void)!write(self->fd, &(uint64_t){1}, sizeof(uint64_t));
        pthread_mutex_lock(&self->mutex);
        self->state = OVER;
        pthread_cond_broadcast(&self->changed);
    }
    free_committer(self); /* its owner has forgotten it */
    return NULL;
}

mp_rc_t mpx_committer_new(void (*work)(void *arg), void *arg, mpx_committer_t **out)
{
    pthread_t thread;
    mpx_committer_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a committer");
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->work = work;
    self->arg = arg;
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mp_rc_t rc = self->fd < 0 ? mpx_fault_errno("a committer") : mpx_forkguard_add(self->fd);
    if (rc == MP_OK)
        rc = mpx_thread_start(run, self, "a committer", &thread);
    if (rc != MP_OK)
        free_committer(self);
    else
        *out = self;
    return rc;
}

void mpx_committer_destroy(mpx_committer_t **self_p)
{
    mpx_committer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    mpx_committer_wait(self);
    set_state(self, LEAVING);
}

void mpx_committer_begin(mpx_committer_t *self)
{
    set_state(self, WORKING);
}

bool mpx_committer_is_working(const mpx_committer_t *self)
{
    return atomic_load(&self->state) == WORKING;
}

void mpx_committer_wait(mpx_committer_t *self)
{
    pthread_mutex_lock(&self->mutex);
    while (self->state == WORKING)
        pthread_cond_wait(&self->changed, &self->mutex);
    self->state = IDLE;
    pthread_mutex_unlock(&self->mutex);
    (void)!read(self->fd, &(uint64_t){0}, sizeof(uint64_t));
}

int mpx_committer_fd(const mpx_committer_t *self)
{
    return self->fd;
}
