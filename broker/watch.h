/* watch.h: those who look at a broker: clients that ask (STAT), HTTP, and a service manager. */
#ifndef MPX_WATCH_H
#define MPX_WATCH_H

#include "http.h"
#include "notify.h"
#include "why.h"

/* A client asks: tell it all, or why a call doesn't run, at the cost of its credit for results.
 * MP_OK; MP_EPROTO with mp_errmsg(), it must go; MP_ENOMEM. */
mp_rc_t mpx_watch_answer(const mpx_scene_t *scene, const mpx_peer_t *client, uint64_t nonce,
                         mp_bytes_t question);

typedef struct mpx_watch {
    mpx_notify_t *notify; /* NULL: none */
    mpx_http_t *http;     /* NULL: none */
} mpx_watch_t;

/* Whether somebody is to be told that the loop turns, or wants something. */
bool mpx_watch_is_due(const mpx_watch_t *self, int64_t now);
void mpx_watch_beat(const mpx_watch_t *self, const mpx_scene_t *scene);
/* When it will be due at the latest, and what is readable when it is before; -1: nothing. */
int64_t mpx_watch_deadline(const mpx_watch_t *self, int64_t now);
int mpx_watch_fd(const mpx_watch_t *self);

#endif
