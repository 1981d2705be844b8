/* service.h: the thread that serves others while the program does something else, and its lock.
 *
 * What a process owns that others use (its queues, its listeners) is guarded by one lock, and
 * served by one thread, which is made with the first of them. The program's own threads do
 * their work under the same lock, without the thread: no call passes through it. They look
 * after what they leave behind (mpx_service_leave): the thread is woken only if a socket has
 * something that nobody would be told of.
 *
 * A forked child has neither the thread nor what it served: what belonged to the parent is left
 * alone there, and the lock is made anew.
 */
#ifndef MPX_SERVICE_H
#define MPX_SERVICE_H

#include <mp/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Something that is served. All functions are called under the lock. */
typedef struct mpx_served {
    bool (*serve)(void *arg); /* take what is there, some of it; true: there may be more */
    bool (*ready)(void *arg); /* whether there is something that `fd` doesn't tell */
    int64_t (*tick)(void *arg, int64_t now); /* what is due now; when to be called again */
    void *arg;
    int fd;
    struct mpx_served *prev, *next;
} mpx_served_t;

void mpx_service_enter(void);
void mpx_service_leave(void);
pthread_mutex_t *mpx_service_lock(void);

/* Conditions count CLOCK_MONOTONIC. Sleep on one until the deadline (ns): MP_OK something
 * changed, perhaps; MP_ETIMEDOUT. The second is for the service's lock, and looks after what is
 * left behind as mpx_service_leave does. */
void mpx_condition_init(pthread_cond_t *condition);
mp_rc_t mpx_condition_wait(pthread_cond_t *condition, pthread_mutex_t *held, int64_t deadline);
mp_rc_t mpx_service_wait(pthread_cond_t *condition, int64_t deadline);

/* Under the lock. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_service_add(mpx_served_t *served);
void mpx_service_remove(mpx_served_t *served);

#endif
