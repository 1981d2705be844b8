/* fifo.h: a queue as its owner sees it: what is in it, who waits for a place, who has what.
 *
 * Pure: no clock, socket, thread or file; time comes as a number. Events go in by calls, effects
 * come out of mpx_fifo_next, for a thin loop to send.
 *
 *     put ---> parked ---room---> queued ---take---> given ---settle---> forgotten
 *       (window)                    ^                  |
 *                                   +--- at the head --+  its visitor left, or returned it
 *
 * A visitor is a process that puts or takes. It has at most one TAKE and one RESERVE open, so
 * what it can make the owner keep is bounded: by its window, and by what it was given. Room is
 * counted in items (queued and reserved) and in bytes (queued, given and reserved), where each
 * item counts something more than its bytes: else empty ones would be without end.
 *
 * How many items are given at once is guided: half of a fair share of what is there, no more
 * than the visitor used up in about a millisecond last time, beginning with one. So a slow
 * consumer has one item in hand, and a quick one a batch.
 */
#ifndef MPX_FIFO_H
#define MPX_FIFO_H

#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_fifo mpx_fifo_t;
typedef struct mpx_visitor mpx_visitor_t;

enum { MPX_FIFO_BATCH_MAX = 256, MPX_FIFO_BATCH_BYTES = 256 * 1024, MPX_FIFO_ITEM_COST = 64 };

typedef struct mpx_fifo_options {
    size_t maxsize; /* 0: by bytes alone */
    size_t max_bytes;
    size_t batch_max; /* items in one GIVE; 0: MPX_FIFO_BATCH_MAX */
    bool by_place;    /* each put needs a place; else a visitor may be ahead by a window: */
    size_t window_items;
    size_t window_bytes; /* or by one item of any size */
    size_t tell_items;   /* so many admitted are told together, or so many bytes; 0: each */
    size_t tell_bytes;
    bool joinable;
} mpx_fifo_options_t;

typedef struct mpx_fifo_item {
    struct mpx_fifo_item *prev, *next;
    uint64_t number; /* of those given to its visitor, from 1 */
    size_t size;
    uint32_t kind;
    bool again; /* was given before */
    _Alignas(16) unsigned char bytes[];
} mpx_fifo_item_t;

mp_rc_t mpx_fifo_new(const mpx_fifo_options_t *options, mpx_fifo_t **out);
void mpx_fifo_destroy(mpx_fifo_t **self);

/* A visitor comes, with a tag for effects; NULL: no memory. And goes, in whatever way: its open
 * wishes and what it put and wasn't admitted are forgotten, what it was given goes back. */
mpx_visitor_t *mpx_fifo_come(mpx_fifo_t *self, void *tag);
void mpx_fifo_go(mpx_fifo_t *self, mpx_visitor_t *visitor);

/* Put a copy; admitted at once or parked. MP_OK; MP_EPROTO without a place, or beyond the
 * window; MP_ENOMEM. */
mp_rc_t mpx_fifo_put(mpx_fifo_t *self, mpx_visitor_t *visitor, uint32_t kind, mp_bytes_t bytes);
/* Tell it now what was admitted; else it is told by the quarter of a window. */
void mpx_fifo_hurry(mpx_fifo_t *self, mpx_visitor_t *visitor);
/* Ask for a place, which the next put has. */
void mpx_fifo_reserve(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t nonce, size_t bytes);
/* Up to `count` items are wanted. */
void mpx_fifo_take(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t nonce, size_t count,
                   int64_t now);
/* Done with these, or they go back to the head. Numbers that it doesn't have are passed over;
 * how many it had. */
size_t mpx_fifo_settle(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first, uint64_t count);
size_t mpx_fifo_return(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first, uint64_t count);
/* Forget its TAKE; what it was given from `first` on (UINT64_MAX: nothing) goes back, without
 * counting as given, unless others were given something since. Forget its RESERVE, and with
 * `granted` the place that it has. */
void mpx_fifo_withdraw_take(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first);
void mpx_fifo_withdraw_place(mpx_fifo_t *self, mpx_visitor_t *visitor, bool granted);
/* Tell it once when there is an item; when all is finished. */
void mpx_fifo_watch(mpx_fifo_t *self, mpx_visitor_t *visitor);
void mpx_fifo_await(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t nonce);

/* The owner's own calls, which need no messages: put at once, MP_EBUSY no room; take the first
 * item, NULL there is none. It counts as given until it is dropped (done with, and freed) or goes
 * back to the head. */
mp_rc_t mpx_fifo_offer(mpx_fifo_t *self, uint32_t kind, mp_bytes_t bytes);
mpx_fifo_item_t *mpx_fifo_pop(mpx_fifo_t *self);
void mpx_fifo_drop(mpx_fifo_t *self, mpx_fifo_item_t *item);
void mpx_fifo_unpop(mpx_fifo_t *self, mpx_fifo_item_t *item);

typedef enum mpx_fifo_effect_kind {
    MPX_FIFO_ADMITTED, /* count */
    MPX_FIFO_GRANT,    /* nonce */
    MPX_FIFO_GIVE,     /* nonce, items: `count` from this one on by ->next */
    MPX_FIFO_READY,
    MPX_FIFO_JOINED /* nonce */
} mpx_fifo_effect_kind_t;

typedef struct mpx_fifo_effect {
    mpx_fifo_effect_kind_t kind;
    void *tag;
    uint64_t nonce;
    size_t count;
    const mpx_fifo_item_t *items; /* valid until the next call */
} mpx_fifo_effect_t;

/* The next effect; false: nothing is left to do. */
bool mpx_fifo_next(mpx_fifo_t *self, int64_t now, mpx_fifo_effect_t *out);

typedef struct mpx_fifo_counts {
    size_t queued;
    size_t given;
    size_t parked;
    size_t reserved;
    size_t bytes; /* of queued, given, parked and reserved, with MPX_FIFO_ITEM_COST for each */
    size_t unfinished;
    size_t visitors;
    uint64_t put;   /* ever admitted */
    uint64_t got;   /* ever settled or dropped */
    uint64_t again; /* ever put back */
} mpx_fifo_counts_t;
void mpx_fifo_count(const mpx_fifo_t *self, mpx_fifo_counts_t *out);

/* For tests: whether all counters agree with the lists. */
bool mpx_fifo_is_sound(const mpx_fifo_t *self);

#endif
