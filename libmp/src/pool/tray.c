#include "tray.h"

#include "clock.h"
#include "fault.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

struct mpx_tray {
    pthread_mutex_t lock;
    pthread_cond_t released;
    mpx_letter_t *letters;
    mpx_letter_t **end;
    unsigned shares;
    bool asleep; /* the driver is, on fd */
    int fd;
};

mpx_letter_t *mpx_letter_new(uint64_t worker, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_letter_t *letter = malloc(sizeof *letter + payload.size);
    if (!letter)
        return NULL;
    *letter = (mpx_letter_t){.worker = worker, .header = *header, .size = payload.size};
    if (payload.size)
        memcpy(letter->payload, payload.data, payload.size);
    return letter;
}

mp_rc_t mpx_tray_new(mpx_tray_t **out)
{
    mpx_tray_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a pool of threads");
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->fd < 0) {
        free(self);
        return mpx_fault_errno("a pool of threads");
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&self->released, &attr);
    pthread_condattr_destroy(&attr);
    self->end = &self->letters;
    self->shares = 1;
    *out = self;
    return MP_OK;
}

mpx_tray_t *mpx_tray_share(mpx_tray_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->shares++;
    pthread_mutex_unlock(&self->lock);
    return self;
}

void mpx_tray_release(mpx_tray_t **self_p)
{
    mpx_tray_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    pthread_mutex_lock(&self->lock);
    bool last = --self->shares == 0;
    pthread_cond_signal(&self->released);
    pthread_mutex_unlock(&self->lock);
    if (!last)
        return;
    mpx_letter_t *letter;
    while ((letter = mpx_tray_take(self)))
        free(letter);
    pthread_cond_destroy(&self->released);
    pthread_mutex_destroy(&self->lock);
    close(self->fd);
    free(self);
}

void mpx_tray_wait(mpx_tray_t *self, int timeout_ms)
{
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    struct timespec until = {deadline / MPX_S, deadline % MPX_S};
    int error = 0;
    pthread_mutex_lock(&self->lock);
    while (self->shares > 1 && error == 0)
        error = pthread_cond_timedwait(&self->released, &self->lock, &until);
    pthread_mutex_unlock(&self->lock);
}

void mpx_tray_put(mpx_tray_t *self, mpx_letter_t *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&self->lock);
    *self->end = letter;
    self->end = &letter->next;
    bool wake = self->asleep;
    self->asleep = false;
    pthread_mutex_unlock(&self->lock);
    if (wake)
        (void)!write(self->fd, &(uint64_t){1}, sizeof(uint64_t));
}

mpx_letter_t *mpx_tray_take(mpx_tray_t *self)
{
    pthread_mutex_lock(&self->lock);
    mpx_letter_t *letter = self->letters;
    if (letter)
        self->letters = letter->next;
    if (!self->letters)
        self->end = &self->letters;
    pthread_mutex_unlock(&self->lock);
    return letter;
}

int mpx_tray_fd(const mpx_tray_t *self)
{
    return self->fd;
}

bool mpx_tray_sleep(mpx_tray_t *self)
{
    uint64_t rings;
    pthread_mutex_lock(&self->lock);
    bool empty = !self->letters;
    if (empty && !self->asleep)
        (void)!read(self->fd, &rings, sizeof rings);
    self->asleep = empty;
    pthread_mutex_unlock(&self->lock);
    return empty;
}
