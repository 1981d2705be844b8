/* owner_private.h: a queue's owner, as owner.c (visitors) and owner_calls.c (threads) see it. */
#ifndef MPX_OWNER_PRIVATE_H
#define MPX_OWNER_PRIVATE_H

#include "owner.h"

/* An item of a thread of this process that isn't settled. */
typedef struct mpx_held {
    struct mpx_held *prev, *next;
    mpx_fifo_item_t *item;
    uint64_t thread;
} mpx_held_t;

struct mpx_owner {
    mpx_owner_options_t options;
    mpx_fifo_t *fifo;
    mpx_hub_t *hub;         /* of its own endpoint; NULL: none */
    mpx_entry_t entries[2]; /* on the reception, and on the hub */
    pthread_cond_t changed;
    mpx_held_t *held;
    bool keeps;     /* what its threads got, until they settle it */
    unsigned users; /* threads in a call, which destroy waits for */
    bool closed;
    int wake; /* for mpx_owner_watch; -1: never asked */
    bool watched;
    mpx_buf_t parcels;
};

/* Send what the core wants sent, and wake who waits. */
void mpx_owner_act(mpx_owner_t *self);

#endif
