/* line.h: this process's line to a manager: operations go out, answers come back.
 *
 * A line is a channel, and what must survive its loss: who we are to the manager (its tenant),
 * the operations that aren't answered, and which objects we have handles on. When the channel is
 * lost the next one that needs it dials again; if the manager still knows us, what it hasn't
 * answered is sent once more, and done once. If it doesn't, operations that were sent end with
 * MP_EPEERLOST, and handles are opened anew.
 *
 *     mutex    who is in a call, and the exchange of the channel: only when nobody is in one
 *     channel  everything else, under the channel's own lock
 *
 * A line belongs to one process: in a forked child it is left alone (server.h).
 */
#ifndef MPX_LINE_H
#define MPX_LINE_H

#include "buf.h"
#include "greeting.h"
#include "waiters.h"
#include "wire.h"

#include <stdbool.h>

typedef struct mpx_line mpx_line_t;

/* Operations under way, in the memory of who waits for them. */
typedef struct mpx_errand {
    mp_bytes_t operations; /* stays where it is until it is over */
    uint32_t count;
    /* Called once for each operation that is answered, under the channel's lock. */
    void (*answer)(void *arg, uint32_t index, const mpx_answer_t *answer);
    void *arg;
    /* Of several: the method whose result is given back if nobody takes it, 0: none, and its
     * object; NULL: as `holds` and `object` say. */
    int (*hold_of)(void *arg, uint32_t index, uint64_t *object);
    int holds; /* of a single one: the method whose result is given back if nobody takes it; 0 */
    uint64_t object;
    uint64_t lapses; /* that whoever asks was told of; if there are more it is told, and nothing is
                        sent. UINT64_MAX: it doesn't matter */
    /* the line's own */
    uint64_t first; /* 0: not sent yet */
    uint32_t answered;
    mpx_waiter_t waiter; /* it is over: all is answered, or `rc` says why not */
    mp_rc_t rc;
    struct mpx_errand *prev, *next;
} mpx_errand_t;

typedef struct mpx_line_options {
    const char *endpoint; /* these stay where they are */
    const mpx_key_t *key;
    uint64_t secret; /* of a reference; 0: by address */
    const char *key_file;
    bool no_lane;
} mpx_line_options_t;

mp_rc_t mpx_line_new(const mpx_line_options_t *options, mpx_line_t **out);
/* Say goodbye, and free it. Nobody is in a call. NULL-safe. */
void mpx_line_destroy(mpx_line_t **self);

/* The process ends: say goodbye, and see that it is heard. Waits at most a second. */
void mpx_line_farewell(mpx_line_t *self);

/* Connect, if it isn't. MP_OK; MP_ECONNECT, MP_ETIMEDOUT; MP_EAUTH; MP_EVERSION … */
mp_rc_t mpx_line_reach(mpx_line_t *self, int64_t deadline);

/* Carry it out: MP_OK all is answered; MP_ETIMEDOUT; MP_EPEERLOST; MP_ELEASE; MP_ECONNECT … */
mp_rc_t mpx_line_run(mpx_line_t *self, mpx_errand_t *errand, int64_t deadline);
/* Send one operation, whose answer nobody needs. */
void mpx_line_post(mpx_line_t *self, mp_bytes_t operation);

/* A handle more or less on an object: the first is opened and the last is dropped by the line.
 * is_open  the manager has counted it already. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_line_hold(mpx_line_t *self, uint64_t object, bool is_open);
void mpx_line_drop(mpx_line_t *self, uint64_t object);
/* The same for a handle that a fork has brought into this process. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_line_adopt(mpx_line_t *self, uint64_t object);

/* The number of the manager's life; 0: not connected yet. It changes when its objects are lost. */
uint64_t mpx_line_server(mpx_line_t *self);
/* How often all that this process held was lost by its silence. */
uint64_t mpx_line_lapses(mpx_line_t *self);

#endif
