/* channel.h: a visitor's connection to its owner, driven by the threads that use it.
 *
 * There is no thread behind a channel of its own: whoever has to wait takes the wheel, sleeps on
 * the descriptor, and hands what comes to the channel's user; others that wait meanwhile are
 * told when something has changed, or only when what they wait for is over. So a hop from one
 * process to another wakes one thread, the one that waits for it.
 *
 * A guest's channel is the other side of such a connection, over ZeroMQ, within the owner; there
 * the service's thread drives.
 *
 * Everything happens under the channel's lock (of a guest's, the service's), the functions of
 * the user as well. Belongs to the process that made it.
 */
#ifndef MPX_CHANNEL_H
#define MPX_CHANNEL_H

#include "greeting.h"
#include "hub.h"
#include "waiters.h"

typedef struct mpx_channel mpx_channel_t;

typedef struct mpx_channel_user {
    void (*admitted)(void *arg, const mpx_admit_t *admit); /* may be NULL */
    /* MP_OK, or why the channel ends. */
    mp_rc_t (*message)(void *arg, const mpx_header_t *header, mp_bytes_t payload);
} mpx_channel_user_t;

typedef struct mpx_channel_options {
    const char *endpoint;
    mpx_door_t door;
    uint64_t object;
    uint64_t secret;
    const mpx_key_t *key; /* stays where it is */
    uint64_t tenant;      /* of a manager's door: who this was before */
    uint64_t tenant_secret;
    bool no_lane;
    bool has_identity;    /* show a certificate, as to a broker: that of */
    const char *key_file; /* NULL: MP_KEY_FILE's, if any */
    const mpx_channel_user_t *user;
    void *arg;
} mpx_channel_options_t;

/* Begin to connect and greet. MP_OK; MP_EINVAL; MP_ENOTFOUND, MP_EPERM the certificate; MP_ENOMEM;
 * MP_ESYSTEM. */
mp_rc_t mpx_channel_open(const mpx_channel_options_t *options, mpx_channel_t **out);
/* Over a link that is there already, and needs no greeting; taken over on success.
 * MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_channel_over(mpx_link_t *link, const mpx_channel_user_t *user, void *arg,
                         mpx_channel_t **out);
/* The owner's side of a guest. Under the service's lock. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_channel_of_guest(mpx_guest_t *guest, const mpx_channel_user_t *user, void *arg,
                             mpx_channel_t **out);
/* For the class of the guest's object. */
mp_rc_t mpx_channel_guest_message(mpx_channel_t *self, const mpx_header_t *header,
                                  mp_bytes_t payload);
void mpx_channel_guest_gone(mpx_channel_t *self);

/* Without the lock. NULL-safe, idempotent. */
void mpx_channel_close(mpx_channel_t **self, int linger_ms);

void mpx_channel_lock(mpx_channel_t *self);
void mpx_channel_unlock(mpx_channel_t *self);

/* The rest is under the lock. */

/* MP_OK while it is there or may still come; else for good why it ended: MP_EOF the other side
 * died or broke off, MP_ECLOSED it said so, MP_ECONNECT it was never reached, MP_EAUTH,
 * MP_ENOTFOUND, MP_ELIMIT, MP_EVERSION, MP_EPROTO … */
mp_rc_t mpx_channel_rc(const mpx_channel_t *self);
/* Why it ended, in words that begin with `what` and where that is. Returns the code. */
mp_rc_t mpx_channel_fault(const mpx_channel_t *self, mp_rc_t rc, const char *what);
bool mpx_channel_is_admitted(const mpx_channel_t *self);
const char *mpx_channel_carrier(const mpx_channel_t *self);

/* MP_OK; MP_EOF, MP_ECLOSED it ended; MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_channel_send(mpx_channel_t *self, const mpx_header_t *header, mp_bytes_t payload);

/* Take what is there, without waiting. Nothing while another thread sleeps on the descriptor. */
void mpx_channel_look(mpx_channel_t *self);
/* Sleep until something may have changed; the lock is released meanwhile.
 * MP_OK; MP_ETIMEDOUT; MP_ESYSTEM. */
mp_rc_t mpx_channel_wait(mpx_channel_t *self, int64_t deadline);
/* The same until what only this thread waits for is over, which the user tells: it is woken for
 * that, to take the wheel from another one, and if the channel ends; not for what is others'. The
 * lock is released for good. Not on a guest's channel.
 * MP_OK it is over; else, if it isn't over meanwhile: MP_ETIMEDOUT; MP_ESYSTEM; why the channel has
 * ended. */
mp_rc_t mpx_channel_await(mpx_channel_t *self, mpx_waiter_t *waiter, int64_t deadline);
/* Whether its thread waits or not; wakes it when the lock is free. */
void mpx_channel_tell(mpx_channel_t *self, mpx_waiter_t *waiter);
/* Look for a while whether something comes, before a wait sleeps; the lock stays held. Only for who
 * is alone. true: a wait won't sleep. */
bool mpx_channel_linger(mpx_channel_t *self, int64_t until);
/* Tell the others that wait that something has changed. */
void mpx_channel_changed(mpx_channel_t *self);

/* For poll: after a look that found nothing it becomes readable when there may be something, unless
 * another thread waits and takes it. */
int mpx_channel_fd(const mpx_channel_t *self);
/* The same, once, also if another thread takes it: for mp_wait, under the lock. */
int mpx_channel_watch(mpx_channel_t *self);

/* Give the lane up, to be joined elsewhere: the channel ends. false: it has none, or not now. */
bool mpx_channel_leave(mpx_channel_t **self, int fds[2], unsigned *side);

#endif
