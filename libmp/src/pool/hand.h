/* hand.h: runs calls in this process: a thread of its own, or whoever asks it to.
 *
 * It is given OPEN, SUBMIT and CLOSE as an executor is, and answers by letters: HELLO when it is
 * ready (or an ERROR: its initializer failed), PROGRESS, RESULT, and for a job that it can't run an
 * ERROR. When there is no memory for an answer it says BYE, and does nothing any more: it is lost.
 */
#ifndef MPX_HAND_H
#define MPX_HAND_H

#include "tray.h"

typedef struct mpx_hand mpx_hand_t;

typedef struct mpx_hand_options {
    uint64_t worker;  /* the sender of its letters */
    const char *host; /* for the words about failures; copied */
    bool thread;      /* its own; else it works in mpx_hand_work */
    int (*initializer)(void *arg);
    void *initializer_arg;
} mpx_hand_options_t;

/* MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_hand_new(mpx_tray_t *tray, const mpx_hand_options_t *options, mpx_hand_t **out);

/* Copied. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_hand_give(mpx_hand_t *self, const mpx_header_t *header, mp_bytes_t payload);
/* Without a thread: do the next thing. false: there is none. */
bool mpx_hand_work(mpx_hand_t *self);

/* The running call, or one to come, is to know that nobody wants the chunk any more. */
void mpx_hand_cancel(mpx_hand_t *self, uint64_t chunk);
/* It ends: with `at_once` after the call that it runs, whose outcome nobody will see; else after
 * all that it has. The caller's share in it is given up; a thread keeps its own until then. */
void mpx_hand_dismiss(mpx_hand_t **self, bool at_once);

#endif
