/* space.h: all objects of a manager, and who holds what of them.
 *
 * Pure: no clock, socket, thread or file; time comes as a number. Operations go in by
 * mpx_space_call, what is to be sent comes out of mpx_space_next, for a thin loop around it.
 *
 * A tenant is a client, for as long as its lease runs: while it holds or waits for something it
 * must be heard once in a lease. One that goes, or is silent, loses all that.
 *
 *     come --> ATTACHED <--attach / detach--> DETACHED --lease--> gone
 *                 |  \________ silent for a lease, with something at stake ____^
 *                 +--go-----------------------------------------------------> gone
 *
 * A tenant numbers its operations from 1. They are carried out in that order, each once: one that
 * comes again (after a lost connection) isn't; its answer is kept until the tenant has said that
 * it has it. Answers come in any order, as operations may wait for something.
 *
 * What a tenant can make the space keep is bounded: answers it hasn't taken by a window, beyond
 * which its operations are left lying; those by a window as well; its handles, waits and holds
 * by numbers; what is in objects by limits in bytes.
 *
 * With a store behind it (durable), changes are journalled from one mpx_space_write to the next
 * mpx_space_committed, and nothing that could tell of them is handed out in between.
 */
#ifndef MPX_SPACE_H
#define MPX_SPACE_H

#include "method.h"

#include <mp/error.h>
#include <mp/task.h>
#include <mp/type.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct mpx_space mpx_space_t;
typedef struct mpx_tenant mpx_tenant_t;

/* All zero is the default. */
typedef struct mpx_space_options {
    int64_t lease_ns;       /* 0: 3 s */
    int64_t linger_ns;      /* of an anonymous object without handles; 0: 10 s */
    size_t max_bytes;       /* of all objects; 0: 1 GiB */
    size_t max_tenants;     /* 0: 65536 */
    size_t max_handles;     /* of one tenant, on different objects; 0: 65536 */
    size_t max_waits;       /* of one tenant; 0: 4096 */
    size_t answer_bytes;    /* that a tenant hasn't taken; 0: 16 MiB */
    size_t operation_bytes; /* that lie; 0: 16 MiB, and one message */
    int64_t wall_ms;        /* what time it is when `now` is 0: for what expires after a restart,
                               and for numbers that rise over restarts */
    int64_t born_at;        /* `now`, when it is made */
    uint64_t server;        /* a random number, for references */
    bool durable;
    const mp_object_type_def_t *const *types; /* custom ones, up to a NULL; may be NULL */
    /* mp_errmsg and mp_type_fail of the library that these call, which has words of its own if they
     * are a module's; NULL: this one's. */
    const char *(*types_words)(void);
    mp_rc_t (*types_fail)(mp_rc_t rc, const char *format, ...);
} mpx_space_options_t;

/* MP_OK; MP_ENOMEM. */
mp_rc_t mpx_space_new(const mpx_space_options_t *options, mpx_space_t **out);
void mpx_space_destroy(mpx_space_t **self);
uint64_t mpx_space_server(const mpx_space_t *self);

/* ---- tenants -------------------------------------------------------------------------------- */

/* tag     comes back with what is to be sent to it; not NULL
 * name    for people; copied
 * secret  a random number that it shows to be attached again
 * MP_OK; MP_ELIMIT; MP_ENOMEM. */
mp_rc_t mpx_space_come(mpx_space_t *self, int64_t now, const char *name, uint64_t secret, void *tag,
                       mpx_tenant_t **out);
/* The one of that number and secret; NULL: there is none, or not any more. */
mpx_tenant_t *mpx_space_find(mpx_space_t *self, uint64_t tenant, uint64_t secret);
uint64_t mpx_tenant_number(const mpx_tenant_t *self);
uint64_t mpx_tenant_secret(const mpx_tenant_t *self);

/* It may only look at objects: what changes, holds or wakes something is MP_EPERM, with a text that
 * names `whose` (NULL: it may do all). Copied. */
void mpx_tenant_restrict(mpx_tenant_t *self, const char *whose);

/* It has a connection again: what it hasn't taken is sent once more. */
void mpx_space_attach(mpx_space_t *self, int64_t now, mpx_tenant_t *tenant, void *tag);
/* Its connection is lost, and may come back. */
void mpx_space_detach(mpx_space_t *self, int64_t now, mpx_tenant_t *tenant);
/* It is gone: what it held is free.
 * settled  it said so, and is done with what it got from queues that aren't joinable */
void mpx_space_go(mpx_space_t *self, int64_t now, mpx_tenant_t *tenant, bool settled);

/* Operations first, first + 1 … of a tenant; none: it only shows that it lives.
 * had  it has so many answers, in the order in which they were sent
 * MP_OK; MP_EPROTO, MP_ELIMIT a mistake that costs it its connection; MP_ENOMEM. */
mp_rc_t mpx_space_call(mpx_space_t *self, int64_t now, mpx_tenant_t *tenant, uint64_t first,
                       uint32_t count, uint64_t had, mp_bytes_t operations);

/* ---- time ------------------------------------------------------------------------------------ */

int64_t mpx_space_deadline(const mpx_space_t *self);
/* Do what is due. */
void mpx_space_tick(mpx_space_t *self, int64_t now);

/* ---- what is to be sent ---------------------------------------------------------------------- */

typedef struct mpx_space_effect {
    void *tag;
    mp_rc_t over;   /* not MP_OK: the tenant is gone, and should be told why. No answers then */
    uint64_t first; /* operation */
    uint32_t count;
    uint64_t position;  /* of the first answer, among all that this tenant is sent: from 1 */
    mp_bytes_t answers; /* valid until the next call */
} mpx_space_effect_t;
/* false: nothing is left. */
bool mpx_space_next(mpx_space_t *self, mpx_space_effect_t *out);

/* ---- what must last (keep.c) ------------------------------------------------------------------
 */

/* Writes records; the buckets are those of store.h's OBJECT, ENTRY and META. */
typedef enum mpx_shelf { MPX_SHELF_META, MPX_SHELF_OBJECT, MPX_SHELF_ENTRY } mpx_shelf_t;
typedef struct mpx_pen {
    void *arg;
    mp_rc_t (*put)(void *arg, mpx_shelf_t shelf, mp_bytes_t key, mp_bytes_t value);
    mp_rc_t (*del)(void *arg, mpx_shelf_t shelf, mp_bytes_t key);
    mp_rc_t (*del_all)(void *arg, mpx_shelf_t shelf, mp_bytes_t prefix);
} mpx_pen_t;

/* Whether there are changes that aren't stored. */
bool mpx_space_is_changed(const mpx_space_t *self);
/* Write them; returns what the pen does. */
mp_rc_t mpx_space_write(mpx_space_t *self, const mpx_pen_t *pen);
/* How that went. Not MP_OK: everything since the last time is undone, whoever asked for it or
 * saw it gets this code, and changes are refused for a second. */
void mpx_space_committed(mpx_space_t *self, int64_t now, mp_rc_t rc);

/* Before anybody comes: each record that was written, first all of META, then of OBJECT, then of
 * ENTRY; and then all of it. MP_OK; MP_ECORRUPT; MP_ENOMEM. */
mp_rc_t mpx_space_load(mpx_space_t *self, mpx_shelf_t shelf, mp_bytes_t key, mp_bytes_t value);
mp_rc_t mpx_space_loaded(mpx_space_t *self, int64_t now);

/* ---- looking ----------------------------------------------------------------------------------
 */

typedef struct mpx_space_counts {
    size_t objects;
    size_t tenants;
    size_t waits;
    size_t lock_waits; /* of those: for locks and units of semaphores */
    size_t locks_held;
    size_t bytes;
    uint64_t operations; /* ever carried out */
} mpx_space_counts_t;
void mpx_space_count(const mpx_space_t *self, mpx_space_counts_t *out);

/* For tests: whether all counters agree with what is there. */
bool mpx_space_is_sound(const mpx_space_t *self);

#endif
