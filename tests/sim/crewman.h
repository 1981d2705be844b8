/* crewman.h: an executor as crew/executor.c is, with its lane, in simulated time.
 *
 *     owner --SUBMIT--> parcels --> at work --> letters --> owner
 *           --notes, signals------------^
 *
 * What it says lies in the lane for a while: so its owner cancels, recalls and kills what has ended
 * or was given up meanwhile. Notes and signals don't queue, and of two cancelled chunks it knows
 * the later one. What it has said before it dies counts.
 *
 * A chunk with a time (busy_ns of its SUBMIT) it gives back when that is over, at the end of a
 * call: all that it hasn't begun of it. Only a pool on its own host gives out such ones: elsewhere,
 * as in mp-worker, chunks are a peer's and stay whole, though executors are the same.
 */
#ifndef SIM_CREWMAN_H
#define SIM_CREWMAN_H

#include "world.h"

/* A SUBMIT in its lane. */
typedef struct parcel {
    struct parcel *prev, *next;
    mpx_header_t header;
    mp_bytes_t rest;
    uint32_t done;
    uint32_t most;    /* calls, before it is too old for more */
    bool taken_up;    /* else it may be called back: */
    bool called_back; /* it will say that it has refused it */
    bool unwanted;    /* it was told so, whether it remembers or not */
    int64_t came_at;
    int64_t yield_at;
    unsigned char payload[];
} parcel_t;

typedef struct letter {
    struct letter *prev, *next;
    int64_t at; /* when its owner may have read it */
    mpx_header_t header;
    mpx_buf_t payload;
} letter_t;

typedef struct crewman {
    struct crewman *prev, *next;
    const proc_t *proc;
    uint64_t worker;
    bool up;
    int64_t up_at;
    parcel_t *parcels;        /* the first one is at work */
    letter_t *letters;        /* oldest first */
    uint64_t cancelled, late; /* notes: chunks */
    bool gives_back;          /* the same */
    bool running;             /* one of its calls */
    order_t order;
    int64_t begun_at, ends_at, free_at, dies_at;
    int signal;
    int64_t stopped_at; /* when it was sent one last, also in vain; 0: never */
    uint64_t left;      /* calls until it retires; 0: it doesn't */
    bool retires;
    uint32_t values; /* gathered, of the calls before `done` */
    int64_t busy_ns;
    mpx_buf_t gathered;
} crewman_t;

crewman_t *crewman_new(const proc_t *proc, uint64_t worker, int64_t up_at);
void crewman_free(crewman_t *self);

void crewman_submit(crewman_t *self, const mpx_header_t *header, mp_bytes_t payload);
/* As mpx_crew_ask and mpx_crew_call_back. */
void crewman_ask(crewman_t *self, uint64_t chunk, mp_rc_t why);
bool crewman_call_back(crewman_t *self, uint64_t chunk);
/* in_vain: it ignores it. */
void crewman_signal(crewman_t *self, int signal, bool in_vain);

/* What it does until then. */
void crewman_work(crewman_t *self, int64_t now);
/* The oldest of what it has said that has come by then; NULL: nothing. To be dropped. */
letter_t *crewman_letter(crewman_t *self, int64_t now);
void crewman_drop(crewman_t *self, letter_t *letter);
/* It is dead: what is in its lane is all that there will be. Whether of that its running call may
 * be to blame is for the core to say, but of one that was sent a signal lately. */
void crewman_end(crewman_t *self);
int64_t crewman_next(const crewman_t *self); /* when there is something to do */
/* Whether it has something that its owner counts on. */
bool crewman_is_busy(const crewman_t *self);

#endif
