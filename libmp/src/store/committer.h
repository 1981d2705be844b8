/* committer.h: a thread that does what takes a disk's time, once for each time that it is asked to,
 * while its owner goes on.
 *
 *     IDLE --begin--> WORKING --> OVER --wait--> IDLE
 *
 * All functions are its owner's, one thread at a time. In a forked child there is no such thread:
 * nothing here may be called.
 */
#ifndef MPX_COMMITTER_H
#define MPX_COMMITTER_H

#include <mp/error.h>
#include <stdbool.h>

typedef struct mpx_committer mpx_committer_t;

/* work  in the thread; what it finds and leaves at `arg` is the owner's before begin and after wait
 * MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_committer_new(void (*work)(void *arg), void *arg, mpx_committer_t **out);
/* Waits for what is under way. NULL-safe, idempotent. */
void mpx_committer_destroy(mpx_committer_t **self);

void mpx_committer_begin(mpx_committer_t *self); /* IDLE only */
bool mpx_committer_is_working(const mpx_committer_t *self);
/* Until it is over; at once if nothing was begun. */
void mpx_committer_wait(mpx_committer_t *self);
/* For poll: readable from OVER to the wait. */
int mpx_committer_fd(const mpx_committer_t *self);

#endif
